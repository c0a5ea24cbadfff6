"""Facial landmarks in a picture, by MediaPipe's FaceLandmarker.

A detector's answer depends a little on which side of the picture is left. So
the picture and its mirror image are both asked and the answers averaged; half
of what they disagree by is kept as the repeatability of each point. What the
detector cannot give is an independent asymmetry: it was trained on mostly
symmetric faces and pulls an asymmetric one toward symmetry (known droops of a
rendered mouth read about half their size).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from processing.detected_face import (
    SAME_FACE_DISTANCE,
    DetectedFace,
    distinct_faces,
    face_with_pose,
    joined_faces,
    largest_first,
    mean_face,
    mean_of_both_ways,
)
from processing.face_model import LANDMARKS_WITH_IRISES, CanonicalFace, canonical_face
from processing.landmarks import LANDMARKS
from processing.picture_view import PictureView, Window

# Picture sizes in pixels and crop sizes in widths of the face.
_SEARCH_LONG_SIDE_PX: Final = 640
_TILES_A_SIDE: Final = (2, 4)
_SMALLEST_TILE_PX: Final = 200
_FILLING_FACE: Final = 0.35
_CROP_SIDE_PX: Final = 640
_CROP_FACE_SIZES: Final = (1.8, 2.1, 2.4)
_CLOSE_UP_SIDE_PX: Final = 960
_CLOSE_UP_FACE_SIZES: Final = 2.6
_BORDER_OF_SEARCH: Final = 0.3

_Seen = TypeVar("_Seen")

_MIRROR: Final = np.diag([-1.0, 1.0, 1.0, 1.0])


class FaceDetector:
    """Finds faces and their landmarks; to be used in a ``with`` statement or closed.

    Parameters
    ----------
    model : Path
        ``face_landmarker.task``, as `processing.face_model.find_face_model` found it.
    most_faces : int
        How many faces are looked for; at least 2, so that a second face is seen.

    Raises
    ------
    PermanentFault
        If MediaPipe cannot use the model.
    """

    def __init__(self, model: Path, most_faces: int = 4) -> None:
        if most_faces < 2:
            raise ValueError("most_faces must be at least 2, or a second face is not seen")
        self._canonical = canonical_face(model)
        self._mirror = self._canonical.mirror_with_irises()
        # MediaPipe takes seconds and 200 MB to load; only who detects pays that.
        from processing.mediapipe_landmarker import MediaPipeLandmarker

        # One for the picture and one for its mirror image, which are asked at the same time.
        self._landmarkers = [MediaPipeLandmarker(model, most_faces) for _ in range(2)]
        self._other_thread = ThreadPoolExecutor(1, "mirror image")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give MediaPipe's memory and threads back; may be called again."""
        self._other_thread.shutdown()
        for each in self._landmarkers:
            each.close()

    @property
    def canonical(self) -> CanonicalFace:
        """The average face that the landmarks refer to."""
        return self._canonical

    @property
    def mirror(self) -> NDArray[np.int64]:
        """The left-right partner of each of the 478 landmarks, (478,) int64."""
        return self._mirror

    def detect(self, pixels: NDArray[np.uint8]) -> tuple[DetectedFace, ...]:
        """Find the faces in a picture as it is.

        Parameters
        ----------
        pixels : (rows, columns, 3) uint8 array
            sRGB.

        Returns
        -------
        tuple of DetectedFace
            The largest face first; empty when there is none.

        Raises
        ------
        ValueError
            If `pixels` has another shape or type.
        """
        _require_picture(pixels)
        picture = PictureView.of(pixels)
        reduced = picture.close_up(picture.whole, _SEARCH_LONG_SIDE_PX)
        found = []
        for rough in distinct_faces(self._searched(picture, reduced, mirrored=False)):
            window = _square(rough.centre_px, _CROP_FACE_SIZES[1] * rough.size_px)
            crop = picture.resampled(window, _CROP_SIDE_PX, enlarge=True)
            fine = self._detected_at(picture, window, crop, rough.size_px, mirrored=False)
            found.append(fine if fine is not None else rough)
        return largest_first(distinct_faces(found))

    def detect_symmetrised(self, pixels: NDArray[np.uint8]) -> tuple[DetectedFace, ...]:
        """Find the faces in a picture and its mirror image, and average the two answers.

        Mirroring `pixels` mirrors the answer, to the rounding of coordinates: of
        a picture and its mirror image the same one is always worked on. A face
        that is seen only in one of the two is left out.

        Parameters
        ----------
        pixels : (rows, columns, 3) uint8 array
            sRGB.

        Returns
        -------
        tuple of DetectedFace
            The largest face first; `spread_px` is filled.

        Raises
        ------
        ValueError
            If `pixels` has another shape or type.
        """
        _require_picture(pixels)
        if _comes_after_its_mirror_image(pixels):
            columns = pixels.shape[1]
            found = self._symmetrised(pixels[:, ::-1])
            return tuple(self._mirror_image(face, columns) for face in found)
        return self._symmetrised(pixels)

    def detect_at(
        self, pixels: NDArray[np.uint8], middle_px: NDArray[np.float64], size_px: float
    ) -> DetectedFace | None:
        """Find the face at a known place, and average with what its mirror image gives.

        Parameters
        ----------
        pixels : (rows, columns, 3) uint8 array
            sRGB.
        middle_px : (2,) float64 array
            About the middle of the face, (column, row).
        size_px : float
            About the longer side of the box round its landmarks.

        Returns
        -------
        DetectedFace, optional
            `spread_px` is filled; None unless both pictures show a face there.

        Raises
        ------
        ValueError
            If `pixels` has another shape or type.
        """
        _require_picture(pixels)
        picture = PictureView.of(pixels)
        window = _square(middle_px, _CROP_FACE_SIZES[1] * size_px)
        both = self._detected_both_ways(picture, window, size_px)
        return mean_of_both_ways(*both) if both else None

    def _symmetrised(self, pixels: NDArray[np.uint8]) -> tuple[DetectedFace, ...]:
        picture = PictureView.of(pixels)
        reduced = picture.close_up(picture.whole, _SEARCH_LONG_SIDE_PX)
        straight, mirrored = self._both_ways(partial(self._searched, picture, reduced))
        found = []
        for rough in joined_faces(distinct_faces(straight), distinct_faces(mirrored)):
            fine = self._averaged_close(picture, rough)
            if fine is not None:
                found.append(fine)
        return largest_first(distinct_faces(found))

    def _averaged_close(self, picture: PictureView, rough: DetectedFace) -> DetectedFace | None:
        """Detect again in crops of several sizes that are cut out upright.

        The detector leans a tilted face a little toward the upright; in an upright
        crop and its mirror image that error has opposite signs and cancels.
        """
        window = _square(rough.centre_px, _CLOSE_UP_FACE_SIZES * rough.size_px)
        close_up = picture.close_up(window, _CLOSE_UP_SIDE_PX)
        columns, rows = close_up.size
        middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
        upright = close_up.turned(middle, _tilt_deg(rough))
        size_px = rough.size_px / upright.picture_px_per_px
        straight, mirrored = [], []
        for crop in _CROP_FACE_SIZES:
            both = self._detected_both_ways(upright, _square(middle, crop * size_px), size_px)
            if both is not None:
                straight.append(both[0])
                mirrored.append(both[1])
        if not straight:
            return None
        return mean_of_both_ways(mean_face(straight), mean_face(mirrored))

    def _searched(
        self, picture: PictureView, reduced: PictureView, *, mirrored: bool
    ) -> list[DetectedFace]:
        """Rough positions: in the whole picture, with a border round it, then in tiles.

        The face finder sees a picture reduced to 128 pixels. Tiles are looked at
        when nothing was found, and when what was found is so small that another
        face beside it may have been missed.
        """
        columns, rows = picture.size
        long_side = max(rows, columns)
        found: list[DetectedFace] = []
        for border in (0.0, _BORDER_OF_SEARCH * max(reduced.size)):
            left, top, right, bottom = reduced.whole
            window = (left - border, top - border, right + border, bottom + border)
            crop = reduced.resampled(window, _SEARCH_LONG_SIDE_PX, enlarge=False)
            found = self._detected_in(reduced, window, crop, mirrored=mirrored)
            if found:
                break
        if found and max(face.size_px for face in found) >= _FILLING_FACE * long_side:
            return found
        for parts in _TILES_A_SIDE:
            if long_side < parts * _SMALLEST_TILE_PX:
                break
            for window in _tiles(rows, columns, parts):
                crop = picture.resampled(window, _SEARCH_LONG_SIDE_PX, enlarge=False)
                found += self._detected_in(picture, window, crop, mirrored=mirrored)
            if found:
                break
        return found

    def _detected_both_ways(
        self, view: PictureView, window: Window, size_px: float
    ) -> tuple[DetectedFace, DetectedFace] | None:
        """The face in the middle of a window as seen in the window and in its mirror image."""
        crop = view.resampled(window, _CROP_SIDE_PX, enlarge=True)
        straight, mirrored = self._both_ways(
            partial(self._detected_at, view, window, crop, size_px)
        )
        return (straight, mirrored) if straight and mirrored else None

    def _both_ways(self, look: Callable[..., _Seen]) -> tuple[_Seen, _Seen]:
        """What is seen in a picture and, at the same time on another core, in its mirror image."""
        mirrored = self._other_thread.submit(look, mirrored=True)
        straight = look(mirrored=False)
        return straight, mirrored.result()

    def _detected_at(
        self,
        view: PictureView,
        window: Window,
        crop: Image.Image,
        size_px: float,
        *,
        mirrored: bool,
    ) -> DetectedFace | None:
        """The face of a known size in the middle of a window of the view."""
        found = self._detected_in(view, window, crop, mirrored=mirrored)
        middle = np.array([[(window[0] + window[2]) / 2, (window[1] + window[3]) / 2]])
        expected = view.in_picture(middle)[0]
        near = [
            (distance, face)
            for face in found
            if (distance := float(np.linalg.norm(face.centre_px - expected)))
            < SAME_FACE_DISTANCE * size_px * view.picture_px_per_px
        ]
        return min(near, key=lambda each: each[0])[1] if near else None

    def _detected_in(
        self, view: PictureView, window: Window, crop: Image.Image, *, mirrored: bool
    ) -> list[DetectedFace]:
        """Detect in a window of the view, resampled to `crop`, or in the mirror image of it."""
        left, top, right, bottom = window
        width, height = right - left, bottom - top
        seen = np.asarray(crop)
        if mirrored:
            seen = seen[:, ::-1]
        turn = _turn_in_picture(view.turn_deg)
        found = []
        for each in self._landmarkers[mirrored].detect(np.ascontiguousarray(seen)):
            normalised, transformation = each.normalised, each.transformation
            if mirrored:
                normalised = normalised[self._mirror] * (-1, 1, 1) + (1, 0, 0)
                transformation = _MIRROR @ transformation @ _MIRROR
            found.append(
                face_with_pose(
                    points_px=view.in_picture(normalised[:, :2] * (width, height) + (left, top)),
                    depth_px=normalised[:, 2] * width * view.picture_px_per_px,
                    transformation=turn @ transformation,
                    spread_px=np.full(LANDMARKS_WITH_IRISES, np.nan),
                )
            )
        return found

    def _mirror_image(self, face: DetectedFace, columns: int) -> DetectedFace:
        points = face.points_px[self._mirror].copy()
        points[:, 0] = columns - 1 - points[:, 0]
        return face_with_pose(
            points_px=points,
            depth_px=face.depth_px[self._mirror],
            transformation=_MIRROR @ face.transformation @ _MIRROR,
            spread_px=face.spread_px[self._mirror],
        )


def _comes_after_its_mirror_image(pixels: NDArray[np.uint8]) -> bool:
    """Whether the picture's bytes are greater than those of its mirror image, in row order."""
    for row in pixels:
        differs = row != row[::-1]
        if differs.any():
            first = int(differs.argmax())
            return bool(row.flat[first] > row[::-1].flat[first])
    return False


def _turn_in_picture(by_deg: float) -> NDArray[np.float64]:
    """Rotation of the camera's frame (y up) for a view turned clockwise in the picture."""
    cos, sin = math.cos(math.radians(by_deg)), math.sin(math.radians(by_deg))
    turn = np.eye(4)
    turn[:2, :2] = [[cos, sin], [-sin, cos]]
    return turn


def _square(middle_px: NDArray[np.float64], side_px: float) -> Window:
    column, row = (float(each) for each in middle_px)
    half = side_px / 2
    return column - half, row - half, column + half, row + half


def _tilt_deg(face: DetectedFace) -> float:
    """How far the line through the eyes runs down to the right of the picture."""
    across = sum(
        face.points_px[LANDMARKS[f"{name}_left"]] - face.points_px[LANDMARKS[f"{name}_right"]]
        for name in ("iris_centre", "endocanthion", "exocanthion")
    )
    column, row = np.asarray(across)
    return math.degrees(math.atan2(row, column))


def _tiles(rows: int, columns: int, parts: int) -> Iterator[Window]:
    """Windows of the picture's sides divided by `parts`, which overlap by half."""
    starts = np.arange(2 * parts - 1) / (2 * parts)
    for top in starts:
        for left in starts:
            yield (
                float(left * columns - 0.5),
                float(top * rows - 0.5),
                float((left + 1 / parts) * columns - 0.5),
                float((top + 1 / parts) * rows - 0.5),
            )


def _require_picture(pixels: NDArray[np.uint8]) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
        raise ValueError(
            f"a picture is a (rows, columns, 3) uint8 array, not {pixels.dtype} {pixels.shape}"
        )
