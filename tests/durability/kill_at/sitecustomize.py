"""Kills the process that comes to a named point; Python imports this at its start.

The node under test knows nothing of it. ``HEMIFACE_TEST_KILL_AT`` says
``module:attribute:before`` or ``…:after``; when that function is called (has
returned), the process kills itself with SIGKILL, once: the file named by
``HEMIFACE_TEST_KILLED`` is made first, and where it exists nothing happens.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any


def _kill_once() -> None:
    try:
        os.close(os.open(os.environ["HEMIFACE_TEST_KILLED"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _wrapped(function: Callable[..., Any], moment: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if moment == "before":
            _kill_once()
        answer = function(*arguments, **named)
        if moment == "after":
            _kill_once()
        return answer

    return call


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the one module as usual, and wraps the function once it is loaded."""

    def __init__(self, module: str, attribute: str, moment: str) -> None:
        self.module = module
        self.attribute = attribute
        self.moment = moment

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        assert spec is not None
        assert spec.loader is not None
        loader = spec.loader
        plain = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            plain(module)
            owner: Any = module
            *path_to_owner, name = self.attribute.split(".")
            for each in path_to_owner:
                owner = getattr(owner, each)
            setattr(owner, name, _wrapped(getattr(owner, name), self.moment))

        loader.exec_module = exec_module  # type: ignore[method-assign] # the one module under test
        return spec


if point := os.environ.get("HEMIFACE_TEST_KILL_AT"):
    sys.meta_path.insert(0, _Finder(*point.split(":")))
