from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_nodes.objects.character_sets import (
    as_ascii,
    certain_text,
    declared_character_sets,
    decode_text,
    display_text,
)

CASES = {
    "UTF-8": ("ISO_IR 192", "Wang^XiaoDong=王^小东".encode(), "Wang^XiaoDong=王^小东"),
    "GB18030": ("GB18030", "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
    "GBK with a backslash inside": ("GBK", "Zhang^X=章^堚".encode("gbk"), "Zhang^X=章^堚"),
    "IR 58": (
        "\\ISO 2022 IR 58",
        b"Wang^XiaoDong=\x1b$)A\xcd\xf5^\x1b$)A\xd0\xa1\xb6\xab",
        "Wang^XiaoDong=王^小东",
    ),
    "IR 87 (PS3.5 H.3.1)": (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "IR 13 and 87 (PS3.5 H.3.2)": (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
        b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    "IR 149 (PS3.5 I.2)": (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"
        b"=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    "IR 100": ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    "IR 144": ("ISO_IR 144", "Люкceмбypг".encode("iso8859_5"), "Люкceмбypг"),
    "IR 126": ("ISO_IR 126", "Διονυσιος".encode("iso8859_7"), "Διονυσιος"),
    "none": ("", b"Doe^Jane", "Doe^Jane"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_name_in_each_character_set_is_read_with_certainty(case: tuple[str, bytes, str]) -> None:
    declared, value, name = case
    assert certain_text(value, declared_character_sets(declared.encode()), "PN") == name


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("ISO_IR 100", "王^小东".encode("gbk")),
        ("ISO_IR 100", "王小东".encode()),
        ("", "王^小东".encode("gb18030")),
        ("", b"M\xfcller"),
        ("ISO_IR 192", b"Doe\xff"),
        ("ISO_IR 100", b"Doe\x85"),
        ("GB18030", b"\xff\xff"),
        ("ISO_IR 999", b"M\xfcller"),
        ("\\ISO 2022 IR 58", b"\x1b$B;3ED"),
        ("\\ISO 2022 IR 58", b"\x1b$)A\xcd"),
        ("\\ISO 2022 IR 58", b"\xcd\xf5"),
        ("ISO_IR 192\\ISO 2022 IR 58", b"\xcd\xf5"),
    ],
)
def test_bytes_that_may_mean_something_else_are_uncertain(declared: str, value: bytes) -> None:
    assert certain_text(value, declared_character_sets(declared.encode()), "PN") is None


def test_code_extension_ends_at_the_delimiter_of_a_name_component() -> None:
    sets = declared_character_sets(b"\\ISO 2022 IR 58")
    assert decode_text(b"\x1b$)A\xcd\xf5^\xd0\xa1", sets, "PN") is None
    assert decode_text(b"\x1b$)A\xcd\xf5^\xd0\xa1", sets, "LT") == "王^小"


def test_display_text_has_no_padding_and_no_control_characters() -> None:
    assert display_text(b"a\x1fb\0 ", ()) == "a b"


@given(st.text(alphabet=st.characters(codec="gb2312", min_codepoint=0x4E00), min_size=1))
def test_chinese_text_survives_gb18030_unless_it_looks_like_utf_8(text: str) -> None:
    assert certain_text(text.encode("gb18030"), ("GB18030",)) in (text, None)


@given(st.binary(), st.sampled_from([case[0] for case in CASES.values()]))
def test_decoding_any_bytes_never_fails(value: bytes, declared: str) -> None:
    text = certain_text(value, declared_character_sets(declared.encode()), "PN")
    assert text is None or len(text) <= len(value)


@given(st.text())
def test_ascii_form_is_ascii(text: str) -> None:
    assert as_ascii(text).isascii()
