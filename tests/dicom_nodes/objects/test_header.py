from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_nodes.objects import file_structure
from dicom_nodes.objects.header import inspect, is_valid_uid, read_header
from processing.inputs import View
from processing.measurement import RejectedInput

SourceWriter = Callable[..., Path]
ENCAPSULATED = "1.2.840.10008.1.2.4.50"
PIXELS = 0x7FE00010
ITEM = b"\xfe\xff\x00\xe0"
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"


def test_header_holds_what_the_object_says(write_source: SourceWriter) -> None:
    header = read_header(write_source({0x00401003: ("SH", b"STAT")}))
    assert header.sop_instance_uid == "1.2.3.4"
    assert header.study_instance_uid == "1.2.3"
    assert header.series_instance_uid == "1.2.3.9"
    assert header.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert (header.patient_id, header.issuer_of_patient_id) == ("P0001", "HOSPITAL")
    assert (header.patient_name, header.birth_date, header.sex) == ("Doe^Jane", "19800101", "F")
    assert (header.study_date, header.study_time, header.study_id) == ("20260102", "101112", "S1")
    assert (header.rows, header.columns, header.number_of_frames) == (2, 2, 1)
    assert header.requested_procedure_priority == "STAT"
    assert header.view is None
    assert not header.is_own


def test_header_of_a_wrapped_photograph_has_its_view_and_is_not_own(photograph: Path) -> None:
    header = read_header(photograph)
    assert header.view is View.FRONTAL
    assert header.patient_name == "Wang^XiaoDong=王^小东"
    assert not header.is_own


def test_header_of_a_model_has_its_media_type_and_frame(model: Path) -> None:
    header = read_header(model)
    assert header.media_type == "model/stl"
    assert is_valid_uid(header.frame_of_reference_uid)


def test_object_made_by_hemiface_is_own(write_source: SourceWriter) -> None:
    assert read_header(write_source({0x00080070: ("LO", b"hemiface")})).is_own


@pytest.mark.parametrize(
    ("uid", "valid"),
    [
        ("1.2.3", True),
        ("0", True),
        ("1." + "2" * 62, True),
        ("1." + "2" * 63, False),
        ("", False),
        (".", False),
        ("1..2", False),
        ("1.2.", False),
        ("../../etc/passwd", False),
        ("1.2\n", False),
        ("1.٢", False),
        ("1.2/3", False),
    ],
)
def test_uid_is_digits_and_dots_of_at_most_64_characters(uid: str, valid: bool) -> None:
    assert is_valid_uid(uid) is valid


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (0x00080016, "SOP Class UID"),
        (0x00080018, "SOP Instance UID"),
        (0x0020000D, "Study Instance UID"),
        (0x0020000E, "Series Instance UID"),
    ],
)
@pytest.mark.parametrize("value", [None, ("UI", b""), ("UI", b"../../x"), ("UI", b"1" * 66)])
def test_missing_or_invalid_uid_is_named(
    write_source: SourceWriter, tag: int, name: str, value: tuple[str, bytes] | None
) -> None:
    with pytest.raises(RejectedInput, match=name):
        read_header(write_source({tag: value}))


def test_other_sop_class_in_the_file_meta_is_rejected(write_source: SourceWriter) -> None:
    with pytest.raises(RejectedInput, match=r"dataset is of SOP class 1\.2\.840"):
        read_header(write_source(sop_class=b"1.2.840.10008.5.1.4.1.1.77.1.4"))


@pytest.mark.parametrize("content", [b"", b"DICM", b"\0" * 200, b"\x89PNG" + b"x" * 300])
def test_what_is_not_dicom_is_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(RejectedInput, match="not a DICOM file"):
        read_header(path)


def test_truncation_inside_any_element_is_noticed(write_source: SourceWriter) -> None:
    path = write_source()
    whole = path.read_bytes()
    elements = file_structure.read_structure(path).elements.values()
    boundaries = {each.value_tell + each.length for each in elements}
    for end in range(whole.index(b"\x08\0\x16\0") + 1, len(whole)):
        path.write_bytes(whole[:end])
        is_noticed = file_structure.read_structure(path).fault is not None
        assert is_noticed is (end not in boundaries), end


def test_truncated_file_is_still_attached_to_its_study(photograph: Path) -> None:
    photograph.write_bytes(photograph.read_bytes()[:-100])
    header, fault = inspect(photograph)
    assert header is not None
    assert header.study_instance_uid == "1.2.826.0.1.3680043.10.1"
    assert fault is not None
    assert "truncated" in fault
    assert "Pixel Data (7FE0,0010)" in fault
    with pytest.raises(RejectedInput, match="truncated"):
        read_header(photograph)


def test_encapsulated_pixels_without_delimiter_are_truncated(
    write_source: SourceWriter, element: Callable[..., bytes]
) -> None:
    items = ITEM + struct.pack("<I", 0) + ITEM + struct.pack("<I", 4) + b"abcd"
    whole = element(PIXELS, "OB", items + SEQUENCE_END, length=0xFFFFFFFF)
    cut = element(PIXELS, "OB", items, length=0xFFFFFFFF)
    read_header(write_source({PIXELS: None}, syntax=ENCAPSULATED, tail=whole))
    with pytest.raises(RejectedInput, match="sequence delimiter"):
        read_header(write_source({PIXELS: None}, syntax=ENCAPSULATED, tail=cut))


def test_length_that_claims_gigabytes_is_not_allocated(
    write_source: SourceWriter, element: Callable[..., bytes]
) -> None:
    path = write_source({PIXELS: None}, tail=element(PIXELS, "OB", b"ab", length=0xFFFFFFF0))
    tracemalloc.start()
    _, fault = inspect(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fault is not None
    assert "truncated" in fault
    assert peak < 1_000_000


def test_sequences_nested_without_end_are_rejected(
    write_source: SourceWriter, element: Callable[..., bytes]
) -> None:
    level = element(0x00081140, "SQ", b"", length=0xFFFFFFFF) + ITEM + b"\xff\xff\xff\xff"
    with pytest.raises(RejectedInput, match="nested"):
        read_header(write_source({PIXELS: None}, tail=level * 5000))


def test_implicit_and_big_endian_datasets_are_read(write_source: SourceWriter) -> None:
    expected = read_header(write_source())
    for syntax in (ImplicitVRLittleEndian, ExplicitVRBigEndian):
        dataset = dcmread(write_source())
        dataset.file_meta.TransferSyntaxUID = syntax
        path = write_source(name="other.dcm")
        dcmwrite(
            path,
            dataset,
            implicit_vr=syntax.is_implicit_VR,
            little_endian=syntax.is_little_endian,
        )
        header = read_header(path)
        assert header.transfer_syntax_uid == syntax
        assert (header.rows, header.patient_name) == (expected.rows, expected.patient_name)


def _deflated(path: Path, dataset: bytes) -> None:
    deflater = zlib.compressobj(wbits=-15)
    path.write_bytes(
        path.read_bytes()[: path.read_bytes().index(b"\x08\0\x16\0")]
        + deflater.compress(dataset)
        + deflater.flush()
    )


def test_deflated_dataset_is_read(write_source: SourceWriter) -> None:
    path = write_source(syntax="1.2.840.10008.1.2.1.99")
    _deflated(path, path.read_bytes()[path.read_bytes().index(b"\x08\0\x16\0") :])
    assert read_header(path).patient_id == "P0001"
    path.write_bytes(path.read_bytes()[:-20])
    _, fault = inspect(path)
    assert fault is not None
    assert "truncated" in fault


def test_deflated_bomb_is_rejected(
    write_source: SourceWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_structure, "LARGEST_INFLATED_BYTES", 10_000)
    path = write_source(syntax="1.2.840.10008.1.2.1.99")
    _deflated(path, b"\0" * 1_000_000)
    with pytest.raises(RejectedInput, match="larger than"):
        read_header(path)


def test_undecodable_name_is_empty_and_other_text_is_shown_escaped(
    write_source: SourceWriter,
) -> None:
    header = read_header(
        write_source({0x00100010: ("PN", b"\xcd\xf5^\xd0"), 0x00100020: ("LO", b"P\xff1")})
    )
    assert header.patient_name == ""
    assert header.patient_id == "P\\xff1"


def test_control_characters_never_leave_the_header(write_source: SourceWriter) -> None:
    header = read_header(
        write_source({0x00100010: ("PN", b"Doe\r\n\x1bX^Jane"), 0x00081030: ("LO", b"a\0b\nc")})
    )
    for text in (header.patient_name, header.study_description):
        assert text.isprintable()


def test_damaged_view_code_sequence_codes_no_view(
    write_source: SourceWriter,
) -> None:
    for damage in (b"\xff" * 10, ITEM + b"\xff\0\0\0abc", ITEM + b"\4\0\0\0\x08\0\0\1"):
        assert read_header(write_source({0x00540220: ("SQ", damage)})).view is None


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(st.data())
def test_damaged_bytes_never_cause_another_error(
    write_source: SourceWriter, data: st.DataObject
) -> None:
    path = write_source()
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(132, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    header, fault = inspect(path)
    assert header is not None or fault
