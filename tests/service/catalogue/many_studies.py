"""A catalogue of many studies, written quickly."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from service.catalogue.database import Database
from service.catalogue.models import (
    Base,
    Instance,
    Patient,
    Result,
    ResultObject,
    Series,
    Study,
    StudyName,
)
from service.catalogue.name_matching import folded_groups

STUDIES_A_DAY: Final = 20
_NOW: Final = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def study_uid(number: int) -> str:
    return f"1.2.276.0.99.{number}"


def name_of(number: int) -> str:
    return f"Family{number:06}^Given=王{number:06}^小东"


def day_of(number: int) -> str:
    return f"{date(2000, 1, 1) + timedelta(days=number // STUDIES_A_DAY):%Y%m%d}"


def fill(database: Database, number: int) -> None:
    """So many studies, each of a patient, with a photograph, a scan and a report made of it."""
    rows = range(1, number + 1)
    tables: list[tuple[type[Base], list[dict[str, Any]]]] = [
        (Patient, [_patient(row) for row in rows]),
        (Study, [_study(row) for row in rows]),
        (
            StudyName,
            [
                {"study_row": row, "name": each}
                for row in rows
                for each in folded_groups(name_of(row))
            ],
        ),
        (Series, [_series(row, part) for row in rows for part in range(3)]),
        (Instance, [_instance(row, part) for row in rows for part in range(2)]),
        (Result, [_result(row) for row in rows]),
        (ResultObject, [_object(row) for row in rows]),
    ]
    with database.engine.begin() as connection:
        for table, values in tables:
            connection.execute(sa.insert(table), values)


def _patient(row: int) -> dict[str, Any]:
    return {"id": row, "patient_id": f"P{row:06}", "issuer": "", "name": name_of(row)}


def _study(row: int) -> dict[str, Any]:
    return {
        "id": row,
        "study_instance_uid": study_uid(row),
        "patient_row": row,
        "patient_name": name_of(row),
        "accession_number": f"A{row:06}",
        "study_date": day_of(row),
        "first_arrival": _NOW + timedelta(seconds=row),
        "last_arrival": _NOW + timedelta(seconds=row),
    }


def _series(row: int, part: int) -> dict[str, Any]:
    return {
        "id": 3 * row + part,
        "series_instance_uid": f"{study_uid(row)}.{part}",
        "study_row": row,
        "modality": ("XC", "M3D", "SR")[part],
        "number": part,
    }


def _instance(row: int, part: int) -> dict[str, Any]:
    return {
        "id": 2 * row + part,
        "sop_instance_uid": f"{study_uid(row)}.{part}.1",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.77.1.4",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "key": f"instances/{row}/{part}.dcm",
        "size_bytes": 1000,
        "dataset_offset": 300,
        "received_at": _NOW,
        "calling_ae_title": "CAMERA",
        "peer_address": "::1",
        "catalogued_at": _NOW,
        "series_row": 3 * row + part,
        "study_row": row,
        "header": {"instance_number": 1},
    }


def _result(row: int) -> dict[str, Any]:
    return {
        "id": row,
        "key": f"{row:064}",
        "study_row": row,
        "analysis": "photograph-symmetry",
        "version": "1",
        "status": "measured",
        "inputs": [f"{study_uid(row)}.0.1"],
        "made_at": _NOW,
    }


def _object(row: int) -> dict[str, Any]:
    return {
        "id": row,
        "result_row": row,
        "sop_instance_uid": f"2.25.{row}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.88.34",
        "series_instance_uid": f"{study_uid(row)}.2",
        "role": "report",
        "key": f"results/{row}/report.dcm",
        "header": {"instance_number": 1},
    }
