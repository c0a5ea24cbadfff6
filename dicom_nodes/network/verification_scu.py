"""Verification Service Class as SCU (PS3.4, annex A): asks a peer whether it is there."""

from __future__ import annotations

from pynetdicom.presentation import build_context

from dicom_nodes.network.peer import Peer, association_with
from dicom_nodes.network.verification_scp import VERIFICATION_SOP_CLASS
from processing.measurement import PermanentFault, TransientFault


def echo(peer: Peer) -> None:
    """Send a C-ECHO; returns when the peer has answered it with success.

    Raises
    ------
    TransientFault, PermanentFault
        If it did not; the message says why.
    """
    with association_with(peer, [build_context(VERIFICATION_SOP_CLASS)]) as association:
        status = association.send_c_echo()
        if "Status" not in status:
            raise TransientFault(f"{peer} did not answer the C-ECHO")
        if status.Status != 0x0000:
            raise PermanentFault(f"{peer} answered the C-ECHO with 0x{status.Status:04X}")
