"""Files and folders named on the command line: what each is, told without trust."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import typer

from processing.measurement import RejectedInput

_PREAMBLE_BYTES: Final = 128
_DICOM_PREFIX: Final = b"DICM"
_PICTURE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".heic", ".heif"})
_MESH_SUFFIXES: Final = frozenset({".stl", ".obj", ".ply", ".glb"})


class LengthUnit(StrEnum):
    """The unit of length that a mesh file is in, as it is typed on the command line."""

    MM = "mm"
    CM = "cm"
    M = "m"
    INCH = "inch"

    @property
    def ucum(self) -> str:
        """The same unit as a UCUM string."""
        return "[in_i]" if self is LengthUnit.INCH else self.value


@dataclass(frozen=True, slots=True)
class MeshScale:
    """What the user states of plain mesh files: a UCUM unit, or how many mm one unit is."""

    unit: str | None = None
    mm_per_unit: float | None = None


def mesh_scale(units: LengthUnit | None, mm_per_unit: float | None) -> MeshScale:
    """What ``--units`` and ``--mm-per-unit`` state.

    Raises
    ------
    typer.BadParameter
        If both are given, or the number is no scale.
    """
    if units is not None and mm_per_unit is not None:
        raise typer.BadParameter("give --units or --mm-per-unit, not both")
    if mm_per_unit is not None and not 0 < mm_per_unit < float("inf"):
        raise typer.BadParameter("--mm-per-unit must be greater than 0")
    return MeshScale(units.ucum if units is not None else None, mm_per_unit)


class FileKind(StrEnum):
    """What a file is."""

    DICOM = "DICOM"
    PICTURE = "picture"
    MESH = "mesh"
    OTHER = "other"


def kind_of(path: Path) -> FileKind:
    """What a file is: DICOM by its prefix (PS3.10 section 7.1), the others by their suffix.

    Raises
    ------
    RejectedInput
        If the file cannot be opened.
    """
    try:
        with path.open("rb") as stream:
            beginning = stream.read(_PREAMBLE_BYTES + len(_DICOM_PREFIX))
    except OSError as fault:
        raise RejectedInput(f"{path} cannot be read: {fault.strerror}") from fault
    if beginning[_PREAMBLE_BYTES:] == _DICOM_PREFIX:
        return FileKind.DICOM
    suffix = path.suffix.lower()
    if suffix in _PICTURE_SUFFIXES:
        return FileKind.PICTURE
    return FileKind.MESH if suffix in _MESH_SUFFIXES else FileKind.OTHER


def files_below(paths: Sequence[Path]) -> list[Path]:
    """The named files, and all files in the named folders, each once.

    Parameters
    ----------
    paths : sequence of Path
        In this order; the files of a folder in the order of their names. Hidden
        files (a leading dot) are left out of folders.

    Raises
    ------
    RejectedInput
        If a path does not exist.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found |= dict.fromkeys(_files_in(path))
        elif path.exists():
            found[path] = None
        else:
            raise RejectedInput(f"{path} does not exist")
    return list(found)


def _files_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(".") for part in below):
            yield path


def texture_files_of(paths: Iterable[Path]) -> set[Path]:
    """The files among these that are only part of a mesh among them: its MTL and pictures.

    Parameters
    ----------
    paths : iterable of Path
        Files; an OBJ or PLY among them may name others.
    """
    from processing.mesh_files.parts_beside import parts_beside

    every = list(paths)
    parts: set[Path] = set()
    for path in every:
        media = path.suffix.lower().removeprefix(".")
        if media not in ("obj", "ply"):
            continue
        try:
            beside = parts_beside(path, path.read_bytes(), media)
        except (RejectedInput, OSError):
            continue  # said when the mesh itself is read
        parts |= {*beside.libraries.values(), *beside.pictures.values()}
    return {path for path in every if path.resolve() in parts}


def listed(names: Iterable[str], most: int = 3) -> str:
    """A few names in one line, and how many more there are."""
    every = list(names)
    shown = ", ".join(every[:most])
    return shown if len(every) <= most else f"{shown} and {len(every) - most} more"
