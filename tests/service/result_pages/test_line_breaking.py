from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.result_pages.line_breaking import fitted, lines_of


def width_of(text: str) -> float:
    """Chinese characters are twice as wide as others."""
    return float(sum(2 if ord(each) > 0x2E80 else 1 for each in text))


def test_a_line_is_broken_at_a_space() -> None:
    assert lines_of("left and right", 8, width_of) == ["left and", "right"]


def test_a_word_that_no_line_holds_is_broken() -> None:
    assert all(len(each) <= 4 for each in lines_of("1234567890", 4, width_of))
    assert "".join(lines_of("1234567890", 4, width_of)) == "1234567890"


def test_chinese_is_broken_between_characters_but_not_before_a_full_stop() -> None:
    assert lines_of("面部对称。", 8, width_of) == ["面部对", "称。"]


def test_an_opening_mark_ends_no_line() -> None:
    assert lines_of("面部（左）", 6, width_of) == ["面部", "（左）"]


def test_a_value_is_not_parted_from_its_unit() -> None:
    value = "1.2\N{NO-BREAK SPACE}mm"
    assert lines_of(f"it is {value}", 9, width_of) == ["it is", value]


@given(st.text(), st.floats(4, 60))
def test_no_line_is_too_wide_and_no_character_is_lost(text: str, width: float) -> None:
    lines = lines_of(text, width, width_of)
    assert all(width_of(each) <= width or len(each) == 1 for each in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("width", [3, 5, 20])
def test_a_cut_line_says_that_it_was_cut(width: float) -> None:
    cut = fitted("a rather long name", width, width_of)
    assert width_of(cut) <= width
    assert (cut == "a rather long name") == (width == 20)
    assert width == 20 or cut.endswith("...")
