"""Who may use DICOMweb, and for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fastapi import HTTPException

from service.bearer_tokens import bearer_token, holder_of
from service.local_address import is_loopback
from service.settings import Settings

Permission = Literal["store", "query"]

_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="hemiface"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """A client that has proved who it is; what it stores is catalogued under its AE title."""

    name: str
    ae_title: str
    sends_complete_sets: bool


_ANYBODY_HERE: Final = Caller("this machine", "DICOMWEB", sends_complete_sets=True)


def caller_with(settings: Settings, authorization: str | None, permission: Permission) -> Caller:
    """The client that an Authorization header proves (RFC 6750), if it may do this.

    Raises
    ------
    HTTPException
        401 without a known token, 403 where the client may not do this, or where no
        client is set and the node can be reached from elsewhere.
    """
    clients = settings.dicomweb.clients
    if not clients:
        if is_loopback(settings.http.address):
            return _ANYBODY_HERE
        raise HTTPException(
            403,
            "DICOMweb is closed: http.address is reached from other machines and no client has "
            "a token; set dicomweb.clients",
        )
    client = holder_of(clients, bearer_token(authorization))
    if client is None:
        raise HTTPException(
            401,
            "send the token of a client of dicomweb.clients as Authorization: Bearer",
            headers=_CHALLENGE,
        )
    if permission not in client.permissions:
        raise HTTPException(403, f"client {client.name} has no permission to {permission}")
    return Caller(client.name, client.ae_title, client.sends_complete_sets)


def name_of_client(settings: Settings, authorization: str | None) -> str | None:
    """Name of the client that an Authorization header proves; None where it proves none."""
    client = holder_of(settings.dicomweb.clients, bearer_token(authorization))
    return None if client is None else client.name
