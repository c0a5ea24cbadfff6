"""The page of one result: its pictures, and its models to be turned about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from jinja2 import Environment

from service.catalogue import results
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.workflow.keys import analysis_key

MEDIA_TYPES: Final = {".png": "image/png", ".glb": "model/gltf-binary"}


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A picture or a model of a result.

    Parameters
    ----------
    name : str
        Its last part names it in an address.
    caption : str
    key : str
        Of the stored bytes.
    """

    name: str
    caption: str
    key: str


@dataclass(frozen=True, slots=True)
class ShownResult:
    """What is shown of a result."""

    made: results.MadeResult
    pictures: tuple[ShownFile, ...]
    models: tuple[ShownFile, ...]

    def file(self, name: str) -> ShownFile | None:
        """The picture or model of this name."""
        return next((each for each in (*self.pictures, *self.models) if each.name == name), None)


def shown_result(database: Database, stored: StoredBytes, key: str) -> ShownResult | None:
    """The result with this content key; None where there is none."""
    made = results.result_by_key(database, key)
    if made is None:
        return None
    try:
        document: dict[str, Any] = json.loads(stored.read(analysis_key(key)))
    except FileNotFoundError:
        document = {}
    return ShownResult(
        made,
        pictures=tuple(
            ShownFile(PurePosixPath(file).name, text["caption"], file)
            for file, text in zip(
                document.get("pictures", ()), document.get("captions", ()), strict=True
            )
        ),
        models=tuple(
            ShownFile(PurePosixPath(each["key"]).name, each["caption"], each["key"])
            for each in document.get("models", ())
        ),
    )


def result_page(templates: Environment, result: ShownResult) -> str:
    """The page as HTML."""
    return templates.get_template("result.html").render(
        made=result.made, pictures=result.pictures, models=result.models
    )
