"""Photographs by another writer, in the development data, and what they show."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from processing.inputs import Expression, View

DATA = Path(os.environ.get("HEMIFACE_DATA", "../shared/data")) / "dicom" / "dicom4ortho"

where_they_are = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"{DATA} is absent; set HEMIFACE_DATA"
)
each_with_view_and_expression = pytest.mark.parametrize(
    ("name", "view", "expression"),
    [
        ("EV01", View.RIGHT_PROFILE, Expression.REPOSE),
        ("EV19", View.FRONTAL, Expression.SMILE),
        ("EV22", View.LEFT_PROFILE, Expression.REPOSE),
        ("EV43", View.FRONTAL, Expression.OTHER),
    ],
)
