from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from dicom_nodes.objects.encapsulated_model import write_encapsulated_model
from dicom_nodes.objects.study_context import StudyIdentity, identity_of
from dicom_nodes.objects.surface_reader import read_encapsulated_model
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
