from __future__ import annotations

import io
import logging
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from processing.measurement import (
    Analysis,
    Measurement,
    NormalRange,
    PermanentFault,
    Picture,
    QualityCheck,
    Side,
    Status,
)
from processing.normal_ranges import normal_range_of
from service.result_pages import embedded_font
from service.result_pages.page_content import NormalRangeOf, Subject
from service.result_pages.pages import result_pages
from service.result_pages.words import Language

REPOSITORY = Path(__file__).resolve().parents[3]
MADE_AT = datetime(2026, 1, 14, 9, 30, tzinfo=UTC)
SUBJECT = Subject("Wang, Xiaodong (王小东)", "0012345", "19900501", "M", "20260113", "A2026-1")
PICTURE = Picture("heat-map-front", "From the front", np.full((300, 400, 3), 90, np.uint8))
SCAN = Analysis(
    "surface-symmetry",
    "2.0.0",
    Status.MEASURED,
    inputs=("1.2.3",),
    measurements=(
        Measurement("volume_discrepancy", -8.1, "mL", 0.4, "m", Side.LEFT, "hemiface"),
        Measurement("volume_discrepancy", -7.0, "mL", 0.4, "m", Side.LEFT, "hemiface", "cheek"),
        Measurement(
            "volume_discrepancy", -6.5, "mL", 0.6, "m", Side.LEFT, "hemiface", "affected area"
        ),
        Measurement("rms_asymmetry", 1.9, "mm", 0.1, "m", structure="face"),
        Measurement("chin_deviation", 0.4, "mm", 0.3, "m", structure="pogonion"),
    ),
    quality=(
        QualityCheck("rival_plane", 0.91, "1", 0.85, passed=False),
        QualityCheck("holes_not_filled", 1.0, "1", 20.0, passed=True),
    ),
)
REFUSED = Analysis("photograph-symmetry", "2.1.0", Status.REFUSED, "No face was found.")


def drawn(
    analysis: Analysis = SCAN,
    subject: Subject = SUBJECT,
    language: Language = "en",
    pictures: tuple[Picture, ...] = (PICTURE,),
    normal: NormalRangeOf = normal_range_of,
) -> bytes:
    return result_pages(
        analysis,
        pictures,
        subject,
        MADE_AT,
        language=language,
        software="0.1.0",
        normal_range_of=normal,
    )


def texts(pdf: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(io.BytesIO(pdf))
    try:
        return [
            " ".join(page.get_textpage().get_text_range().replace("\u00a0", " ").split())
            for page in document
        ]
    finally:
        document.close()


def test_a_measured_result_has_two_pages_with_patient_result_and_measures() -> None:
    first, second = texts(drawn())
    for said in (
        "Wang, Xiaodong (王小东)",
        "0012345",
        "1990-05-01",
        "2026-01-14 09:30 UTC",
        "measured, not verified by a person",
        "−8.10 ± 0.40 mL",
        "The left half has less volume than the right.",
        "For research use only; not a medical device.",
        "1 of 2",
    ):
        assert said in first
    for said in ("cheek −7.00 ± 0.40 mL", "whole face −8.10 ± 0.40 mL 1.90 ± 0.10 mm"):
        assert said in second
    assert "Chin beside the midline (+: to the left) 0.40 ± 0.30 mm" in second


def test_what_to_be_careful_about_is_said() -> None:
    first = texts(drawn())[0]
    assert "Check not passed – another midline explains the face" in first
    assert "0.91 (limit 0.85)" in first
    assert "It is no lesion until a person says so." in first
    assert "Where the clinic speaks for one, outline the area." in first
    assert "holes in the scan" not in first


def test_an_area_that_a_person_outlined_is_not_called_the_programs() -> None:
    given_area = replace(SCAN.measurements[2], region="affected area, given")
    analysis = replace(SCAN, measurements=(*SCAN.measurements[:2], given_area))
    first = texts(drawn(analysis))[0]
    assert "no lesion" not in first
    assert "outline the area" not in first


def test_normal_values_stand_beside_the_whole_face_with_their_source() -> None:
    second = texts(drawn())[1]
    assert "Normal, whole face up to 1.53 mm" in second
    assert "Özsoy 2016" in second


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(1.0, 2.0, "1 mm to 2 mm"), (None, 2.0, "up to 2 mm"), (1.0, None, "1 mm or more")],
)
def test_a_normal_range_is_a_column_where_measures_have_one(
    low: float | None, high: float | None, words: str
) -> None:
    normal = NormalRange(low, high, "mm", "adults", "a study")
    second = texts(
        drawn(normal=lambda each: normal if each.quantity == "chin_deviation" else None)
    )[1]
    assert f"0.40 ± 0.30 mm {words}" in second


def test_a_small_difference_is_called_unclear() -> None:
    headline = replace(SCAN.measurements[0], uncertainty=5.0)
    analysis = replace(SCAN, measurements=(headline, *SCAN.measurements[1:]))
    assert "The difference is not clear" in texts(drawn(analysis))[0]


def test_a_refused_result_has_one_page_with_the_reason_and_what_to_do() -> None:
    (only,) = texts(drawn(REFUSED, pictures=()))
    for said in (
        "It could not be measured",
        "No face was found.",
        "send the new picture",
        "1 of 1",
    ):
        assert said in only
    assert "not verified by a person" not in only


def test_a_failure_is_said_to_be_the_programs() -> None:
    analysis = replace(REFUSED, status=Status.FAILED, reason="The software failed.")
    (only,) = texts(drawn(analysis, pictures=()))
    assert "The program failed" in only
    assert "a fault of the program" in only


def test_the_pages_are_chinese_where_the_settings_say_so() -> None:
    first, second = texts(drawn(language="zh"))
    for said in ("面部三维扫描对称性测量", "王小东", "左半面体积小于右半面", "未经人工审核", "男"):
        assert said in first
    assert "颊部" in second
    assert "Volume" not in first + second


def test_the_same_arguments_make_the_same_bytes() -> None:
    assert drawn() == drawn()
    assert drawn() != drawn(subject=replace(SUBJECT, patient_id="other"))


def test_the_font_is_embedded_and_only_the_characters_that_are_used() -> None:
    pdf = drawn(REFUSED, pictures=())
    assert b"/FontFile3" in pdf
    assert b"Helvetica" not in pdf
    assert len(pdf) < 60_000


def test_a_large_picture_is_reduced_to_what_paper_shows() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (3000, 3000, 3)).astype(np.uint8)
    pdf = drawn(pictures=(replace(PICTURE, pixels=noise),))
    image = next(
        each
        for each in pypdfium2.PdfDocument(pdf)[0].get_objects()
        if isinstance(each, pypdfium2.PdfImage)
    )
    assert max(image.get_px_size()) == 1400


def test_a_character_without_a_glyph_is_marked_and_reaches_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        first = texts(drawn(subject=replace(SUBJECT, name="Hong, Gildong (홍길동)")))[0]
    assert "□□□" in first
    assert "stands for a character that this page cannot show" in first
    assert not [each for each in caplog.records if "홍" in each.getMessage()]


def test_drawing_writes_nothing_into_the_logs_of_the_node() -> None:
    """The library of fonts tells which glyphs it keeps: those of a patient's name."""
    script = (
        "from service.log import configure_logging; configure_logging('json', 'test');"
        "from tests.service.result_pages.test_pages import drawn; drawn()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_text_that_is_too_long_stays_on_the_page() -> None:
    long = Subject("A" * 5000, "B" * 5000, "C" * 99, "D" * 99, "E" * 99, "F" * 5000)
    reason = "word " * 4000
    pdf = drawn(replace(REFUSED, reason=reason), subject=long, pictures=())
    page = pypdfium2.PdfDocument(pdf)[0]
    boxes = [each.get_bounds() for each in page.get_objects()]
    assert all(left >= 0 and right <= page.get_width() for left, _, right, _ in boxes)
    assert all(bottom >= 0 for _, bottom, _, _ in boxes)


def test_measures_that_have_no_room_are_counted_not_lost_silently() -> None:
    many = tuple(
        Measurement("rms_asymmetry", 1.0, "mm", 0.1, "m", structure="face", region=f"part {n}")
        for n in range(90)
    )
    second = texts(drawn(replace(SCAN, measurements=SCAN.measurements + many)))[1]
    drawn_parts = sum(f"part {n} " in second for n in range(90))
    assert 30 < drawn_parts < 90
    assert f"{90 - drawn_parts} further measures are in the DICOM report" in second


ANY_TEXT = st.text(max_size=60)


@hypothesis_settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    subject=st.builds(Subject, ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT),
    name=ANY_TEXT,
    reason=ANY_TEXT.filter(bool),
    value=st.floats(allow_nan=False, allow_infinity=False),
)
def test_no_string_and_no_number_breaks_the_pages(
    subject: Subject, name: str, reason: str, value: float
) -> None:
    measure = Measurement(name, value, name, abs(value), name, None, name, name)
    check = QualityCheck(name, value, name, value, passed=False)
    picture = Picture(name, name, np.zeros((1, 900, 3), np.uint8))
    for status, expected in ((Status.MEASURED, 2), (Status.REFUSED, 1)):
        measures = (measure,) if status is Status.MEASURED else ()
        analysis = Analysis(name, name, status, reason, (), measures, quality=(check,))
        assert len(texts(drawn(analysis, subject, pictures=(picture,)))) == expected


def test_without_its_font_nothing_is_drawn_and_the_reason_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedded_font, "PACKAGE", "a_package_that_is_not_there")
    embedded_font.embedded_font.cache_clear()
    try:
        with pytest.raises(PermanentFault, match="make setup"):
            drawn()
    finally:
        monkeypatch.undo()
        embedded_font.embedded_font.cache_clear()
