from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.display import ago, person_name, quantity, shown, size, until

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


@given(st.text(max_size=2000))
def test_what_is_shown_is_one_short_line_that_no_terminal_obeys(text: str) -> None:
    line = shown(text)
    assert len(line) <= 120
    assert all(ord(each) >= 0x20 and not 0x7F <= ord(each) <= 0x9F for each in line)
    assert not set(line) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def test_an_escape_sequence_loses_its_escape() -> None:
    assert shown("A\x1b[31mB\r\nC") == "A [31mB C"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Collins^Eileen^Marie^Col.", "Collins, Eileen Marie Col."),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田 太郎, やまだ たろう)"),
        ("=王^小东", "王 小东"),
        ("Anonymous", "Anonymous"),
        ("^^^", ""),
        ("", ""),
    ],
)
def test_a_person_name_is_written_as_people_write_it(value: str, text: str) -> None:
    assert person_name(value) == text


@pytest.mark.parametrize(
    ("value", "uncertainty", "unit", "text"),
    [
        (-8.123, 0.41, "mL", "−8.12 ± 0.41 mL"),
        (0.95712, 0.008, "1", "0.9571 ± 0.0080"),
        (1234.5, 120.0, "mm2", "1234 ± 120 mm²"),
        (1.0, 0.0, "mm", "1.000 ± 0.000 mm"),
    ],
)
def test_a_value_has_the_digits_that_its_uncertainty_warrants(
    value: float, uncertainty: float, unit: str, text: str
) -> None:
    assert quantity(value, uncertainty, unit).replace("\xa0", " ") == text


def test_times_and_sizes_are_in_the_unit_that_fits() -> None:
    assert [ago(NOW - timedelta(seconds=each), NOW) for each in (5, 90, 7200, 200_000)] == [
        "5 s ago",
        "1 min ago",
        "2 h ago",
        "2 d ago",
    ]
    assert until(NOW + timedelta(seconds=25), NOW).endswith(", in 25 s")
    assert until(NOW, NOW) == "now"
    assert [size(each) for each in (5, 2_000, 3_758_596, 2_000_000_000)] == [
        "5 B",
        "2.0 kB",
        "3.8 MB",
        "2.0 GB",
    ]
