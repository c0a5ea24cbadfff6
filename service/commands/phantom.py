"""``hemiface phantom``: a face whose truth is known, as a DICOM study."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from processing.measurement import Side

if TYPE_CHECKING:
    from service.phantom_study import PhantomStudy

_PATIENT_ID: Final = "HEMIFACE-PHANTOM"
_PATIENT_NAME: Final = "Phantom^Hemiface"


class PhantomSite(StrEnum):
    """Where the phantom lacks volume; the names of `processing.phantom.deficit.Site`."""

    CHEEK = "cheek"
    TEMPLE = "temple"
    MANDIBLE = "mandible"
    FOREHEAD = "forehead"
    HEMIFACIAL = "hemifacial"


def command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the study goes.")],
    deficit_ml: Annotated[
        float, typer.Option(help="Volume that one side lacks; 0 for a symmetric face.")
    ] = 8.0,
    site: Annotated[PhantomSite, typer.Option(help="Where it lacks.")] = PhantomSite.CHEEK,
    side: Annotated[Side, typer.Option(help="The patient's side that lacks it.")] = Side.LEFT,
    vertices: Annotated[int, typer.Option(help="Least number of vertices of the scan.")] = 40_000,
    noise_mm: Annotated[float, typer.Option(help="Standard deviation of the scan's noise.")] = 0.1,
    yaw: Annotated[float, typer.Option(help="Scan turned to the patient's left, degrees.")] = 0.0,
    pitch: Annotated[float, typer.Option(help="Scan turned upward, degrees.")] = 0.0,
    roll: Annotated[float, typer.Option(help="Scan leaning to the patient's left.")] = 0.0,
    pair: Annotated[
        bool, typer.Option("--pair", help="Two studies: before and after surgery.")
    ] = False,
    restored: Annotated[
        float | None, typer.Option(help="Share of the volume that surgery restores (--pair).")
    ] = None,
    patient_id: Annotated[str, typer.Option(help="Patient ID.")] = _PATIENT_ID,
    patient_name: Annotated[str, typer.Option(help="Patient's Name.")] = _PATIENT_NAME,
    seed: Annotated[int, typer.Option(help="Of noise and triangles.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was written as JSON.")
    ] = False,
) -> None:
    """Write a phantom as a DICOM study, to commission a node with.

    A frontal photograph and a face scan with an asymmetry that is known; the
    truth stands in truth.json beside them. Push the folder with hemiface send,
    and hold what comes back against the truth.
    """
    from processing.face_model import find_face_model
    from processing.phantom.deficit import Site
    from processing.phantom.phantom import PhantomSpec
    from service.phantom_study import PhantomPatient, studies_as_json, write_pair, write_single
    from service.progress import counted
    from service.settings import load_settings

    if restored is not None and not pair:
        raise typer.BadParameter("--restored belongs to --pair")
    settings = load_settings()
    model = find_face_model(settings.face_model, settings.data_folder)
    patient = PhantomPatient(patient_id, patient_name)
    try:
        spec = PhantomSpec(
            deficit_ml=deficit_ml,
            site=Site(site),
            side=side,
            vertices=vertices,
            noise_mm=noise_mm,
            yaw_deg=yaw,
            pitch_deg=pitch,
            roll_deg=roll,
            seed=seed,
        )
        with counted("making the phantom", 2) as advance:
            if pair:
                share = 0.7 if restored is None else restored
                studies: tuple[PhantomStudy, ...] = write_pair(
                    spec, share, folder, patient, model, advance
                )
            else:
                studies = (write_single(spec, folder, patient, model, advance),)
    except ValueError as fault:
        raise typer.BadParameter(str(fault)) from fault
    if as_json:
        typer.echo(json.dumps(studies_as_json(studies), indent=1))
        return
    for each in studies:
        typer.echo(f"study {each.study_instance_uid}")
        for path in each.files:
            typer.echo(f"  {path}")
        typer.echo(f"  {each.truth} (the truth)")
    typer.echo(f"push it with: hemiface send {folder}")
