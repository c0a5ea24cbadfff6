"""A catalogue with something to be found in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from service.catalogue import results, studies
from service.catalogue.database import Database
from service.catalogue.results import MadeObject, MadeResult
from service.catalogue.studies import Catalogued
from tests.service.catalogue.test_studies import FACTS, receive

PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.77.1.4"
REPORT_CLASS = "1.2.840.10008.5.1.4.1.1.88.34"
EXPLICIT = "1.2.840.10008.1.2.1"
REPORT_HEADER = {
    "instance_number": 1,
    "modality": "SR",
    "series_number": 901,
    "series_description": "hemiface report",
    "transfer_syntax_uid": EXPLICIT,
}


def hold(database: Database, uid: str, number: int = 1, **facts: Any) -> None:
    """An instance of the study of `FACTS`, changed by `facts`."""
    catalogue(
        database,
        Catalogued(
            receive(database, uid),
            replace(FACTS, **facts),
            {"instance_number": number, "rows": 480, "columns": 640, "frames": 1},
            None,
            own=False,
        ),
    )


def catalogue(database: Database, catalogued: Catalogued) -> None:
    studies.record(database, [catalogued])


def make_result(
    database: Database,
    uid: str = "2.25.1",
    study: str = "1.2.1",
    filed_under: str | None = None,
) -> MadeObject:
    """A result of a study with one report."""
    report = MadeObject(
        uid, REPORT_CLASS, f"{uid}.0", "report", f"results/{uid}/report.dcm", REPORT_HEADER
    )
    results.record_result(
        database,
        MadeResult(
            key=uid,
            study_instance_uid=study,
            analysis="photograph-symmetry",
            version="1.0.0",
            status="measured",
            reason=None,
            inputs=("1.1",),
            made_at=datetime.now(UTC),
            predecessor_uid=None,
            objects=(report,),
            filed_under=filed_under,
        ),
    )
    return report
