"""Bearer tokens (RFC 6750) that the settings give to clients and to people."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Protocol, TypeVar

from pydantic import SecretStr


class TokenHolder(Protocol):
    """Whoever the settings give a token."""

    @property
    def token(self) -> SecretStr:
        """The token."""


_Holder = TypeVar("_Holder", bound=TokenHolder)


def bearer_token(authorization: str | None) -> str:
    """The token in an Authorization header; empty where there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def holder_of(holders: Iterable[_Holder], token: str) -> _Holder | None:
    """Compare with every token, each in the same time, whichever it is and however long."""
    given = _digest(token)
    found = None
    for each in holders:
        if hmac.compare_digest(_digest(each.token.get_secret_value()), given):
            found = each
    return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
