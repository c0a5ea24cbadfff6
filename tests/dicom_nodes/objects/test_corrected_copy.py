"""Copies that carry the identifiers of an order."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_nodes.objects.corrected_copy import (
    Modification,
    OrderIdentifiers,
    write_corrected_copy,
)
from processing.measurement import RejectedInput
from tests.peers.samples import photograph

MOMENT = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
ORDER = OrderIdentifiers(
    study_instance_uid="1.2.99",
    values={
        "AccessionNumber": "A1",
        "ReferringPhysicianName": "Ming^Li",
        "PatientName": "Wang^XiaoDong=王^小东",
        "PatientBirthDate": "",
    },
    request={"RequestedProcedureID": "R1", "RequestedProcedureDescription": "Gesicht, präop"},
)


def received(tmp_path: Path, **changed: object) -> Path:
    dataset = photograph(jpeg=True)
    dataset.SpecificCharacterSet = "GB18030"
    dataset.PatientName = "WANG^XIAODONG=王^小东"
    dataset.AccessionNumber = ""
    for keyword, value in changed.items():
        setattr(dataset, keyword, value)
    path = tmp_path / "received.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def renamed(path: Path) -> dict[str, str]:
    dataset = dcmread(path)
    return {
        str(dataset.StudyInstanceUID): "1.2.99",
        str(dataset.SeriesInstanceUID): "1.2.99.1",
        str(dataset.SOPInstanceUID): "1.2.99.1.1",
    }


def copied(path: Path, uids: dict[str, str], order: OrderIdentifiers = ORDER) -> Dataset:
    out = path.with_name("copy.dcm")
    modification = Modification("hemiface HEMIFACE", "CAMERA", MOMENT, uids)
    written = write_corrected_copy(path, out, order, modification)
    copy = dcmread(out)
    assert written.sop_instance_uid == copy.SOPInstanceUID
    assert written.series_instance_uid == copy.SeriesInstanceUID
    assert copy.file_meta.MediaStorageSOPInstanceUID == copy.SOPInstanceUID
    return copy


def test_the_copy_carries_the_order_and_says_what_it_replaced(tmp_path: Path) -> None:
    path = received(tmp_path)
    before = path.read_bytes()
    source = dcmread(path)
    copy = copied(path, renamed(path))
    assert path.read_bytes() == before
    assert (copy.StudyInstanceUID, copy.SeriesInstanceUID, copy.SOPInstanceUID) == (
        "1.2.99",
        "1.2.99.1",
        "1.2.99.1.1",
    )
    assert copy.AccessionNumber == "A1"
    assert copy.PatientName == "Wang^XiaoDong=王^小东"
    assert copy.PatientBirthDate == source.PatientBirthDate
    (request,) = copy.RequestAttributesSequence
    assert request.RequestedProcedureID == "R1"
    (original,) = copy.OriginalAttributesSequence
    assert original.ReasonForTheAttributeModification == "COERCE"
    assert original.ModifyingSystem == "hemiface HEMIFACE"
    assert original.SourceOfPreviousValues == "CAMERA"
    assert original.AttributeModificationDateTime == "20261121083000+0000"
    (former,) = original.ModifiedAttributesSequence
    assert former.StudyInstanceUID == source.StudyInstanceUID
    assert former.SeriesInstanceUID == source.SeriesInstanceUID
    assert former.SOPInstanceUID == source.SOPInstanceUID
    assert former.PatientName == "WANG^XIAODONG=王^小东"
    assert former.AccessionNumber == ""
    assert "PatientBirthDate" not in former


def test_pixels_and_all_other_values_are_the_bytes_as_received(tmp_path: Path) -> None:
    path = received(tmp_path)
    source, copy = dcmread(path), copied(path, renamed(path))
    assert copy.PixelData == source.PixelData
    assert copy.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID
    changed = {
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "AccessionNumber",
        "PatientName",
        "ReferringPhysicianName",
    }
    for element in source:
        if element.keyword not in changed:
            assert copy[element.tag].value == element.value


def test_the_same_arguments_make_the_same_bytes(tmp_path: Path) -> None:
    path = received(tmp_path)
    copied(path, renamed(path))
    first = path.with_name("copy.dcm").read_bytes()
    copied(path, renamed(path))
    assert path.with_name("copy.dcm").read_bytes() == first


def test_references_among_the_objects_of_the_study_follow(tmp_path: Path) -> None:
    path = received(tmp_path)
    dataset = dcmread(path)
    inside, outside = Dataset(), Dataset()
    inside.ReferencedSOPClassUID = outside.ReferencedSOPClassUID = dataset.SOPClassUID
    inside.ReferencedSOPInstanceUID = "1.2.3.7"
    outside.ReferencedSOPInstanceUID = "1.2.3.8"
    dataset.ReferencedImageSequence = [inside, outside]
    dataset.save_as(path, enforce_file_format=True)
    copy = copied(path, renamed(path) | {"1.2.3.7": "1.2.99.1.7"})
    named = [each.ReferencedSOPInstanceUID for each in copy.ReferencedImageSequence]
    assert named == ["1.2.99.1.7", "1.2.3.8"]


def test_a_copy_for_the_results_alone_stays_the_same_instance(tmp_path: Path) -> None:
    path = received(tmp_path)
    source, copy = dcmread(path), copied(path, {})
    assert copy.SOPInstanceUID == source.SOPInstanceUID
    assert copy.AccessionNumber == "A1"
    (former,) = copy.OriginalAttributesSequence[0].ModifiedAttributesSequence
    assert "SOPInstanceUID" not in former


def test_earlier_modifications_stay_before_the_new_one(tmp_path: Path) -> None:
    earlier = Dataset()
    earlier.SourceOfPreviousValues = "ELSEWHERE"
    earlier.AttributeModificationDateTime = "20250101"
    earlier.ModifyingSystem = "IMPORTER"
    earlier.ReasonForTheAttributeModification = "CORRECT"
    former = Dataset()
    former.PatientName = "Wang^Xiao=王^小"
    earlier.ModifiedAttributesSequence = [former]
    path = received(tmp_path, OriginalAttributesSequence=[earlier])
    copy = copied(path, renamed(path))
    assert [each.ModifyingSystem for each in copy.OriginalAttributesSequence] == [
        "IMPORTER",
        "hemiface HEMIFACE",
    ]
    kept = copy.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert kept.PatientName == "Wang^Xiao=王^小"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_uncompressed_transfer_syntaxes_are_kept(tmp_path: Path, syntax: str) -> None:
    dataset = photograph()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "Wang^XiaoDong=王^小东"
    dataset.file_meta.TransferSyntaxUID = syntax
    path = tmp_path / "received.dcm"
    dataset.save_as(path, enforce_file_format=True)
    source, copy = dcmread(path), copied(path, renamed(path))
    assert copy.file_meta.TransferSyntaxUID == syntax
    assert copy.PixelData == source.PixelData
    assert copy.AccessionNumber == "A1"
    assert copy.Rows == source.Rows


def test_a_name_without_bytes_in_the_objects_character_set_stays_as_it_is(tmp_path: Path) -> None:
    path = received(tmp_path, SpecificCharacterSet="ISO_IR 100", PatientName="Wang^XiaoDong")
    copy = copied(path, renamed(path))
    assert copy.PatientName == "Wang^XiaoDong"
    assert copy.AccessionNumber == "A1"


def test_an_accession_number_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    path = received(tmp_path, SpecificCharacterSet="ISO_IR 100", PatientName="Wang^XiaoDong")
    order = OrderIdentifiers("1.2.99", {"AccessionNumber": "单1"})
    with pytest.raises(RejectedInput, match="accession number"):
        copied(path, {}, order)
