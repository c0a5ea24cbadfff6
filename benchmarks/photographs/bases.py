"""The faces that are warped and disturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from benchmarks.photographs.ict_head import HeadModel
from benchmarks.photographs.painting import random_appearance
from benchmarks.photographs.rendered import HeadSpec, rendered
from benchmarks.photographs.scan import scan_picture
from benchmarks.photographs.warped import BasePicture, base_picture, chimeric_pictures
from processing.face_landmarks import FaceDetector

Pixels = NDArray[np.uint8]

# The face of the astronaut is 100 pixels wide; less than 200 are refused.
_ASTRONAUT_ENLARGED: Final = 3
_RENDERED_IDENTITIES: Final = (3, 11, 24)


def base_faces(
    folder: Path,
    model: HeadModel | None,
    detector: FaceDetector,
    say: Callable[[str], None],
    *,
    few: bool = False,
) -> list[BasePicture]:
    """All base pictures that can be had; says which cannot, and why.

    Parameters
    ----------
    folder : Path
        The data for development.
    model : HeadModel, optional
        None where nothing can be rendered; the caller says why.
    detector : FaceDetector
    say : callable
        Is told what is left out.
    few : bool
        Only one portrait and one render.
    """
    faces: list[BasePicture] = []
    for name, pixels, symmetric in _portraits(folder, say, few=few):
        try:
            base = base_picture(name, pixels, detector)
            faces += chimeric_pictures(base, detector)[:1] if symmetric else [base]
        except ValueError as fault:
            say(f"left out: {fault}")
    if model is None:
        return faces
    for seed in _RENDERED_IDENTITIES[: 1 if few else None]:
        spec = HeadSpec(identity=seed, appearance=random_appearance(seed))
        picture = rendered(model, spec)
        faces.append(base_picture(f"ICT {seed}", picture.pixels, detector, picture.mm_per_px))
    if not few:
        faces += _scan(folder, detector, say)
    return faces


def _portraits(
    folder: Path, say: Callable[[str], None], *, few: bool
) -> Iterator[tuple[str, Pixels, bool]]:
    """Name, pixels and whether it is to be made symmetric."""
    for file, name in (("img4-1024-frontal.jpg", "portrait 4"), ("img1-512.jpg", "portrait 1")):
        path = folder / "photos" / file
        if not path.is_file():
            say(f"left out: {name}, {file} is not there")
            continue
        pixels = np.asarray(Image.open(path).convert("RGB"))
        yield name, pixels, False
        if few:
            return
        if name == "portrait 4":
            yield name, pixels, True
    # skimage carries no types for its pictures.
    whole: Pixels = data.astronaut()  # type: ignore[no-untyped-call]  # no stubs
    astronaut = whole[0:250, 100:350]
    size = (astronaut.shape[1] * _ASTRONAUT_ENLARGED, astronaut.shape[0] * _ASTRONAUT_ENLARGED)
    large = np.asarray(cv2.resize(astronaut, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    yield "astronaut x 3", large, False


def _scan(folder: Path, detector: FaceDetector, say: Callable[[str], None]) -> list[BasePicture]:
    scan = folder / "faces" / "lee-perry-smith"
    if not scan.is_dir():
        say("left out: lee-perry-smith, the scan is not there")
        return []
    pixels, mm_per_px = scan_picture(scan)
    try:
        return [base_picture("lee-perry-smith", pixels, detector, mm_per_px)]
    except ValueError as fault:
        say(f"left out: {fault}")
        return []
