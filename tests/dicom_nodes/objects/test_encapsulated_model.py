from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from dicom_nodes.objects.encapsulated_model import NamedReference, write_encapsulated_model
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.study_context import StudyIdentity, identity_of
from dicom_nodes.objects.surface_reader import read_encapsulated_model
from dicom_nodes.objects.written_object import WrittenObject
from processing.measurement import PermanentFault, RejectedInput

STL = b"1.2.840.10008.5.1.4.1.1.104.3"
SourceWriter = Callable[..., Path]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None
)
@given(data=st.binary(min_size=1, max_size=200), media=st.sampled_from(["stl", "obj"]))
def test_every_byte_of_the_file_is_kept(
    tmp_path: Path, identity: StudyIdentity, made_at: datetime, data: bytes, media: str
) -> None:
    out = tmp_path / "m.dcm"
    written = write_encapsulated_model(data, media, identity, out, made_at=made_at, unit="cm")
    model = read_encapsulated_model(out)
    assert (model.data, model.media, model.unit) == (data, media, "cm")
    assert model.source == written.sop_instance_uid


def test_model_without_known_unit_states_none(
    tmp_path: Path, identity: StudyIdentity, made_at: datetime
) -> None:
    out = tmp_path / "m.dcm"
    write_encapsulated_model(b"v 0 0 0", "obj", identity, out, made_at=made_at, unit=None)
    assert read_encapsulated_model(out).unit is None
    assert dcmread(out).MeasurementUnitsCodeSequence[0].CodeValue == "1"


def test_frame_of_reference_is_kept(
    tmp_path: Path, identity: StudyIdentity, made_at: datetime
) -> None:
    out = tmp_path / "m.dcm"
    write_encapsulated_model(b"x", "stl", identity, out, made_at=made_at, unit="mm", frame="1.2.9")
    assert read_encapsulated_model(out).frame == "1.2.9"


def test_model_joins_an_existing_study(tmp_path: Path, photograph: Path, made_at: datetime) -> None:
    out = tmp_path / "m.dcm"
    joined = identity_of(photograph)
    write_encapsulated_model(b"x", "stl", joined, out, made_at=made_at, unit="mm")
    assert dcmread(out).StudyInstanceUID == dcmread(photograph).StudyInstanceUID
    assert dcmread(out).PatientName == dcmread(photograph).PatientName


def test_same_file_makes_the_same_bytes(
    tmp_path: Path, identity: StudyIdentity, made_at: datetime
) -> None:
    for name in ("1", "2"):
        write_encapsulated_model(b"x", "stl", identity, tmp_path / name, made_at=made_at, unit="mm")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize("data", [b""])
def test_empty_file_is_rejected(
    tmp_path: Path, identity: StudyIdentity, made_at: datetime, data: bytes
) -> None:
    with pytest.raises(RejectedInput, match="0 bytes"):
        write_encapsulated_model(data, "stl", identity, tmp_path / "m", made_at=made_at, unit="mm")


def test_unknown_unit_and_frame_are_refused(
    tmp_path: Path, identity: StudyIdentity, made_at: datetime
) -> None:
    out = tmp_path / "m"
    with pytest.raises(PermanentFault, match="furlong"):
        write_encapsulated_model(b"x", "stl", identity, out, made_at=made_at, unit="furlong")
    with pytest.raises(RejectedInput, match="no valid UID"):
        write_encapsulated_model(
            b"x", "stl", identity, out, made_at=made_at, unit="mm", frame="../x"
        )
    with pytest.raises(ValueError, match="media"):
        write_encapsulated_model(b"x", "ply", identity, out, made_at=made_at, unit="mm")
    assert list(tmp_path.iterdir()) == []


def test_other_object_is_rejected(photograph: Path) -> None:
    with pytest.raises(RejectedInput, match="no surface scan"):
        read_encapsulated_model(photograph)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({0x00420011: None}, "Encapsulated Document .* missing"),
        ({0x00420011: ("OB", b"")}, "missing or empty"),
        ({0x00420015: ("UL", b"\xff\xff\xff\xff")}, "Encapsulated Document Length"),
        ({0x00420015: ("UL", b"\0\0\0\0")}, "Encapsulated Document Length"),
    ],
)
def test_wrong_attribute_is_named(
    write_source: SourceWriter, changed: dict[int, object], message: str
) -> None:
    given = {0x00080016: ("UI", STL), 0x00420011: ("OB", b"solid"), 0x7FE00010: None}
    with pytest.raises(RejectedInput, match=message):
        read_encapsulated_model(write_source(given | changed, sop_class=STL))


def test_truncated_model_is_rejected(model: Path) -> None:
    content = model.read_bytes()
    model.write_bytes(content[: content.index(b"solid face") + 5])
    with pytest.raises(RejectedInput, match=r"Encapsulated Document \(0042,0011\) runs to byte"):
        read_encapsulated_model(model)


def test_what_a_document_names_is_kept_with_its_name_and_series(
    tmp_path: Path, photograph: Path, identity: StudyIdentity, made_at: datetime
) -> None:
    header = read_header(photograph)
    picture = WrittenObject(
        photograph, header.sop_class_uid, header.sop_instance_uid, header.series_instance_uid
    )
    library = write_encapsulated_model(
        b"newmtl a", "mtl", identity, tmp_path / "l", made_at=made_at, unit="mm",
        references=[NamedReference("C:\\my faces\\50 %.jpg", picture)],
    )  # fmt: skip
    write_encapsulated_model(
        b"v 0 0 0", "obj", identity, tmp_path / "m", made_at=made_at, unit="mm",
        references=[NamedReference("face.mtl", library), NamedReference("b.jpg", picture)],
    )  # fmt: skip
    read_library = read_encapsulated_model(tmp_path / "l")
    assert (read_library.media, read_library.frame) == ("mtl", None)
    assert read_library.pictures == {"C:\\my faces\\50 %.jpg": header.sop_instance_uid}
    model = read_encapsulated_model(tmp_path / "m")
    assert model.libraries == {"face.mtl": library.sop_instance_uid}
    assert model.pictures == {"b.jpg": header.sop_instance_uid}
    assert set(read_header(tmp_path / "m").referenced_instances) == {
        library.sop_instance_uid,
        header.sop_instance_uid,
    }
    series = {
        each.SeriesInstanceUID: [item.ReferencedSOPInstanceUID for item in each[0x0008114A].value]
        for each in dcmread(tmp_path / "m").ReferencedSeriesSequence
    }
    assert series == {
        library.series_instance_uid: [library.sop_instance_uid],
        header.series_instance_uid: [header.sop_instance_uid],
    }


def test_other_references_make_another_instance(
    tmp_path: Path, identity: StudyIdentity, made_at: datetime
) -> None:
    libraries = [
        write_encapsulated_model(text, "mtl", identity, tmp_path / "l", made_at=made_at, unit="mm")
        for text in (b"newmtl a", b"newmtl b")
    ]
    models = {
        write_encapsulated_model(
            b"v 0 0 0", "obj", identity, tmp_path / "m", made_at=made_at, unit="mm",
            references=[NamedReference("a.mtl", each)],
        ).sop_instance_uid
        for each in libraries
    }  # fmt: skip
    assert len(models) == 2


@pytest.mark.parametrize(
    ("code", "scheme", "unit"),
    [
        ("MM", "UCUM", "mm"),
        ("[IN_I]", "UCUM", "[in_i]"),
        ("um", "UCUM", "um"),
        ("1", "UCUM", None),
        ("", "UCUM", None),
    ],
)
def test_the_unit_is_read_as_it_is_meant(
    tmp_path: Path, model: Path, code: str, scheme: str, unit: str | None
) -> None:
    dataset = dcmread(model)
    dataset.MeasurementUnitsCodeSequence[0].CodeValue = code
    dataset.MeasurementUnitsCodeSequence[0].CodingSchemeDesignator = scheme
    dataset.save_as(tmp_path / "changed.dcm")
    assert read_encapsulated_model(tmp_path / "changed.dcm").unit == unit


def test_a_unit_of_another_scheme_is_rejected(tmp_path: Path, model: Path) -> None:
    dataset = dcmread(model)
    dataset.MeasurementUnitsCodeSequence[0].CodingSchemeDesignator = "99MAKER"
    dataset.save_as(tmp_path / "changed.dcm")
    with pytest.raises(RejectedInput, match="99MAKER"):
        read_encapsulated_model(tmp_path / "changed.dcm")


def test_an_object_without_any_unit_states_none(tmp_path: Path, model: Path) -> None:
    dataset = dcmread(model)
    del dataset.MeasurementUnitsCodeSequence
    dataset.save_as(tmp_path / "changed.dcm")
    assert read_encapsulated_model(tmp_path / "changed.dcm").unit is None
