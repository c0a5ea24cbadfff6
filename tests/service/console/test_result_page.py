from __future__ import annotations

import json

import pytest

from service.catalogue.stored_bytes import StoredBytes
from service.workflow.keys import analysis_key
from tests.service.console.conftest import Browser
from tests.service.console.seeding import Seeder

KEY = "a" * 64


@pytest.fixture
def result(seed: Seeder, stored: StoredBytes) -> str:
    """A result with one picture and one model."""
    uid = seed.study("1.2.3")
    seed.result(uid, KEY)
    folder = f"work/{KEY}"
    document = {
        "measurements": [],
        "pictures": [f"{folder}/00-front.png"],
        "captions": [{"name": "front", "caption": 'From <the> "front"'}],
        "models": [{"name": "heat-map", "caption": "Turn me", "key": f"{folder}/heat-map.glb"}],
    }
    stored.write(f"{folder}/00-front.png", b"a picture")
    stored.write(f"{folder}/heat-map.glb", b"a model")
    stored.write(analysis_key(KEY), json.dumps(document).encode())
    return f"/results/{KEY}"


def test_page_of_a_result_shows_its_pictures_and_models(browser: Browser, result: str) -> None:
    page = browser.get(result)
    assert page.status_code == 200
    assert f'src="{result}/00-front.png"' in page.text
    assert f'data-model="{result}/heat-map.glb"' in page.text
    assert "/static/model_viewer.js" in page.text
    assert "From &lt;the&gt;" in page.text
    assert "1.2.3" in page.text


def test_the_page_of_studies_leads_there(browser: Browser, result: str) -> None:
    assert f'href="{result}"' in browser.get("/").text


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("00-front.png", "image/png", b"a picture"),
        ("heat-map.glb", "model/gltf-binary", b"a model"),
    ],
)
def test_files_of_a_result_are_served_as_what_they_are(
    browser: Browser, result: str, name: str, kind: str, data: bytes
) -> None:
    answer = browser.get(f"{result}/{name}")
    assert answer.headers["content-type"] == kind
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.content == data


@pytest.mark.parametrize(
    "path", ["/analysis.json", "/reading.npz", "/..%2Fanalysis.json", "/01-other.png"]
)
def test_nothing_else_of_a_result_is_served(browser: Browser, result: str, path: str) -> None:
    assert browser.get(f"{result}{path}").status_code == 404


def test_a_picture_that_is_gone_is_not_found(
    browser: Browser, result: str, stored: StoredBytes
) -> None:
    stored.remove(f"work/{KEY}/00-front.png")
    assert browser.get(f"{result}/00-front.png").status_code == 404


@pytest.mark.parametrize("key", ["b" * 64, "x", "%2e%2e%2fhemiface"])
def test_a_result_that_there_is_not_is_not_found(browser: Browser, result: str, key: str) -> None:
    assert browser.get(f"/results/{key}").status_code == 404


def test_a_result_without_pictures_says_so(browser: Browser, seed: Seeder) -> None:
    uid = seed.study("1.2.4")
    seed.result(uid, "c" * 64, status="refused", reason="no face")
    page = browser.get(f"/results/{'c' * 64}").text
    assert "no pictures" in page
    assert "no face" in page


def test_the_viewer_is_served_from_here(browser: Browser) -> None:
    answer = browser.get("/static/model_viewer.js")
    assert answer.status_code == 200
    assert "http" not in answer.text, "nothing is fetched from elsewhere"
