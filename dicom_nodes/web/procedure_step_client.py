"""Worklist Service as user agent: Unified Procedure Steps over DICOMweb (PS3.18, chapter 11)."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
from pydicom.dataset import Dataset

from dicom_nodes.network.procedure_step_source import StepConflict
from dicom_nodes.network.tls import ClientTLS, client_context
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.header import is_valid_uid
from dicom_nodes.objects.procedure_step import (
    ALL_STEPS,
    FILTERED_STEPS,
    ProcedureStep,
    StepState,
    procedure_step_of,
)
from processing.measurement import PermanentFault, TransientFault

_MEDIA_TYPE: Final = "application/dicom+json"
_MOST_STEPS: Final = 1000
_LARGEST_ANSWER: Final = 16 * 1024 * 1024
_SECONDS: Final = 30.0
_SOP_INSTANCE_UID: Final = "00080018"
_TRANSIENT: Final = frozenset((408, 425, 429, 500, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class WebStepSource:
    """A server that manages steps; see `ProcedureStepSource`.

    Parameters
    ----------
    name : str
        What people call it; stands in messages.
    url : str
        Of the service, without ``/workitems``.
    token : str, optional
        Sent as a bearer token (RFC 6750).
    authorities : Path, optional
        Authorities that its certificate is checked with (PEM); the system's otherwise.
    events_url : str, optional
        Of the channel of event reports, where the server neither tells it nor has it
        where the standard has it.
    """

    name: str
    url: str
    token: str | None = None
    authorities: Path | None = None
    events_url: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.url})"

    def scheduled(self, worklist_label: str | None) -> list[str]:
        """Search (section 11.9) for the steps that wait."""
        query = {"ProcedureStepState": StepState.SCHEDULED.value, "limit": str(_MOST_STEPS)}
        if worklist_label is not None:
            query["WorklistLabel"] = worklist_label
        found = self._ask("GET", "/workitems", query=query)
        uids = [_first_value(each, _SOP_INSTANCE_UID) for each in found]
        return [uid for uid in dict.fromkeys(uids[:_MOST_STEPS]) if is_valid_uid(uid)]

    def get(self, uid: str) -> ProcedureStep:
        """Retrieve (section 11.5)."""
        found = self._ask("GET", f"/workitems/{uid}")
        if len(found) != 1:
            raise PermanentFault(f"{self} answered with {len(found)} steps for {uid}")
        try:
            with foreign_values():
                dataset = Dataset.from_json(found[0])
        except FOREIGN_VALUE_FAULTS as fault:
            raise PermanentFault(f"{self} tells step {uid} in no valid DICOM JSON") from fault
        return procedure_step_of(dataset, uid)

    def change_state(self, uid: str, change: Dataset) -> None:
        """Change Workitem State (section 11.7)."""
        self._ask("PUT", f"/workitems/{uid}/state", body=change)

    def update(self, uid: str, transaction_uid: str, changes: Dataset) -> None:
        """Update (section 11.6); some servers want the transaction in the payload."""
        changes.TransactionUID = transaction_uid
        query = {"transaction-uid": transaction_uid}
        self._ask("POST", f"/workitems/{uid}", query=query, body=changes)

    def create(self, uid: str, step: Dataset) -> None:
        """Create (section 11.4)."""
        try:
            self._ask("POST", "/workitems", query={"workitem": uid}, body=step)
        except StepConflict:
            # Made before, by an attempt whose answer was lost.
            self.get(uid)

    def subscribe(self, receiving_ae_title: str, worklist_label: str) -> str:
        """Subscribe (section 11.10); gives the URL of the channel of event reports.

        To the steps of a worklist, or to all where the server has no filtered
        subscription. May be done again.
        """
        path = f"/workitems/{{}}/subscribers/{quote(receiving_ae_title, safe='')}"
        query = {"deletionlock": "false"}
        filtered = query | {"filter": f"WorklistLabel={worklist_label}"}
        try:
            headers, _ = self._exchange("POST", path.format(FILTERED_STEPS), query=filtered)
        except PermanentFault:
            headers, _ = self._exchange("POST", path.format(ALL_STEPS), query=query)
        return self._channel(headers.get("Content-Location", ""), receiving_ae_title)

    def _channel(self, told: str, receiving_ae_title: str) -> str:
        """The channel as set, as told by the server, or ``/subscribers/`` and the AE title.

        The token is sent to no other host.
        """
        if self.events_url is not None:
            return self.events_url
        own = httpx.URL(self.url)
        scheme = "wss" if own.scheme == "https" else "ws"
        if told.startswith(f"{scheme}://") and _host(told) == own.host:
            return told
        name = quote(receiving_ae_title, safe="")
        return str(own.copy_with(scheme=scheme, path=f"{own.path.rstrip('/')}/subscribers/{name}"))

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Dataset | None = None,
    ) -> list[Any]:
        return self._exchange(method, path, query=query, body=body)[1]

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Dataset | None = None,
    ) -> tuple[httpx.Headers, list[Any]]:
        headers = {"Accept": _MEDIA_TYPE}
        content = None
        if body is not None:
            headers["Content-Type"] = _MEDIA_TYPE
            content = json.dumps([body.to_json_dict()]).encode()
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            with (
                httpx.Client(timeout=_SECONDS, verify=self._trust(), trust_env=False) as client,
                client.stream(
                    method,
                    f"{self.url.rstrip('/')}{path}",
                    params=dict(query or {}),
                    headers=headers,
                    content=content,
                ) as answer,
            ):
                self._check(answer, method, path)
                return answer.headers, self._items(answer)
        except httpx.TransportError as fault:
            raise TransientFault(f"{self} does not answer: {fault}") from fault

    def _trust(self) -> ssl.SSLContext | bool:
        if self.url.startswith("http://"):
            return False  # no certificate to check, and reading the authorities takes long
        return client_context(ClientTLS(authorities=self.authorities))

    def _check(self, answer: httpx.Response, method: str, path: str) -> None:
        if not answer.is_error:
            return
        text = f"{self} answered {method} {path} with {answer.status_code}"
        if answer.status_code == httpx.codes.CONFLICT:
            raise StepConflict(text)
        if answer.status_code in _TRANSIENT:
            raise TransientFault(text)
        raise PermanentFault(text)

    def _items(self, answer: httpx.Response) -> list[Any]:
        content = bytearray()
        for block in answer.iter_bytes():
            content += block
            if len(content) > _LARGEST_ANSWER:
                raise PermanentFault(f"{self} answers with more than {_LARGEST_ANSWER} bytes")
        if not content:
            return []
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as fault:
            raise PermanentFault(f"{self} answers with no valid JSON") from fault
        items = found if isinstance(found, list) else [found]
        return [each for each in items if isinstance(each, dict)]


def _host(url: str) -> str | None:
    try:
        return httpx.URL(url).host
    except httpx.InvalidURL:
        return None


def _first_value(item: Mapping[str, Any], tag: str) -> str:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0]) if isinstance(values, list) and values else ""
