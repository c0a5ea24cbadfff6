from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicom_nodes.objects.encapsulated_pdf import write_encapsulated_pdf
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.measurement_report import write_measurement_report
from dicom_nodes.objects.written_object import WrittenObject
from processing.measurement import Analysis, Picture, RejectedInput, Status
from service.workflow.result_pdf import write_result_pdf
from tests.peers import validators

REFUSED = Analysis("photograph-symmetry", "1.0.0", Status.REFUSED, "no face")
PDF = b"%PDF-1.4\n%%EOF"


def written(
    photograph: Path,
    made_at: datetime,
    name: str = "pages.dcm",
    *,
    pdf: bytes = PDF,
    language: str = "zh",
    report: WrittenObject | None = None,
) -> WrittenObject:
    return write_encapsulated_pdf(
        pdf,
        REFUSED,
        [photograph],
        photograph.with_name(name),
        key="k",
        made_at=made_at,
        title="面部照片对称性测量",
        language=language,
        report=report,
    )


def test_the_document_is_kept_byte_by_byte_in_the_study_of_its_source(
    photograph: Path, made_at: datetime
) -> None:
    odd = PDF + b"\n%"
    assert len(odd) % 2 == 0
    for pdf in (PDF, PDF + b"\n", odd):
        dataset = dcmread(written(photograph, made_at, pdf=pdf).path)
        source = dcmread(photograph)
        assert dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength] == pdf
        assert len(dataset.EncapsulatedDocument) % 2 == 0
        assert dataset.StudyInstanceUID == source.StudyInstanceUID
        assert dataset.PatientName == source.PatientName
        assert dataset.DocumentTitle == "面部照片对称性测量"
        assert dataset.BurnedInAnnotation == "YES"
        assert dataset.VerificationFlag == "UNVERIFIED"


def test_it_names_what_it_was_made_from(photograph: Path, made_at: datetime) -> None:
    report = write_measurement_report(
        REFUSED, [photograph], photograph.with_name("sr.dcm"), key="k", made_at=made_at
    )
    dataset = dcmread(written(photograph, made_at, report=report).path)
    named = [each.ReferencedSOPInstanceUID for each in dataset.SourceInstanceSequence]
    assert named == [read_header(photograph).sop_instance_uid, report.sop_instance_uid]


def test_it_is_a_result_of_hemiface_and_no_input(photograph: Path, made_at: datetime) -> None:
    header = read_header(written(photograph, made_at).path)
    assert header.is_own
    assert header.media_type == "application/pdf"


def test_the_same_pages_make_the_same_bytes(photograph: Path, made_at: datetime) -> None:
    first, second = (written(photograph, made_at, each) for each in ("a.dcm", "b.dcm"))
    assert first.path.read_bytes() == second.path.read_bytes()


def test_the_pages_in_another_language_are_another_object(
    photograph: Path, made_at: datetime
) -> None:
    chinese = written(photograph, made_at)
    english = written(photograph, made_at, "en.dcm", language="en")
    assert chinese.sop_instance_uid != english.sop_instance_uid
    assert chinese.series_instance_uid != english.series_instance_uid


def test_what_is_no_pdf_is_refused(photograph: Path, made_at: datetime) -> None:
    with pytest.raises(RejectedInput, match="no PDF"):
        written(photograph, made_at, pdf=b"<html>")


@pytest.fixture
def objects(
    photograph: Path, picture: np.ndarray, photograph_analysis: Analysis, made_at: datetime
) -> list[Path]:
    """Report and pages of a measured result in both languages, and of a refused one."""
    measured = replace(photograph_analysis, inputs=(read_header(photograph).sop_instance_uid,))
    report = write_measurement_report(
        measured, [photograph], photograph.with_name("sr.dcm"), key="a", made_at=made_at
    )
    pages = [
        write_result_pdf(
            analysis,
            [Picture("photograph-symmetry", "c", picture)],
            [photograph],
            photograph.with_name(f"{key}-{language}.dcm"),
            key=key,
            made_at=made_at,
            language=language,
            report=report,
        ).path
        for key, analysis, language in (
            ("a", measured, "en"),
            ("a", measured, "zh"),
            ("c", REFUSED, "zh"),
        )
    ]
    return [photograph, report.path, *pages]


@pytest.mark.peer
def test_validators_find_no_error(objects: list[Path]) -> None:
    for path in objects[2:]:
        assert validators.dciodvfy(path) == []
        assert validators.dicom_validator(path) == []
    assert validators.dcentvfy(objects) == []
