"""What was looked at over HTTP: the console's pages, and DICOMweb."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from anyio import to_thread
from fastapi import FastAPI, Request, Response

from dicom_nodes.audit.events import (
    AuditedStudy,
    Node,
    accessed,
    authenticated,
    queried_by_address,
    transferred,
)
from dicom_nodes.audit.messages import Participant
from dicom_nodes.network.repetition import Repetition
from service.audit.trail import Trail
from service.catalogue import results
from service.catalogue.database import Database
from service.catalogue.patients import patient_of_study
from service.dicomweb.access import name_of_client
from service.dicomweb.application import PATH as DICOMWEB
from service.settings import Settings

# A page that is shown again, or asks again by itself, within so long is the same view.
VIEW_SECONDS: Final = 600.0

_OF_STUDY: Final = re.compile(r"/studies/([0-9.]{1,64})(?=/|$)")
_OF_RESULT: Final = re.compile(r"^/results/([0-9A-Za-z_-]{1,128})(?=/|$)")
_LISTS: Final = re.compile(rf"^(/|/api/studies|{DICOMWEB}(/.+)?/(studies|series|instances))$")
_REFUSED: Final = (401, 403)

Answer = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class View:
    """A request over HTTP and how it was answered."""

    user: str
    address: str
    path: str
    query: str
    status: int


@dataclass(frozen=True, slots=True)
class ViewAudit:
    """Records who saw what; the same once in `VIEW_SECONDS`.

    Parameters
    ----------
    trail : Trail
    database : Database
        For reading; it says whose a study is.
    """

    trail: Trail
    database: Database
    repetition: Repetition = field(default_factory=lambda: Repetition(VIEW_SECONDS))

    def seen(self, view: View) -> None:
        """Record a view, if it is one of patient data and not a repetition."""
        viewer = Participant(view.user, is_requestor=True, address=view.address)
        is_dicomweb = view.path.startswith(f"{DICOMWEB}/")
        if view.status in _REFUSED and is_dicomweb:
            if self._is_new(view, "refused"):
                failure = f"DICOMweb refused with status {view.status}"
                self.trail.record(authenticated(viewer, self.trail.node, failure))
        elif view.status >= 400:
            return
        elif _LISTS.match(view.path):
            asked = f"{view.path}?{view.query}" if view.query else view.path
            if self._is_new(view, asked):
                self.trail.record(queried_by_address(viewer, self.trail.node, asked))
        elif (study := self._study_of(view.path)) and self._is_new(view, study):
            self._record_study(view, viewer, study, is_retrieval=is_dicomweb)

    def _is_new(self, view: View, what: str) -> bool:
        return self.repetition.before((view.address, view.user, what)) is not None

    def _study_of(self, path: str) -> str | None:
        if found := _OF_STUDY.search(path):
            return found[1]
        if found := _OF_RESULT.match(path):
            result = results.result_by_key(self.database, found[1])
            return None if result is None else result.study_instance_uid
        return None

    def _record_study(
        self, view: View, viewer: Participant, study_instance_uid: str, *, is_retrieval: bool
    ) -> None:
        patient = patient_of_study(self.database, study_instance_uid)
        study = (
            AuditedStudy(study_instance_uid)
            if patient is None
            else AuditedStudy(study_instance_uid, patient.patient_id, patient.patient_name)
        )
        if is_retrieval:
            client = Node(view.user, view.address, is_ae=False)
            self.trail.record(transferred(self.trail.node, client, study))
        else:
            self.trail.record(accessed(viewer, study))


def add_view_audit(application: FastAPI, settings: Settings, audit: ViewAudit) -> None:
    """Have all that the application answers to GET recorded."""

    @application.middleware("http")
    async def audited(request: Request, answer: Answer) -> Response:
        response = await answer(request)
        if request.method == "GET" and (request.url.path == "/" or "/" in request.url.path[1:]):
            view = View(
                user=_user_of(request, settings),
                address=request.client.host if request.client else "",
                path=request.url.path,
                query=request.url.query,
                status=response.status_code,
            )
            await to_thread.run_sync(audit.seen, view)
        return response


def _user_of(request: Request, settings: Settings) -> str:
    """Who asks: as the proxy or the client's token says, otherwise nobody knows."""
    if settings.audit.user_header and (name := request.headers.get(settings.audit.user_header)):
        return name
    client = name_of_client(settings, request.headers.get("authorization"))
    return client or "anonymous"
