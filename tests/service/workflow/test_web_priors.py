"""Priors from a DICOMweb archive that is away, refuses, or is not to be believed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydicom import dcmread

from dicom_nodes.web.multipart import closing, part_header
from service.catalogue import priors
from service.demo_orthanc import free_ports
from service.settings import PriorSettings, Settings, WebPriorSource
from service.workflow import completion
from service.workflow.delivery import DeliveryState
from service.workflow.fetching_priors import analyses_with_priors
from tests.dicom_nodes.web.scripted_server import Scripted, answering
from tests.service.workflow.priors_at_hand import (
    EarlierStudy,
    FetchingNode,
    fetching_node,
    write_study,
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[FetchingNode]:
    with fetching_node(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def present(node: FetchingNode, tmp_path: Path) -> EarlierStudy:
    study = write_study(tmp_path / "present", "20261120")
    node.push(study.files[0])
    return study


def listed(file: Path, keywords: dict[str, str]) -> Scripted:
    """An answer to a search, with what the file has of these attributes."""
    held = dcmread(file)
    item = {
        tag: {"vr": held[keyword].VR, "Value": [str(held[keyword].value)]}
        for keyword, tag in keywords.items()
    }
    if "PatientName" in keywords:
        item["00100010"]["Value"] = [{"Alphabetic": str(held.PatientName)}]  # type: ignore[list-item] # names are objects
    return Scripted(200, json.dumps([item]).encode())


def archive_of(file: Path) -> tuple[Scripted, Scripted, Scripted]:
    """Its answers to what is asked before anything is fetched."""
    return (
        listed(
            file,
            {
                "StudyInstanceUID": "0020000D",
                "StudyDate": "00080020",
                "PatientID": "00100020",
                "PatientName": "00100010",
                "PatientBirthDate": "00100030",
            },
        ),
        listed(file, {"SeriesInstanceUID": "0020000E", "Modality": "00080060"}),
        listed(file, {"SOPInstanceUID": "00080018", "SOPClassUID": "00080016"}),
    )


def sent(file: Path) -> Scripted:
    part = part_header("b", {"Content-Type": "application/dicom"}, is_first=True)
    stated = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    return Scripted(200, part + file.read_bytes() + closing("b"), stated)


def at(node: FetchingNode, url: str, **limits: int) -> FetchingNode:
    return node.with_source(WebPriorSource(name="web", url=url), **limits)


def test_a_web_archive_alone_is_a_source() -> None:
    settings = PriorSettings(web_sources=(WebPriorSource(name="web", url="http://127.0.0.1"),))
    job = completion.Job("photograph-symmetry", ("1.2",), "key")
    assert analyses_with_priors(Settings(priors=settings), [job]) == ["photograph-symmetry"]


def test_two_sources_cannot_have_one_name() -> None:
    web = WebPriorSource(name="pacs", url="http://127.0.0.1")
    with pytest.raises(ValidationError, match="same name"):
        PriorSettings(web_sources=(web, web))


def test_a_prior_is_fetched_once_though_the_first_attempt_fails(
    node: FetchingNode, present: EarlierStudy, tmp_path: Path
) -> None:
    earlier = write_study(tmp_path, "20240101")
    answers = archive_of(earlier.files[0])
    with answering(*answers, Scripted(503), *answers, sent(earlier.files[0]), *answers) as (
        url,
        asked,
    ):
        web = at(node, url)
        assert web.fetch(present)["state"] == DeliveryState.WAITING
        assert web.fetch(present, attempt=1)["state"] == DeliveryState.DELIVERED
        assert web.fetch(present, attempt=2)["state"] == DeliveryState.DELIVERED
    assert set(web.trail.events()) == {"Query"}
    (query, *_) = {each.objects[0].query for each in web.trail.recorded}
    assert query == f"{url}/studies?PatientID=P1".encode()
    (kept,) = node.instances(earlier)
    assert (kept.prior, kept.calling_ae_title) == (True, "DICOMWEB")
    assert len([each for each in asked if "/instances/" in each.path]) == 2


def test_an_instance_of_another_patient_is_refused_whatever_was_listed(
    node: FetchingNode, present: EarlierStudy, tmp_path: Path
) -> None:
    earlier = write_study(tmp_path / "a", "20240101")
    changed = dcmread(earlier.files[0])
    changed.PatientName = "Li^DaMing"
    other = tmp_path / "other.dcm"
    changed.save_as(other)
    with answering(*archive_of(earlier.files[0]), sent(other)) as (url, _):
        at(node, url).fetch(present)
    assert node.instances(earlier) == ()
    (known,) = priors.priors_of_study(node.database, present.study_instance_uid)
    assert "Patient's Name differs" in (known.outcome or "")


def test_what_was_not_asked_for_is_refused(
    node: FetchingNode, present: EarlierStudy, tmp_path: Path
) -> None:
    earlier = write_study(tmp_path / "a", "20240101")
    unasked = write_study(tmp_path / "b", "20240201")
    with answering(*archive_of(earlier.files[0]), sent(unasked.files[0])) as (url, _):
        at(node, url).fetch(present)
    assert node.instances(earlier) == node.instances(unasked) == ()


def test_an_archive_that_lets_nobody_in_waits_for_a_person(
    node: FetchingNode, present: EarlierStudy
) -> None:
    with answering(Scripted(401)) as (url, _):
        outcome = at(node, url).fetch(present)
    assert outcome["state"] == DeliveryState.PARKED
    assert "check token" in outcome["reason"]


def test_an_archive_that_is_away_is_waited_for_until_the_attempts_are_used_up(
    node: FetchingNode, present: EarlierStudy
) -> None:
    (port,) = free_ports(1)
    away = at(node, f"http://127.0.0.1:{port}", maximum_attempts=2)
    assert away.fetch(present)["state"] == DeliveryState.WAITING
    assert away.fetch(present, attempt=1)["state"] == DeliveryState.PARKED


def test_no_more_bytes_are_fetched_than_the_limit(
    node: FetchingNode, present: EarlierStudy, tmp_path: Path
) -> None:
    earlier = write_study(tmp_path, "20240101")
    with answering(*archive_of(earlier.files[0]), sent(earlier.files[0])) as (url, _):
        outcome = at(node, url, maximum_bytes=100).fetch(present)
    assert node.instances(earlier) == ()
    assert outcome["state"] == DeliveryState.PARKED
