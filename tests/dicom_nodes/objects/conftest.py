"""Objects to read: written byte by byte, so that they may be as wrong as a test wants."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dicom_nodes.objects.encapsulated_model import write_encapsulated_model
from dicom_nodes.objects.study_context import StudyIdentity
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from processing.inputs import View
from processing.measurement import (
    Analysis,
    Measurement,
    Plane,
    QualityCheck,
    Side,
    Status,
)

_LONG = {b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC"}
SourceWriter = Callable[..., Path]


def _element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    code = vr.encode()
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB") else b" "
    stated = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + code
    head += b"\0\0" + struct.pack("<I", stated) if code in _LONG else struct.pack("<H", stated)
    return head + value


def _part_10(
    elements: Mapping[int, tuple[str, bytes]], syntax: str, sop_class: bytes, tail: bytes
) -> bytes:
    meta = b"".join(
        (
            _element(0x00020002, "UI", sop_class),
            _element(0x00020003, "UI", b"1.2.3.4"),
            _element(0x00020010, "UI", syntax.encode()),
        )
    )
    group = _element(0x00020000, "UL", struct.pack("<I", len(meta)))
    body = b"".join(_element(tag, vr, value) for tag, (vr, value) in sorted(elements.items()))
    return b"\0" * 128 + b"DICM" + group + meta + body + tail


@pytest.fixture
def element() -> Callable[..., bytes]:
    """One data element in explicit VR little endian; `length` may lie."""
    return _element


@pytest.fixture
def write_source(tmp_path: Path) -> SourceWriter:
    """Write a Secondary Capture of 2 x 2 pixels, with any element replaced or left out."""

    def write(
        changed: Mapping[int, tuple[str, bytes] | None] | None = None,
        *,
        name: str = "source.dcm",
        syntax: str = "1.2.840.10008.1.2.1",
        sop_class: bytes = b"1.2.840.10008.5.1.4.1.1.7",
        tail: bytes = b"",
    ) -> Path:
        elements: dict[int, tuple[str, bytes]] = {
            0x00080016: ("UI", b"1.2.840.10008.5.1.4.1.1.7"),
            0x00080018: ("UI", b"1.2.3.4"),
            0x00080020: ("DA", b"20260102"),
            0x00080030: ("TM", b"101112"),
            0x00080050: ("SH", b"ACC1"),
            0x00080060: ("CS", b"XC"),
            0x00080090: ("PN", b"Doc^Tor"),
            0x00100010: ("PN", b"Doe^Jane"),
            0x00100020: ("LO", b"P0001"),
            0x00100021: ("LO", b"HOSPITAL"),
            0x00100030: ("DA", b"19800101"),
            0x00100040: ("CS", b"F"),
            0x0020000D: ("UI", b"1.2.3"),
            0x0020000E: ("UI", b"1.2.3.9"),
            0x00200010: ("SH", b"S1"),
            0x00280002: ("US", b"\1\0"),
            0x00280004: ("CS", b"MONOCHROME2"),
            0x00280010: ("US", b"\2\0"),
            0x00280011: ("US", b"\2\0"),
            0x00280100: ("US", b"\x08\0"),
            0x00280101: ("US", b"\x08\0"),
            0x00280102: ("US", b"\7\0"),
            0x00280103: ("US", b"\0\0"),
            0x7FE00010: ("OB", b"\0\x40\x80\xff"),
        }
        for tag, replacement in (changed or {}).items():
            elements.pop(tag, None)
            if replacement is not None:
                elements[tag] = replacement
        path = tmp_path / name
        path.write_bytes(_part_10(elements, syntax, sop_class, tail))
        return path

    return write


@pytest.fixture
def made_at() -> datetime:
    return datetime(2026, 3, 4, 5, 6, 7)  # noqa: DTZ001 - the wall-clock time of a site


@pytest.fixture
def identity() -> StudyIdentity:
    return StudyIdentity(
        study_instance_uid="1.2.826.0.1.3680043.10.1",
        patient_id="P0001",
        patient_name="Wang^XiaoDong=王^小东",
        birth_date="19800101",
        sex="M",
        study_id="S1",
        study_date="20260304",
        study_time="050607",
        accession_number="A1",
        referring_physician_name="Referring^Physician",
    )


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """A smooth colour picture whose halves differ, 64 rows by 48 columns."""
    rows, columns = np.mgrid[0:64, 0:48]
    return np.stack([rows * 3, columns * 5, (rows + columns) * 2], axis=2).astype(np.uint8)


@pytest.fixture
def photograph(
    tmp_path: Path, identity: StudyIdentity, picture: NDArray[np.uint8], made_at: datetime
) -> Path:
    """A frontal photograph in an existing study."""
    out = tmp_path / "photograph.dcm"
    write_vl_photograph(picture, identity, out, made_at=made_at, view=View.FRONTAL)
    return out


@pytest.fixture
def model(tmp_path: Path, identity: StudyIdentity, made_at: datetime) -> Path:
    """An encapsulated STL in the same study."""
    out = tmp_path / "model.dcm"
    data = b"solid face\nendsolid face"
    write_encapsulated_model(data, "stl", identity, out, made_at=made_at, unit="mm")
    return out


@pytest.fixture
def photograph_analysis() -> Analysis:
    """Everything that photograph-symmetry may report, in the order of its groups."""
    midline = ("nasion", "subnasale")
    return Analysis(
        analysis="photograph-symmetry",
        version="1.0.0",
        status=Status.MEASURED,
        measurements=(
            Measurement("symmetry_ratio", 0.931, "1", 0.012, "of pair ratios", structure="face"),
            Measurement("asymmetry_index", 7.1, "%", 1.3, "of pair ratios", structure="face"),
            Measurement("yaw", 1.25, "deg", 0.5, "transformation matrix"),
            Measurement("scale", 0.21, "mm", 0.0075, "iris of 11.71 mm"),
            Measurement(
                "pair_ratio", 0.9, "1", 0.02, "m" * 200, structure="cheilion", derived_from=midline
            ),
            Measurement(
                "midline_distance", 25.5, "mm", 0.5, "±", side=Side.LEFT, structure="cheilion"
            ),
            Measurement(
                "midline_distance", 23.5, "mm", 0.5, "±", side=Side.RIGHT, structure="cheilion"
            ),
            Measurement("area_ratio", 0.95, "1", 0.01, "polygon", region="lower"),
            Measurement("chin_deviation", -1.5, "mm", 0.4, "gnathion", structure="chin"),
        ),
        landmarks={
            "nasion": (24.0, 20.0),
            "cheilion_left": (30.25, 40.5),
            "cheilion_right": (18.0, 40.0),
        },
        quality=(
            QualityCheck("yaw", 1.25, "deg", 5.0, passed=True),
            QualityCheck("eye distance", 31.0, "{pixels}", 60.0, passed=False),
        ),
    )


@pytest.fixture
def surface_analysis() -> Analysis:
    """What surface-symmetry reports."""
    return Analysis(
        analysis="surface-symmetry",
        version="1.0.0",
        status=Status.MEASURED,
        measurements=(
            Measurement("volume_discrepancy", -8.1, "mL", 0.4, "mirrored", structure="hemiface"),
            Measurement("rms_asymmetry", 1.21, "mm", 0.1, "mirrored", structure="hemiface"),
            Measurement("mean_absolute_asymmetry", 0.8, "mm", 0.1, "m", structure="hemiface"),
            Measurement("p95_asymmetry", 2.5, "mm", 0.1, "mirrored", structure="hemiface"),
            Measurement("fraction_within_1mm", 71.0, "%", 1.0, "m", structure="hemiface"),
            Measurement(
                "volume_discrepancy", -7.7, "mL", 0.3, "m", structure="hemiface", region="cheek"
            ),
            Measurement("landmark_asymmetry", 1.5, "mm", 0.2, "m", structure="cheilion"),
        ),
        landmarks={"cheilion_left": (25.125, -3.5, 0.1), "pronasale": (0.0, 0.0, 25.0)},
        planes={"midsagittal": Plane((0.9999500004166653, 0.01, 0.0), 0.2)},
        frame="1.2.840.99.1",
        quality=(QualityCheck("face width", 140.0, "mm", 200.0, passed=True),),
    )
