from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from processing.face_model import find_face_model
from processing.phantom.head import Head, intact_head
from processing.phantom.paint import head_colours


@pytest.fixture(scope="session")
def face_model() -> Path:
    return find_face_model(None, None)


@pytest.fixture(scope="session")
def head(face_model: Path) -> Head:
    return intact_head(face_model)


@pytest.fixture(scope="session")
def colours(head: Head) -> np.ndarray:
    return head_colours(head)
