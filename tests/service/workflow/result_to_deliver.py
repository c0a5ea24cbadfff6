"""A result in the catalogue that is to be delivered, and what a worker does with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.catalogue import results
from service.catalogue.database import Database
from service.catalogue.models import Patient, Study
from service.catalogue.stored_bytes import StoredBytes
from service.settings import DeliverySettings, Destination, Settings
from service.workflow.confirming import confirm
from service.workflow.delivering import deliver
from service.workflow.delivery import Attempt, attempt_of
from tests.dicom_nodes.network.instances import SECONDARY_CAPTURE, SERIES, STUDY, write_instance


@dataclass
class Desk:
    """A result of two objects and its destination."""

    settings: Settings
    database: Database
    stored: StoredBytes
    uids: tuple[str, ...]

    def attempt(self) -> Attempt:
        return attempt_of(self.settings, self.database, self.stored, "key", "pacs")

    def deliver(self) -> str:
        return deliver(self.attempt())["state"]

    def confirm(self) -> tuple[str, str]:
        answer = confirm(self.attempt())
        return answer["state"], answer["reason"]

    def confirmation(self) -> str | None:
        (sent,) = results.deliveries_of_study(self.database, STUDY)
        return sent.confirmation


def result_to_deliver(
    settings: Settings,
    database: Database,
    stored: StoredBytes,
    folder: Path,
    port: int,
    *,
    ae_title: str = "PACS",
    confirm: str = "best",
    **delivery: Any,
) -> Desk:
    """Write a result of two objects into the catalogue, for a PACS on this port."""
    destination = Destination.model_validate(
        {
            "name": "pacs",
            "ae_title": ae_title,
            "address": "127.0.0.1",
            "port": port,
            "confirm": confirm,
        }
    )
    settings = settings.model_copy(
        update={"delivery": DeliverySettings(destinations=(destination,), **delivery)}
    )
    now = datetime.now(UTC)
    with database.sessions.begin() as session:
        patient = Patient(patient_id="P")
        session.add(patient)
        session.flush()
        study = Study(study_instance_uid=STUDY, patient_row=patient.id)
        study.first_arrival = study.last_arrival = now
        session.add(study)
    objects = []
    for number in range(2):
        key, uid = f"results/{number}.dcm", f"{SERIES}.{number}"
        stored.write(key, write_instance(folder, number).read_bytes())
        objects.append(results.MadeObject(uid, SECONDARY_CAPTURE, SERIES, f"picture-{number}", key))
    made = results.MadeResult(
        "key", STUDY, "analysis", "1", "measured", None, ("1.1",), now, None, tuple(objects)
    )
    assert results.record_result(database, made)
    return Desk(settings, database, stored, tuple(each.sop_instance_uid for each in objects))
