"""The files that a mesh file names and that lie beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import RejectedInput
from processing.mesh_files.decoded import MeshParts, part_name
from processing.mesh_files.mtl import MAXIMUM_LIBRARY_BYTES, pictures_of_materials
from processing.mesh_files.obj import libraries_named
from processing.mesh_files.ply import pictures_named
from processing.mesh_files.textures import MOST_PICTURES, small_enough
from processing.picture_files import read_picture

_MOST_FILES_LOOKED_AT: Final = 10_000


@dataclass(frozen=True, slots=True)
class PartsBeside:
    """What lies beside a mesh, by the names that the mesh has for it.

    Parameters
    ----------
    libraries, pictures : dict of str to Path
        Files in the mesh's folder or below it.
    missing : tuple of str
        What is named and not there.
    """

    libraries: dict[str, Path] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    def as_mesh_parts(self) -> MeshParts:
        """The files read; a picture that cannot be read, or is one too many, is left out."""
        libraries = {part_name(name): path.read_bytes() for name, path in self.libraries.items()}
        pictures: dict[str, NDArray[np.uint8]] = {}
        for name, path in islice(self.pictures.items(), MOST_PICTURES):
            try:
                pictures[part_name(name)] = small_enough(read_picture(path).pixels)
            except RejectedInput:
                continue  # a surface is measured without its texture all the same
        return MeshParts(libraries, pictures)


def parts_beside(path: Path, data: bytes, media: str) -> PartsBeside:
    """Find what an OBJ or PLY file names.

    Only regular files in the folder of the mesh or below it are taken, whatever
    folder a name says; capital and small letters are not told apart.

    Raises
    ------
    RejectedInput
        If a PLY file has no header.
    """
    if media == "ply":
        return _found(path, (), pictures_named(data, path.name))
    if media != "obj":
        return PartsBeside()
    names = libraries_named(data)
    return _found(path, names, ()) if names else PartsBeside()


def _found(path: Path, libraries: tuple[str, ...], pictures: tuple[str, ...]) -> PartsBeside:
    folder = path.resolve().parent
    if not libraries and not pictures:
        return PartsBeside()
    at_hand = _files_in(folder)
    found_libraries = {
        name: file
        for name in libraries
        if (file := _beside(folder, at_hand, name)) is not None
        and file.stat().st_size <= MAXIMUM_LIBRARY_BYTES
    }
    named = dict.fromkeys(pictures)
    for file in dict.fromkeys(found_libraries.values()):
        named |= dict.fromkeys(pictures_of_materials(file.read_bytes()).values())
    found_pictures = {
        name: file for name in named if (file := _beside(folder, at_hand, name)) is not None
    }
    missing = [each for each in named if each not in found_pictures]
    if libraries and not found_libraries:
        missing.insert(0, libraries[0])
    return PartsBeside(found_libraries, found_pictures, tuple(missing))


def _files_in(folder: Path) -> dict[str, Path]:
    """The files of a folder by their names in small letters."""
    files: dict[str, Path] = {}
    for number, each in enumerate(folder.iterdir()):
        if number >= _MOST_FILES_LOOKED_AT:
            break
        files.setdefault(each.name.casefold(), each)
    return files


def _beside(folder: Path, at_hand: dict[str, Path], name: str) -> Path | None:
    """The file of this name in the folder or below; None for every other place."""
    if "\0" in name or not part_name(name):
        return None
    try:
        named = (folder / name.strip().strip('"').replace("\\", "/")).resolve()
        if named.is_relative_to(folder) and named.is_file():
            return named
        other = at_hand.get(part_name(name))
        if other is not None and other.resolve().is_relative_to(folder) and other.is_file():
            return other.resolve()
    except OSError:  # a name too long for a file, or a loop of links
        return None
    return None
