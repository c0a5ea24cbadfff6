"""What a calling AE title may do, and which certificate proves that it is the one.

An AE title is a name that anyone can call by. Over TLS the certificate of a peer
is known; an AE title that is bound to certificates is believed with one of these
only, and never on a port in the clear.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

STORE: Final = "store"
"""Name of the storage service among the services that can be allowed."""

ALWAYS_ALLOWED: Final = "echo"

KINDS: Final = ("sha256", "dns", "ip", "cn")


@dataclass(frozen=True, slots=True)
class PeerRule:
    """What is laid down for one calling AE title.

    Parameters
    ----------
    ae_title : str
    services : tuple of str, optional
        Names of the services that it may use (`STORE`, and `NodeService.name`);
        every one when None. Verification is always allowed.
    certificates : tuple of str
        Any of which it must show: ``"sha256:…"``, the fingerprint of the
        certificate in hexadecimal; ``"dns:…"`` or ``"ip:…"``, a Subject
        Alternative Name; ``"cn:…"``, the Common Name of the subject. None are
        needed when empty.
    """

    ae_title: str
    services: tuple[str, ...] | None = None
    certificates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for each in self.certificates:
            kind, colon, value = each.partition(":")
            if not colon or kind not in KINDS or not value.strip():
                raise ValueError(
                    f"{each!r} names no certificate; write sha256:, dns:, ip: or cn: and its value"
                )
            if kind == "sha256" and not _is_fingerprint(value):
                raise ValueError(f"{each!r} is no SHA-256 fingerprint: 64 hexadecimal digits")


def is_service_allowed(rules: Sequence[PeerRule], calling_ae_title: str, service: str) -> bool:
    """Whether the peer of this AE title may use a service; one without a rule may."""
    if service == ALWAYS_ALLOWED:
        return True
    for rule in rules:
        if rule.ae_title.strip() == calling_ae_title.strip() and rule.services is not None:
            return service in rule.services
    return True


def certificate_fits(wanted: Sequence[str], certificate: bytes | None) -> bool:
    """Whether a certificate is one of those that are wanted.

    Parameters
    ----------
    wanted : sequence of str
        As in `PeerRule.certificates`.
    certificate : bytes, optional
        DER encoded, and verified; None when the peer has shown none.
    """
    if certificate is None:
        return False
    has = _names_of(certificate)
    return any(_normal(each) in has for each in wanted)


def _names_of(certificate: bytes) -> frozenset[str]:
    """All by which a certificate can be named, as `PeerRule.certificates` writes it."""
    names = {f"sha256:{hashlib.sha256(certificate).hexdigest()}"}
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        names |= {
            f"cn:{each.value!s}".lower()
            for each in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        }
        alternative = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return frozenset(names)
    names |= {f"dns:{each}".lower() for each in alternative.get_values_for_type(x509.DNSName)}
    names |= {f"ip:{each}" for each in alternative.get_values_for_type(x509.IPAddress)}
    return frozenset(names)


def _normal(wanted: str) -> str:
    kind, _, value = wanted.partition(":")
    value = value.strip().lower()
    return f"{kind}:{value.replace(':', '') if kind == 'sha256' else value}"


def _is_fingerprint(value: str) -> bool:
    digits = value.strip().replace(":", "").lower()
    return len(digits) == 64 and all(each in "0123456789abcdef" for each in digits)
