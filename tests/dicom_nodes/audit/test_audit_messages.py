from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_nodes.audit.events import (
    Alert,
    AuditedStudy,
    Node,
    accessed,
    alerted,
    application_started,
    application_stopped,
    authenticated,
    queried,
    queried_by_address,
    transfer_began,
    transferred,
)
from dicom_nodes.audit.messages import (
    LONGEST_BINARY,
    LONGEST_TEXT,
    AuditMessage,
    AuditSource,
    Participant,
    encode,
)
from tests.dicom_nodes.audit.schema import event_of, object_ids, valid

MR = "1.2.840.10008.5.1.4.1.1.4"
SOURCE = AuditSource("HEMIFACE@node", "Hospital")
CAMERA, NODE = Node("CAMERA", "10.0.0.7"), Node("HEMIFACE", "node.example.org")
VIEWER = Participant("surgeon", is_requestor=True, address="10.0.0.9")
STUDY = AuditedStudy("1.2.3", "0815", "Doe^Jane", {MR: 12})

MESSAGES = {
    "start": application_started("hemiface 1@node", "user 0@node"),
    "stop": application_stopped("hemiface 1@node", "user 0@node"),
    "began": transfer_began(CAMERA, NODE, STUDY),
    "transferred": transferred(CAMERA, NODE, STUDY),
    "not transferred": transferred(NODE, CAMERA, STUDY, "out of resources"),
    "accessed": accessed(VIEWER, STUDY),
    "queried": queried(CAMERA, NODE, "1.2.840.10008.5.1.4.1.2.2.1", b"\0\1", "1.2.840.10008.1.2"),
    "listed": queried_by_address(VIEWER, NODE, "/dicom-web/studies?PatientID=0815"),
    "alert": alerted(
        Alert.NODE_AUTHENTICATION, NODE.takes_part(is_requestor=True), CAMERA, "wrong certificate"
    ),
    "login": authenticated(VIEWER, NODE),
    "no login": authenticated(VIEWER, NODE, "wrong token"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_every_event_keeps_to_the_schema(name: str) -> None:
    xml = encode(MESSAGES[name], SOURCE)
    assert event_of(valid(xml))
    assert "\n" not in xml


def test_a_transfer_names_both_ends_the_study_its_instances_and_the_patient() -> None:
    message = valid(encode(transferred(CAMERA, NODE, STUDY), SOURCE))
    assert event_of(message) == "DICOM Instances Transferred"
    source, destination = message.findall("ActiveParticipant")
    assert source.get("AlternativeUserID") == "AETITLE=CAMERA"
    assert (source.get("NetworkAccessPointID"), source.get("NetworkAccessPointTypeCode")) == (
        "10.0.0.7",
        "2",
    )
    assert destination.get("NetworkAccessPointTypeCode") == "1"
    roles = [each.find("RoleIDCode") for each in (source, destination)]
    assert [each is not None and each.get("csd-code") for each in roles] == ["110153", "110152"]
    assert object_ids(message) == ["1.2.3", "0815"]
    counted = message.find(".//SOPClass")
    assert counted is not None
    assert (counted.get("UID"), counted.get("NumberOfInstances")) == (MR, "12")
    assert [each.text for each in message.iter("ParticipantObjectName")] == ["Study", "Doe^Jane"]


def test_a_failure_says_why_and_is_told_from_a_success() -> None:
    message = valid(encode(transferred(NODE, CAMERA, STUDY, "out of resources"), SOURCE))
    event = message.find("EventIdentification")
    assert event is not None
    assert event.get("EventOutcomeIndicator") == "4"
    assert event.findtext("EventOutcomeDescription") == "out of resources"


def test_a_query_is_kept_as_it_came_with_its_transfer_syntax() -> None:
    asked = bytes(range(256))
    message = valid(encode(queried(CAMERA, NODE, "1.2.3", asked, "1.2.840.10008.1.2"), SOURCE))
    assert base64.b64decode(message.findtext(".//ParticipantObjectQuery", "")) == asked
    detail = message.find(".//ParticipantObjectDetail")
    assert detail is not None
    assert base64.b64decode(detail.get("value", "")) == b"1.2.840.10008.1.2"


def test_the_moment_of_an_event_has_its_time_zone() -> None:
    at = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    message = AuditMessage(MESSAGES["login"].event, "E", (VIEWER,), at=at)
    event = valid(encode(message, SOURCE)).find("EventIdentification")
    assert event is not None
    assert event.get("EventDateTime") == "2026-11-21T12:00:00.000+00:00"


@given(st.text(), st.text(), st.text())
def test_hostile_strings_stay_strings(name: str, patient: str, ae_title: str) -> None:
    study = AuditedStudy("1.2.3", patient, f'{name}"/><EventID/>&amp;]]>\n\0\x1b[31m', {MR: 1})
    xml = encode(transferred(Node(ae_title, name), NODE, study), SOURCE)
    message = valid(xml)
    assert len(message.findall(".//EventID")) == 1
    assert "\n" not in xml
    assert "\0" not in xml


def test_halves_of_surrogate_pairs_can_be_encoded() -> None:
    study = AuditedStudy("1.2.3", "\ud800", "\udcff", {})
    assert encode(transferred(CAMERA, NODE, study), SOURCE).encode()


def test_what_a_peer_says_at_length_is_cut() -> None:
    asked = queried(Node("A" * 10**6), NODE, "1.2.3", b"x" * 10**6, "1.2")
    xml = encode(asked, SOURCE)
    valid(xml)
    assert "A" * (LONGEST_TEXT + 1) not in xml
    assert len(xml) < 2 * LONGEST_BINARY
