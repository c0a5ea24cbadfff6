"""Verification Service Class as SCP (PS3.4, annex A): answers C-ECHO."""

from __future__ import annotations

from typing import Any, Final

from pynetdicom import evt

from dicom_nodes.network.node_service import NodeService

VERIFICATION_SOP_CLASS: Final = "1.2.840.10008.1.1"


def answer_echo(event: Any) -> int:
    """Answer a C-ECHO with success; `event` is pynetdicom's ``EVT_C_ECHO``."""
    return 0x0000


VERIFICATION: Final = NodeService("echo", (VERIFICATION_SOP_CLASS,), {evt.EVT_C_ECHO: answer_echo})
