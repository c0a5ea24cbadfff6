from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_nodes.network.data_set_beginning import (
    PATIENT_ID,
    PATIENT_NAME,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    WANTED,
    first_values,
    uid_among,
)

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


def data_set(syntax: UID, undefined_length: bool = False) -> tuple[bytes, int]:
    """A data set with much before its UIDs, and where it starts in its file."""
    instance = Dataset()
    instance.SpecificCharacterSet = ["ISO 2022 IR 6", "ISO 2022 IR 87"]
    instance.ImageType = ["ORIGINAL", "PRIMARY"]
    instance.add_new(0x00080006, "SQ", [Dataset()])
    referenced = Dataset()
    referenced.StudyInstanceUID = "1.2.9"
    referenced.add_new(0x00081199, "SQ", [Dataset()])
    instance.add_new(0x00081200, "SQ", [referenced, Dataset()])
    instance[
        "StudiesContainingOtherReferencedInstancesSequence"
    ].is_undefined_length = undefined_length
    referenced["ReferencedSOPSequence"].is_undefined_length = undefined_length
    referenced.is_undefined_length_sequence_item = undefined_length
    instance.SOPClassUID = MR_IMAGE
    instance.SOPInstanceUID = "1.2.3.4"
    instance.PatientName = "Doe^Jane"
    instance.PatientID = "0815"
    instance.StudyInstanceUID = "1.2.5"
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = syntax
    file = BytesIO()
    dcmwrite(file, instance, enforce_file_format=True)
    written = file.getvalue()
    return written, 144 + int.from_bytes(written[140:144], "little")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("undefined_length", [False, True])
def test_what_a_data_set_says_of_itself_is_found(syntax: UID, undefined_length: bool) -> None:
    written, offset = data_set(syntax, undefined_length)
    found = first_values(written[offset : offset + 4096], syntax)
    assert uid_among(found, SOP_CLASS_UID) == MR_IMAGE
    assert uid_among(found, SOP_INSTANCE_UID) == "1.2.3.4"
    # Not the one inside the sequence before it.
    assert uid_among(found, STUDY_INSTANCE_UID) == "1.2.5"
    assert found[PATIENT_ID] == b"0815"
    assert found[PATIENT_NAME] == b"Doe^Jane"


def test_a_data_set_that_is_cut_off_says_what_came_before() -> None:
    written, offset = data_set(ExplicitVRLittleEndian)
    for end in range(offset, len(written)):
        found = first_values(written[offset:end], ExplicitVRLittleEndian)
        assert uid_among(found, STUDY_INSTANCE_UID) in (None, "1.2.5")
        assert uid_among(found, SOP_INSTANCE_UID) in (None, "1.2.3.4")


def test_a_deflated_data_set_is_not_looked_into() -> None:
    written, offset = data_set(DeflatedExplicitVRLittleEndian)
    assert first_values(written[offset:], DeflatedExplicitVRLittleEndian) == {}


@given(st.binary(max_size=200), st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian]))
def test_any_bytes_give_values_or_none(beginning: bytes, syntax: UID) -> None:
    assert set(first_values(beginning, syntax)) <= WANTED


def test_sequences_nested_without_end_are_given_up() -> None:
    endless = b"\x08\x00\x10\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 500
    assert first_values(endless, ExplicitVRLittleEndian) == {}
