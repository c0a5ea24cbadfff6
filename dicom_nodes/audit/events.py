"""The events that a node reports, a function each (PS3.15, section A.5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from dicom_nodes.audit.messages import (
    AuditMessage,
    Code,
    Outcome,
    Participant,
    ParticipantObject,
)

APPLICATION: Final = Code("110150", "Application")
LAUNCHER: Final = Code("110151", "Application Launcher")
DESTINATION: Final = Code("110152", "Destination Role ID")
SOURCE: Final = Code("110153", "Source Role ID")

_STUDY: Final = Code("110180", "Study Instance UID")
_SOP_CLASS: Final = Code("110181", "SOP Class UID")
_NODE: Final = Code("110182", "Node ID")
_PATIENT_NUMBER: Final = Code("2", "Patient Number", "RFC-3881")
_URI: Final = Code("12", "URI", "RFC-3881")
_PERSON, _SYSTEM_OBJECT = "1", "2"
_PATIENT_ROLE, _REPORT_ROLE, _SECURITY_RESOURCE_ROLE, _QUERY_ROLE = "1", "3", "13", "24"


class Alert(Enum):
    """Kinds of a Security Alert (PS3.16, CID 403)."""

    NODE_AUTHENTICATION = Code("110126", "Node Authentication")
    SECURITY_CONFIGURATION = Code("110129", "Security Configuration")
    SOFTWARE_CONFIGURATION = Code("110131", "Software Configuration")


@dataclass(frozen=True, slots=True)
class Node:
    """A system that takes part, by its AE title or another name, and its address."""

    name: str
    address: str = ""
    is_ae: bool = True

    def takes_part(self, *roles: Code, is_requestor: bool) -> Participant:
        """The system as a participant."""
        return Participant(
            self.name, is_requestor, roles, self.name if self.is_ae else "", self.address
        )


@dataclass(frozen=True, slots=True)
class AuditedStudy:
    """A study of one patient, and how many instances of it an event was about."""

    study_instance_uid: str
    patient_id: str = ""
    patient_name: str = ""
    instances: Mapping[str, int] = field(default_factory=dict)


def application_started(process: str, launcher: str) -> AuditMessage:
    """Application Activity, start (A.5.3.1)."""
    return _application(Code("110120", "Application Start"), process, launcher)


def application_stopped(process: str, launcher: str) -> AuditMessage:
    """Application Activity, stop (A.5.3.1)."""
    return _application(Code("110121", "Application Stop"), process, launcher)


def transfer_began(source: Node, destination: Node, study: AuditedStudy) -> AuditMessage:
    """Begin Transferring DICOM Instances (A.5.3.3); the source is who asked for it."""
    return AuditMessage(
        Code("110102", "Begin Transferring DICOM Instances"),
        "E",
        _both(source, destination),
        _objects(study),
    )


def transferred(
    source: Node, destination: Node, study: AuditedStudy, failure: str = ""
) -> AuditMessage:
    """DICOM Instances Transferred (A.5.3.7): one for an association and a study."""
    return AuditMessage(
        Code("110104", "DICOM Instances Transferred"),
        "C",
        _both(source, destination),
        _objects(study),
        outcome=Outcome.MINOR_FAILURE if failure else Outcome.SUCCESS,
        outcome_description=failure,
    )


def accessed(viewer: Participant, study: AuditedStudy) -> AuditMessage:
    """DICOM Instances Accessed, for reading (A.5.3.6)."""
    return AuditMessage(Code("110103", "DICOM Instances Accessed"), "R", (viewer,), _objects(study))


def queried(
    source: Node,
    destination: Node,
    sop_class_uid: str,
    query: bytes,
    transfer_syntax_uid: str,
) -> AuditMessage:
    """Query by DIMSE (A.5.3.10), with the identifier as it went over the network."""
    queried_class = ParticipantObject(
        sop_class_uid,
        _SOP_CLASS,
        _SYSTEM_OBJECT,
        _REPORT_ROLE,
        query=query,
        details={"TransferSyntax": transfer_syntax_uid.encode()},
    )
    return AuditMessage(Code("110112", "Query"), "E", _both(source, destination), (queried_class,))


def queried_by_address(viewer: Participant, node: Node, path: str) -> AuditMessage:
    """Query by HTTP (A.5.3.10): `path` with what was asked, as it was requested."""
    return AuditMessage(
        Code("110112", "Query"),
        "E",
        (viewer, node.takes_part(DESTINATION, is_requestor=False)),
        (
            ParticipantObject(
                path.partition("?")[0], _URI, _SYSTEM_OBJECT, _QUERY_ROLE, query=path.encode()
            ),
        ),
    )


def ordered(
    source: Node,
    destination: Node,
    study_instance_uid: str,
    patient_id: str = "",
    patient_name: str = "",
    *,
    is_removed: bool = False,
) -> AuditMessage:
    """Order Record (PS3.16, CID 400; IHE RAD TF-3, 5.1): an order was taken, or cancelled."""
    return AuditMessage(
        Code("110109", "Order Record"),
        "D" if is_removed else "U",
        _both(source, destination),
        _objects(AuditedStudy(study_instance_uid, patient_id, patient_name)),
    )


def alerted(
    kind: Alert, reporter: Participant, subject: Node | None, description: str
) -> AuditMessage:
    """Security Alert (A.5.3.11), about a peer or about the node itself."""
    objects = (
        ()
        if subject is None
        else (
            ParticipantObject(
                subject.address or subject.name,
                _NODE,
                _SYSTEM_OBJECT,
                _SECURITY_RESOURCE_ROLE,
                name=subject.name,
                details={"Alert Description": description.encode()},
            ),
        )
    )
    return AuditMessage(
        Code("110113", "Security Alert"),
        "E",
        (reporter,),
        objects,
        (kind.value,),
        Outcome.MINOR_FAILURE if kind is Alert.NODE_AUTHENTICATION else Outcome.SUCCESS,
        description,
    )


def authenticated(user: Participant, node: Node, failure: str = "") -> AuditMessage:
    """User Authentication, login (A.5.3.12)."""
    return AuditMessage(
        Code("110114", "User Authentication"),
        "E",
        (user, node.takes_part(is_requestor=False)),
        types=(Code("110122", "Login"),),
        outcome=Outcome.MINOR_FAILURE if failure else Outcome.SUCCESS,
        outcome_description=failure,
    )


def _application(kind: Code, process: str, launcher: str) -> AuditMessage:
    return AuditMessage(
        Code("110100", "Application Activity"),
        "E",
        (
            Participant(process, is_requestor=False, roles=(APPLICATION,)),
            Participant(launcher, is_requestor=True, roles=(LAUNCHER,)),
        ),
        types=(kind,),
    )


def _both(source: Node, destination: Node) -> tuple[Participant, ...]:
    return (
        source.takes_part(SOURCE, is_requestor=True),
        destination.takes_part(DESTINATION, is_requestor=False),
    )


def _objects(study: AuditedStudy) -> tuple[ParticipantObject, ...]:
    return (
        ParticipantObject(
            study.study_instance_uid,
            _STUDY,
            _SYSTEM_OBJECT,
            _REPORT_ROLE,
            name="Study",
            instances=study.instances,
        ),
        ParticipantObject(
            study.patient_id, _PATIENT_NUMBER, _PERSON, _PATIENT_ROLE, name=study.patient_name
        ),
    )
