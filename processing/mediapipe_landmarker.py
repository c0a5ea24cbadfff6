"""MediaPipe's FaceLandmarker, and what it needs around it.

It writes to the process' standard error past Python, and cannot be closed at
interpreter exit.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from mediapipe import Image as MediaPipeImage
from mediapipe import ImageFormat
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import FaceLandmarker, FaceLandmarkerOptions, RunningMode
from numpy.typing import NDArray

from processing.face_model import LANDMARKS_WITH_IRISES
from processing.measurement import PermanentFault


@dataclass(frozen=True, slots=True, eq=False)
class FoundFace:
    """A face as MediaPipe answers.

    Parameters
    ----------
    normalised : (478, 3) float64 array
        Column and depth in widths of the picture, row in its heights.
    transformation : (4, 4) float64 array
        From the canonical face to the camera, in cm.
    """

    normalised: NDArray[np.float64]
    transformation: NDArray[np.float64]


class MediaPipeLandmarker:
    """The landmarker with its model; to be closed.

    Parameters
    ----------
    model : Path
        ``face_landmarker.task``.
    most_faces : int
        How many faces are looked for.

    Raises
    ------
    PermanentFault
        If MediaPipe cannot use the model.
    """

    def __init__(self, model: Path, most_faces: int) -> None:
        options = FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)),
            running_mode=RunningMode.IMAGE,
            num_faces=most_faces,
            output_facial_transformation_matrixes=True,
        )
        with _native_messages() as messages:
            try:
                self._landmarker = FaceLandmarker.create_from_options(options)
            except (RuntimeError, ValueError, OSError) as fault:
                messages.seek(0)
                said = messages.read().decode(errors="replace").strip()
                raise PermanentFault(
                    f"MediaPipe cannot start with the face model {model}: {fault} {said}"
                ) from fault
        self.close = weakref.finalize(self, _release, self._landmarker)

    def detect(self, pixels: NDArray[np.uint8]) -> list[FoundFace]:
        """Faces in an (rows, columns, 3) sRGB picture."""
        answer = self._landmarker.detect(MediaPipeImage(image_format=ImageFormat.SRGB, data=pixels))
        faces = []
        for landmarks, matrix in zip(
            answer.face_landmarks, answer.facial_transformation_matrixes, strict=True
        ):
            normalised = np.array([(each.x, each.y, each.z) for each in landmarks])
            if normalised.shape == (LANDMARKS_WITH_IRISES, 3) and np.isfinite(normalised).all():
                faces.append(FoundFace(normalised, np.asarray(matrix, dtype=np.float64)))
        return faces


def _release(landmarker: FaceLandmarker) -> None:
    """Close MediaPipe's landmarker, at interpreter exit too.

    There its thread pool is gone already: `close` cannot work any more, and its
    ``__del__`` would throw once again. The operating system takes the memory.
    """
    try:
        landmarker.close()
    except RuntimeError:
        landmarker._handle = None


@contextmanager
def _native_messages() -> Iterator[BinaryIO]:
    """Hold back what native code writes to the standard error stream.

    MediaPipe prints warnings of no use to anyone while it starts, and no setting
    stops them. They are kept for the message of an error.
    """
    with tempfile.TemporaryFile() as kept:
        try:
            standard_error = os.dup(2)
        except OSError:  # the process has no standard error stream
            yield kept
            return
        os.dup2(kept.fileno(), 2)
        try:
            yield kept
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)
