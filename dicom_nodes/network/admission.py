"""Whom the node lets in: addresses, AE titles and how many at once."""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dicom_nodes.network.arrival_rate import ArrivalRate
from dicom_nodes.network.permissions import PeerRule, certificate_fits

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Silent connections of one address may be this many times its associations; those
# of all addresses twice as many times, so that one address cannot fill the whole.
WAITING_PER_ASSOCIATION: Final = 4


@dataclass(frozen=True, slots=True)
class Rejection:
    """Result, source and reason of an A-ASSOCIATE-RJ PDU (PS3.8, table 9-21)."""

    result: int
    source: int
    reason: int
    text: str


UNKNOWN_ADDRESS: Final = Rejection(1, 1, 1, "its address is not allowed")
UNKNOWN_CALLING_AE_TITLE: Final = Rejection(1, 1, 3, "calling AE title not recognized")
UNKNOWN_CALLED_AE_TITLE: Final = Rejection(1, 1, 7, "called AE title not recognized")
WRONG_CERTIFICATE: Final = Rejection(
    1, 1, 3, "its certificate is none of those that its AE title is bound to"
)
TOO_MANY_OF_PEER: Final = Rejection(2, 3, 2, "local limit for one peer exceeded")
TOO_MANY_ASSOCIATIONS: Final = Rejection(2, 3, 2, "local limit exceeded")


def networks(addresses: Sequence[str]) -> tuple[Network, ...]:
    """Read IP addresses and CIDR blocks, for example ``"10.0.0.0/8"``.

    Raises
    ------
    ValueError
        If one is neither; the message names it.
    """
    return tuple(ipaddress.ip_network(each, strict=False) for each in addresses)


class Admission:
    """Counts connections and associations, and says who is refused.

    A connection that has not negotiated an association yet is counted apart, so
    that silent connections do not take the place of associations.

    Parameters
    ----------
    called_ae_title : str, optional
        The only called AE title that is accepted; every one when None.
    calling_ae_titles : sequence of str
        Accepted calling AE titles; every one when empty.
    allowed : sequence of networks
        Accepted addresses; every one when empty.
    maximum, maximum_per_peer : int
        Most associations at once, of all peers and of one address.
    per_second : float
        Most new connections of one address in a second, 0 for no limit; twice as
        many may come at once.
    rules : sequence of PeerRule
        Certificates that AE titles are bound to.
    """

    def __init__(
        self,
        *,
        called_ae_title: str | None,
        calling_ae_titles: Sequence[str],
        allowed: Sequence[Network],
        maximum: int,
        maximum_per_peer: int,
        per_second: float = 0,
        rules: Sequence[PeerRule] = (),
    ) -> None:
        self._called_ae_title = called_ae_title.strip() if called_ae_title else None
        self._calling_ae_titles = frozenset(each.strip() for each in calling_ae_titles)
        self._allowed = tuple(allowed)
        self._maximum = maximum
        self._maximum_per_peer = maximum_per_peer
        self._rate = ArrivalRate(per_second)
        self._certificates = {
            rule.ae_title.strip(): rule.certificates for rule in rules if rule.certificates
        }
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()
        self._associated: Counter[str] = Counter()

    @property
    def associations(self) -> int:
        """Associations that are established now."""
        with self._lock:
            return self._associated.total()

    def connect(self, address: str) -> bool:
        """Count a new connection.

        False when `address` brings them too fast, or when it or all have too
        many that wait.
        """
        with self._lock:
            if not self._rate.allows(address):
                return False
            if (
                self._waiting[address] >= self._maximum_per_peer * WAITING_PER_ASSOCIATION
                or self._waiting.total() >= self._maximum * WAITING_PER_ASSOCIATION * 2
            ):
                return False
            self._waiting[address] += 1
            return True

    def associate(
        self,
        address: str,
        calling: str,
        called: str,
        certificate: bytes | None = None,
        *,
        in_place_of_another: bool = False,
    ) -> Rejection | None:
        """Count a connection as an association, or say why it is refused.

        Parameters
        ----------
        address, calling, called : str
        certificate : bytes, optional
            The one that the peer has shown and that was verified, DER encoded.
        in_place_of_another : bool
            Whether an association is being ended for this one.
        """
        if self._allowed and not self._is_allowed(address):
            return UNKNOWN_ADDRESS
        if self._calling_ae_titles and calling.strip() not in self._calling_ae_titles:
            return UNKNOWN_CALLING_AE_TITLE
        if self._called_ae_title is not None and called.strip() != self._called_ae_title:
            return UNKNOWN_CALLED_AE_TITLE
        bound_to = self._certificates.get(calling.strip())
        if bound_to is not None and not certificate_fits(bound_to, certificate):
            return WRONG_CERTIFICATE
        with self._lock:
            if self._associated[address] >= self._maximum_per_peer:
                return TOO_MANY_OF_PEER
            if self._associated.total() >= self._maximum and not in_place_of_another:
                return TOO_MANY_ASSOCIATIONS
            self._discount(self._waiting, address)
            self._associated[address] += 1
        return None

    def leave(self, address: str, *, associated: bool) -> None:
        """Forget a connection that has ended."""
        with self._lock:
            self._discount(self._associated if associated else self._waiting, address)

    def _is_allowed(self, address: str) -> bool:
        peer = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped:
            peer = peer.ipv4_mapped
        return any(peer in network for network in self._allowed)

    @staticmethod
    def _discount(counter: Counter[str], address: str) -> None:
        counter[address] -= 1
        if counter[address] <= 0:
            del counter[address]
