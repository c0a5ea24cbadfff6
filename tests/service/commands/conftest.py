from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from typer.testing import CliRunner, Result

from processing.face_model import find_face_model
from processing.phantom.phantom import PhantomSpec
from service.cli import app
from service.phantom_study import PhantomPatient, PhantomStudy, write_single


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of nobody's node: no file, and a data folder that is not there."""
    monkeypatch.setenv("HEMIFACE_SETTINGS", str(tmp_path / "no-settings.toml"))
    monkeypatch.setenv("HEMIFACE_DATA_FOLDER", str(tmp_path / "untouched"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def hemiface() -> Callable[..., Result]:
    """Run the command line: ``hemiface("send", path)``."""
    runner = CliRunner()

    def run(*arguments: object) -> Result:
        return runner.invoke(app, [str(each) for each in arguments])

    return run


@pytest.fixture(scope="session")
def phantom_study(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    """A phantom whose left cheek lacks 8 mL, as a DICOM study."""
    return write_single(
        PhantomSpec(deficit_ml=8.0, yaw_deg=4.0, shift_mm=(5.0, -8.0, 12.0)),
        tmp_path_factory.mktemp("phantom"),
        PhantomPatient("P-1", "Phantom^Test"),
        find_face_model(None, None),
        lambda: None,
    )


@pytest.fixture
def ball() -> trimesh.Trimesh:
    """A ball with a radius of 7 units."""
    return trimesh.creation.icosphere(subdivisions=2, radius=7.0)


@pytest.fixture
def jpeg() -> bytes:
    """A JPEG of a coloured gradient, 80 columns by 60 rows."""
    rows, columns = np.mgrid[0:60, 0:80]
    pixels = np.stack([rows * 4, columns * 3, rows + columns], axis=-1).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    return stream.getvalue()
