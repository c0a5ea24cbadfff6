"""A trail that keeps its messages in a list."""

from __future__ import annotations

from xml.etree import ElementTree

from dicom_nodes.audit.events import Node
from dicom_nodes.audit.messages import AuditMessage, AuditSource, encode
from service.audit.trail import NoTrail
from tests.dicom_nodes.audit.schema import event_of, valid


class WatchedTrail(NoTrail):
    def __init__(self) -> None:
        super().__init__(Node("HEMIFACE", "127.0.0.1"))
        self.recorded: list[AuditMessage] = []

    def record(self, message: AuditMessage) -> None:
        self.recorded.append(message)

    def messages(self) -> list[ElementTree.Element]:
        return [valid(encode(each, AuditSource("node"))) for each in self.recorded]

    def events(self) -> list[str]:
        return [event_of(each) for each in self.messages()]
