"""Pictures and meshes of cameras that do not speak DICOM, made into DICOM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from dicom_nodes.objects.encapsulated_model import NamedReference, write_encapsulated_model
from dicom_nodes.objects.study_context import StudyIdentity
from dicom_nodes.objects.vl_photograph import TEXTURE_SERIES_NUMBER, write_vl_photograph
from dicom_nodes.objects.written_object import WrittenObject
from processing.inputs import Expression, Surface, Texture, View
from processing.measurement import RejectedInput
from processing.mesh_encoding import encode_mtl, encode_obj, encode_stl
from processing.mesh_files import read_mesh_file
from processing.mesh_files.mtl import pictures_of_materials
from processing.mesh_files.parts_beside import PartsBeside, parts_beside
from service.input_files import FileKind, MeshScale, kind_of, texture_files_of


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
    `missing` are files that a mesh names and that were not beside it.
    """

    source: Path
    written: WrittenObject
    unit: str | None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A picture or MTL that a mesh or an MTL names so.

    `content` is the file, or the picture's pixels; `source` the file it comes from.
    """

    name: str
    source: Path
    content: bytes | NDArray[np.uint8] = field(repr=False)
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class MeshDocument:
    """A mesh as DICOM can carry it: an STL or OBJ file, its unit, and the MTL it names."""

    data: bytes = field(repr=False)
    media: str
    unit: str
    libraries: tuple[Part, ...] = ()
    missing: tuple[str, ...] = ()


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
        Pictures (JPG, PNG, TIFF, HEIC) and meshes (STL, OBJ, PLY, GLB). The MTL and
        pictures that a mesh names go with it, whether they are among the files or
        only beside it.
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
    parts = texture_files_of(files)
    wrapped: list[Wrapped] = []
    with TemporaryDirectory(prefix=".hemiface-", dir=folder) as staging:
        work = _Work(identity, Path(staging), description, wrapped)
        for path in files:
            if path not in parts:  # these go with their mesh
                _wrap(path, work)
            on_done(path)
        return tuple(_moved(each, folder) for each in wrapped)


@dataclass(slots=True)
class _Work:
    """What is wrapped into where, and what is done already."""

    identity: StudyIdentity
    staging: Path
    description: Description
    done: list[Wrapped]

    @property
    def number(self) -> int:
        """Instance number of the next object."""
        return len(self.done) + 1

    def out(self, name: str) -> Path:
        """A file for the next object, whose name no other has."""
        named = self.staging / f"{name}.dcm"
        return self.staging / f"{self.number}-{name}.dcm" if named.exists() else named


def mesh_document(path: Path, scale: MeshScale) -> MeshDocument:
    """The mesh of a file as an STL or OBJ document.

    STL and OBJ in a unit that has a name stay as they are, an OBJ with the MTL and
    the pictures beside it. PLY and GLB are decoded, and become OBJ where they have a
    texture or colours, else STL; these, and everything with a scale of its own, are
    converted to mm.

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
    data = path.read_bytes()
    beside = parts_beside(path, data, media)
    if media in ("stl", "obj") and scale.mm_per_unit is None and scale.unit is not None:
        return MeshDocument(data, media, scale.unit, _libraries(beside), beside.missing)
    if surface.texture is not None:
        return _textured_document(path, surface, surface.texture, beside.missing)
    if media == "obj" or (media != "stl" and surface.colours is not None):
        return MeshDocument(encode_obj(surface), "obj", "mm", missing=beside.missing)
    return MeshDocument(encode_stl(surface), "stl", "mm", missing=beside.missing)


def _libraries(beside: PartsBeside) -> tuple[Part, ...]:
    """The MTL files as they are, each once, with the pictures that they name."""
    libraries: dict[Path, Part] = {}
    for name, source in beside.libraries.items():
        content = source.read_bytes()
        named = dict.fromkeys(pictures_of_materials(content).values())
        pictures = tuple(
            Part(each, beside.pictures[each], beside.pictures[each].read_bytes())
            for each in named
            if each in beside.pictures
        )
        libraries.setdefault(source, Part(name, source, content, pictures))
    return tuple(libraries.values())


def _textured_document(
    path: Path, surface: Surface, texture: Texture, missing: tuple[str, ...]
) -> MeshDocument:
    """A mesh with a texture of its own as OBJ, MTL and picture, in mm."""
    # Names of our own: what the file is called may be no name for an OBJ to use.
    picture = Part("texture.png", path, texture.pixels)
    library = Part("scan.mtl", path, encode_mtl(picture.name), (picture,))
    return MeshDocument(encode_obj(surface, library.name), "obj", "mm", (library,), missing)


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
                "missing": list(each.missing),
            }
            for each in wrapped
        ],
    }


def _wrap(path: Path, work: _Work) -> None:
    made_at = _file_time(path)
    kind = kind_of(path)
    if kind is FileKind.PICTURE:
        stated = work.description
        written = _write_picture(
            path.read_bytes(),
            path,
            work,
            made_at,
            view=stated.view,
            expression=stated.expression,
            pixel_spacing_mm=stated.pixel_spacing_mm,
        )
        work.done.append(Wrapped(path, written, None))
    elif kind is FileKind.MESH:
        _wrap_mesh(path, work, made_at)
    else:
        known = (
            "DICOM already" if kind is FileKind.DICOM else "no JPG, PNG, TIFF, HEIC or mesh file"
        )
        raise RejectedInput(f"{path.name} is {known}; leave it out")


def _wrap_mesh(path: Path, work: _Work, made_at: datetime) -> None:
    document = mesh_document(path, work.description.scale)
    libraries = []
    for library in document.libraries:
        pictures = [_wrap_texture(each, work, made_at) for each in library.parts]
        written = write_encapsulated_model(
            bytes(library.content),
            "mtl",
            work.identity,
            work.out(library.source.name if library.source != path else library.name),
            made_at=made_at,
            unit=document.unit,
            title="Materials of a surface scan",
            instance_number=work.number,
            references=pictures,
        )
        work.done.append(Wrapped(library.source, written, document.unit))
        libraries.append(NamedReference(library.name, written))
    written = write_encapsulated_model(
        document.data,
        document.media,
        work.identity,
        work.out(path.name),
        made_at=made_at,
        unit=document.unit,
        instance_number=work.number,
        references=libraries,
    )
    work.done.append(Wrapped(path, written, document.unit, document.missing))


def _wrap_texture(part: Part, work: _Work, made_at: datetime) -> NamedReference:
    """Wrap a picture that is no photograph to be measured: its view is another."""
    written = _write_picture(
        part.content,
        part.source,
        work,
        made_at,
        view=View.OTHER,
        series_number=TEXTURE_SERIES_NUMBER,
        series_description="Textures of surface scans",
    )
    work.done.append(Wrapped(part.source, written, None))
    return NamedReference(part.name, written)


def _write_picture(
    content: bytes | NDArray[np.uint8],
    source: Path,
    work: _Work,
    made_at: datetime,
    **stated: Any,
) -> WrittenObject:
    """Write a VL Photographic Image; a rejection names the file."""
    name = source.name if isinstance(content, bytes) else f"{source.name}.texture"
    try:
        return write_vl_photograph(
            content,
            work.identity,
            work.out(name),
            made_at=made_at,
            instance_number=work.number,
            **stated,
        )
    except RejectedInput as rejection:
        raise RejectedInput(f"{source.name}: {rejection}") from rejection


def _file_time(path: Path) -> datetime:
    """When the file was last written: wrapping it again then makes the same object again."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).astimezone()
    except OSError as fault:
        raise RejectedInput(f"{path.name} cannot be read: {fault.strerror}") from fault


def _moved(wrapped: Wrapped, folder: Path) -> Wrapped:
    target = folder / wrapped.written.path.name
    wrapped.written.path.replace(target)
    return replace(wrapped, written=replace(wrapped.written, path=target))
