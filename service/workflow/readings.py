"""What was read, as a file: arrays and facts that the measuring step takes up again."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from processing.inputs import Expression, LandmarkEdits, Photograph, Surface, View
from service.analysis_entry import AnyInput

_FACTS: Final = "facts"


@dataclass(frozen=True, slots=True)
class Reading:
    """The inputs that could be read, and for each that could not the reason.

    `rejected` maps SOP Instance UIDs to reasons.
    """

    inputs: tuple[AnyInput, ...]
    rejected: dict[str, str]


def reading_as_bytes(reading: Reading) -> bytes:
    """The reading as an uncompressed NumPy archive."""
    arrays: dict[str, Any] = {}
    facts: list[dict[str, Any]] = []
    for number, each in enumerate(reading.inputs):
        if isinstance(each, Photograph):
            arrays[f"{number}.pixels"] = each.pixels
            facts.append(
                {
                    "kind": "photograph",
                    "source": each.source,
                    "pixel_spacing_mm": each.pixel_spacing_mm,
                    "view": each.view,
                    "expression": each.expression,
                    "pixel_spacing_uncertainty_mm": each.pixel_spacing_uncertainty_mm,
                    "pixel_spacing_origin": each.pixel_spacing_origin,
                    "edited_landmarks": dict(each.edited_landmarks),
                }
            )
        elif isinstance(each, LandmarkEdits):
            facts.append(
                {
                    "kind": "landmark edits",
                    "source": each.source,
                    "photograph": each.photograph,
                    "landmarks_px": dict(each.landmarks_px),
                    "made_at": each.made_at,
                }
            )
        else:
            arrays[f"{number}.vertices_mm"] = each.vertices_mm
            arrays[f"{number}.triangles"] = each.triangles
            if each.colours is not None:
                arrays[f"{number}.colours"] = each.colours
            facts.append(
                {
                    "kind": "surface",
                    "source": each.source,
                    "unit": each.unit,
                    "unit_stated": each.unit_stated,
                    "frame": each.frame,
                }
            )
    text = json.dumps({"inputs": facts, "rejected": reading.rejected})
    arrays[_FACTS] = np.frombuffer(text.encode(), dtype=np.uint8)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def reading_from_bytes(data: bytes) -> Reading:
    """The reading that `reading_as_bytes` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        facts = json.loads(archive[_FACTS].tobytes())
        inputs = tuple(
            _input_of(archive, number, each) for number, each in enumerate(facts["inputs"])
        )
    return Reading(inputs, facts["rejected"])


def _input_of(archive: Any, number: int, facts: dict[str, Any]) -> AnyInput:
    if facts["kind"] == "photograph":
        return Photograph(
            pixels=archive[f"{number}.pixels"],
            source=facts["source"],
            pixel_spacing_mm=facts["pixel_spacing_mm"],
            view=View(facts["view"]) if facts["view"] else None,
            expression=Expression(facts["expression"]) if facts["expression"] else None,
            pixel_spacing_uncertainty_mm=facts["pixel_spacing_uncertainty_mm"],
            pixel_spacing_origin=facts["pixel_spacing_origin"],
            edited_landmarks=_places(facts["edited_landmarks"]),
        )
    if facts["kind"] == "landmark edits":
        return LandmarkEdits(
            source=facts["source"],
            photograph=facts["photograph"],
            landmarks_px=_places(facts["landmarks_px"]),
            made_at=facts["made_at"],
        )
    return Surface(
        vertices_mm=archive[f"{number}.vertices_mm"],
        triangles=archive[f"{number}.triangles"],
        source=facts["source"],
        unit=facts["unit"],
        unit_stated=facts["unit_stated"],
        frame=facts["frame"],
        colours=archive.get(f"{number}.colours"),
    )


def _places(facts: dict[str, list[float]]) -> dict[str, tuple[float, float]]:
    return {name: (column, row) for name, (column, row) in facts.items()}
