from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import highdicom
import pydicom.charset
import pytest
from pydicom import dcmread

from dicom_nodes.objects.file_structure import read_structure
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.measurement_report import write_measurement_report
from dicom_nodes.objects.report_reader import read_measurement_report
from dicom_nodes.objects.secondary_capture import write_secondary_capture
from dicom_nodes.objects.study_context import (
    PATIENT_AND_STUDY,
    StudyIdentity,
    apply_identity,
    identity_of,
    study_time_of,
)
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from processing.measurement import Analysis, Picture, RejectedInput, Status

SourceWriter = Callable[..., Path]
NAME = 0x00100010
CHARACTER_SET = 0x00080005
REFUSED = Analysis("photograph-symmetry", "1", Status.REFUSED, "Kein Gesicht – 无面 ±")

DECODABLE = {
    "UTF-8": (b"ISO_IR 192", "Wang^XiaoDong=王^小东".encode(), "Wang^XiaoDong=王^小东"),
    "GB18030": (b"GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
    "GBK": (b"GBK", "Wang^XiaoDong=王^小东".encode("gbk"), "Wang^XiaoDong=王^小东"),
    "IR 58": (
        b"\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
        "Zhang^XiaoDong=张^小东",
    ),
    "IR 87": (
        b"\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
        "Yamada^Tarou=山田^太郎",
    ),
    "IR 100": (b"ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    "ASCII": (b"", b"Doe^Jane", "Doe^Jane"),
}
UNDECODABLE = {
    "GBK bytes in ISO_IR 100": (b"ISO_IR 100", "Wang=王^小东".encode("gbk")),
    "Latin bytes in no character set": (b"", b"M\xfcller^X"),
    "broken UTF-8": (b"ISO_IR 192", b"Doe\xff^X"),
    "unknown character set": (b"ISO_IR 999", b"M\xfcller^X"),
}


@pytest.fixture
def patched_pydicom(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cure for pydicom 3.0.2, which leaves the escape of IR 58 inside a name."""
    handled = tuple(each for each in pydicom.charset.handled_encodings if each != "iso_ir_58")
    monkeypatch.setattr(pydicom.charset, "handled_encodings", handled)


def _report(source: Path, made_at: datetime) -> Path:
    out = source.with_name("report.dcm")
    return write_measurement_report(REFUSED, [source], out, key="k", made_at=made_at).path


@pytest.mark.usefixtures("patched_pydicom")
@pytest.mark.parametrize("case", DECODABLE.values(), ids=DECODABLE.keys())
def test_name_in_a_result_is_the_name_in_its_source(
    write_source: SourceWriter, made_at: datetime, case: tuple[bytes, bytes, str]
) -> None:
    declared, value, name = case
    source = write_source({CHARACTER_SET: ("CS", declared), NAME: ("PN", value)})
    result = _report(source, made_at)
    assert str(dcmread(source).PatientName) == name
    assert str(dcmread(result).PatientName) == name
    assert str(highdicom.sr.srread(result).PatientName) == name
    assert read_header(result).patient_name == name
    assert dcmread(result).SpecificCharacterSet == "ISO_IR 192"
    assert read_measurement_report(result).reason == REFUSED.reason


@pytest.mark.parametrize("case", UNDECODABLE.values(), ids=UNDECODABLE.keys())
def test_undecodable_name_keeps_its_bytes_and_character_set(
    write_source: SourceWriter,
    made_at: datetime,
    case: tuple[bytes, bytes],
    element: Callable[..., bytes],
) -> None:
    declared, value = case
    item = element(0x00400032, "UT", value)
    issuer = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    changed = {
        CHARACTER_SET: ("CS", declared),
        NAME: ("PN", value),
        0x00081030: ("LO", value),
        0x00100024: ("SQ", issuer),
    }
    source = write_source(changed if declared else {**changed, CHARACTER_SET: None})
    result = _report(source, made_at)
    kept, given = read_structure(result), read_structure(source)
    for tag in (CHARACTER_SET, NAME, 0x00081030, 0x00100024):
        assert kept.value(tag) == given.value(tag)
    assert read_measurement_report(result).reason == "Kein Gesicht - ?? +/-"


@pytest.mark.peer
@pytest.mark.parametrize("case", DECODABLE.values(), ids=DECODABLE.keys())
def test_dcmtk_shows_the_same_name_in_source_and_result(
    write_source: SourceWriter, made_at: datetime, case: tuple[bytes, bytes, str]
) -> None:
    assert shutil.which("dcm2json"), "apt-get install dcmtk"
    declared, value, name = case
    source = write_source({CHARACTER_SET: ("CS", declared), NAME: ("PN", value)})

    def shown(path: Path) -> list[str]:
        run = subprocess.run(["dcm2json", path], capture_output=True, check=True)
        groups = json.loads(run.stdout)["00100010"]["Value"][0]
        return [groups.get(each, "") for each in ("Alphabetic", "Ideographic", "Phonetic")]

    expected = [*name.split("="), "", ""][:3]
    assert shown(_report(source, made_at)) == expected
    if declared != b"\\ISO 2022 IR 87":  # which Debian's DCMTK, built on iconv, cannot convert
        assert shown(source) == expected


def test_every_attribute_of_patient_and_study_is_copied(
    write_source: SourceWriter, made_at: datetime, element: Callable[..., bytes]
) -> None:
    identifier = element(0x00400032, "UT", b"1.2")
    issuer = b"\xfe\xff\x00\xe0" + len(identifier).to_bytes(4, "little") + identifier
    given = {
        0x00081030: ("LO", b"Gesicht"),
        0x00101000: ("LO", b"OLD1\\OLD2"),
        0x00101010: ("AS", b"045Y"),
        0x00120040: ("LO", b"SUBJ-7"),
        0x00080051: ("SQ", issuer),
    }
    source = write_source(given)
    result = read_structure(_report(source, made_at))
    source_structure = read_structure(source)
    for tag in PATIENT_AND_STUDY:
        if tag in source_structure.elements and tag != 0x00080051:
            assert result.value(tag) == source_structure.value(tag), hex(tag)
    item = dcmread(_report(source, made_at)).IssuerOfAccessionNumberSequence[0]
    assert item.UniversalEntityID == "1.2"


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (NAME, "PN", b"Doe\r\n\t\x07^Jane"),
        (NAME, "PN", b"x" * 5000),
        (0x00100020, "LO", b"a\\b\\c"),
        (0x00100030, "DA", b"not a date"),
        (0x00100040, "CS", b"unheard of"),
        (0x00080030, "TM", b"99:99"),
        (0x00101010, "AS", b"many"),
        (0x00080201, "SH", b"+9999"),
        (0x00080051, "SQ", b"\xff" * 30),
    ],
)
def test_hostile_value_is_copied_and_does_not_break_the_result(
    write_source: SourceWriter, made_at: datetime, tag: int, vr: str, value: bytes
) -> None:
    source = write_source({tag: (vr, value)})
    result = _report(source, made_at)
    if vr != "SQ":
        assert read_structure(result).value(tag) == read_structure(source).value(tag)
    assert read_measurement_report(result).status is Status.REFUSED


def test_missing_attributes_of_type_2_are_empty(
    write_source: SourceWriter, made_at: datetime
) -> None:
    source = write_source(
        dict.fromkeys((NAME, 0x00100020, 0x00100030, 0x00100040, 0x00080020, 0x00200010))
    )
    result = dcmread(_report(source, made_at))
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID"):
        assert keyword in result
        assert not result[keyword].value


def test_name_too_long_for_any_result_is_rejected(
    tmp_path: Path, write_source: SourceWriter, made_at: datetime
) -> None:
    dataset = dcmread(write_source())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.PatientName = "x" * 70_000
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
        dataset.save_as(tmp_path / "long.dcm", implicit_vr=True)
    with pytest.raises(RejectedInput, match=r"\(0010,0010\) is 70000 bytes long"):
        identity_of(tmp_path / "long.dcm")


def test_picture_joins_the_study_of_an_undecodable_source(
    tmp_path: Path, write_source: SourceWriter, made_at: datetime, picture: object
) -> None:
    value = "王^小东".encode("gbk")
    source = write_source({CHARACTER_SET: ("CS", b"ISO_IR 100"), NAME: ("PN", value)})
    shown = Picture("p", "légende", picture)
    written = [
        write_secondary_capture(
            shown, REFUSED, [source], tmp_path / "sc.dcm", key="k", made_at=made_at, number=1
        ),
        write_vl_photograph(picture, identity_of(source), tmp_path / "vl.dcm", made_at=made_at),
    ]
    for each in written:
        assert read_structure(each.path).value(NAME).rstrip() == value
        assert read_structure(each.path).value(CHARACTER_SET).rstrip() == b"ISO_IR 100"


def test_new_identity_is_written_in_utf_8(
    tmp_path: Path, identity: StudyIdentity, made_at: datetime, picture: object
) -> None:
    written = write_vl_photograph(picture, identity, tmp_path / "vl.dcm", made_at=made_at)
    dataset = dcmread(written.path)
    assert dataset.SpecificCharacterSet == "ISO_IR 192"
    assert str(dataset.PatientName) == identity.patient_name
    assert dataset.StudyInstanceUID == identity.study_instance_uid


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("study_instance_uid", "../x", "Study Instance UID"),
        ("patient_id", "a\\b", "Patient ID contains a backslash"),
        ("patient_id", "x" * 65, "65 characters"),
        ("patient_name", "Doe\n^Jane", "Patient's Name contains"),
        ("birth_date", "1.1.1980", "YYYYMMDD"),
        ("sex", "female", "M, F or O"),
        ("study_time", "10:11", "HHMMSS"),
        ("accession_number", "1" * 17, "Accession Number"),
    ],
)
def test_identity_that_dicom_does_not_allow_is_rejected(
    field: str, value: str, message: str
) -> None:
    given = {"study_instance_uid": "1.2", field: value}
    with pytest.raises(RejectedInput, match=message):
        StudyIdentity(**given)


def test_identity_of_an_object_without_study_is_rejected(write_source: SourceWriter) -> None:
    with pytest.raises(RejectedInput, match="Study Instance UID"):
        identity_of(write_source({0x0020000D: None}))


def test_time_of_a_result_is_in_the_zone_that_the_study_states(write_source: SourceWriter) -> None:
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    stated = identity_of(write_source({0x00080201: ("SH", b"-0530")}))
    unstated = identity_of(write_source())
    assert f"{study_time_of(moment, stated):%H%M}" == "0630"
    assert study_time_of(moment, unstated) is moment


def test_identity_is_applied_twice_alike(write_source: SourceWriter) -> None:
    identity = identity_of(write_source())
    one, other = pydicom.Dataset(), pydicom.Dataset()
    apply_identity(one, identity)
    apply_identity(other, identity)
    assert one == other
    assert one.PatientID == "P0001"
