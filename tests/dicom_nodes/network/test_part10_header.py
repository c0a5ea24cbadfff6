from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
)

from dicom_nodes.network.part10_header import encode_header, is_valid_uid

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


def data_set(syntax: UID) -> tuple[bytes, int]:
    """A data set with much before its UIDs, and where it starts in its file."""
    instance = Dataset()
    instance.SpecificCharacterSet = ["ISO 2022 IR 6", "ISO 2022 IR 87"]
    instance.ImageType = ["ORIGINAL", "PRIMARY"]
    instance.add_new(0x00080006, "SQ", [Dataset()])
    instance.SOPClassUID = MR_IMAGE
    instance.SOPInstanceUID = "1.2.3.4"
    instance.PatientName = "Doe^Jane"
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = syntax
    file = BytesIO()
    dcmwrite(file, instance, enforce_file_format=True)
    written = file.getvalue()
    return written, 144 + int.from_bytes(written[140:144], "little")


@settings(max_examples=20)
@given(st.from_regex(r"[1-9](\.[1-9][0-9]{0,5}){1,8}", fullmatch=True))
def test_a_file_with_the_header_is_read_by_pydicom(uid: str) -> None:
    written, offset = data_set(ExplicitVRLittleEndian)
    header = encode_header(MR_IMAGE, uid, ExplicitVRLittleEndian, "CAMERA")
    read = dcmread(BytesIO(header + written[offset:]))
    assert read.PatientName == "Doe^Jane"
    assert read.file_meta.FileMetaInformationGroupLength == len(header) - 144
    assert read.file_meta.MediaStorageSOPClassUID == MR_IMAGE
    assert read.file_meta.MediaStorageSOPInstanceUID == uid
    assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert read.file_meta.SourceApplicationEntityTitle == "CAMERA"
    assert read.file_meta.ImplementationClassUID


@pytest.mark.parametrize("uid", ["1.2.3", "2.25.329800735698586629295641978511506172918", "0.0"])
def test_a_uid_is_valid(uid: str) -> None:
    assert is_valid_uid(uid)


@pytest.mark.parametrize(
    "uid",
    [
        *("", "1", ".", "1.", "1..2", "1.02", "../../etc/passwd", "1.2\n", "1.2/3", "1.2\0"),
        *("１.2", " 1.2", "1." + "2" * 63),
    ],
)
def test_a_uid_is_not_valid(uid: str) -> None:
    assert not is_valid_uid(uid)
