"""A person verifies a report: its verified version is written, recorded and delivered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from dicom_nodes.objects.verification import Verification
from dicom_nodes.objects.verified_report import write_verified_report
from processing.measurement import RejectedInput
from service.catalogue import results
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.catalogue.studies import known_study
from service.query_facts import made_facts
from service.settings import Settings
from service.workflow.keys import analysis_key
from service.workflow.result_objects import REPORT_ROLE, report_of
from service.workflow.routing import destination_names


class Deliverer(Protocol):
    """Who begins deliveries; see `service.workflow.engine.EngineClient`."""

    def deliver_again(self, key: str, destination: str) -> str:
        """Deliver a result; gives the identifier of the work."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A verified result, and the destinations to which it is on its way."""

    result: results.MadeResult
    destinations: tuple[str, ...]


def verify_result(
    settings: Settings,
    database: Database,
    stored: StoredBytes,
    deliverer: Deliverer,
    study_instance_uid: str,
    analysis: str | None,
    verification: Verification,
) -> Verified:
    """Verify the newest report of an analysis, and send its verified version as any result.

    Parameters
    ----------
    settings : Settings
    database : Database
        For writing.
    stored : StoredBytes
    deliverer : Deliverer
    study_instance_uid : str
    analysis : str or None
        May be left out where the study has results of one analysis only.
    verification : Verification

    Raises
    ------
    RejectedInput
        If there is no such result, it holds no measurements, or it is verified already.
    """
    result = _newest(database, study_instance_uid, analysis)
    report = report_of(result)
    key = verification.key(report.sop_instance_uid)
    stored_key = f"results/{key}/{REPORT_ROLE}.dcm"
    with TemporaryDirectory() as folder, stored.as_file(report.key) as path:
        out = Path(folder) / f"{REPORT_ROLE}.dcm"
        written = write_verified_report(path, verification, out, key=key)
        stored.write(stored_key, out.read_bytes())
        header = made_facts(out)
    # Pages and tables show the measurements of the result that was verified.
    stored.write(analysis_key(key), stored.read(analysis_key(result.key)))
    verified = replace(
        result,
        key=key,
        made_at=verification.verified_at,
        predecessor_uid=report.sop_instance_uid,
        objects=(
            results.MadeObject(
                written.sop_instance_uid,
                written.sop_class_uid,
                written.series_instance_uid,
                REPORT_ROLE,
                stored_key,
                header,
            ),
        ),
    )
    results.record_result(database, verified)
    destinations = _destinations(settings, database, study_instance_uid)
    for each in destinations:
        deliverer.deliver_again(key, each)
    return Verified(verified, destinations)


def _newest(
    database: Database, study_instance_uid: str, analysis: str | None
) -> results.MadeResult:
    found = results.results_of_study(database, study_instance_uid)
    names = list(dict.fromkeys(each.analysis for each in found))
    if not names:
        raise RejectedInput(f"study {study_instance_uid} has no result that could be verified")
    if analysis is None and len(names) > 1:
        raise RejectedInput(
            f"study {study_instance_uid} has results of {', '.join(names)}; say which is verified"
        )
    wanted = analysis if analysis is not None else names[0]
    if wanted not in names:
        raise RejectedInput(
            f"study {study_instance_uid} has no result of {wanted}, but of {', '.join(names)}"
        )
    return [each for each in found if each.analysis == wanted][-1]


def _destinations(
    settings: Settings, database: Database, study_instance_uid: str
) -> tuple[str, ...]:
    study = known_study(database, study_instance_uid)
    senders = [each.calling_ae_title for each in study.instances] if study is not None else []
    return tuple(destination_names(senders, settings.delivery))
