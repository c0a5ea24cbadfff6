"""A phantom as a DICOM study, with its truth in a JSON file beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from dicom_nodes.objects.encapsulated_model import write_encapsulated_model
from dicom_nodes.objects.study_context import StudyIdentity
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from dicom_nodes.objects.written_object import WrittenObject
from processing.measurement import PermanentFault
from processing.mesh_encoding import encode_stl
from processing.phantom.phantom import Phantom, PhantomSpec, make_pair, make_phantom
from processing.phantom.truth import truth_as_json
from processing.rendering.probe import why_rendering_fails
from service.wrapping import new_study_uid

TRUTH_FILE: Final = "truth.json"
_MAKER: Final = "hemiface phantom"
_BETWEEN_VISITS: Final = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class PhantomPatient:
    """Who the phantom is said to be."""

    patient_id: str
    patient_name: str


@dataclass(frozen=True, slots=True)
class PhantomStudy:
    """A phantom that was written.

    `files` are its DICOM files, the photograph first; `truth` is the JSON file.
    """

    phantom: Phantom
    study_instance_uid: str
    files: tuple[Path, ...]
    truth: Path


def write_single(
    spec: PhantomSpec,
    folder: Path,
    patient: PhantomPatient,
    model: Path,
    on_done: Callable[[], None],
) -> PhantomStudy:
    """Make a phantom and write it as a study of today.

    Parameters
    ----------
    spec : PhantomSpec
    folder : Path
        Gets two DICOM files and ``truth.json``; made if it is missing.
    patient : PhantomPatient
    model : Path
        ``face_landmarker.task``.
    on_done : callable
        Is told when the phantom is made, and when it is written.

    Raises
    ------
    ValueError
        If the site cannot hold the deficit.
    PermanentFault
        If this machine cannot render.
    OSError
        If the files cannot be written.
    """
    _check_rendering()
    phantom = make_phantom(spec, model)
    on_done()
    study = _write(phantom, folder, patient, datetime.now(UTC).astimezone())
    on_done()
    return study


def write_pair(
    spec: PhantomSpec,
    restored_fraction: float,
    folder: Path,
    patient: PhantomPatient,
    model: Path,
    on_done: Callable[[], None],
) -> tuple[PhantomStudy, PhantomStudy]:
    """Make a phantom before and after surgery, as two studies half a year apart.

    They go into the folders ``before`` and ``after``; what has changed stands in
    ``truth.json`` beside these. Parameters and errors are those of `write_single`.
    """
    _check_rendering()
    before, after = make_pair(spec, restored_fraction, model)
    on_done()
    now = datetime.now(UTC).astimezone()
    studies = (
        _write(before, folder / "before", patient, now - _BETWEEN_VISITS),
        _write(after, folder / "after", patient, now),
    )
    _write_json(folder / TRUTH_FILE, _change_as_json(studies, restored_fraction))
    on_done()
    return studies


def studies_as_json(studies: Sequence[PhantomStudy]) -> dict[str, Any]:
    """What was written, for a script."""
    return {
        "schema": 1,
        "studies": [
            {
                "study_instance_uid": each.study_instance_uid,
                "files": [str(path) for path in each.files],
                "truth": str(each.truth),
            }
            for each in studies
        ],
    }


def _check_rendering() -> None:
    missing = why_rendering_fails()
    if missing is not None:
        raise PermanentFault(f"a phantom cannot be drawn on this machine: {missing}")


def _write(
    phantom: Phantom, folder: Path, patient: PhantomPatient, made_at: datetime
) -> PhantomStudy:
    folder.mkdir(parents=True, exist_ok=True)
    identity = StudyIdentity(
        study_instance_uid=new_study_uid(),
        patient_id=patient.patient_id,
        patient_name=patient.patient_name,
        study_date=f"{made_at:%Y%m%d}",
        study_time=f"{made_at:%H%M%S}",
        study_description=_MAKER,
    )
    photograph = write_vl_photograph(
        phantom.photograph.pixels,
        identity,
        folder / "photograph.dcm",
        made_at=made_at,
        view=phantom.photograph.view,
        expression=phantom.photograph.expression,
        pixel_spacing_mm=phantom.photograph.pixel_spacing_mm,
    )
    scan = write_encapsulated_model(
        encode_stl(phantom.surface),
        "stl",
        identity,
        folder / "scan.dcm",
        made_at=made_at,
        unit="mm",
        manufacturer=_MAKER,
    )
    truth = folder / TRUTH_FILE
    _write_json(truth, _truth(phantom, identity, photograph, scan))
    return PhantomStudy(phantom, identity.study_instance_uid, (photograph.path, scan.path), truth)


def _truth(
    phantom: Phantom, identity: StudyIdentity, photograph: WrittenObject, scan: WrittenObject
) -> dict[str, Any]:
    return truth_as_json(phantom.truth) | {
        "study_instance_uid": identity.study_instance_uid,
        "patient_id": identity.patient_id,
        "instances": {
            "photograph": photograph.sop_instance_uid,
            "surface": scan.sop_instance_uid,
        },
    }


def _change_as_json(
    studies: tuple[PhantomStudy, PhantomStudy], restored_fraction: float
) -> dict[str, Any]:
    before, after = studies
    return {
        "schema": 1,
        "before": before.study_instance_uid,
        "after": after.study_instance_uid,
        "change": {
            "side": before.phantom.truth.side.value,
            "site": before.phantom.truth.site.value,
            "restored_fraction": restored_fraction,
            "volume_change_ml": before.phantom.truth.deficit_ml - after.phantom.truth.deficit_ml,
        },
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(f"{json.dumps(content, indent=1, allow_nan=False)}\n", encoding="utf-8")
