"""Pictures and meshes of cameras that do not speak DICOM, made into DICOM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from dicom_nodes.objects.encapsulated_model import write_encapsulated_model
from dicom_nodes.objects.study_context import StudyIdentity
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from dicom_nodes.objects.written_object import WrittenObject
from processing.inputs import Expression, View
from processing.measurement import RejectedInput
from processing.mesh_encoding import encode_obj, encode_stl
from processing.mesh_files import read_mesh_file
from service.input_files import FileKind, MeshScale, kind_of


@dataclass(frozen=True, slots=True)
class Description:
    """What the user states of the files, which plain files do not say themselves."""

    view: View | None = None
    expression: Expression | None = None
    pixel_spacing_mm: float | None = None
    scale: MeshScale = field(default_factory=MeshScale)


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A file and the DICOM object that was made of it.

    `unit` is the UCUM unit that the object states for its mesh; None for a picture.
    """

    source: Path
    written: WrittenObject
    unit: str | None


@dataclass(frozen=True, slots=True)
class MeshDocument:
    """A mesh as DICOM can carry it: an STL or OBJ file and its unit."""

    data: bytes
    media: str
    unit: str


def new_study_uid() -> str:
    """A Study Instance UID that nobody has: a random UUID below 2.25 (PS3.5 annex B.2)."""
    return f"2.25.{uuid4().int}"


def wrap_files(
    files: Sequence[Path],
    identity: StudyIdentity,
    folder: Path,
    description: Description,
    on_done: Callable[[Path], None],
) -> tuple[Wrapped, ...]:
    """Wrap files into one study; all of them, or none when one is rejected.

    Parameters
    ----------
    files : sequence of Path
        Pictures (JPG, PNG, TIFF, HEIC) and meshes (STL, OBJ, PLY, GLB).
    identity : StudyIdentity
        The patient and study they belong to.
    folder : Path
        Made if it is missing; a file of the same name is replaced.
    description : Description
    on_done : callable
        Is told of each file that is ready.

    Raises
    ------
    RejectedInput
        If a file cannot be read, is neither picture nor mesh, or is a mesh whose
        unit is not stated.
    OSError
        If the objects cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wrapped: list[Wrapped] = []
    with TemporaryDirectory(prefix=".hemiface-", dir=folder) as staging:
        for number, (path, name) in enumerate(zip(files, _names(files), strict=True), start=1):
            out = Path(staging) / name
            wrapped.append(_wrap(path, identity, out, description, number))
            on_done(path)
        return tuple(_moved(each, folder) for each in wrapped)


def mesh_document(path: Path, scale: MeshScale) -> MeshDocument:
    """The mesh of a file as an STL or OBJ document.

    STL and OBJ in a unit that has a name stay as they are. PLY and GLB are
    decoded, and become OBJ where they have colours, else STL; these, and
    everything with a scale of its own, are converted to mm.

    Raises
    ------
    RejectedInput
        If the file is no mesh, or its unit is not stated.
    """
    if scale.unit is None and scale.mm_per_unit is None:
        raise RejectedInput(
            f"{path.name}: a mesh file does not say its unit of length; "
            "give --units mm, cm, m or inch (or --mm-per-unit)"
        )
    surface = read_mesh_file(path, scale.unit, scale.mm_per_unit)
    media = path.suffix.lower().removeprefix(".")
    if media in ("stl", "obj") and scale.mm_per_unit is None and scale.unit is not None:
        return MeshDocument(path.read_bytes(), media, scale.unit)
    if media == "obj" or (media != "stl" and surface.colours is not None):
        return MeshDocument(encode_obj(surface), "obj", "mm")
    return MeshDocument(encode_stl(surface), "stl", "mm")


def wrapped_as_json(study_instance_uid: str, wrapped: Sequence[Wrapped]) -> dict[str, Any]:
    """What was written, for a script."""
    return {
        "schema": 1,
        "study_instance_uid": study_instance_uid,
        "files": [
            {
                "source": str(each.source),
                "path": str(each.written.path),
                "sop_class_uid": each.written.sop_class_uid,
                "sop_instance_uid": each.written.sop_instance_uid,
                "series_instance_uid": each.written.series_instance_uid,
                "unit": each.unit,
            }
            for each in wrapped
        ],
    }


def _wrap(
    path: Path,
    identity: StudyIdentity,
    out: Path,
    description: Description,
    number: int,
) -> Wrapped:
    made_at = _file_time(path)
    kind = kind_of(path)
    if kind is FileKind.PICTURE:
        written = _wrap_picture(path, identity, out, description, made_at, number)
        return Wrapped(path, written, None)
    if kind is FileKind.MESH:
        document = mesh_document(path, description.scale)
        written = write_encapsulated_model(
            document.data,
            document.media,
            identity,
            out,
            made_at=made_at,
            unit=document.unit,
            instance_number=number,
        )
        return Wrapped(path, written, document.unit)
    known = "DICOM already" if kind is FileKind.DICOM else "no JPG, PNG, TIFF, HEIC or mesh file"
    raise RejectedInput(f"{path.name} is {known}; leave it out")


def _wrap_picture(
    path: Path,
    identity: StudyIdentity,
    out: Path,
    description: Description,
    made_at: datetime,
    number: int,
) -> WrittenObject:
    try:
        return write_vl_photograph(
            path.read_bytes(),
            identity,
            out,
            made_at=made_at,
            view=description.view,
            expression=description.expression,
            pixel_spacing_mm=description.pixel_spacing_mm,
            instance_number=number,
        )
    except RejectedInput as rejection:
        raise RejectedInput(f"{path.name}: {rejection}") from rejection


def _file_time(path: Path) -> datetime:
    """When the file was last written: wrapping it again then makes the same object again."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).astimezone()
    except OSError as fault:
        raise RejectedInput(f"{path.name} cannot be read: {fault.strerror}") from fault


def _names(files: Sequence[Path]) -> list[str]:
    """Names of the objects, all different, each the name of its file and ``.dcm``."""
    names: list[str] = []
    for number, path in enumerate(files, start=1):
        name = f"{path.name}.dcm"
        names.append(f"{number}-{name}" if name in names else name)
    return names


def _moved(wrapped: Wrapped, folder: Path) -> Wrapped:
    target = folder / wrapped.written.path.name
    wrapped.written.path.replace(target)
    return replace(wrapped, written=replace(wrapped.written, path=target))
