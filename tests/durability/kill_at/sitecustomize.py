"""Kills a process of the node at a named point; Python imports this at its start.

The node under test knows nothing of it. ``HEMIFACE_TEST_KILL_POINTS`` lists the
points that may be asked for, each ``module:attribute:before`` or ``…:after``;
``HEMIFACE_TEST_KILL_AT`` names a file. When that function is called (has
returned) and the file holds that point, the file is removed and the process kills
itself with SIGKILL: once for each time that a test writes the file.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any


def _kill_if_asked(point: str) -> None:
    asked = Path(os.environ["HEMIFACE_TEST_KILL_AT"])
    mine = asked.with_name(f"{os.getpid()}.taken")
    try:
        if asked.read_text() != point:
            return
        # Of several processes at this point only one gets the file.
        asked.rename(mine)
    except FileNotFoundError:
        return
    mine.unlink()
    os.kill(os.getpid(), signal.SIGKILL)


def _wrapped(function: Callable[..., Any], place: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        _kill_if_asked(f"{place}:before")
        answer = function(*arguments, **named)
        _kill_if_asked(f"{place}:after")
        return answer

    return call


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules as usual, and wraps the functions once they are loaded."""

    def __init__(self, attributes: dict[str, set[str]]) -> None:
        self.attributes = attributes

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        # Taken out, so that the search below does not come back here.
        attributes = self.attributes.pop(fullname, None)
        if attributes is None:
            return None
        spec = importlib.util.find_spec(fullname)
        assert spec is not None
        assert spec.loader is not None
        plain = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            plain(module)
            for attribute in attributes:
                owner: Any = module
                *path_to_owner, name = attribute.split(".")
                for each in path_to_owner:
                    owner = getattr(owner, each)
                place = f"{fullname}:{attribute}"
                setattr(owner, name, _wrapped(getattr(owner, name), place))

        spec.loader.exec_module = exec_module  # type: ignore[method-assign] # of this module only
        return spec


if points := os.environ.get("HEMIFACE_TEST_KILL_POINTS"):
    wanted: dict[str, set[str]] = defaultdict(set)
    for each_point in points.split():
        module_name, attribute_name, _ = each_point.split(":")
        wanted[module_name].add(attribute_name)
    sys.meta_path.insert(0, _Finder(wanted))
