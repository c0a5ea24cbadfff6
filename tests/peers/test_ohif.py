"""OHIF itself draws a display report on photograph and heat map, and says its numbers."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from highdicom.sr import srread
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread

from dicom_nodes.objects.display_report import write_display_report
from dicom_nodes.objects.header import read_header
from dicom_nodes.web.stow_client import store_files
from dicom_nodes.web.web_peer import WebPeer
from processing.measurement import Analysis, Mark, Measurement, Status
from service.catalogue.database import migrate, open_database
from service.catalogue.results import MadeObject, MadeResult, record_result
from service.catalogue.stored_bytes import open_stored_bytes
from service.demo_orthanc import OrthancServer, free_ports
from service.query_facts import made_facts
from service.settings import (
    DicomwebClient,
    DicomwebSettings,
    HttpSettings,
    Settings,
    StorageSettings,
)
from tests.durability.studies import write_phantom
from tests.peers import ohif, samples
from tests.peers.programs import required
from tests.peers.results import written_result
from tests.service.dicomweb.conftest import WatchedEngine, catalogue_all
from tests.service.dicomweb.serving import served

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.timeout(600)]

DRAWN_SECONDS = 120
CANVAS = ".cornerstone-canvas"
# Software rendering, so that no graphics card is needed; root has no sandbox.
FLAGS = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox")
# Colours that OHIF gives to a measurement, and to the one that is chosen.
YELLOW, GREEN = (255, 255, 0), (0, 255, 0)
TOKEN = "the-token-of-the-viewers"
TOURS = ("basicViewerTour",)
INPUTS = {"photograph-symmetry": "photograph.dcm", "surface-symmetry": "scan.dcm"}


@dataclass(frozen=True)
class Shown:
    """A result in Orthanc, and the address of the viewer beside it."""

    address: str
    objects: dict[str, Path]
    image: Path
    """What the display report draws on first."""


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom(tmp_path_factory.mktemp("phantom"))


@pytest.fixture(scope="module", params=INPUTS)
def shown(
    request: pytest.FixtureRequest, phantom: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shown]:
    source = phantom / INPUTS[request.param]
    folder = tmp_path_factory.mktemp("shown")
    objects = written_result(request.param, [source], folder)
    app, (port,) = ohif.built_app(), free_ports(1)
    is_photograph = request.param == "photograph-symmetry"
    with (
        OrthancServer(folder / "orthanc") as pacs,
        ohif.served(app, pacs.client.url, port) as address,
    ):
        for path in (source, *objects.values()):
            pacs.client.upload(path)
        yield Shown(address, objects, source if is_photograph else objects["picture-1"])


@pytest.fixture
def shown_by_node(tmp_path: Path) -> Iterator[Shown]:
    """A display report that a node made, and the viewer beside the node's own DICOMweb."""
    source = samples.written(samples.photograph(), tmp_path / "photograph.dcm")
    report = tmp_path / "display.dcm"
    photograph = read_header(source)
    analysis = Analysis(
        "photograph-symmetry",
        "1.0.0",
        Status.MEASURED,
        inputs=(photograph.sop_instance_uid,),
        measurements=(Measurement("pair_ratio", 0.9, "1", 0.01, "m", structure="cheilion"),),
        marks=(Mark("cheilion", ((10.0, 20.0), (30.0, 22.0)), "cheilion", ("pair_ratio",)),),
    )
    now = datetime.now(UTC)
    written = write_display_report(analysis, [source], [], report, key="key", made_at=now)
    assert written is not None
    app, (port, viewer_port) = ohif.built_app(), free_ports(2)
    settings = Settings(
        data_folder=tmp_path / "data",
        storage=StorageSettings(reserve_bytes=0),
        http=HttpSettings(port=port),
        dicomweb=DicomwebSettings(clients=(DicomwebClient(name="viewers", token=TOKEN),)),
    )
    migrate(settings)
    with (
        closing(open_database(settings)) as database,
        served(settings) as url,
        ohif.served(app, url.removesuffix("/dicom-web"), viewer_port, TOKEN) as address,
    ):
        stored = open_stored_bytes(settings)
        (outcome,) = store_files(WebPeer("node", url, token=TOKEN), [source])
        assert outcome.accepted
        catalogue_all(settings, database, stored, WatchedEngine())
        key = "results/display.dcm"
        stored.write(key, report.read_bytes())
        made = MadeObject(
            written.sop_instance_uid,
            written.sop_class_uid,
            written.series_instance_uid,
            "display",
            key,
            made_facts(report),
        )
        result = MadeResult(
            "key",
            photograph.study_instance_uid,
            analysis.analysis,
            analysis.version,
            "measured",
            None,
            analysis.inputs,
            now,
            None,
            (made,),
        )
        assert record_result(database, result)
        yield Shown(address, {"display": report}, source)


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    program = required(ohif.CHROMIUM, "chromium")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture
def page(browser: sync_api.Browser) -> Iterator[sync_api.Page]:
    opened = browser.new_page(viewport={"width": 1400, "height": 1000})
    # The tour of the viewer would lie over the picture.
    opened.add_init_script(f"localStorage.setItem('shownTours', '{json.dumps(TOURS)}')")
    yield opened
    opened.close()


def open_report(page: sync_api.Page, shown: Shown, role: str) -> None:
    """Open the study with the series of one of the documents in the viewport."""
    report = dcmread(shown.objects[role])
    page.goto(
        f"{shown.address}/viewer?StudyInstanceUIDs={report.StudyInstanceUID}"
        f"&initialSeriesInstanceUID={report.SeriesInstanceUID}"
    )
    page.get_by_text("S:9105").first.wait_for(timeout=DRAWN_SECONDS * 1000)


def said(page: sync_api.Page) -> list[str]:
    """What is written beside the measurements on the picture."""
    return page.locator("svg.svg-layer tspan").all_text_contents()


def viewport(page: sync_api.Page) -> NDArray[np.uint8]:
    """The pixels of the viewport as a person sees them."""
    taken = page.locator(CANVAS).first.screenshot()
    with Image.open(io.BytesIO(taken)) as image:
        return np.asarray(image.convert("RGB"))


def difference(seen: NDArray[np.uint8], path: Path) -> float:
    """Median difference of a viewport's pixels from an image that is fitted into it."""
    pixels = Image.fromarray(dcmread(path).pixel_array)
    height, width = seen.shape[:2]
    scale = min(width / pixels.width, height / pixels.height)
    size = (round(pixels.width * scale), round(pixels.height * scale))
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    fitted = np.asarray(pixels.resize(size), np.int64)
    part = seen[top : top + size[1], left : left + size[0]].astype(np.int64)
    return float(np.median(np.abs(part - fitted)))


def drawn_pixels(seen: NDArray[np.uint8]) -> int:
    """How many pixels have the colours of measurements."""
    return sum(
        int((np.abs(seen.astype(np.int64) - colour).max(axis=2) < 40).sum())
        for colour in (YELLOW, GREEN)
    )


def test_the_display_report_is_drawn_on_its_picture_with_all_its_numbers(
    shown: Shown, page: sync_api.Page
) -> None:
    open_report(page, shown, "display")
    page.locator("svg.svg-layer tspan").first.wait_for(timeout=DRAWN_SECONDS * 1000)
    page.wait_for_timeout(3000)
    seen = viewport(page)
    if folder := os.environ.get("OHIF_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{shown.image.stem}.png")
    assert difference(seen, shown.image) < 10
    assert drawn_pixels(seen) > 1000
    words = said(page)
    groups = srread(shown.objects["display"]).content.get_planar_roi_measurement_groups()
    numbers = [each for group in groups for each in group.get_measurements()]
    assert len(numbers) > 5
    for each in numbers:
        # OHIF shows two digits behind the point, and the code of the unit.
        assert f"{each.name.meaning}: {each.value:.2f} {each.unit.value}" in words


def test_a_viewport_without_a_picture_is_told_from_one_with(
    shown: Shown, page: sync_api.Page
) -> None:
    """The report of all numbers has groups without a region: OHIF 3.13 shows it empty."""
    open_report(page, shown, "report")
    page.wait_for_timeout(8000)
    canvases = page.locator(CANVAS)
    seen = viewport(page) if canvases.count() else np.zeros((800, 1000, 3), np.uint8)
    assert difference(seen, shown.image) > 40
    assert drawn_pixels(seen) == 0
    assert said(page) == []


def test_a_result_is_drawn_straight_from_the_node(
    shown_by_node: Shown, page: sync_api.Page
) -> None:
    open_report(page, shown_by_node, "display")
    page.locator("svg.svg-layer tspan").first.wait_for(timeout=DRAWN_SECONDS * 1000)
    page.wait_for_timeout(3000)
    seen = viewport(page)
    assert difference(seen, shown_by_node.image) < 10
    assert drawn_pixels(seen) > 500
    assert "Ratio of smaller to larger side: 0.90 1" in said(page)
