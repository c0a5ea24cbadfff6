"""Landmarks that a reviewer placed, as a JSON file: read with suspicion, and written.

``{"landmarks": {"cheilion_left": [812.5, 1034.0], ...}, "image": "1.2.840..."}``;
names as in `processing.landmarks`, [column, row] in pixels of the photograph
with the origin at the centre of the first pixel, `image` its SOP Instance UID or
the name of its file. ``landmarks`` is also the key of a published analysis.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from processing.json_documents import are_numbers, parsed, read_at_most, short
from processing.landmarks import LANDMARKS
from processing.measurement import RejectedInput

_LARGEST_FILE_BYTES: Final = 1_000_000
_LONGEST_IMAGE_NAME: Final = 1024
# No picture has so many.
_MOST_PIXELS: Final = 2.0**31

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class EditedLandmarks:
    """What a reviewer placed on one photograph.

    Parameters
    ----------
    points : mapping of str to (column, row)
    image : str, optional
        SOP Instance UID or file name of the photograph; None where not stated.
    """

    points: Mapping[str, Point] = field(default_factory=lambda: MappingProxyType({}))
    image: str | None = None


def read_edited_landmarks(path: Path) -> EditedLandmarks:
    """Read a file of edited landmarks.

    Raises
    ------
    RejectedInput
        If the file is too large, no JSON or not in the form above.
    OSError
        If it cannot be read.
    """
    return edited_landmarks_from_json(read_at_most(path, _LARGEST_FILE_BYTES), path.name)


def edited_landmarks_from_json(data: bytes, name: str) -> EditedLandmarks:
    """Read edited landmarks from the bytes of a JSON document.

    Parameters
    ----------
    data : bytes
    name : str
        What the document is called in a message.

    Raises
    ------
    RejectedInput
        If it is too large, no JSON or not in the form above.
    """
    if len(data) > _LARGEST_FILE_BYTES:
        raise RejectedInput(f"{name} is larger than {_LARGEST_FILE_BYTES} bytes: no landmarks file")
    document = parsed(data, name)
    if not isinstance(document, dict):
        raise RejectedInput(f'{name} is no landmarks file: {{"landmarks": {{...}}}} is expected')
    image = document.get("image")
    if image is not None and not (isinstance(image, str) and len(image) <= _LONGEST_IMAGE_NAME):
        raise RejectedInput(f"{name}: 'image' is no SOP Instance UID and no file name")
    landmarks = document.get("landmarks", document)
    if not isinstance(landmarks, dict):
        raise RejectedInput(f"{name}: 'landmarks' maps no names to places")
    return EditedLandmarks(
        MappingProxyType(
            {
                _known(landmark, name): _point(landmark, place, name)
                for landmark, place in landmarks.items()
                if landmarks is not document or landmark != "image"
            }
        ),
        image,
    )


def write_edited_landmarks(edited: EditedLandmarks, path: Path) -> None:
    """Write edited landmarks in the form that `read_edited_landmarks` reads.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    document: dict[str, Any] = {
        "landmarks": {name: list(place) for name, place in edited.points.items()}
    }
    if edited.image is not None:
        document["image"] = edited.image
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def unusable_edits(points: Mapping[str, Point], columns: int, rows: int) -> str | None:
    """Why edited landmarks cannot be used on a photograph, or None.

    Parameters
    ----------
    points : mapping of str to (column, row)
    columns, rows : int
        Size of the photograph.
    """
    unknown = sorted(set(points) - set(LANDMARKS))
    if unknown:
        return f"The edited landmark '{short(unknown[0])}' is not among the named landmarks."
    for name, (column, row) in points.items():
        # A place that is no number lies nowhere either.
        if not (-0.5 <= column <= columns - 0.5 and -0.5 <= row <= rows - 0.5):
            return (
                f"The edited landmark {name} at ({column:.6g}, {row:.6g}) lies outside the "
                f"photograph of {columns} x {rows} pixels."
            )
    return None


def _known(landmark: str, name: str) -> str:
    if landmark not in LANDMARKS:
        raise RejectedInput(
            f"{name}: '{short(landmark)}' is not among the named landmarks "
            f"({', '.join(list(LANDMARKS)[:3])} ...)"
        )
    return landmark


def _point(landmark: str, place: object, name: str) -> Point:
    if isinstance(place, list) and len(place) == 2 and are_numbers(place, _MOST_PIXELS):
        return float(place[0]), float(place[1])
    raise RejectedInput(f"{name}: the place of {landmark} is not [column, row] in pixels")
