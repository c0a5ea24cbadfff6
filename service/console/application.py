"""The addresses that the console answers."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Protocol

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST

from processing.measurement import TransientFault
from service.catalogue.database import DATABASE_FAULTS, Database
from service.catalogue.priors import priors_of_study
from service.catalogue.stored_bytes import StoredBytes
from service.catalogue.studies import known_study, latest_studies, unusable
from service.console.health import health_of, page_warnings
from service.console.metrics import Queues, exposition
from service.console.page import Headlines, environment, page
from service.console.result_page import MEDIA_TYPES, ShownResult, result_page, shown_result
from service.console.worklist_routes import add_worklist
from service.local_address import is_loopback
from service.settings import Settings
from service.study_json import (
    instance_as_json,
    measurements_of,
    priors_as_json,
    study_as_json,
    unusable_as_json,
)
from service.study_state import Engine, state_of, states_of
from service.workflow.engine import WorkState

STUDIES_ON_THE_PAGE: Final = 50
_MOST_STUDIES: Final = 500
_STATIC: Final = Path(__file__).parent / "static"
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Answer = Callable[[Request], Awaitable[Response]]


class AskedEngine(Engine, Queues, Protocol):
    """All that the console asks of the workflow engine."""

    def retrieval_for(self, study_instance_uid: str) -> list[WorkState]:
        """The work on a study's priors."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the console's answers come from; `database` is for reading."""

    settings: Settings
    database: Database
    stored: StoredBytes
    engine: AskedEngine


def build_application(sources: Sources) -> FastAPI:
    """The console as an ASGI application."""
    # The generated pages of FastAPI would load scripts from elsewhere.
    application = FastAPI(title="hemiface", docs_url=None, redoc_url=None, openapi_url=None)
    application.mount("/static", StaticFiles(directory=_STATIC), name="static")
    _guard(application, sources.settings)
    _add_health(application, sources)
    _add_studies(application, sources)
    _add_results(application, sources)
    add_worklist(application, sources.database)
    return application


def _guard(application: FastAPI, settings: Settings) -> None:
    @application.middleware("http")
    async def guarded(request: Request, answer: Answer) -> Response:
        host = request.url.hostname or ""
        if is_loopback(settings.http.address) and not _is_local_name(host):
            return PlainTextResponse("this address is not served here", status_code=421)
        response = await answer(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    async def database_is_away(_request: Request, _fault: Exception) -> Response:
        return PlainTextResponse("the database does not answer; try again", status_code=503)

    for fault in (TransientFault, *DATABASE_FAULTS):
        application.add_exception_handler(fault, database_is_away)


def _is_local_name(host: str) -> bool:
    """Whether a Host header can only mean this machine.

    A page elsewhere can give a name of its own this machine's address, and read
    patients' names through the browser of someone who sits here (DNS rebinding).
    """
    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _add_health(application: FastAPI, sources: Sources) -> None:
    @application.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @application.get("/readyz")
    def readyz() -> JSONResponse:
        health = health_of(sources.settings, sources.database, sources.stored)
        return JSONResponse(
            {
                "ready": health.is_ready,
                "reasons": list(health.reasons),
                "warnings": list(health.warnings),
                "workers": health.workers,
            },
            status_code=200 if health.is_ready else 503,
        )

    @application.get("/metrics")
    def metrics() -> Response:
        return Response(
            exposition(sources.settings, sources.database, sources.stored, sources.engine),
            media_type=CONTENT_TYPE_LATEST,
        )


def _add_studies(application: FastAPI, sources: Sources) -> None:
    templates = environment()
    headlines = Headlines(sources.stored)

    @application.get("/")
    def show_page() -> HTMLResponse:
        latest = latest_studies(sources.database, STUDIES_ON_THE_PAGE)
        return HTMLResponse(
            page(
                templates,
                states_of(sources.database, sources.engine, latest),
                unusable(sources.database, STUDIES_ON_THE_PAGE),
                list(page_warnings(sources.settings, sources.database, sources.stored)),
                headlines,
                datetime.now(UTC),
            )
        )

    @application.get("/api/studies")
    def list_studies(
        limit: Annotated[int, Query(ge=1, le=_MOST_STUDIES)] = STUDIES_ON_THE_PAGE,
    ) -> dict[str, Any]:
        latest = latest_studies(sources.database, limit)
        now = datetime.now(UTC)
        return {
            "schema": 1,
            "studies": [
                study_as_json(each, now)
                for each in states_of(sources.database, sources.engine, latest)
            ],
            "unusable": [unusable_as_json(each) for each in unusable(sources.database, limit)],
        }

    @application.get("/api/studies/{study_instance_uid}")
    def show_study(study_instance_uid: str) -> dict[str, Any]:
        state = state_of(sources.database, sources.engine, study_instance_uid)
        known = known_study(sources.database, study_instance_uid)
        if state is None or known is None:
            raise HTTPException(404, "there is no study with this UID")
        document = study_as_json(state, datetime.now(UTC))
        document["instances"] = [instance_as_json(each) for each in known.instances]
        document["priors"] = priors_as_json(
            priors_of_study(sources.database, study_instance_uid),
            sources.engine.retrieval_for(study_instance_uid),
        )
        for result in document["results"]:
            result["measurements"] = measurements_of(sources.stored, result["key"])
        return {"schema": 1, **document}


def _add_results(application: FastAPI, sources: Sources) -> None:
    templates = environment()

    def found(key: str) -> ShownResult:
        result = shown_result(sources.database, sources.stored, key)
        if result is None:
            raise HTTPException(404, "there is no result with this key")
        return result

    @application.get("/results/{key}")
    def show_result(key: str) -> HTMLResponse:
        return HTMLResponse(result_page(templates, found(key)))

    @application.get("/results/{key}/{name}")
    def show_file(key: str, name: str) -> Response:
        file = found(key).file(name)
        if file is None:
            raise HTTPException(404, "this result has no such picture or model")
        try:
            data = sources.stored.read(file.key)
        except FileNotFoundError:
            raise HTTPException(404, "this picture or model is gone") from None
        return Response(data, media_type=MEDIA_TYPES[PurePosixPath(file.key).suffix])
