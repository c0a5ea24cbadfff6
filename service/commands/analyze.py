"""``hemiface analyze``: any analysis on files, without network or database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from processing.inputs import Expression
from service.display import shown
from service.input_files import (
    FileKind,
    LengthUnit,
    MeshScale,
    files_below,
    kind_of,
    listed,
    mesh_scale,
)
from service.measurements_table import measurements_table

if TYPE_CHECKING:
    from rich.table import Table

    from processing.inputs import LandmarkEdits, SurfaceEdits
    from service.offline_measuring import Outcome, Sorted

STDOUT: Final = Path("-")
_LONGEST_REASON: Final = 2000
_EXIT_OF_STATUS: Final = {"measured": 0, "refused": 3, "failed": 1}


def command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="DICOM files and folders, and plain JPG, PNG, TIFF, HEIC, STL, OBJ, PLY, GLB.",
        ),
    ],
    points: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Points on the facial nerve (not in this version)."),
    ] = None,
    landmarks: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A reviewer's landmarks on one photograph or scan; they replace detected ones.",
        ),
    ] = None,
    plane: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A reviewer's midsagittal plane of one scan (JSON)."),
    ] = None,
    area: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A reviewer's affected area on one scan (JSON, or a mesh file in its frame).",
        ),
    ] = None,
    expression: Annotated[
        Expression | None,
        typer.Option(help="Expression on plain pictures; repose when not given."),
    ] = None,
    units: Annotated[
        LengthUnit | None, typer.Option(help="Unit of length of plain mesh files.")
    ] = None,
    mm_per_unit: Annotated[
        float | None,
        typer.Option(metavar="N", help="How many mm one unit of plain mesh files is."),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the results as JSON; - is stdout."),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the pictures go, if not beside the JSON."),
    ] = None,
) -> None:
    """Measure files, without network or database.

    The instances of a DICOM study are measured together, as the node does it;
    each plain file is measured for itself. Exit status: 0 when all was measured,
    3 when something was refused, 1 when something failed.
    """
    from processing.measurement import SCHEMA_VERSION, PermanentFault
    from service.offline_measuring import sort_files

    if points is not None:
        raise PermanentFault(
            "--points is for the nerve analysis, which this version does not have; leave it out"
        )
    scale = mesh_scale(units, mm_per_unit)
    found = sort_files(files_below(paths), expression)
    _give_edits(found, landmarks, plane, area, scale)
    for line in _notes_on_unused(found):
        typer.secho(shown(line, _LONGEST_REASON), fg="yellow", err=True)
    folder = _picture_folder(json_file, pictures)
    stem = json_file.stem if json_file not in (None, STDOUT) else "hemiface"
    analyses: list[dict[str, Any]] = []
    surfaces: list[Path] = []
    for number, outcome in enumerate(_measured(found, scale), start=1):
        if folder is not None:
            surfaces += _write_files(outcome, folder, f"{stem}-{number}")
        analyses.append(outcome.document)
    if json_file is None:
        _show(analyses, surfaces)
    else:
        _write_json({"schema": SCHEMA_VERSION, "analyses": analyses}, json_file)
    if not analyses:
        typer.echo("hemiface: there is nothing here that could be measured", err=True)
    raise typer.Exit(exit_status([each["status"] for each in analyses]))


def exit_status(statuses: Sequence[str]) -> int:
    """The worst of the statuses wins: 1 for failed, then 3 for refused, else 0; 3 for none."""
    codes = {_EXIT_OF_STATUS[each] for each in statuses}
    return next((code for code in (1, 3, 0) if code in codes), 3)


def _give_edits(
    found: Sorted, landmarks: Path | None, plane: Path | None, area: Path | None, scale: MeshScale
) -> None:
    """Give what a reviewer placed to the one input that it is meant for."""
    from service.offline_measuring import give_landmarks, give_surface_edits

    if landmarks is not None:
        if _are_for_a_surface(found, landmarks):
            give_surface_edits(found, _read_surface_edits(landmarks))
        else:
            give_landmarks(found, _read_landmarks(landmarks))
    if plane is not None:
        give_surface_edits(found, _read_surface_edits(plane))
    if area is not None:
        give_surface_edits(found, _read_area(area, scale))


def _are_for_a_surface(found: Sorted, landmarks: Path) -> bool:
    """Whether landmarks are meant for a scan; where there are photographs too, by their places."""
    from processing.measurement import RejectedInput
    from service.offline_measuring import surfaces_among

    scans = surfaces_among(found)
    if not scans or len(scans) == len(found.groups):
        return bool(scans)
    try:
        _read_surface_edits(landmarks)
    except RejectedInput:
        return False
    return True


def _read_landmarks(path: Path) -> LandmarkEdits:
    from processing.inputs import LandmarkEdits
    from processing.measurement import RejectedInput
    from processing.photograph.edits import read_edited_landmarks

    try:
        edited = read_edited_landmarks(path)
    except OSError as fault:
        raise RejectedInput(f"{path} cannot be read: {fault.strerror}") from fault
    return LandmarkEdits(path.name, edited.image or "", edited.points)


def _read_surface_edits(path: Path) -> SurfaceEdits:
    from processing.measurement import RejectedInput
    from processing.surface.edits import read_surface_edits_file

    try:
        return read_surface_edits_file(path)
    except OSError as fault:
        raise RejectedInput(f"{path} cannot be read: {fault.strerror}") from fault


def _read_area(path: Path, scale: MeshScale) -> SurfaceEdits:
    """The area of a JSON file, or of a mesh file in the unit that is given for the scan."""
    from processing.inputs import SurfaceEdits
    from processing.measurement import RejectedInput, SurfacePatch
    from processing.mesh_files import read_mesh_file

    kind = kind_of(path)
    if kind is FileKind.DICOM:
        raise RejectedInput(
            f"{path.name} is DICOM: name it among the files to measure; it is taken for the area "
            "where it refers to the scan"
        )
    if kind is not FileKind.MESH:
        return _read_surface_edits(path)
    mesh = read_mesh_file(path, scale.unit, scale.mm_per_unit)
    return SurfaceEdits(path.name, "", area=SurfacePatch(mesh.vertices_mm, mesh.triangles))


def _measured(found: Sorted, scale: MeshScale) -> Iterator[Outcome]:
    from service.offline_measuring import measure_groups
    from service.progress import counted
    from service.settings import load_settings

    with counted("measuring", len(found.groups)) as advance:
        for outcome in measure_groups(found.groups, load_settings(), scale):
            advance()
            yield outcome


def _notes_on_unused(found: Sorted) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for path, reason in found.unused:
        by_reason.setdefault(reason, []).append(path.name)
    return [f"not used: {listed(names)}: {reason}" for reason, names in by_reason.items()]


def _picture_folder(json_file: Path | None, pictures: Path | None) -> Path | None:
    if pictures is not None:
        return pictures
    return json_file.parent if json_file not in (None, STDOUT) else None


def _write_files(outcome: Outcome, folder: Path, stem: str) -> list[Path]:
    """Write pictures, whose absolute paths the JSON states, and beside them the surfaces."""
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, data: bytes) -> Path:
        parts = dict.fromkeys((stem, outcome.document["analysis"], name))
        path = folder.absolute() / "-".join(parts)
        path.write_bytes(data)
        return path

    pictures = [write(f"{each.name}.png", each.png) for each in outcome.pictures]
    outcome.document["pictures"] = [str(path) for path in pictures]
    return [write(f"{each.name}{each.suffix}", each.data) for each in outcome.solids]


def _write_json(document: dict[str, Any], json_file: Path) -> None:
    text = json.dumps(document, indent=1, allow_nan=False)
    if json_file == STDOUT:
        typer.echo(text)
        return
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(f"{text}\n", encoding="utf-8")


def _show(analyses: Sequence[dict[str, Any]], surfaces: Sequence[Path]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    for analysis in analyses:
        title = f"{analysis['analysis']} {analysis['version']}: {analysis['status']}"
        inputs = shown(listed(analysis["inputs"]))
        console.print(f"[bold]{escape(title)}[/bold]  {escape(inputs)}")
        if analysis["reason"]:
            console.print(shown(analysis["reason"], _LONGEST_REASON), markup=False)
        if analysis["measurements"]:
            console.print(measurements_table(analysis["measurements"]))
        if analysis["quality"]:
            console.print(_quality_table(analysis["quality"]))
        for path in analysis["pictures"]:
            console.print(f"picture: {path}", markup=False, highlight=False)
    for surface in surfaces:
        console.print(f"surface: {surface}", markup=False, highlight=False)


def _quality_table(quality: Sequence[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table("check", "value", "limit", "")
    for each in quality:
        table.add_row(
            each["check"],
            f"{each['value']:.4g} {each['unit']}",
            f"{each['limit']:.4g}",
            "passed" if each["passed"] else "not passed",
        )
    return table
