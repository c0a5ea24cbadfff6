from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from dicom_nodes.web.multipart import PartBegins, PartData, media_type, multipart_events
from service.settings import DicomwebClient, DicomwebSettings
from tests.dicom_nodes.network.instances import SERIES, STUDY, write_instance
from tests.service.dicomweb.conftest import Site

_GB_2312 = b"\x1b$)A"
NAME = b"".join(
    (
        b"Wang^XiaoDong=",
        _GB_2312,
        "王".encode("gb2312"),
        b"^",
        _GB_2312,
        "小东".encode("gb2312"),
        b" ",
    )
)
MEANING = _GB_2312 + "面部".encode("gb2312")
INSTANCE = f"/studies/{STUDY}/series/{SERIES}/instances/{SERIES}"


def parts_of(answer: httpx.Response) -> list[tuple[str, bytes]]:
    stated = media_type(answer.headers["content-type"])
    assert stated.name == "multipart/related"
    parts: list[tuple[str, bytes]] = []
    for event in multipart_events([answer.content], stated.parameters["boundary"]):
        if isinstance(event, PartBegins):
            parts.append((event.fields["content-type"], b""))
        elif isinstance(event, PartData):
            parts[-1] = (parts[-1][0], parts[-1][1] + event.data)
    return parts


def write_photograph(folder: Path, number: int) -> Path:
    """A JPEG of one colour in a secondary capture, of a patient with a Chinese name."""
    path = write_instance(folder, number, transfer_syntax=JPEGBaseline8Bit)
    photograph = dcmread(path)
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 40, 90)).save(picture, "JPEG", quality=95)
    photograph.SpecificCharacterSet = ["", "ISO 2022 IR 58"]
    photograph.PatientName = "N" * len(NAME)
    photograph.SamplesPerPixel = 3
    photograph.PlanarConfiguration = 0
    photograph.PhotometricInterpretation = "YBR_FULL_422"
    photograph.LossyImageCompression = "01"
    photograph.PixelData = encapsulate([picture.getvalue()])
    photograph["PixelData"].is_undefined_length = True
    item = Dataset()
    item.CodeMeaning = "M" * len(MEANING)
    item.PixelAspectRatio = ["1", "1"]
    photograph.AnatomicRegionSequence = [item]
    photograph.save_as(path)
    # pydicom 3.0.2 would write this character set without its escape sequences.
    content = path.read_bytes().replace(b"N" * len(NAME), NAME)
    path.write_bytes(content.replace(b"M" * len(MEANING), MEANING))
    return path


@pytest.fixture
def held(site: Site, tmp_path: Path) -> Site:
    """A site that holds two grey captures and a photograph."""
    files = [write_instance(tmp_path, number, rows=32) for number in (1, 2)]
    assert site.store([*files, write_photograph(tmp_path, 3)]).status_code == 200
    site.catalogue()
    return site


def values(item: dict, tag: str) -> list:
    return item[tag].get("Value", [])


def test_studies_series_and_instances_are_found(held: Site) -> None:
    studies = held.get("/studies?PatientID=TEST").json()
    assert [values(each, "0020000D") for each in studies] == [[STUDY]]
    assert values(studies[0], "00201208") == [3]
    assert values(studies[0], "00080061") == ["OT"]
    assert values(studies[0], "00081190") == [f"http://127.0.0.1/studies/{STUDY}"]
    series = held.get(f"/studies/{STUDY}/series").json()
    assert [values(each, "0020000E") for each in series] == [[SERIES]]
    instances = held.get(f"/studies/{STUDY}/series/{SERIES}/instances").json()
    assert sorted(values(each, "00080018")[0] for each in instances) == [
        f"{SERIES}.{number}" for number in (1, 2, 3)
    ]
    assert values(instances[0], "00280010") == [64] or values(instances[0], "00280010") == [32]
    assert held.get("/studies?PatientID=NOBODY").json() == []


def test_limit_offset_and_what_more_there_is(held: Site) -> None:
    first = held.get(f"/studies/{STUDY}/instances?limit=2")
    rest = held.get(f"/studies/{STUDY}/instances?limit=2&offset=2")
    assert "additional results" in first.headers["warning"]
    assert "warning" not in rest.headers
    found = [values(each, "00080018")[0] for each in (*first.json(), *rest.json())]
    assert (len(found), len(set(found))) == (3, 3)
    assert held.get("/studies?limit=many").status_code == 400


def test_values_are_percent_decoded_and_matched_by_wildcard_in_unicode(
    site: Site, tmp_path: Path
) -> None:
    site.store([write_photograph(tmp_path, 3)])
    site.catalogue()
    for query in (
        "PatientName=Wang%5EXiao%2A",
        "PatientName=*%E5%B0%8F%E4%B8%9C*",
        "00100010=Wang*",
        "StudyInstanceUID=1.2.3," + STUDY,
    ):
        studies = site.get(f"/studies?{query}").json()
        assert values(studies[0], "00100010") == [
            {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"}
        ]
    assert site.get("/studies?PatientName=Li%2A").json() == []


def test_what_is_not_matched_is_said(held: Site) -> None:
    answer = held.get("/studies?fuzzymatching=true&BodyPartExamined=FACE&includefield=all")
    assert "Only literal matching" in answer.headers["warning"]
    assert "BodyPartExamined is not matched" in answer.headers["warning"]
    assert values(answer.json()[0], "00201206") == [1]


def test_instances_come_as_they_were_stored(held: Site, tmp_path: Path) -> None:
    for path, count in ((f"/studies/{STUDY}", 3), (f"{INSTANCE}.2", 1)):
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        parts = parts_of(held.get(path, accept))
        assert len(parts) == count
        for content_type, content in parts:
            assert content_type.startswith("application/dicom; transfer-syntax=1.2.840.10008.1.2")
            instance = dcmread(io.BytesIO(content))
            number = int(instance.SOPInstanceUID.rpartition(".")[2])
            assert instance == dcmread(tmp_path / f"{number:04}.dcm")
    single = held.get(f"{INSTANCE}.1", "application/dicom")
    assert single.headers["content-type"] == "application/dicom"
    assert dcmread(io.BytesIO(single.content)).SOPInstanceUID == f"{SERIES}.1"


def test_other_forms_are_refused_in_words(held: Site) -> None:
    jpeg = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.50'
    answer = held.get(f"{INSTANCE}.1", jpeg)
    assert answer.status_code == 406
    assert "transfer-syntax=*" in answer.text
    assert held.get(f"{INSTANCE}.3", jpeg).status_code == 200
    assert held.get(f"/studies/{STUDY}", "text/html").status_code == 406
    assert held.get(f"/studies/{STUDY}/metadata", "application/dicom+xml").status_code == 406
    assert held.get("/studies/1.2.3").status_code == 404
    assert held.get("/studies/..%2f..").status_code in (400, 404)


def test_metadata_is_unicode_and_names_bulk_data_by_a_relative_address(held: Site) -> None:
    items = held.get(f"/studies/{STUDY}/metadata").json()
    by_uid = {values(each, "00080018")[0]: each for each in items}
    photograph = by_uid[f"{SERIES}.3"]
    assert values(photograph, "00080005") == ["ISO_IR 192"]
    assert values(photograph, "00100010")[0]["Ideographic"] == "王^小东"
    assert values(values(photograph, "00082218")[0], "00080104") == ["面部"]
    assert values(photograph, "00280010") == [64]
    uri = by_uid[f"{SERIES}.1"]["7FE00010"]["BulkDataURI"]
    assert uri == f"series/{SERIES}/instances/{SERIES}.1/bulkdata/7FE00010"
    pixels = held.get(f"/studies/{STUDY}/{uri}")
    assert len(pixels.content) == 32 * 32
    below = held.get(f"{INSTANCE}.1/metadata").json()[0]["7FE00010"]["BulkDataURI"]
    assert below == "bulkdata/7FE00010"
    back = [Dataset.from_json(each, lambda *_: b"") for each in items]
    assert {each.PatientID for each in back} == {"TEST"}


def test_frames_come_as_they_are_stored(held: Site, tmp_path: Path) -> None:
    octets = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
    ((content_type, pixels),) = parts_of(held.get(f"{INSTANCE}.1/frames/1", octets))
    assert content_type == "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert pixels == dcmread(tmp_path / "0001.dcm").PixelData
    ((content_type, stream),) = parts_of(held.get(f"{INSTANCE}.3/frames/1", octets))
    assert content_type == "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"
    assert Image.open(io.BytesIO(stream)).size == (64, 64)
    assert held.get(f"{INSTANCE}.3/frames/1", "image/jpeg").content == stream
    assert held.get(f"{INSTANCE}.3/frames/2", octets).status_code == 406
    assert held.get(f"{INSTANCE}.3/frames/0", octets).status_code == 400
    native = 'multipart/related; type="application/octet-stream"'
    assert held.get(f"{INSTANCE}.3/frames/1", native).status_code == 406


@pytest.mark.parametrize("accept", ["image/png", "image/jpeg"])
def test_a_photograph_is_rendered_for_a_browser(held: Site, accept: str) -> None:
    answer = held.get(f"{INSTANCE}.3/rendered", accept)
    assert answer.headers["content-type"] == accept
    picture = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"), float)
    assert np.abs(picture.mean((0, 1)) - (200, 40, 90)).max() < 4


def test_what_is_no_picture_is_not_rendered(site: Site, tmp_path: Path) -> None:
    path = write_instance(tmp_path, 1, transfer_syntax=JPEGBaseline8Bit)  # no true JPEG inside
    site.store([path])
    site.catalogue()
    answer = site.get(f"{INSTANCE}.1/rendered")
    assert answer.status_code == 406
    assert answer.text.strip()


def test_reading_needs_its_permission(start_site: Callable[..., Site], tmp_path: Path) -> None:
    camera = DicomwebClient(name="c", token="a-token-of-camera", permissions=("store",))
    viewer = DicomwebClient(name="v", token="a-token-of-viewer", permissions=("query",))
    site = start_site(dicomweb=DicomwebSettings(clients=(camera, viewer)))
    authorized = {"Authorization": "Bearer a-token-of-camera"}
    site.store([write_instance(tmp_path, 1)], headers=authorized)
    site.catalogue()
    for path in (
        "/studies",
        f"/studies/{STUDY}",
        f"/studies/{STUDY}/metadata",
        f"{INSTANCE}.1/frames/1",
        f"{INSTANCE}.1/rendered",
        f"{INSTANCE}.1/bulkdata/7FE00010",
    ):
        assert site.ask("GET", path).status_code == 401
        assert site.ask("GET", path, headers=authorized).status_code == 403
    allowed = {"Authorization": "Bearer a-token-of-viewer"}
    assert site.ask("GET", f"{INSTANCE}.1/frames/1", headers=allowed).status_code == 200


def test_a_browser_elsewhere_is_let_in_by_its_origin_alone(
    start_site: Callable[..., Site],
) -> None:
    site = start_site(dicomweb=DicomwebSettings(allowed_origins=("https://viewer.example.org",)))
    for origin, allowed in (("https://viewer.example.org", True), ("https://evil.example", False)):
        answer = site.ask("GET", "/studies", headers={"Origin": origin})
        assert ("access-control-allow-origin" in answer.headers) is allowed
