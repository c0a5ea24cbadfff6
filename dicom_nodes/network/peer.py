"""A peer that the node opens associations with, and what can go wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from pynetdicom import build_role
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext

from dicom_nodes.implementation import say_who_we_are
from dicom_nodes.network.pynetdicom_cures.configuration import configure_pynetdicom
from dicom_nodes.network.pynetdicom_cures.requesting_entity import (
    RequestingEntity,
    RequestingSocket,
    answer_to_request,
)
from dicom_nodes.network.tls import ClientTLS, client_context
from processing.measurement import PermanentFault, TransientFault

MOST_CONTEXTS: Final = 128  # PS3.8, section 9.3.2.2: odd numbers from 1 to 255
MAXIMUM_PDU_BYTES: Final = 131072
_ACCEPTED: Final = 0  # PS3.8, table 9-21 and section 7.1.1.7
_REJECTED_TRANSIENT: Final = 2


@dataclass(frozen=True, slots=True)
class Peer:
    """A remote application entity.

    Parameters
    ----------
    name : str
        What people call it; stands in messages.
    ae_title, address, port
        Its AE title, its name or IP address, and its port.
    own_ae_title : str
        The calling AE title that the node uses with it.
    tls : ClientTLS, optional
        For a peer that speaks TLS.
    connection_timeout_seconds : float
        For the TCP connection and the TLS handshake.
    acse_timeout_seconds, dimse_timeout_seconds, network_timeout_seconds : float
        For an answer to an association request or release; for a response to a
        message; for a peer that stalls inside a PDU.
    """

    name: str
    ae_title: str
    address: str
    port: int
    own_ae_title: str
    tls: ClientTLS | None = None
    connection_timeout_seconds: float = 10
    acse_timeout_seconds: float = 30
    dimse_timeout_seconds: float = 120
    network_timeout_seconds: float = 60

    def __str__(self) -> str:
        return f"{self.name} ({self.ae_title} at {self.address}:{self.port})"


class ContextsRefused(PermanentFault):
    """The peer accepted the association but none of the proposed contexts."""


@contextmanager
def association_with(
    peer: Peer,
    contexts: Sequence[PresentationContext],
    *,
    roles: Sequence[str] = (),
    handlers: Mapping[Any, Callable[[Any], Any]] | None = None,
) -> Iterator[Association]:
    """Open an association; it is released at the end, or aborted after an exception.

    Parameters
    ----------
    peer : Peer
    contexts : sequence of PresentationContext
    roles : sequence of str
        SOP classes for which the node proposes to be the SCP as well (PS3.7,
        annex D.3.3.4).
    handlers : mapping, optional
        pynetdicom's events and what answers them when the peer asks on this
        association. Called in a thread of the association.

    Raises
    ------
    TransientFault
        If the peer cannot be reached, does not answer, aborts or says that it
        is busy.
    PermanentFault
        If the peer rejects the association for good, or its certificate is not
        trusted. `ContextsRefused` if it takes none of `contexts`.
    """
    configure_pynetdicom()
    entity = RequestingEntity(peer.own_ae_title)
    say_who_we_are(entity)
    entity.connection_timeout = peer.connection_timeout_seconds
    entity.acse_timeout = peer.acse_timeout_seconds
    entity.dimse_timeout = peer.dimse_timeout_seconds
    entity.network_timeout = peer.network_timeout_seconds
    tls = (client_context(peer.tls), peer.address) if peer.tls else None
    try:
        association = entity.associate(
            peer.address,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.ae_title,
            max_pdu=MAXIMUM_PDU_BYTES,
            ext_neg=[build_role(each, scu_role=True, scp_role=True) for each in roles],
            evt_handlers=list((handlers or {}).items()),
            tls_args=tls,
        )
    except OSError as error:
        raise TransientFault(f"{peer} cannot be reached: {error}") from error
    if not association.is_established:
        raise _why_not(peer, association)
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    # Also ends an association that the peer has aborted meanwhile.
    association.release()


def _why_not(peer: Peer, association: Association) -> TransientFault | PermanentFault:
    """The reason why an association was not established."""
    failure = cast(RequestingSocket, association.dul.socket).failure
    if failure is not None:
        return _why_not_connected(peer, failure)
    answer = answer_to_request(association)
    if answer is not None and answer.result != _ACCEPTED:
        text = f"{peer} rejected the association: {_rejection_text(answer)}"
        if answer.result == _REJECTED_TRANSIENT:
            return TransientFault(f"{text}; it may accept one later")
        return PermanentFault(
            f"{text}; check that it knows {peer.own_ae_title!r} and answers to {peer.ae_title!r}"
        )
    if association.rejected_contexts:
        refused = {str(each.abstract_syntax) for each in association.rejected_contexts}
        return ContextsRefused(f"{peer} accepts none of: {', '.join(sorted(refused))}")
    return TransientFault(f"{peer} aborted, or did not answer, the association request")


def _why_not_connected(peer: Peer, failure: OSError) -> TransientFault | PermanentFault:
    # CertificateError and its kin are OSError and ValueError at once.
    if peer.tls and isinstance(failure, ValueError):
        return PermanentFault(
            f"the certificate of {peer} is not trusted: {failure}; check the authorities"
        )
    if isinstance(failure, TimeoutError):
        return TransientFault(f"{peer} did not answer within {peer.connection_timeout_seconds:g} s")
    return TransientFault(f"{peer} cannot be reached: {failure.strerror or failure}")


def _rejection_text(answer: A_ASSOCIATE) -> str:
    try:
        return f"{answer.reason_str} ({answer.source_str})"
    except (KeyError, ValueError):  # a peer may send numbers that the standard does not know
        return f"reason {answer.diagnostic}, source {answer.result_source}"
