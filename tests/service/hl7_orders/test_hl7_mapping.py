"""Orders to scheduled steps, by the fields of IHE's Scheduled Workflow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dicom_nodes.network.worklist_scu import ScheduledStep
from service.catalogue.ordered_steps import OrderChange, OrderName
from service.hl7_orders.mapping import order_change
from service.hl7_orders.message import Fault, RefusedMessage, read_message
from tests.service.hl7_orders.hl7_samples import TODAY, omi, orm

STEP = ScheduledStep(
    study_instance_uid="1.2.99",
    step_id="S1",
    patient_id="P1",
    issuer="HOSPITAL",
    patient_name="Wang^XiaoDong^^Dr^Jr=王^小东",
    birth_date="19800102",
    sex="M",
    accession_number="A1",
    referring_physician_name="Li^Hua",
    procedure_id="R1",
    procedure_description="Face & neck",
    priority="STAT",
    step_description="Frontal view",
    modality="XC",
    station_ae_title="STUDIO1",
    start_date=TODAY,
    start_time="093000",
)


def change(text: str) -> OrderChange:
    return order_change(read_message(text.encode()))


def refusal(text: str) -> RefusedMessage:
    with pytest.raises(RefusedMessage) as refused:
        change(text)
    return refused.value


def test_orm_schedules_the_step_that_obr_and_zds_describe() -> None:
    found = change(orm(said_at="20261121080000.5+0800"))
    assert found.sender == "RIS|HOSPITAL"
    assert found.control_id == "M1"
    assert found.said_at == datetime(2026, 11, 21, 0, 0, 0, 500_000, tzinfo=UTC)
    (ordered,) = found.scheduled
    assert ordered.step == STEP
    assert (ordered.placer_number, ordered.filler_number) == ("PL1^RIS", "FI1^RIS")
    assert found.removed == ()


def test_omi_schedules_a_step_for_each_ipc() -> None:
    first, second = (each.step for each in change(omi()).scheduled)
    assert (first.step_id, first.station_ae_title) == ("S1", "STUDIO1")
    assert (second.step_id, second.station_ae_title) == ("S2", "STUDIO2")
    assert second.step_description == "Lateral view"
    for each in (first, second):
        assert each.study_instance_uid == "1.2.99"
        assert (each.accession_number, each.procedure_id) == ("A1", "R1")
        assert (each.modality, each.priority) == ("XC", "HIGH")
        assert (each.start_date, each.start_time) == (TODAY, "093000")
        assert each.procedure_description == "Face"


def test_several_orders_of_a_message_are_of_one_study() -> None:
    text = orm()
    second = text[text.index("ORC|") : text.index("ZDS|")].replace("|S1|", "|S2|")
    found = change(text.replace("ZDS|", f"{second}ZDS|"))
    assert [each.step for each in found.scheduled] == [STEP, replace(STEP, step_id="S2")]


@pytest.mark.parametrize("control", ["CA", "DC", "OC", "OD"])
def test_what_is_cancelled_is_named_by_study_and_step(control: str) -> None:
    assert change(orm(control)).removed == (OrderName("PL1^RIS", "FI1^RIS", "1.2.99", "S1"),)
    without_study = change(orm(control, zds="", step_id="", start=""))
    assert without_study.removed == (OrderName("PL1^RIS", "FI1^RIS", "", ""),)


@pytest.mark.parametrize(("status", "removes"), [("CA", 1), ("DC", 1), ("CM", 0), ("IP", 0)])
def test_of_changed_statuses_only_the_end_of_the_order_removes(status: str, removes: int) -> None:
    found = change(orm("SC", status=status))
    assert (len(found.removed), len(found.scheduled)) == (removes, 0)


@pytest.mark.parametrize(
    ("text", "fault", "location"),
    [
        (orm().replace("ORM^O01", "ADT^A08"), Fault.MESSAGE_TYPE, "MSH-9"),
        (orm().replace("ORM^O01", "ORM^O02"), Fault.EVENT, "MSH-9"),
        (orm().replace("|P|2.3.1", "|X|2.3.1"), Fault.PROCESSING_ID, "MSH-11"),
        (orm("ZZ"), Fault.UNKNOWN_VALUE, "ORC-1"),
        (orm(zds=""), Fault.MISSING, "ZDS-1"),
        (orm(zds="1.2.x"), Fault.DATA_TYPE, "ZDS-1"),
        (omi().replace("1.2.99", ""), Fault.MISSING, "IPC-3"),
        (orm().replace("P1^^^HOSPITAL", ""), Fault.MISSING, "PID-3"),
        (orm(control_id=""), Fault.MISSING, "MSH-10"),
        (orm(said_at=""), Fault.MISSING, "MSH-7"),
        (orm(said_at="20261341"), Fault.DATA_TYPE, "MSH-7"),
        (orm(said_at="00010101+1200"), Fault.DATA_TYPE, "MSH-7"),
        (orm(start=""), Fault.MISSING, "OBR-36"),
        (orm(start="tomorrow"), Fault.DATA_TYPE, "OBR-27"),
        (orm(accession="A" * 17), Fault.DATA_TYPE, "OBR-18"),
        (orm(accession=r"A\E\1"), Fault.DATA_TYPE, "OBR-18"),
        (orm(modality="x-c"), Fault.DATA_TYPE, "OBR-24"),
        (orm().replace("XiaoDong", r"Xiao\S\Dong"), Fault.DATA_TYPE, "PID-5"),
        (orm().replace("XiaoDong", "‮XiaoDong"), Fault.DATA_TYPE, "PID-5"),
        (orm().replace("XiaoDong", "X" * 64), Fault.DATA_TYPE, "PID-5"),
        (orm().partition("ORC|")[0], Fault.MISSING, "ORC"),
        (omi().replace("|S2|", "|S1|"), Fault.DATA_TYPE, "OBR-20"),
    ],
)
def test_an_order_that_cannot_be_scheduled_is_refused_and_says_where(
    text: str, fault: Fault, location: str
) -> None:
    found = refusal(text)
    assert (found.fault, found.location) == (fault, location)
    assert "Wang" not in str(found)
    assert "P1" not in str(found)


def test_a_day_without_time_is_scheduled_for_the_day() -> None:
    (ordered,) = change(orm(start=TODAY)).scheduled
    assert (ordered.step.start_date, ordered.step.start_time) == (TODAY, "")


def test_a_birth_date_that_is_not_whole_is_left_out() -> None:
    (ordered,) = change(orm().replace("19800102", "1980")).scheduled
    assert ordered.step.birth_date == ""
