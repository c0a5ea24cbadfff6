"""Audit messages as XML (PS3.15, section A.5.1), whatever strings they are made of."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import ip_address
from typing import Final
from xml.etree import ElementTree

LONGEST_TEXT: Final = 1024
"""Characters of one value that are kept: a peer chooses some of them."""

LONGEST_BINARY: Final = 65_536
"""Bytes of a query or a detail that are kept."""

# What XML 1.0, section 2.2 does not allow, not even as a character reference.
_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Outcome(StrEnum):
    """How an event ended; a value of EventOutcomeIndicator."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"
    SERIOUS_FAILURE = "8"


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value; `scheme` is DCM or RFC-3881."""

    value: str
    meaning: str
    scheme: str = "DCM"


@dataclass(frozen=True, slots=True)
class Participant:
    """A person or process that took part (ActiveParticipant).

    Parameters
    ----------
    user_id : str
        An AE title, a process, or a person's account.
    is_requestor : bool
        Whether it began the event.
    roles : tuple of Code
    ae_title : str
    address : str
        IP address or name of its machine; empty when not known.
    """

    user_id: str
    is_requestor: bool
    roles: tuple[Code, ...] = ()
    ae_title: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class ParticipantObject:
    """What the event was about (ParticipantObjectIdentification).

    Parameters
    ----------
    object_id : str
    id_type : Code
    type_code, role : str
        ParticipantObjectTypeCode and ParticipantObjectTypeCodeRole.
    name : str
        Not used where there is a `query`.
    query : bytes, optional
        As it went over the network.
    details : mapping
        Further values by their type.
    instances : mapping
        Number of instances by SOP Class UID.
    """

    object_id: str
    id_type: Code
    type_code: str
    role: str
    name: str = ""
    query: bytes | None = None
    details: Mapping[str, bytes] = field(default_factory=dict)
    instances: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditMessage:
    """One event.

    Parameters
    ----------
    event : Code
    action : str
        C, R, U, D or E (EventActionCode).
    participants : tuple of Participant
        At least one.
    objects : tuple of ParticipantObject
    types : tuple of Code
    outcome : Outcome
    outcome_description : str
    at : datetime
        With a time zone.
    """

    event: Code
    action: str
    participants: tuple[Participant, ...]
    objects: tuple[ParticipantObject, ...] = ()
    types: tuple[Code, ...] = ()
    outcome: Outcome = Outcome.SUCCESS
    outcome_description: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class AuditSource:
    """Who reports (AuditSourceIdentification): an application server process."""

    source_id: str
    enterprise_site_id: str | None = None


def encode(message: AuditMessage, source: AuditSource) -> str:
    """The message as XML, on one line and without an XML declaration.

    Characters that XML does not know become U+FFFD, and values longer than
    `LONGEST_TEXT` are cut, as are queries and details longer than `LONGEST_BINARY`.
    """
    root = ElementTree.Element("AuditMessage")
    event = ElementTree.SubElement(
        root,
        "EventIdentification",
        EventActionCode=message.action,
        EventDateTime=message.at.astimezone(UTC).isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=message.outcome,
    )
    _code(event, "EventID", message.event)
    for each in message.types:
        _code(event, "EventTypeCode", each)
    if message.outcome_description:
        description = ElementTree.SubElement(event, "EventOutcomeDescription")
        description.text = _text(message.outcome_description)
    for participant in message.participants:
        _participant(root, participant)
    _source(root, source)
    for each_object in message.objects:
        _object(root, each_object)
    return ElementTree.tostring(root, encoding="unicode").replace("\n", "&#10;")


def _participant(root: ElementTree.Element, participant: Participant) -> None:
    element = ElementTree.SubElement(
        root,
        "ActiveParticipant",
        UserID=_text(participant.user_id),
        UserIsRequestor=str(participant.is_requestor).lower(),
    )
    if participant.ae_title:
        element.set("AlternativeUserID", _text(f"AETITLE={participant.ae_title}"))
    if participant.address:
        element.set("NetworkAccessPointID", _text(participant.address))
        element.set("NetworkAccessPointTypeCode", "2" if _is_ip(participant.address) else "1")
    for role in participant.roles:
        _code(element, "RoleIDCode", role)


def _source(root: ElementTree.Element, source: AuditSource) -> None:
    element = ElementTree.SubElement(
        root, "AuditSourceIdentification", AuditSourceID=_text(source.source_id)
    )
    if source.enterprise_site_id:
        element.set("AuditEnterpriseSiteID", _text(source.enterprise_site_id))
    _code(element, "AuditSourceTypeCode", Code("4", "Application Server", "RFC-3881"))


def _object(root: ElementTree.Element, described: ParticipantObject) -> None:
    element = ElementTree.SubElement(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_text(described.object_id),
        ParticipantObjectTypeCode=described.type_code,
        ParticipantObjectTypeCodeRole=described.role,
    )
    _code(element, "ParticipantObjectIDTypeCode", described.id_type)
    if described.query is not None:
        query = ElementTree.SubElement(element, "ParticipantObjectQuery")
        query.text = _base64(described.query)
    else:
        name = ElementTree.SubElement(element, "ParticipantObjectName")
        name.text = _text(described.name)
    for kind, value in described.details.items():
        ElementTree.SubElement(
            element,
            "ParticipantObjectDetail",
            type=kind,
            value=_base64(value),
        )
    if described.instances:
        description = ElementTree.SubElement(element, "ParticipantObjectDescription")
        for sop_class, number in sorted(described.instances.items()):
            ElementTree.SubElement(
                description, "SOPClass", UID=_text(sop_class), NumberOfInstances=str(number)
            )


def _code(parent: ElementTree.Element, name: str, code: Code) -> None:
    ElementTree.SubElement(
        parent,
        name,
        {
            "csd-code": code.value,
            "codeSystemName": code.scheme,
            "originalText": code.meaning,
        },
    )


def _text(value: str) -> str:
    return _NO_XML.sub("\ufffd", value[:LONGEST_TEXT])


def _base64(value: bytes) -> str:
    return base64.b64encode(value[:LONGEST_BINARY]).decode()


def _is_ip(address: str) -> bool:
    try:
        ip_address(address)
    except ValueError:
        return False
    return True
