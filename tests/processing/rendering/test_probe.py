from __future__ import annotations

import signal

import pytest

from processing.rendering import probe


def test_this_machine_can_draw() -> None:
    assert probe.why_rendering_fails() is None


def test_a_crash_of_vtk_is_told_and_does_not_end_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "no such window")
    told = probe.why_rendering_fails()
    assert told is not None
    assert "VTK_DEFAULT_OPENGL_WINDOW" in told
    assert "\n" not in told


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VTK_DEFAULT_OPENGL_WINDOW", raising=False)
    told = probe._verdict(-signal.SIGSEGV, "")
    assert told is not None
    assert "SIGSEGV" in told
    assert "libegl1" in told


def test_an_import_error_is_repeated_in_one_line() -> None:
    told = probe._verdict(1, "Traceback\n  ...\nImportError: libGL.so.1: cannot open\n\n")
    assert told is not None
    assert "libGL.so.1" in told
    assert "\n" not in told
