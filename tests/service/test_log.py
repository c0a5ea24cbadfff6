"""What the ordinary log says, and never does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SECRET = "Zyxwvut"
# pydicom is imported when the log is set up already, as in every part of the node.
SETUP = "from service.log import configure_logging; configure_logging({form!r}, 'test')"
WARNS = f"""
from pydicom.dataset import Dataset
dataset = Dataset()
dataset.PatientID, dataset.PatientBirthDate = "1", "{SECRET}"
"""
QUOTES_A_PDU = f"""
from pynetdicom.utils import decode_bytes
decode_bytes("{SECRET}".encode() + bytes((255,)))
"""
FAILS = f"""
import logging
def fail(name):
    raise KeyError("no such key")
try:
    fail("{SECRET[:3]}" + "{SECRET[3:]}")
except KeyError:
    logging.getLogger("service").exception("a defect")
"""


def said(form: str, script: str) -> str:
    """What a process with this log has written to standard error."""
    done = subprocess.run(
        [sys.executable, "-c", f"{SETUP.format(form=form)}\n{script}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("script", [WARNS, QUOTES_A_PDU], ids=["data set", "PDU"])
def test_what_quotes_a_data_set_or_pdu_is_not_in_the_log(form: str, script: str) -> None:
    assert SECRET not in said(form, script)


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_defect_is_told_with_its_place_and_without_its_variables(form: str) -> None:
    text = said(form, FAILS)
    assert "a defect" in text
    assert "in fail" in text
    assert SECRET not in text
