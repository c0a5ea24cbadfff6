from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.objects.file_structure import read_structure
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.landmark_edits import edits_of
from dicom_nodes.objects.measurement_report import write_measurement_report
from dicom_nodes.objects.report_reader import read_measurement_report
from dicom_nodes.objects.verification import Verification
from dicom_nodes.objects.verified_report import write_verified_report
from dicom_nodes.objects.written_object import WrittenObject
from processing.measurement import Analysis, RejectedInput, Status
from tests.peers import validators

VERIFICATION = Verification(
    "Li^Na=李^娜", "整形外科医院", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
)


@pytest.fixture
def report(photograph: Path, photograph_analysis: Analysis, made_at: datetime) -> WrittenObject:
    measured = replace(photograph_analysis, inputs=(read_header(photograph).sop_instance_uid,))
    return write_measurement_report(
        measured, [photograph], photograph.with_name("sr.dcm"), key="a", made_at=made_at
    )


def verified(
    report: WrittenObject, name: str = "verified.dcm", verification: Verification = VERIFICATION
) -> Path:
    out = report.path.with_name(name)
    key = verification.key(report.sop_instance_uid)
    return write_verified_report(report.path, verification, out, key=key).path


def without_what_verification_changes(path: Path) -> Dataset:
    document = copy.deepcopy(dcmread(path))
    for keyword in (
        "SOPInstanceUID",
        "InstanceNumber",
        "VerificationFlag",
        "VerifyingObserverSequence",
        "PredecessorDocumentsSequence",
        "InstanceCreationDate",
        "InstanceCreationTime",
        "ContentDate",
        "ContentTime",
    ):
        if keyword in document:
            delattr(document, keyword)
    document.ContentSequence = [
        each for each in document.ContentSequence if each.RelationshipType != "HAS OBS CONTEXT"
    ]
    return document


def test_the_verified_version_says_who_when_and_of_what(report: WrittenObject) -> None:
    document = dcmread(verified(report))
    assert document.VerificationFlag == "VERIFIED"
    (observer,) = document.VerifyingObserverSequence
    assert observer.VerifyingObserverName == "Li^Na=李^娜"
    assert observer.VerifyingOrganization == "整形外科医院"
    assert observer.VerificationDateTime == "20260203040506+0000"
    series = document.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == report.sop_instance_uid
    assert document.SeriesInstanceUID == report.series_instance_uid
    assert document.SOPInstanceUID != report.sop_instance_uid


def test_the_person_is_an_observer_beside_the_device(report: WrittenObject) -> None:
    context = [
        each
        for each in dcmread(verified(report)).ContentSequence
        if each.RelationshipType == "HAS OBS CONTEXT"
    ]
    types = [
        each.ConceptCodeSequence[0].CodeMeaning for each in context if each.ValueType == "CODE"
    ]
    assert types == ["Device", "Person"]
    person = next(each for each in context if each.ValueType == "PNAME")
    assert person.PersonName == "Li^Na=李^娜"
    assert context[-1].TextValue == "整形外科医院"


def test_all_else_is_equal(report: WrittenObject) -> None:
    path = verified(report)
    assert without_what_verification_changes(path) == without_what_verification_changes(report.path)
    assert (
        read_measurement_report(path).measurements
        == read_measurement_report(report.path).measurements
    )


def test_the_same_verification_makes_the_same_bytes_and_another_another_uid(
    report: WrittenObject,
) -> None:
    assert verified(report, "a").read_bytes() == verified(report, "b").read_bytes()
    uids = {
        str(dcmread(verified(report, "c", each)).SOPInstanceUID)
        for each in (
            VERIFICATION,
            replace(VERIFICATION, name="Li^Na"),
            replace(VERIFICATION, organization="other"),
            replace(VERIFICATION, verified_at=datetime(2026, 2, 3, 4, 5, 7, tzinfo=UTC)),
        )
    }
    assert len(uids) == 4


def test_it_is_no_reviewers_report_but_one_that_was_changed_is(report: WrittenObject) -> None:
    path = verified(report)
    assert read_header(path).is_own
    assert edits_of(read_structure(path)) == ()
    document = dcmread(path)
    document.SOPInstanceUID = document.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    document.save_as(path)
    assert not read_header(path).is_own
    assert edits_of(read_structure(path))


def test_a_verified_report_is_not_verified_again(report: WrittenObject) -> None:
    path = verified(report)
    with pytest.raises(RejectedInput, match=r"verified already, by Li\^Na"):
        write_verified_report(path, VERIFICATION, path.with_name("again"), key="k")


def test_a_refused_analysis_has_nothing_to_verify(photograph: Path, made_at: datetime) -> None:
    refused = Analysis("photograph-symmetry", "1.0.0", Status.REFUSED, "no face")
    written = write_measurement_report(
        refused, [photograph], photograph.with_name("sr.dcm"), key="r", made_at=made_at
    )
    with pytest.raises(RejectedInput, match="nothing to verify"):
        verified(written)


def test_another_object_cannot_be_verified(photograph: Path) -> None:
    with pytest.raises(RejectedInput, match="no report of hemiface"):
        write_verified_report(photograph, VERIFICATION, photograph.with_name("v"), key="k")


@pytest.mark.parametrize(
    ("name", "organization", "reason"),
    [
        ("", "H", "name is missing"),
        ("^ ^", "H", "name is missing"),
        ("A\\B", "H", "backslash"),
        ("A" * 65, "H", "longer"),
        ("A", "", "organization is missing"),
        ("A", "H\n", "control character"),
        ("A", "H" * 65, "longer"),
    ],
)
def test_a_verifier_that_cannot_be_written_is_refused(
    name: str, organization: str, reason: str
) -> None:
    with pytest.raises(RejectedInput, match=reason):
        Verification(name, organization, datetime.now(UTC))


@pytest.mark.peer
def test_validators_find_no_error(report: WrittenObject, photograph: Path) -> None:
    path = verified(report)
    assert validators.dciodvfy(path) == []
    assert validators.dicom_validator(path) == []
    assert validators.dsrdump(path) == []
    assert validators.dcentvfy([photograph, report.path, path]) == []


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_pixelmed_finds_no_error(report: WrittenObject) -> None:
    assert validators.dicom_sr_validator(verified(report)) == []
