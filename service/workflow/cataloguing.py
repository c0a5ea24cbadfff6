"""Reading the headers of what has arrived, and telling the engine which studies to look at.

The engine is told before the rows are marked as catalogued. A crash between the
two only means that the same headers are read again, never that a study is
forgotten.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from dicom_nodes.objects.header import InstanceHeader, inspect, is_valid_uid
from service.analyses import facts_for_analyses
from service.catalogue import results, studies
from service.catalogue.database import Database, open_database
from service.catalogue.stored_bytes import StoredBytes, open_stored_bytes
from service.query_facts import instance_facts
from service.settings import Settings
from service.workflow import completion
from service.workflow.declarations import declaration_of
from service.workflow.engine import EngineClient
from service.workflow.performed_looking import (
    LookingEngine,
    look_at_told_steps,
    performed_of_study,
    wait_seconds,
)
from service.workflow.performed_steps import Standing
from service.workflow.reporting_commitment import hand_over
from service.worklist.arrived import facts_for_orders

_BATCH: Final = 100
_PAUSE_SECONDS: Final = 0.2
_MOST_FALLS: Final = 3
# Far above what the standard allows (PS3.5, table 6.2-1), far below what an index takes.
_LONGEST_TEXT: Final = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Cataloguer:
    """Catalogues instances in the order in which they arrived."""

    settings: Settings
    database: Database
    stored: StoredBytes
    engine: EngineClient
    falls: FallsWhileReading

    def run(self, stopped: threading.Event) -> None:
        """Catalogue what arrives, and see to reports that are due, until told to stop."""
        while not stopped.is_set():
            looked = look_at_told_steps(self.settings, self.database, self.engine)
            hand_over(self.database, self.engine)
            if self.catalogue_next() + looked == 0:
                stopped.wait(_PAUSE_SECONDS)

    def catalogue_next(self) -> int:
        """Catalogue one batch; gives how many instances were in it."""
        waiting = studies.uncatalogued(self.database, _BATCH)
        if not waiting:
            return 0
        own = results.are_own(self.database, [each.sop_instance_uid for each in waiting])
        batch = [self._catalogued(each, each.sop_instance_uid in own) for each in waiting]
        self.falls.end()
        touched = sorted(
            {
                each.facts.study_instance_uid
                for each in batch
                if each.facts and not each.own and not each.instance.prior
            }
        )
        waits = {uid: wait_seconds(self.settings, self.database, uid) for uid in touched}
        tell_and_record(self.engine, waits, lambda: studies.record(self.database, batch))
        for uid in touched:
            self._hurry_if_complete(uid)
        return len(batch)

    def _hurry_if_complete(self, study_instance_uid: str) -> None:
        study = studies.known_study(self.database, study_instance_uid)
        if study is None:
            return
        has_inputs = (
            self.settings.completion.start_on_declared_inputs
            and completion.has_declared_inputs(study)
        )
        said = performed_of_study(self.database, study_instance_uid)
        if (
            has_inputs
            or said.standing is Standing.COMPLETE
            or declaration_of(self.database, self.settings, study_instance_uid)
        ):
            wait = min(completion.SETTLE_SECONDS, self.settings.completion.quiet_seconds)
            self.engine.look_at_study_in(study_instance_uid, wait)

    def _catalogued(self, instance: studies.Uncatalogued, own: bool) -> studies.Catalogued:
        header, reason = self._inspected(instance)
        if header is not None and reason is None and header.sop_class_uid != instance.sop_class_uid:
            reason = (
                f"the object says SOP class {header.sop_class_uid}, "
                f"but was sent as {instance.sop_class_uid}; send it again as what it is"
            )
        if reason is not None:
            # Why stands on the study and in the catalogue; it may quote the object.
            log.warning("instance cannot be used", sop_class_uid=instance.sop_class_uid)
        return studies.Catalogued(
            instance=instance,
            facts=facts_of(header),
            header={}
            if header is None
            else facts_for_analyses(header) | instance_facts(header) | facts_for_orders(header),
            reason=reason,
            own=own or (header is not None and header.is_own),
        )

    def _inspected(
        self, instance: studies.Uncatalogued
    ) -> tuple[InstanceHeader | None, str | None]:
        if self.falls.are_too_many(instance.row):
            return None, (
                "reading its header ended the program each time; the bytes are kept, please "
                "report this"
            )
        self.falls.begin(instance.row)
        with self.stored.as_file(instance.key) as path:
            return inspect(path)


def tell_and_record(
    engine: LookingEngine,
    waits: Mapping[str, float],
    record: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Have studies looked at, and record what has come of them, in this order.

    A batch may take longer than a study waits, with a hundred studies or on a busy
    machine. Such a study was looked at too early, so it is looked at once more.

    Parameters
    ----------
    engine : LookingEngine
    waits : mapping
        In how many seconds each study is to be looked at, by Study Instance UID.
    record : callable
        Writes the rows.
    clock : callable
        Gives seconds that never go back.
    """
    told = {}
    for uid, wait in waits.items():
        told[uid] = clock()
        engine.look_at_study_in(uid, wait)
    record()
    recorded = clock()
    for uid, wait in waits.items():
        if recorded - told[uid] >= wait:
            engine.look_at_study_in(uid, wait)


class FallsWhileReading:
    """Remembers, across restarts, at which instance the cataloguer fell.

    One instance that ends the program must not hold up all that come after it.
    """

    def __init__(self, note: Path) -> None:
        self._note = note
        self._row, self._falls = -1, 0
        if note.exists():
            row, _, falls = note.read_text().partition(" ")
            # A kill may have cut the note itself short.
            if row.isdecimal() and falls.isdecimal():
                self._row, self._falls = int(row), int(falls) + 1

    def are_too_many(self, row: int) -> bool:
        """Whether the program fell too often at this instance to try it again."""
        return row == self._row and self._falls >= _MOST_FALLS

    def begin(self, row: int) -> None:
        """Note that this instance is being read now."""
        falls = self._falls if row == self._row else 0
        self._note.write_text(f"{row} {falls}")

    def end(self) -> None:
        """Note that nothing is being read."""
        self._note.unlink(missing_ok=True)


def run_cataloguer(settings: Settings, part: str, stopped: threading.Event) -> None:
    """Catalogue what arrives until told to stop."""
    database = open_database(settings)
    engine = EngineClient(settings)
    falls = FallsWhileReading(settings.data_folder / f"{part}.reading")
    Cataloguer(settings, database, open_stored_bytes(settings), engine, falls).run(stopped)
    engine.close()
    database.close()


def facts_of(header: InstanceHeader | None) -> studies.StudyFacts | None:
    """What the header says, no value longer than its column: PostgreSQL would refuse the row."""
    if header is None or not is_valid_uid(header.study_instance_uid):
        return None
    return studies.StudyFacts(
        study_instance_uid=header.study_instance_uid,
        series_instance_uid=header.series_instance_uid[:64],
        patient_id=header.patient_id[:_LONGEST_TEXT],
        issuer=header.issuer_of_patient_id[:_LONGEST_TEXT],
        patient_name=header.patient_name[:_LONGEST_TEXT],
        birth_date=header.birth_date[:8],
        sex=header.sex[:16],
        accession_number=header.accession_number[:_LONGEST_TEXT],
        study_date=header.study_date[:8],
        study_description=header.study_description[:_LONGEST_TEXT],
        priority=header.requested_procedure_priority[:16],
        modality=header.modality[:16],
        series_description=header.series_description[:_LONGEST_TEXT],
        study_time=header.study_time[:16],
        study_id=header.study_id[:_LONGEST_TEXT],
        referring_physician=header.referring_physician[:_LONGEST_TEXT],
        series_number=header.series_number,
    )
