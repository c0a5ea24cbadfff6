from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dicom_nodes.network.admission import UNKNOWN_CALLING_AE_TITLE
from dicom_nodes.network.data_set_beginning import (
    PATIENT_ID,
    PATIENT_NAME,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
)
from dicom_nodes.network.instance_store import Arrival, StoreStatus
from dicom_nodes.network.observed_queries import Asked
from dicom_nodes.network.storage_scp import Ended, Rejected
from processing.measurement import TransientFault
from service.audit import arrivals as arrivals_module
from service.audit.arrivals import ArrivalAudit
from service.audit.network import NetworkAudit
from tests.dicom_nodes.audit.schema import object_ids
from tests.dicom_nodes.network.instances import write_instance
from tests.service.audit.watched_trail import WatchedTrail

MR, CT = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"


def arrival(study: str, *, association: str = "one", sop_class: str = MR) -> Arrival:
    return Arrival(
        path=Path("nowhere"),
        sop_class_uid=sop_class,
        sop_instance_uid="1.2.3",
        transfer_syntax_uid="1.2.840.10008.1.2",
        calling_ae_title="CAMERA",
        called_ae_title="HEMIFACE",
        peer_address="10.0.0.7",
        dataset_offset=0,
        size_bytes=0,
        association=association,
        beginning={
            SPECIFIC_CHARACTER_SET: b"ISO_IR 192",
            STUDY_INSTANCE_UID: study.encode() + b"\0",
            PATIENT_ID: b"0815 ",
            PATIENT_NAME: "Müller^Käthe".encode(),
        },
    )


@pytest.fixture
def trail() -> WatchedTrail:
    return WatchedTrail()


def test_an_association_is_one_record_for_each_study_with_what_it_brought(
    trail: WatchedTrail,
) -> None:
    audit = ArrivalAudit(trail)
    accept = audit.around(lambda _: StoreStatus.SUCCESS)
    for _ in range(100):
        accept(arrival("1.2.1"))
    accept(arrival("1.2.1", sop_class=CT))
    accept(arrival("1.2.2"))
    accept(arrival("1.2.9", association="another"))
    audit.ended(Ended("one", "CAMERA", "10.0.0.7"))
    began, transferred = "Begin Transferring DICOM Instances", "DICOM Instances Transferred"
    assert trail.events() == [began] * 3 + [transferred] * 2
    first, second = trail.messages()[3:]
    assert object_ids(first) == ["1.2.1", "0815"]
    assert object_ids(second) == ["1.2.2", "0815"]
    counted = {each.get("UID"): each.get("NumberOfInstances") for each in first.iter("SOPClass")}
    assert counted == {MR: "100", CT: "1"}
    assert [each.text for each in first.iter("ParticipantObjectName")][1] == "Müller^Käthe"


def test_an_association_that_brought_nothing_is_no_record(trail: WatchedTrail) -> None:
    ArrivalAudit(trail).ended(Ended("one", "CAMERA", "10.0.0.7"))
    assert trail.events() == []


def test_what_was_refused_is_not_counted(trail: WatchedTrail) -> None:
    audit = ArrivalAudit(trail)
    audit.around(lambda _: StoreStatus.OUT_OF_RESOURCES)(arrival("1.2.1"))

    def fails(_: Arrival) -> StoreStatus:
        raise TransientFault("no")

    with pytest.raises(TransientFault):
        audit.around(fails)(arrival("1.2.1"))
    audit.ended(Ended("one", "CAMERA", "10.0.0.7"))
    assert trail.events() == []


def test_a_study_that_the_beginning_does_not_name_is_read_from_the_file(
    trail: WatchedTrail, tmp_path: Path
) -> None:
    file = write_instance(tmp_path, 1)
    audit = ArrivalAudit(trail)
    unnamed = replace(arrival(""), path=file, beginning={})
    audit.around(lambda _: StoreStatus.SUCCESS)(unnamed)
    (began,) = trail.messages()
    assert object_ids(began)[0]


def test_an_association_of_endless_studies_costs_bounded_memory(
    trail: WatchedTrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals_module, "MOST_STUDIES", 3)
    audit = ArrivalAudit(trail)
    accept = audit.around(lambda _: StoreStatus.SUCCESS)
    for number in range(1, 11):
        accept(arrival(f"1.2.{number}"))
    assert len(audit._open["one"]) == 3
    audit.ended(Ended("one", "CAMERA", "10.0.0.7"))
    assert trail.events().count("DICOM Instances Transferred") == 10


def test_a_query_of_a_peer_is_recorded(trail: WatchedTrail) -> None:
    NetworkAudit(trail).asked(Asked("VIEWER", "10.0.0.8", "1.2.3", "1.2.840.10008.1.2", b"\x08\0"))
    assert trail.events() == ["Query"]


def test_rejections_like_one_another_are_one_record_a_minute(trail: WatchedTrail) -> None:
    audit = NetworkAudit(trail)
    for _ in range(10_000):
        audit.rejected(Rejected("EVIL\0", "HEMIFACE", "10.0.0.66", UNKNOWN_CALLING_AE_TITLE))
    audit.rejected(Rejected("EVIL", "HEMIFACE", "10.0.0.67", UNKNOWN_CALLING_AE_TITLE))
    assert trail.events() == ["Security Alert"] * 2
