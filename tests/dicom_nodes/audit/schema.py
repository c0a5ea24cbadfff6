"""Audit messages held against the schema of PS3.15, section A.5.1."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from lxml import etree

EVENTS = {
    "110100": "Application Activity",
    "110102": "Begin Transferring DICOM Instances",
    "110103": "DICOM Instances Accessed",
    "110104": "DICOM Instances Transferred",
    "110109": "Order Record",
    "110112": "Query",
    "110113": "Security Alert",
    "110114": "User Authentication",
}


@cache
def _schema() -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(str(Path(__file__).with_name("audit_message.rng"))))


def valid(xml: str) -> ElementTree.Element:
    """The message as elements; fails where it does not keep to the schema."""
    schema = _schema()
    assert schema.validate(etree.fromstring(xml.encode())), schema.error_log
    return ElementTree.fromstring(xml)


def event_of(message: ElementTree.Element) -> str:
    """What the message is about, in words."""
    found = message.find("EventIdentification/EventID")
    assert found is not None
    assert found.get("originalText") == EVENTS[found.get("csd-code", "")]
    return EVENTS[found.get("csd-code", "")]


def object_ids(message: ElementTree.Element) -> list[str | None]:
    """What the message names, by ID."""
    found = message.findall("ParticipantObjectIdentification")
    return [each.get("ParticipantObjectID") for each in found]
