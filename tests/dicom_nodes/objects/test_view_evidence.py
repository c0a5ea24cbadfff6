from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_nodes.objects.ada_views import ada_view
from dicom_nodes.objects.coded_entries import Code, code_item
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.photograph_reader import read_photographs
from dicom_nodes.objects.view_evidence import (
    Mirrored,
    Words,
    read_expression,
    read_mirrored,
    read_view,
)
from dicom_nodes.objects.views import write_view
from processing.inputs import Expression, View
from processing.measurement import RejectedInput
from tests.dicom_nodes.objects import photographs_of_others

SourceWriter = Callable[..., Path]
FRONTAL, RIGHT_LATERAL, OBLIQUE = "399033003", "399198007", "260454004"
MIRRORED, CLOSE_UP, MOUTH = "789135000", "789131009", "123851003"
RIGHT, LEFT = "24028007", "7771000"


def _item(value: str) -> Dataset:
    return code_item(Code(value, "SCT", "a meaning that is not read"))


def _coded(
    view: str | None = None,
    *,
    modifier: str | None = None,
    region: str = "774007",
    side: str | None = None,
    orientation: list[str] | None = None,
    context: tuple[str, str] | None = None,
    device: str | None = None,
) -> Dataset:
    dataset = Dataset()
    if view is not None:
        dataset.ViewCodeSequence = [_item(view)]
    if modifier is not None:
        dataset.ViewModifierCodeSequence = [_item(modifier)]
    dataset.AnatomicRegionSequence = [_item(region)]
    if side is not None:
        dataset.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [_item(side)]
    if orientation is not None:
        dataset.PatientOrientation = orientation
    if context is not None:
        item = Dataset()
        item.ConceptNameCodeSequence = [_item(context[0])]
        item.ConceptCodeSequence = [_item(context[1])]
        dataset.AcquisitionContextSequence = [item]
    if device is not None:
        dataset.DeviceSequence = [_item(device)]
    return dataset


@pytest.mark.parametrize(
    ("dataset", "view"),
    [
        (_coded(FRONTAL), View.FRONTAL),
        (_coded(RIGHT_LATERAL), View.RIGHT_PROFILE),
        (_coded("399173006"), View.LEFT_PROFILE),
        (_coded(OBLIQUE, side=RIGHT), View.RIGHT_OBLIQUE),
        (_coded("399182000", side=LEFT), View.LEFT_OBLIQUE),
        (_coded("260421001"), View.LEFT_OBLIQUE),
        (_coded("260424009"), View.RIGHT_OBLIQUE),
        (_coded(OBLIQUE), View.OTHER),
        (_coded("399255003"), View.OTHER),  # submentovertical
        (_coded("nonsense"), View.OTHER),
        (_coded(modifier="787612006", side=RIGHT), View.RIGHT_OBLIQUE),
        (_coded(side=RIGHT), View.OTHER),
        (_coded(), None),
    ],
)
def test_view_by_codes(dataset: Dataset, view: View | None) -> None:
    assert read_view(dataset) is view


def test_frontal_view_of_the_teeth_is_no_frontal_view_of_the_face() -> None:
    assert read_view(_coded(FRONTAL, region=MOUTH)) is View.OTHER
    assert read_view(_coded(FRONTAL, modifier=CLOSE_UP)) is View.OTHER


@pytest.mark.parametrize(
    ("orientation", "view"),
    [
        (["L", "F"], View.FRONTAL),
        (["A", "F"], View.RIGHT_PROFILE),
        (["P", "F"], View.LEFT_PROFILE),
        (["AL", "F"], View.RIGHT_OBLIQUE),
        (["LP", "FP"], View.LEFT_OBLIQUE),
        (["R", "F"], None),
        (["L", "H"], None),
    ],
)
def test_view_by_patient_orientation(orientation: list[str], view: View | None) -> None:
    assert read_view(_coded(orientation=orientation)) is view


def test_a_coded_view_counts_before_the_orientation_and_this_before_words() -> None:
    words = Words("profile")
    assert read_view(_coded(FRONTAL, orientation=["A", "F"]), words) is View.FRONTAL
    assert read_view(_coded(orientation=["L", "F"]), words) is View.FRONTAL
    assert read_view(_coded(), words) is View.OTHER


def test_code_of_ada_1100_counts_before_the_orientation() -> None:
    # Its writers give the 45 degree views the orientation of a profile.
    dataset = _coded(orientation=["A", "F"])
    assert read_view(dataset, Words("EV12^45° Right Profile - Full Smile")) is View.RIGHT_OBLIQUE


@pytest.mark.parametrize(
    ("comments", "view", "expression"),
    [
        ("EV01^Right Profile - Lips Relaxed", View.RIGHT_PROFILE, Expression.REPOSE),
        ("EV07^", View.RIGHT_PROFILE, Expression.OTHER),
        ("EV12^", View.RIGHT_OBLIQUE, Expression.SMILE),
        ("EV15^Full Face - Lips Relaxed", View.FRONTAL, Expression.REPOSE),
        ("EV18", View.FRONTAL, Expression.REPOSE),
        ("EV19^Full Face - Full Smile", View.FRONTAL, Expression.SMILE),
        ("EV22^", View.LEFT_PROFILE, Expression.REPOSE),
        ("EV30^", View.LEFT_OBLIQUE, Expression.REPOSE),
        ("EV37^", View.OTHER, None),
        ("EV38^", View.OTHER, Expression.SMILE),
        ("EV39^", View.FRONTAL, Expression.OTHER),
        ("EV42^", View.FRONTAL, Expression.OTHER),
        ("EV43^Full Face - demonstrating Nerve Weakness", View.FRONTAL, Expression.OTHER),
        ("IV07^Intraoral Frontal View", View.OTHER, None),
    ],
)
def test_view_and_expression_by_the_code_of_ada_1100(
    comments: str, view: View, expression: Expression | None
) -> None:
    assert read_view(Dataset(), Words(comments)) is view
    assert read_expression(Dataset(), Words(comments)) is expression


@pytest.mark.parametrize("comments", ["EV00^", "EV44^", "IV31^", "EV123", "REV15", "EV1", ""])
def test_what_is_no_code_of_ada_1100_is_none(comments: str) -> None:
    assert ada_view(comments) is None


@pytest.mark.parametrize(
    ("words", "view", "expression"),
    [
        (Words("a full face smile"), View.FRONTAL, Expression.SMILE),
        (Words("frontal, at rest"), View.FRONTAL, Expression.REPOSE),
        (Words("Left lateral"), View.OTHER, None),
        (Words("", "eyes closed"), None, Expression.EYES_SHUT),
        (Words("brows raised"), None, Expression.BROWS_RAISED),
        (Words("正面 微笑"), View.FRONTAL, Expression.SMILE),
        (Words("frontal and profile"), None, None),
        (Words("", "Frontal at rest and smiling"), View.FRONTAL, None),
        (Words("bilateral ptosis", "unsmiling"), None, None),
    ],
)
def test_words_count_only_when_they_name_one_thing(
    words: Words, view: View | None, expression: Expression | None
) -> None:
    assert read_view(Dataset(), words) is view
    assert read_expression(Dataset(), words) is expression


@pytest.mark.parametrize(
    ("dataset", "expression"),
    [
        (_coded(context=("130325", "1336028006")), Expression.REPOSE),
        (_coded(context=("130325", "1336029003")), Expression.REPOSE),
        (_coded(context=("130324", "225583004")), Expression.SMILE),
        (_coded(context=("130325", "262016004")), Expression.OTHER),
        (_coded(context=("130325", "1336026005")), Expression.OTHER),
        (_coded(context=("363787002", "193093009")), Expression.OTHER),  # palsy
        (_coded(context=("25272006", "110320000")), None),  # occlusion says nothing
        (_coded(modifier="789314008"), Expression.REPOSE),
        (_coded(modifier="789130005"), Expression.OTHER),
        (_coded(context=("130325", "1336028006"), device="39802000"), Expression.OTHER),
        (_coded(), None),
    ],
)
def test_expression_by_codes(dataset: Dataset, expression: Expression | None) -> None:
    assert read_expression(dataset) is expression


@given(st.sampled_from([*View]), st.sampled_from([*Expression]))
def test_view_and_expression_that_are_written_are_read(view: View, expression: Expression) -> None:
    dataset = Dataset()
    write_view(dataset, view, expression)
    assert read_view(dataset) is (None if view is View.OTHER else view)
    assert read_expression(dataset) is expression


@pytest.mark.parametrize(
    ("dataset", "mirrored"),
    [
        (_coded(FRONTAL, orientation=["L", "F"]), Mirrored.NO),
        (_coded(FRONTAL), Mirrored.NO),
        (_coded(FRONTAL, orientation=["R", "F"]), Mirrored.CONTRADICTORY),
        (_coded(orientation=["R", "F"]), Mirrored.CONTRADICTORY),
        (_coded(FRONTAL, orientation=["L", "H"]), Mirrored.CONTRADICTORY),
        (_coded(FRONTAL, orientation=["R", "H"]), Mirrored.NO),  # upside down
        (_coded(FRONTAL, modifier=MIRRORED, orientation=["R", "F"]), Mirrored.YES),
        (_coded(FRONTAL, modifier=MIRRORED), Mirrored.YES),
        (_coded(FRONTAL, modifier=MIRRORED, orientation=["L", "F"]), Mirrored.CONTRADICTORY),
        (_coded(FRONTAL, modifier="787610003", orientation=["L", "F"]), Mirrored.NO),
        (_coded(RIGHT_LATERAL, orientation=["R", "F"]), Mirrored.NO),
    ],
)
def test_mirrored_picture_is_told_where_the_attributes_allow(
    dataset: Dataset, mirrored: Mirrored
) -> None:
    assert read_mirrored(dataset, read_view(dataset)) is mirrored


def test_picture_that_may_be_mirrored_is_refused_with_what_to_do(
    write_source: SourceWriter,
) -> None:
    path = write_source({0x00200020: ("CS", b"R\\F")})
    with pytest.raises(RejectedInput, match=r"Patient Orientation \(0020,0020\) is R\\F.*L\\F for"):
        read_photographs(path)


def test_picture_that_is_coded_as_mirrored_is_turned_back(
    write_source: SourceWriter, element: Callable[..., bytes], picture: NDArray[np.uint8]
) -> None:
    code = element(0x00080100, "SH", MIRRORED.encode()) + element(0x00080102, "SH", b"SCT")
    item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(code)) + code
    path = write_source(
        {
            0x00280002: ("US", b"\3\0"),
            0x00280004: ("CS", b"RGB"),
            0x00280006: ("US", b"\0\0"),
            0x00280010: ("US", struct.pack("<H", picture.shape[0])),
            0x00280011: ("US", struct.pack("<H", picture.shape[1])),
            0x00540222: ("SQ", item),
            0x7FE00010: ("OB", picture.tobytes()),
        }
    )
    (photograph,) = read_photographs(path)
    assert (photograph.pixels == picture[:, ::-1]).all()


@photographs_of_others.where_they_are
@photographs_of_others.each_with_view_and_expression
def test_header_of_a_photograph_of_another_writer_tells_view_and_expression(
    name: str, view: View, expression: Expression
) -> None:
    header = read_header(photographs_of_others.DATA / f"{name}.dcm")
    assert (header.view, header.expression) == (view, expression)


def test_station_and_sender_are_read(write_source: SourceWriter) -> None:
    header = read_header(write_source({0x00081010: ("SH", b"STUDIO 1")}))
    assert header.station_name == "STUDIO 1"
    assert header.source_ae_title == ""
