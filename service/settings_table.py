"""Every setting with its default, as the documents write them."""

from __future__ import annotations

import json
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from service.settings import Settings


def settings_and_defaults() -> dict[str, str]:
    """Dotted names of all settings; a table that repeats is written with ``[]``."""
    return dict(_fields(Settings, ""))


def _fields(model: type[BaseModel], prefix: str) -> typing.Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        table, repeated = _table_of(field.annotation)
        if table is None:
            yield prefix + name, _default(field)
        else:
            yield from _fields(table, f"{prefix}{name}{'[]' if repeated else ''}.")


def _table_of(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model of a table and whether it repeats; no model for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    origin = typing.get_origin(annotation)
    if origin in (tuple, typing.Union, types.UnionType):
        for inner in typing.get_args(annotation):
            table, _ = _table_of(inner)
            if table is not None:
                return table, origin is tuple
    return None, False


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "not set"
    value = str(field.default) if isinstance(field.default, Path) else field.default
    return f"`{json.dumps(value)}`"
