from __future__ import annotations

import http.server
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing import face_model
from processing.face_model import (
    canonical_face,
    download_face_model,
    find_face_model,
)
from processing.measurement import PermanentFault, TransientFault

LEFT_EXOCANTHION = 263
RIGHT_EXOCANTHION = 33


@pytest.fixture(scope="module")
def model() -> Path:
    return find_face_model(None, None)


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_model, "_CARRYING_PACKAGES", (("no-such-package", "x.task"),))


def test_an_installed_package_provides_the_model(model: Path) -> None:
    assert model.name.endswith(".task")


def test_a_wrong_explicit_file_is_an_error_and_not_skipped(tmp_path: Path) -> None:
    wrong = tmp_path / "face_landmarker.task"
    wrong.write_bytes(b"something else")
    with pytest.raises(PermanentFault, match="SHA-256"):
        find_face_model(wrong, None)


def test_a_missing_explicit_file_is_an_error_and_not_skipped(tmp_path: Path) -> None:
    with pytest.raises(PermanentFault, match="cannot be read"):
        find_face_model(tmp_path / "absent.task", None)


def test_the_data_folder_is_preferred_to_a_package(model: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    own = shutil.copy(model, tmp_path / "models" / "face_landmarker.task")
    assert find_face_model(None, tmp_path) == Path(own)


def test_a_file_of_the_right_size_with_one_changed_byte_is_refused(
    model: Path, tmp_path: Path
) -> None:
    content = bytearray(model.read_bytes())
    content[1000] ^= 1
    changed = tmp_path / "changed.task"
    changed.write_bytes(content)
    with pytest.raises(PermanentFault, match="is not the face model"):
        find_face_model(changed, None)


@pytest.mark.usefixtures("no_package")
def test_without_a_model_anywhere_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PermanentFault, match="hemiface doctor"):
        find_face_model(None, tmp_path)


@contextmanager
def _server(content: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if content else 503)
            self.end_headers()
            self.wfile.write(content)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing on the standard error stream."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/face_landmarker.task"
        server.shutdown()
        thread.join()


@pytest.fixture
def published(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[bytes], AbstractContextManager[None]]:
    @contextmanager
    def serve(content: bytes) -> Iterator[None]:
        with _server(content) as address:
            monkeypatch.setattr(face_model, "FACE_MODEL_ADDRESS", address)
            yield

    return serve


def test_a_downloaded_model_is_found_afterwards(
    model: Path, tmp_path: Path, published: Callable[[bytes], AbstractContextManager[None]]
) -> None:
    with published(model.read_bytes()):
        downloaded = download_face_model(tmp_path / "models")
    assert find_face_model(None, tmp_path) == downloaded


def test_a_download_of_another_file_leaves_nothing_behind(
    tmp_path: Path, published: Callable[[bytes], AbstractContextManager[None]]
) -> None:
    with published(b"x" * 5_000_000), pytest.raises(PermanentFault, match="another file"):
        download_face_model(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_answers_an_error_may_be_tried_again(
    tmp_path: Path, published: Callable[[bytes], AbstractContextManager[None]]
) -> None:
    with published(b""), pytest.raises(TransientFault, match="could not be fetched"):
        download_face_model(tmp_path)


def test_the_canonical_face_is_its_own_mirror_image(model: Path) -> None:
    face = canonical_face(model)
    mirrored = face.vertices_cm[face.mirror] * [-1, 1, 1]
    np.testing.assert_allclose(mirrored, face.vertices_cm, atol=1e-6)


def test_the_subjects_left_is_toward_positive_x(model: Path) -> None:
    face = canonical_face(model)
    assert face.vertices_cm[LEFT_EXOCANTHION, 0] > 4
    assert face.mirror[LEFT_EXOCANTHION] == RIGHT_EXOCANTHION


def test_triangles_show_their_front_to_the_viewer(model: Path) -> None:
    face = canonical_face(model)
    corners = face.vertices_cm[face.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normals[:, 2] > 0).mean() > 0.95


def test_mirroring_twice_gives_every_landmark_back(model: Path) -> None:
    partners = canonical_face(model).mirror_with_irises()
    np.testing.assert_array_equal(partners[partners], np.arange(478))
    assert partners[468] == 473
    assert partners[469] == 476


@given(metadata=st.binary(max_size=200))
def test_damaged_geometry_is_a_clear_fault(
    tmp_path_factory: pytest.TempPathFactory, metadata: bytes
) -> None:
    path = tmp_path_factory.mktemp("model") / "damaged.task"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("geometry_pipeline_metadata_landmarks.binarypb", metadata)
    with pytest.raises(PermanentFault):
        canonical_face(path)


def test_a_file_that_is_no_archive_is_a_clear_fault(tmp_path: Path) -> None:
    path = tmp_path / "no.task"
    path.write_bytes(b"not a zip")
    with pytest.raises(PermanentFault, match="holds no canonical face"):
        canonical_face(path)
