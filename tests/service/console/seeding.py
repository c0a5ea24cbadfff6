"""A catalogue with studies in every state, and an engine that says what it is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from service.catalogue import arrivals, results, studies
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.workflow.engine import WorkState
from service.workflow.keys import analysis_key

NOW = datetime.now(UTC).replace(microsecond=0)
PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.77.1.4"
MEASUREMENTS = {
    "photograph-symmetry": [
        ("symmetry_ratio", None, None, 0.957, 0.008, "1"),
        ("asymmetry_index", None, None, 4.4, 0.7, "%"),
    ],
    "surface-symmetry": [
        ("volume_discrepancy", "left", None, -8.12, 0.41, "mL"),
        ("volume_discrepancy", "left", "cheek", -7.9, 0.4, "mL"),
        ("rms_asymmetry", None, None, 0.842, 0.051, "mm"),
    ],
}


@dataclass(slots=True)
class ToldEngine:
    """An engine whose work the test has written down."""

    work: list[WorkState] = field(default_factory=list)

    def retrieval_for(self, study_instance_uid: str) -> list[WorkState]:
        return []

    def unfinished_work(self, failed_since: datetime) -> list[WorkState]:
        return self.work

    def queue_depths(self) -> dict[str, int]:
        return {"completion": 1, "analysis": 2, "delivery": 0}


def work(
    name: str,
    state: str,
    *arguments: Any,
    reason: str | None = None,
    created_at: datetime = NOW - timedelta(seconds=40),
    updated_at: datetime = NOW - timedelta(seconds=20),
    not_before: datetime | None = None,
) -> WorkState:
    return WorkState(
        identifier=f"{name}:{':'.join(map(str, arguments))}",
        name=name,
        state=state,
        reason=reason,
        created_at=created_at,
        updated_at=updated_at,
        not_before=not_before,
        attempts_on="host-worker-0",
        arguments=arguments,
    )


@dataclass(frozen=True, slots=True)
class Seeder:
    """Writes studies as the receiver, the cataloguer and the steps would."""

    database: Database
    stored: StoredBytes

    def study(
        self,
        uid: str,
        *instances: dict[str, Any],
        name: str = "Muster^Anna",
        patient_id: str = "P-1",
        description: str = "Face, before surgery",
        priority: str = "",
        minutes_ago: float = 5,
    ) -> str:
        """Register and catalogue instances of a study; a frontal photograph when none is given."""
        for number, given in enumerate(instances or ({},)):
            each = {"modality": "XC", "view": "frontal", "sender": "CAMERA", **given}
            sop_instance_uid = str(each.get("uid", f"{uid}.9.{number}"))
            at = NOW - timedelta(minutes=minutes_ago)
            received = arrivals.Received(
                sop_instance_uid,
                PHOTOGRAPH,
                "1.2.840.10008.1.2.1",
                f"instances/{sop_instance_uid}.dcm",
                1000,
                400,
                at,
                each["sender"],
                "127.0.0.1",
            )
            with closing(arrivals.Register(self.database)) as register:
                register.enter([received])
            facts = studies.StudyFacts(
                study_instance_uid=uid,
                series_instance_uid=f"{uid}.{each['modality'] or 'none'}.{number}",
                patient_id=patient_id,
                issuer="",
                patient_name=name,
                birth_date="19700101",
                sex="F",
                accession_number="A-17",
                study_date="20261121",
                study_description=description,
                priority=priority,
                modality=each["modality"],
                series_description="",
            )
            known = next(
                one
                for one in studies.uncatalogued(self.database, 100)
                if one.sop_instance_uid == sop_instance_uid
            )
            studies.record(
                self.database,
                [
                    studies.Catalogued(
                        known,
                        facts if each.get("in_study", True) else None,
                        {"view": each["view"], "expression": each.get("expression")},
                        each.get("reason"),
                        bool(each.get("own")),
                    )
                ],
            )
        return uid

    def complete(self, uid: str, inputs_key: str = "inputs") -> None:
        """Record that the study counts as complete."""
        results.record_completion(
            self.database, uid, inputs_key, "quiet time", "nothing came for 30 s"
        )

    def result(
        self,
        uid: str,
        key: str,
        *,
        analysis: str = "surface-symmetry",
        status: str = "measured",
        reason: str | None = None,
        predecessor_uid: str | None = None,
        made_at: datetime = NOW - timedelta(seconds=10),
    ) -> str:
        """Record a result with a report, and its measurements where it has any."""
        results.record_result(
            self.database,
            results.MadeResult(
                key=key,
                study_instance_uid=uid,
                analysis=analysis,
                version="1.0.0",
                status=status,
                reason=reason,
                inputs=(f"{uid}.9.0",),
                made_at=made_at,
                predecessor_uid=predecessor_uid,
                objects=(
                    results.MadeObject(
                        f"2.25.{key.encode().hex()}"[:64],
                        "1.2.840.10008.5.1.4.1.1.88.34",
                        "2.25.7",
                        "report",
                        f"results/{key}/report.dcm",
                    ),
                ),
            ),
        )
        if status == "measured":
            document = {"measurements": _measurements(MEASUREMENTS[analysis])}
            self.stored.write(analysis_key(key), json.dumps(document).encode())
        return key

    def delivered(self, key: str, destination: str, confirmation: str | None = None) -> None:
        """Record that a destination took a result, and confirmed it where it did."""
        results.record_delivery(self.database, key, destination)
        if confirmation is not None:
            results.record_confirmation(self.database, key, destination, confirmation)


def _measurements(
    given: Sequence[tuple[str, str | None, str | None, float, float, str]],
) -> list[dict[str, Any]]:
    return [
        {
            "quantity": quantity,
            "side": side,
            "region": region,
            "structure": None,
            "value": value,
            "uncertainty": uncertainty,
            "unit": unit,
            "method": "as seeded",
            "derived_from": [],
        }
        for quantity, side, region, value, uncertainty, unit in given
    ]


def every_state(seed: Seeder, engine: ToldEngine) -> dict[str, str]:
    """A study in each state; UIDs by what it shows."""
    of = {
        name: f"1.2.826.0.1.{number}"
        for number, name in enumerate(
            (
                "unusable",
                "nothing",
                "parked",
                "failed",
                "refused",
                "done",
                "done both",
                "kept here",
                "reopened",
                "retrying",
                "delivering",
                "measuring",
                "waiting",
                "receiving",
            ),
            start=10,
        )
    }
    seed.study(
        of["unusable"],
        {"reason": "Pixel Data (7FE0,0010) ends after 2048 of 786432 bytes; send it again"},
        {"reason": "Pixel Data (7FE0,0010) ends after 2048 of 786432 bytes; send it again"},
        name="Kaputt^Karl",
        minutes_ago=190,
    )
    seed.complete(of["unusable"])
    seed.study(
        of["nothing"],
        *({"modality": "MR", "view": None, "sender": "MRSCANNER"} for _ in range(3)),
        name="Keller^Jonas",
        description="Schädel MRT",
        minutes_ago=120,
    )
    seed.complete(of["nothing"])
    seed.study(of["parked"], name="Roth^Eva", minutes_ago=95)
    seed.complete(of["parked"])
    seed.result(of["parked"], "parked", analysis="photograph-symmetry")
    engine.work.append(
        work(
            "deliver",
            "ERROR",
            "parked",
            "MAIN PACS",
            0,
            reason="0x0122 SOP class not supported: Comprehensive 3D SR; enable it at MAIN PACS",
        )
    )
    seed.study(of["failed"], {"modality": "M3D", "view": None}, name="Bauer^Max", minutes_ago=80)
    seed.complete(of["failed"])
    seed.result(
        of["failed"],
        "failed",
        status="failed",
        reason="The software failed on this input (the measuring process died on this input). "
        "Please report it.",
    )
    seed.study(of["refused"], name="Collins^Eileen^Marie^Col.", minutes_ago=61)
    seed.complete(of["refused"])
    seed.result(
        of["refused"],
        "refused",
        analysis="photograph-symmetry",
        status="refused",
        reason="The head is turned by 9.4 degrees (limit 5): take a photograph from straight "
        "in front.",
    )
    seed.delivered("refused", "MAIN PACS", "C-FIND lists all 2 objects")
    seed.study(of["done"], name="王^小东=王^小東", patient_id="患者-7", minutes_ago=44)
    seed.complete(of["done"])
    seed.result(of["done"], "done", analysis="photograph-symmetry")
    seed.delivered("done", "MAIN PACS", "C-FIND lists all 2 objects")
    seed.study(
        of["done both"],
        {},
        {"view": "left profile"},
        {"modality": "M3D", "view": None},
        name="Yamada^Tarou=山田^太郎=やまだ^たろう",
        priority="STAT",
        minutes_ago=30,
    )
    seed.complete(of["done both"])
    seed.result(of["done both"], "both-photo", analysis="photograph-symmetry")
    seed.result(of["done both"], "both-scan")
    seed.delivered("both-photo", "MAIN PACS", "C-FIND lists all 2 objects")
    seed.delivered("both-scan", "MAIN PACS", "C-FIND lists all 2 objects")
    seed.delivered("both-scan", "TRIAL")
    seed.study(of["kept here"], {"sender": "HEMIFACE_SEND"}, name="Phantom^Cheek", minutes_ago=21)
    seed.complete(of["kept here"])
    seed.result(of["kept here"], "kept", analysis="photograph-symmetry")
    seed.study(of["reopened"], {}, {"modality": "M3D", "view": None}, name="Nachzug^Nina")
    seed.complete(of["reopened"])
    seed.result(of["reopened"], "first", made_at=NOW - timedelta(minutes=9))
    seed.delivered("first", "MAIN PACS", "C-FIND lists all 2 objects")
    seed.result(of["reopened"], "second", predecessor_uid="2.25.6669727374")
    seed.delivered("second", "MAIN PACS", "C-FIND lists all 2 objects")
    engine.work.append(
        work("complete", "DELAYED", of["reopened"], not_before=NOW + timedelta(seconds=300))
    )
    seed.study(of["retrying"], name="Vogel^Ina", minutes_ago=4)
    seed.complete(of["retrying"])
    seed.result(of["retrying"], "retrying", analysis="photograph-symmetry")
    engine.work.append(
        work(
            "deliver",
            "DELAYED",
            "retrying",
            "MAIN PACS",
            3,
            reason="waiting: MAIN PACS (PACS at 10.0.0.5:104) cannot be reached: "
            "Connection refused",
            not_before=NOW + timedelta(seconds=400),
        )
    )
    seed.study(of["delivering"], name="Sommer^Udo", minutes_ago=3)
    seed.complete(of["delivering"])
    seed.result(of["delivering"], "delivering", analysis="photograph-symmetry")
    engine.work.append(work("deliver", "PENDING", "delivering", "MAIN PACS", 0))
    seed.study(of["measuring"], {"modality": "M3D", "view": None}, name="Lang^Lea", minutes_ago=2)
    seed.complete(of["measuring"])
    engine.work.append(
        work("analyse", "PENDING", of["measuring"], "surface-symmetry", ["x"], "measuring")
    )
    seed.study(of["waiting"], name="Wart^Willi", minutes_ago=1)
    seed.complete(of["waiting"])
    engine.work.append(
        work("analyse", "ENQUEUED", of["waiting"], "photograph-symmetry", ["x"], "waiting")
    )
    seed.study(of["receiving"], name="Neu^Nora", minutes_ago=0.1)
    engine.work.append(
        work("complete", "DELAYED", of["receiving"], not_before=NOW + timedelta(seconds=25))
    )
    seed.study(
        "1.2.826.0.1.99",
        {"in_study": False, "uid": "1.2.826.99.1", "reason": "no Study Instance UID (0020,000D)"},
    )
    arrivals.quarantine(
        seed.database,
        arrivals.Received(
            "1.2.826.99.2",
            PHOTOGRAPH,
            "1.2.840.10008.1.2.1",
            "instances/2.dcm",
            10,
            4,
            NOW - timedelta(minutes=50),
            "CAMERA",
            "::1",
        ),
        "SOP Instance UID 1.2.826.99.2 came a second time with other bytes; the first is used, "
        "these are kept in quarantine. Ask the sender which is right.",
    )
    return of
