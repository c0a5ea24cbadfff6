"""DICOM over TLS by the BCP 195 RFC 8996, 9325 profile (PS3.15, section B.12).

TLS 1.3 where the peer has it, otherwise TLS 1.2 with the suites that RFC 9325,
section 4.2 recommends: forward secrecy by elliptic curves and authenticated
encryption. TLS 1.0 and 1.1 are off (RFC 8996).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from processing.measurement import PermanentFault

# RFC 9325, section 4.2; TLS 1.3 has its own suites, all of which qualify. Suites with
# finite-field DHE, which the retired profiles (B.9 to B.11) allowed, are advised against.
TLS_1_2_CIPHERS: Final = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
    )
)

MINIMUM_VERSION: Final = ssl.TLSVersion.TLSv1_2


@dataclass(frozen=True, slots=True)
class ServerTLS:
    """Certificate of the node, and whose client certificates it trusts (PEM files).

    With `client_authorities` a certificate that a peer shows is checked; with
    `require_client_certificate` it must show one.
    """

    certificate: Path
    private_key: Path
    client_authorities: Path | None = None
    require_client_certificate: bool = False


@dataclass(frozen=True, slots=True)
class ClientTLS:
    """How the node proves itself to a peer, and whom it trusts (PEM files).

    Without `authorities` those of the system are trusted. The peer's name or
    address must be in its certificate unless `check_name` is off, which leaves
    the certificate itself checked.
    """

    authorities: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    check_name: bool = True


def server_context(tls: ServerTLS) -> ssl.SSLContext:
    """TLS context of a listener.

    Raises
    ------
    PermanentFault
        If a file is missing or not usable; the message names it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context)
    _load_certificate(context, tls.certificate, tls.private_key)
    if tls.client_authorities is not None:
        _load_authorities(context, tls.client_authorities)
        context.verify_mode = ssl.CERT_OPTIONAL
    if tls.require_client_certificate:
        if tls.client_authorities is None:
            raise PermanentFault(
                "TLS: client certificates are required but no client_authorities are set; "
                "name the PEM file of the authorities that sign them"
            )
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(tls: ClientTLS) -> ssl.SSLContext:
    """TLS context for associations with a peer.

    Raises
    ------
    PermanentFault
        If a file is missing or not usable; the message names it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _restrict(context)
    context.check_hostname = tls.check_name
    if tls.authorities is not None:
        _load_authorities(context, tls.authorities)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if tls.certificate is not None:
        _load_certificate(context, tls.certificate, tls.private_key or tls.certificate)
    return context


def _restrict(context: ssl.SSLContext) -> None:
    context.minimum_version = MINIMUM_VERSION
    context.set_ciphers(TLS_1_2_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


def _load_certificate(context: ssl.SSLContext, certificate: Path, private_key: Path) -> None:
    _check_readable(certificate, "certificate")
    _check_readable(private_key, "private key")
    if b"BEGIN CERTIFICATE" not in certificate.read_bytes():
        raise PermanentFault(f"TLS: {certificate} holds no certificate in PEM form")
    if b"PRIVATE KEY" not in private_key.read_bytes():
        raise PermanentFault(f"TLS: {private_key} holds no private key in PEM form")

    def no_password() -> str:
        raise PermanentFault(
            f"TLS: the private key {private_key} is encrypted; store it without a password, "
            "readable by the node only"
        )

    try:
        context.load_cert_chain(certificate, private_key, password=no_password)
    except ssl.SSLError as error:
        raise PermanentFault(
            f"TLS: certificate {certificate} and private key {private_key} "
            f"cannot be used together: {error.reason or error}"
        ) from error


def _load_authorities(context: ssl.SSLContext, authorities: Path) -> None:
    _check_readable(authorities, "authorities")
    try:
        context.load_verify_locations(authorities)
    except ssl.SSLError as error:
        raise PermanentFault(
            f"TLS: {authorities} holds no usable certificates of authorities: "
            f"{error.reason or error}"
        ) from error


def _check_readable(path: Path, what: str) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise PermanentFault(f"TLS: the {what} {path} cannot be read: {error.strerror}") from error
