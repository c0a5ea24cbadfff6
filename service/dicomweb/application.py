"""DICOMweb as an application of its own, which the console carries below ``/dicom-web``."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from processing.measurement import TransientFault
from service.catalogue.database import DATABASE_FAULTS
from service.dicomweb.qido import add_qido
from service.dicomweb.stow import add_stow
from service.dicomweb.wado import add_wado
from service.dicomweb.web_node import WebNode

PATH: Final = "/dicom-web"


def add_dicomweb(application: FastAPI, node: WebNode) -> None:
    """Answer DICOMweb below ``/dicom-web`` of an application."""
    application.mount(PATH, dicomweb_application(node))


def dicomweb_application(node: WebNode) -> FastAPI:
    """STOW-RS, QIDO-RS and WADO-RS as an ASGI application."""
    web = FastAPI(title="hemiface DICOMweb", docs_url=None, redoc_url=None, openapi_url=None)
    for router in dicomweb_routers(node):
        web.include_router(router)
    _add_faults(web)
    if node.settings.dicomweb.allowed_origins:
        web.add_middleware(
            CORSMiddleware,
            allow_origins=node.settings.dicomweb.allowed_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Accept", "Authorization", "Content-Type"],
        )
    return web


def dicomweb_routers(node: WebNode) -> list[APIRouter]:
    """The routes of each service of PS3.18, tagged with its name."""
    routers = []
    for name, add in (("STOW-RS", add_stow), ("QIDO-RS", add_qido), ("WADO-RS", add_wado)):
        router = APIRouter(tags=[name])
        add(router, node)
        routers.append(router)
    return routers


def _add_faults(web: FastAPI) -> None:
    async def refused(_request: Request, fault: Exception) -> Response:
        assert isinstance(fault, HTTPException)
        return PlainTextResponse(
            f"{fault.detail}\n", status_code=fault.status_code, headers=fault.headers
        )

    async def database_is_away(_request: Request, _fault: Exception) -> Response:
        return PlainTextResponse(
            "the node cannot answer now; try again\n",
            status_code=503,
            headers={"Retry-After": "5"},
        )

    web.add_exception_handler(HTTPException, refused)
    for fault in (TransientFault, *DATABASE_FAULTS):
        web.add_exception_handler(fault, database_is_away)
