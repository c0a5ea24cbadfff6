"""The addresses of the worklist."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query
from fastapi.responses import HTMLResponse

from service.catalogue import orders, performed_steps, worklist
from service.catalogue.database import Database
from service.console.page import environment
from service.console.worklist_page import worklist_page
from service.worklist.words import worklist_as_json

_ITEMS_ON_THE_PAGE: Final = 200
_STEPS_ON_THE_PAGE: Final = 50
_MOST_ITEMS: Final = 5000


def add_worklist(application: FastAPI, database: Database) -> None:
    """Answer ``/worklist`` and ``/api/worklist``; `database` is for reading."""
    templates = environment()

    @application.get("/worklist")
    def show_worklist() -> HTMLResponse:
        items = worklist.items(database, _ITEMS_ON_THE_PAGE)
        return HTMLResponse(
            worklist_page(
                templates,
                items,
                _arrived(database, items),
                worklist.asked(database),
                performed_steps.latest_steps(database, _STEPS_ON_THE_PAGE),
                datetime.now(UTC),
            )
        )

    @application.get("/api/worklist")
    def list_worklist(
        limit: Annotated[int, Query(ge=1, le=_MOST_ITEMS)] = _ITEMS_ON_THE_PAGE,
    ) -> dict[str, Any]:
        items = worklist.items(database, limit)
        return worklist_as_json(
            items,
            _arrived(database, items),
            worklist.asked(database),
            performed_steps.latest_steps(database, limit),
        )


def _arrived(database: Database, items: list[worklist.KeptItem]) -> dict[str, list[str]]:
    return orders.studies_of_orders(database, [each.step.study_instance_uid for each in items])
