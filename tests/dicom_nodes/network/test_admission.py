from __future__ import annotations

from typing import Any

import pytest

from dicom_nodes.network.admission import (
    TOO_MANY_ASSOCIATIONS,
    TOO_MANY_OF_PEER,
    UNKNOWN_ADDRESS,
    Admission,
    networks,
)


def admission(**changes: Any) -> Admission:
    chosen: dict[str, Any] = {
        "called_ae_title": None,
        "calling_ae_titles": (),
        "allowed": (),
        "maximum": 3,
        "maximum_per_peer": 2,
    }
    return Admission(**{**chosen, **changes})


def associate(door: Admission, address: str) -> Any:
    assert door.connect(address)
    return door.associate(address, "ANY", "NODE")


def test_associations_are_counted_for_each_peer_and_for_all() -> None:
    door = admission()
    assert [associate(door, "10.0.0.1") for _ in range(3)] == [None, None, TOO_MANY_OF_PEER]
    assert associate(door, "10.0.0.2") is None
    assert associate(door, "10.0.0.3") is TOO_MANY_ASSOCIATIONS
    assert door.associations == 3
    door.leave("10.0.0.1", associated=True)
    assert associate(door, "10.0.0.3") is None


def test_one_address_cannot_take_all_the_waiting_places() -> None:
    door = admission()
    taken = 0
    while door.connect("10.0.0.1"):
        taken += 1
    assert taken == 8
    assert door.connect("10.0.0.2")


def test_a_place_is_free_again_when_a_silent_connection_ends() -> None:
    door = admission()
    while door.connect("10.0.0.1"):
        pass
    door.leave("10.0.0.1", associated=False)
    assert door.connect("10.0.0.1")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),  # an IPv4 peer of an IPv6 listener
        ("11.0.0.1", False),
        ("fe80::1%eth0", True),
        ("2001:db8::1", False),
    ],
)
def test_addresses_are_matched_with_networks(address: str, allowed: bool) -> None:
    door = admission(allowed=networks(("10.0.0.0/8", "fe80::/10")))
    assert (associate(door, address) is not UNKNOWN_ADDRESS) is allowed


def test_an_address_that_opens_connections_too_fast_has_to_wait() -> None:
    door = admission(maximum=100, maximum_per_peer=100, per_second=2)
    assert [door.connect("10.0.0.1") for _ in range(5)] == [True] * 4 + [False]
    assert door.connect("10.0.0.2")
