"""``hemiface wrap``: pictures and meshes into DICOM."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from processing.inputs import Expression, View
from service.input_files import LengthUnit, files_below, mesh_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_nodes.objects.study_context import StudyIdentity
    from service.wrapping import Description, Wrapped

_DATE_FORMATS: Final = ("%Y%m%d", "%Y-%m-%d")


class Sex(StrEnum):
    """Patient's Sex (0010,0040)."""

    F = "F"
    M = "M"
    O = "O"  # noqa: E741  the standard's own term, for "other"


def command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Pictures (JPG, PNG, TIFF, HEIC) and meshes (STL, OBJ, PLY, GLB); the MTL and "
            "the textures of an OBJ or PLY are taken from its folder.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the DICOM files go.")],
    into: Annotated[
        Path | None,
        typer.Option(metavar="DICOM", help="Put the files into the study of this DICOM file."),
    ] = None,
    patient_id: Annotated[str | None, typer.Option(help="Patient ID of a new study.")] = None,
    patient_name: Annotated[
        str | None, typer.Option(metavar="FAMILY^GIVEN", help="Patient's Name of a new study.")
    ] = None,
    birth_date: Annotated[str | None, typer.Option(metavar="YYYYMMDD")] = None,
    sex: Annotated[Sex | None, typer.Option(help="Patient's Sex.")] = None,
    accession_number: Annotated[str | None, typer.Option(help="Accession Number.")] = None,
    study_description: Annotated[str | None, typer.Option(help="Study Description.")] = None,
    study_date: Annotated[
        str | None, typer.Option(metavar="YYYYMMDD", help="When not today.")
    ] = None,
    view: Annotated[View | None, typer.Option(help="View of the pictures.")] = None,
    expression: Annotated[
        Expression | None, typer.Option(help="Expression on the pictures.")
    ] = None,
    units: Annotated[LengthUnit | None, typer.Option(help="Unit of length of the meshes.")] = None,
    mm_per_unit: Annotated[
        float | None,
        typer.Option(metavar="N", help="How many mm one unit is; the meshes are converted to mm."),
    ] = None,
    pixel_spacing_mm: Annotated[
        float | None,
        typer.Option(metavar="MM", help="Size of a pixel at the face, where a scale was there."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was written as JSON.")
    ] = False,
) -> None:
    """Make DICOM objects of pictures and meshes, in an existing or a new study.

    All files of one call go into one study: that of --into, or a new one for
    the patient of --patient-id and --patient-name.
    """
    from service.wrapping import Description, wrapped_as_json

    if pixel_spacing_mm is not None and not 0 < pixel_spacing_mm < float("inf"):
        raise typer.BadParameter("--pixel-spacing-mm must be greater than 0")
    stated = {
        "patient_id": patient_id,
        "patient_name": patient_name,
        "birth_date": _date("--birth-date", birth_date),
        "sex": sex.value if sex is not None else None,
        "accession_number": accession_number,
        "study_description": study_description,
        "study_date": _date("--study-date", study_date),
    }
    identity = _identity(into, {name: text for name, text in stated.items() if text is not None})
    description = Description(view, expression, pixel_spacing_mm, mesh_scale(units, mm_per_unit))
    wrapped = _wrap(files_below(files), identity, out, description)
    if as_json:
        typer.echo(json.dumps(wrapped_as_json(identity.study_instance_uid, wrapped), indent=1))
        return
    for each in wrapped:
        unit = f" (in {each.unit})" if each.unit else ""
        typer.echo(f"{each.source} -> {each.written.path}{unit}")
        for name in each.missing:
            typer.echo(f"{each.source} names {name}, which is not beside it", err=True)
    typer.echo(f"study {identity.study_instance_uid}")


def _identity(into: Path | None, stated: dict[str, str]) -> StudyIdentity:
    from dicom_nodes.objects.study_context import StudyIdentity, identity_of
    from processing.measurement import RejectedInput
    from service.wrapping import new_study_uid

    if into is not None:
        if stated:
            option = next(iter(stated)).replace("_", "-")
            raise typer.BadParameter(f"--into takes patient and study over; leave out --{option}")
        try:
            return identity_of(into)
        except RejectedInput as rejection:
            raise RejectedInput(f"{into}: {rejection}") from rejection
        except OSError as fault:
            raise RejectedInput(f"{into} cannot be read: {fault.strerror}") from fault
    if not (stated.get("patient_id") and stated.get("patient_name")):
        raise typer.BadParameter(
            "say whose files these are: --into EXISTING.dcm, or --patient-id and --patient-name"
        )
    now = datetime.now(UTC).astimezone()
    return StudyIdentity(
        study_instance_uid=new_study_uid(),
        patient_id=stated["patient_id"],
        patient_name=stated["patient_name"],
        birth_date=stated.get("birth_date", ""),
        sex=stated.get("sex", ""),
        study_date=stated.get("study_date", f"{now:%Y%m%d}"),
        study_time="" if "study_date" in stated else f"{now:%H%M%S}",
        accession_number=stated.get("accession_number", ""),
        study_description=stated.get("study_description", ""),
    )


def _date(option: str, text: str | None) -> str | None:
    """A date as DICOM writes it (PS3.5, 6.2)."""
    if text is None:
        return None
    for form in _DATE_FORMATS:
        try:
            moment = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return f"{moment:%Y%m%d}"
    raise typer.BadParameter(f"{option}: {text!r} is no date; write it as 20260131")


def _wrap(
    files: Sequence[Path], identity: StudyIdentity, out: Path, description: Description
) -> tuple[Wrapped, ...]:
    from service.progress import counted
    from service.wrapping import wrap_files

    with counted("wrapping", len(files)) as advance:
        return wrap_files(files, identity, out, description, lambda _path: advance())
