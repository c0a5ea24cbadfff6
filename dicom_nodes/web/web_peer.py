"""A DICOMweb server that the node calls, and what its answers mean for trying again."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from dicom_nodes.network.tls import ClientTLS, client_context
from processing.measurement import PermanentFault, TransientFault

DICOM_JSON: Final = "application/dicom+json"
MOST_ANSWER_BYTES: Final = 64 * 1024 * 1024
_LONGEST_SAID: Final = 100
# Too slow, too early, too many: the same request may do later (RFC 9110, RFC 6585).
_TRANSIENT: Final = frozenset((408, 425, 429))
_NEVER_OFFERED: Final = frozenset((501, 505))


@dataclass(frozen=True, slots=True)
class WebPeer:
    """A DICOMweb server.

    Parameters
    ----------
    name : str
        As people call it.
    url : str
        Of its DICOMweb root, ``https://pacs.example.org/dicom-web``.
    token : str, optional
        Sent as bearer token.
    user, password : str, optional
        For basic authentication, where there is no token.
    tls : ClientTLS, optional
        Whom to trust over https, and the client certificate; the system's authorities
        without it.
    connection_timeout_seconds, answer_timeout_seconds : float
        To connect, and for the peer to say or take something.
    """

    name: str
    url: str
    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ClientTLS | None = None
    connection_timeout_seconds: float = 10
    answer_timeout_seconds: float = 60

    def __str__(self) -> str:
        return f"{self.name} ({self.url})"


@contextmanager
def web_session(peer: WebPeer) -> Iterator[httpx.Client]:
    """Connections to a server, with what proves who we are.

    Raises
    ------
    TransientFault
        If the server cannot be reached, or goes away in the middle of an answer.
    PermanentFault
        If its certificate is not trusted, or its address is none.
    """
    headers = {"Authorization": f"Bearer {peer.token}"} if peer.token else {}
    auth = None
    if peer.token is None and peer.user is not None:
        auth = httpx.BasicAuth(peer.user, peer.password or "")
    with (
        _faults_named(peer),
        httpx.Client(
            base_url=peer.url.rstrip("/") + "/",
            headers=headers,
            auth=auth,
            verify=client_context(peer.tls or ClientTLS()),
            timeout=httpx.Timeout(
                peer.answer_timeout_seconds, connect=peer.connection_timeout_seconds
            ),
            trust_env=False,
        ) as client,
    ):
        yield client


@contextmanager
def _faults_named(peer: WebPeer) -> Iterator[None]:
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as fault:
        raise PermanentFault(f"{peer}: its URL cannot be used: {fault}") from fault
    except httpx.TransportError as fault:
        if _is_about_certificates(fault):
            raise PermanentFault(
                f"{peer}: its certificate is not trusted ({fault}); "
                "name its authority under tls.authorities"
            ) from fault
        reason = str(fault) or type(fault).__name__
        raise TransientFault(f"{peer} does not answer: {reason}") from fault
    except httpx.DecodingError as fault:
        raise PermanentFault(f"{peer} answers in an encoding that it does not keep to") from fault


def _is_about_certificates(fault: BaseException) -> bool:
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def fault_of(peer: WebPeer, status_code: int, said: str) -> TransientFault | PermanentFault:
    """The fault that a status code other than success means."""
    words = "".join(each if each.isprintable() else " " for each in said[:_LONGEST_SAID]).strip()
    text = f"{peer} answered with {status_code}" + (f" ({words})" if words else "")
    if status_code in (401, 403):
        return PermanentFault(f"{text}: it does not let us in; check token, user and password")
    if status_code in _TRANSIENT or (status_code >= 500 and status_code not in _NEVER_OFFERED):
        return TransientFault(text)
    return PermanentFault(text)


def json_of(peer: WebPeer, client: httpx.Client, path: str, query: Mapping[str, str]) -> Any | None:
    """What a GET answers in DICOM JSON; None where there is nothing (204, 404).

    Raises
    ------
    TransientFault, PermanentFault
        If there is no usable answer.
    """
    with client.stream("GET", path, params=query, headers={"Accept": DICOM_JSON}) as answer:
        body = bounded_body(peer, answer)
    if answer.status_code in (204, 404):
        return None
    if answer.status_code != 200:
        raise fault_of(peer, answer.status_code, body.decode("utf-8", "replace"))
    return parsed(peer, body)


def bounded_body(peer: WebPeer, answer: httpx.Response) -> bytes:
    """The body of an answer that is being streamed.

    Raises
    ------
    PermanentFault
        If it is longer than `MOST_ANSWER_BYTES`.
    """
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > MOST_ANSWER_BYTES:
            raise PermanentFault(f"{peer} answers with more than {MOST_ANSWER_BYTES} bytes")
    return bytes(body)


def parsed(peer: WebPeer, body: bytes) -> Any:
    """An answer in JSON.

    Raises
    ------
    PermanentFault
        If it is none.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise PermanentFault(f"{peer} answers with something that is no JSON") from fault
