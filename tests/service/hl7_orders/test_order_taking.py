"""Orders in the catalogue: what is acknowledged is kept, and nothing late undoes what is later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom import Dataset

from dicom_nodes.audit.events import Node
from dicom_nodes.audit.messages import AuditMessage, AuditSource, encode
from service.audit.trail import NoTrail
from service.catalogue import ordered_steps, orders, worklist
from service.catalogue.database import Database
from service.catalogue.models import OrderMessage
from service.catalogue.stored_bytes import StoredBytes
from service.hl7_orders import taking
from service.hl7_orders.message import Message, read_message
from service.hl7_orders.taking import OrderTaker
from service.settings import Settings, WorklistSettings
from tests.dicom_nodes.audit.schema import event_of, object_ids, valid
from tests.service.hl7_orders.hl7_samples import MOMENT, TODAY, omi, orm
from tests.service.worklist.test_under_its_order import Looked, hospital_with, loose_photograph


class KeptTrail(NoTrail):
    """Keeps what is recorded."""

    def __init__(self) -> None:
        super().__init__(Node("HEMIFACE"))
        self.messages: list[AuditMessage] = []

    def record(self, message: AuditMessage) -> None:
        self.messages.append(message)


@dataclass
class Ordering:
    """An order taker, asked as a connection would."""

    taker: OrderTaker
    trail: KeptTrail

    def send(self, text: str) -> Message:
        """The acknowledgement."""
        return read_message(self.taker.answer(text.encode(), "10.0.0.7"))

    def code(self, text: str) -> str:
        return self.send(text).first("MSA").text(1)

    def kept(self) -> dict[str, str]:
        """Accession number by step."""
        items = worklist.items(self.taker.database, 100)
        assert {each.source for each in items} <= {worklist.ORDERS}
        return {each.step.step_id: each.step.accession_number for each in items}


def ordering_with(settings: Settings, database: Database, **chosen: Any) -> Ordering:
    trail = KeptTrail()
    worklist_settings = WorklistSettings.model_validate(chosen)
    settings = settings.model_copy(update={"worklist": worklist_settings})
    return Ordering(OrderTaker(settings, database, Looked(), trail), trail)


@pytest.fixture
def ordering(settings: Settings, database: Database) -> Ordering:
    return ordering_with(settings, database)


def ordered_photograph() -> Dataset:
    """Of the patient, day and station of the order, and without its number."""
    name = "Wang^XiaoDong^^Dr^Jr=王^小东"
    return loose_photograph(StudyDate=TODAY, PatientName=name, PatientSex="M")


def minutes_ago(minutes: int) -> str:
    return f"{MOMENT - timedelta(minutes=minutes):%Y%m%d%H%M%S}+0000"


def test_an_order_is_kept_and_acknowledged(ordering: Ordering) -> None:
    answer = ordering.send(orm())
    assert (answer.first("MSA").text(1), answer.first("MSA").text(2)) == ("AA", "M1")
    header = answer.header
    assert [header.text(each) for each in (3, 4, 5, 6)] == [
        "HEMIFACE",
        "PLASTICS",
        "RIS",
        "HOSPITAL",
    ]
    assert [header.text(9, each) for each in (1, 2, 3)] == ["ACK", "O01", "ACK"]
    assert ordering.kept() == {"S1": "A1"}


def test_an_order_is_changed_and_cancelled(ordering: Ordering) -> None:
    assert ordering.code(omi(said_at=minutes_ago(5))) == "AA"
    assert ordering.kept() == {"S1": "A1", "S2": "A1"}
    changed = orm("XO", control_id="M2", accession="A2", said_at=minutes_ago(4))
    assert ordering.code(changed) == "AA"
    assert ordering.kept() == {"S1": "A2", "S2": "A1"}
    assert ordering.code(orm("CA", control_id="M3", said_at=minutes_ago(3))) == "AA"
    assert ordering.kept() == {"S2": "A1"}
    by_number = orm("DC", control_id="M4", zds="", step_id="", said_at=minutes_ago(2))
    assert ordering.code(by_number) == "AA"
    assert ordering.kept() == {}
    assert ordering.code(orm(control_id="M5", said_at=minutes_ago(1))) == "AA", "scheduled anew"
    assert ordering.kept() == {"S1": "A1"}


def test_a_repeated_message_changes_nothing(ordering: Ordering) -> None:
    at = minutes_ago(1)
    new, cancelled = orm(said_at=at), orm("CA", control_id="M2", said_at=at)
    assert [ordering.code(each) for each in (new, cancelled)] == ["AA", "AA"]
    again = ordering.send(new)
    assert again.first("MSA").text(1) == "AA"
    assert "taken before" in again.first("MSA").text(3)
    assert ordering.kept() == {}, "said in the same second as what cancelled it"


def test_another_message_with_a_control_id_that_was_used_is_taken(ordering: Ordering) -> None:
    assert ordering.code(orm(said_at=minutes_ago(2))) == "AA"
    assert ordering.code(orm("XO", accession="A2", said_at=minutes_ago(1))) == "AA"
    assert ordering.kept() == {"S1": "A2"}


@pytest.mark.parametrize("later", [orm("CA", control_id="M2"), orm("XO", control_id="M2")])
def test_what_comes_late_does_not_undo_what_was_said_later(ordering: Ordering, later: str) -> None:
    late = orm(control_id="M1", accession="A0", said_at=minutes_ago(5))
    assert ordering.code(later) == "AA"
    before = ordering.kept()
    answer = ordering.send(late)
    assert answer.first("MSA").text(1) == "AA"
    assert "later message" in answer.first("MSA").text(3)
    assert ordering.kept() == before


@pytest.mark.parametrize(
    ("days_ago", "why"), [(31, "30 days old"), (-2, "ahead")], ids=["too old", "ahead"]
)
def test_a_message_of_another_time_is_refused(ordering: Ordering, days_ago: int, why: str) -> None:
    answer = ordering.send(orm(said_at=minutes_ago(days_ago * 1440)))
    assert answer.first("MSA").text(1) == "AE"
    assert why in answer.first("MSA").text(3)
    assert ordering.kept() == {}


def test_a_refusal_says_where_and_why_and_nothing_of_the_patient(ordering: Ordering) -> None:
    answer = ordering.send(orm(zds=""))
    error = answer.first("ERR")
    assert answer.first("MSA").text(1) == "AE"
    assert [error.text(2, each) for each in (1, 2, 3)] == ["ZDS", "1", "1"]
    assert (error.text(3), error.text(4)) == ("101", "E")
    assert error.text(8) == answer.first("MSA").text(3) == "ZDS-1 is missing"
    assert ordering.code(orm().replace("ORM^O01", "ADT^A08")) == "AR"


def test_an_order_that_nobody_knows_cannot_be_cancelled_by_its_number(ordering: Ordering) -> None:
    answer = ordering.send(orm("CA", zds="", step_id=""))
    assert answer.first("MSA").text(1) == "AE"
    assert answer.first("ERR").text(3) == "204"


def test_numbers_of_another_sender_are_other_orders(ordering: Ordering) -> None:
    assert ordering.code(orm(said_at=minutes_ago(1))) == "AA"
    other = orm("CA", zds="", step_id="").replace("|RIS|", "|RIS2|")
    assert ordering.code(other) == "AE"
    assert ordering.kept() == {"S1": "A1"}


def test_more_steps_than_are_held_are_rejected_and_nothing_is_pushed_out(
    ordering: Ordering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordered_steps, "MOST_ITEMS", 2)
    monkeypatch.setattr(worklist, "MOST_ITEMS", 2)
    assert ordering.code(omi()) == "AA"
    assert ordering.code(orm(control_id="M2", step_id="S3")) == "AR"
    assert ordering.code(orm("XO", control_id="M3", accession="A3")) == "AA", "it is held already"
    assert ordering.kept() == {"S1": "A3", "S2": "A1"}
    today = datetime.now().astimezone().date()
    worklist.record_answer(ordering.taker.database, "ris", [], [], today)
    assert len(ordering.kept()) == 2


def test_a_message_is_taken_as_a_whole_or_not_at_all(
    ordering: Ordering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordered_steps, "MOST_ITEMS", 1)
    assert ordering.code(omi()) == "AR"
    assert ordering.kept() == {}
    monkeypatch.setattr(ordered_steps, "MOST_ITEMS", 2)
    assert ordering.code(omi()) == "AA", "it was not taken before"


def test_only_what_worklists_are_asked_for_is_kept(settings: Settings, database: Database) -> None:
    ordering = ordering_with(settings, database, stations=["STUDIO1"])
    assert ordering.code(omi(said_at=minutes_ago(2))) == "AA"
    assert ordering.kept() == {"S1": "A1"}
    moved = orm("XO", control_id="M2", modality="CT", said_at=minutes_ago(1))
    assert ordering.code(moved) == "AA"
    assert ordering.kept() == {}


def test_without_the_database_an_order_is_rejected_so_that_it_comes_again(
    ordering: Ordering, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: object) -> None:
        raise sa.exc.OperationalError("", {}, Exception("database is locked"))

    with monkeypatch.context() as patched:
        patched.setattr(taking, "apply_change", away)
        answer = ordering.send(orm())
    assert answer.first("MSA").text(1) == "AR"
    assert answer.first("ERR").text(3) == "207"
    assert ordering.code(orm()) == "AA"


def test_what_is_known_of_old_messages_goes(
    ordering: Ordering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordered_steps, "_PRUNED_EVERY", 1)
    monkeypatch.setattr(ordered_steps, "MOST_KEPT", 3)
    for number in range(6):
        text = orm("CA", control_id=f"M{number}", step_id=f"S{number}")
        assert ordering.code(text) == "AA"
    with ordering.taker.database.sessions() as session:
        count = session.scalar(sa.select(sa.func.count(OrderMessage.id)))
    assert count == 3


def test_who_ordered_and_cancelled_is_audited_once(ordering: Ordering) -> None:
    new = orm(said_at=minutes_ago(1))
    for text in (new, new, orm("CA", control_id="M2")):
        ordering.send(text)
    assert [each.action for each in ordering.trail.messages] == ["U", "D"]
    first = valid(encode(ordering.trail.messages[0], AuditSource("node")))
    assert event_of(first) == "Order Record"
    assert set(object_ids(first)) >= {"1.2.99", "P1"}
    (sender,) = first.findall("ActiveParticipant[@UserIsRequestor='true']")
    assert sender.get("NetworkAccessPointID") == "10.0.0.7"


def test_a_photograph_without_an_order_is_put_under_one_by_hl7(
    settings: Settings, database: Database, stored: StoredBytes, tmp_path: Path
) -> None:
    hospital = hospital_with(settings, database, stored, tmp_path, "copies")
    trail = KeptTrail()
    ordering = Ordering(OrderTaker(hospital.settings, database, hospital.engine, trail), trail)
    assert ordering.code(orm()) == "AA"
    image = ordered_photograph()
    hospital.arrive(image)
    made = hospital.report(image.StudyInstanceUID)
    assert made.filed_under == "1.2.99"
    copy = hospital.objects(made)["copy-1"]
    assert (copy.StudyInstanceUID, copy.AccessionNumber) == ("1.2.99", "A1")
    assert copy.PatientName == "Wang^XiaoDong^^Dr^Jr=王^小东"


def test_an_order_by_hl7_that_comes_late_has_the_study_looked_at_again(
    settings: Settings, database: Database, stored: StoredBytes, tmp_path: Path
) -> None:
    hospital = hospital_with(settings, database, stored, tmp_path, "copies")
    image = ordered_photograph()
    hospital.arrive(image)
    hospital.report(image.StudyInstanceUID)
    trail, looked = KeptTrail(), Looked()
    ordering = Ordering(OrderTaker(hospital.settings, database, looked, trail), trail)
    assert ordering.code(orm()) == "AA"
    assert looked.at == [image.StudyInstanceUID]
    assert ordering.code(orm()) == "AA", "its sender did not hear of it"
    assert looked.at == [image.StudyInstanceUID] * 2
    hospital.report(image.StudyInstanceUID)
    order = orders.order_of_study(database, image.StudyInstanceUID)
    assert order is not None
    assert order.outcome == "matched"
