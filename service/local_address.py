"""How a program on the same machine reaches what listens on an address."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def reachable_address(address: str) -> str:
    """An address that reaches a listener on `address`, also when that means all of them."""
    return _ANY_ADDRESS.get(address, address)


def http_url(address: str, port: int) -> str:
    """The URL of an HTTP server on this machine, without a slash at its end."""
    host = reachable_address(address)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(address: str) -> bool:
    """Whether only programs on this machine reach a listener on `address`."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
