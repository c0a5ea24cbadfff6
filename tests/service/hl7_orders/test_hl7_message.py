"""Bytes to segments: character sets, escape sequences, and bytes that mean harm."""

from __future__ import annotations

import logging
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.hl7_orders.acknowledgement import Code, acknowledgement, code_of
from service.hl7_orders.mapping import order_change
from service.hl7_orders.message import (
    MOST_SEPARATORS,
    Fault,
    RefusedMessage,
    header_of,
    read_message,
)
from tests.service.hl7_orders.hl7_samples import omi, orm

HEADER = "MSH|^~\\&|RIS|H|||20261121||ORM^O01|1|P|2.3.1||||||"


@pytest.mark.parametrize(
    ("charset", "codec", "name"),
    [
        ("UNICODE UTF-8", "utf-8", "王^小东"),
        ("", "utf-8", "王^小东"),
        ("8859/1", "latin-1", "Müller^Jörg"),
        ("8859/5", "iso8859_5", "Люкceмбypг"),
        # The second byte of this character is the field separator.
        ("GB 18030-2000", "gb18030", "剕^小东"),
        ("~ISO IR87", "iso2022_jp", "山田^太郎"),
        ("ASCII~ISO IR87~ISO IR159", "iso2022_jp_ext", "山田^太郎"),
        ("KS X 1001", "euc_kr", "김희중"),
    ],
)
def test_texts_are_read_in_the_character_set_of_msh_18(charset: str, codec: str, name: str) -> None:
    message = read_message(f"{HEADER}{charset}\rPID|1||P1||{name}\r".encode(codec))
    patient = message.first("PID")
    assert (patient.text(5, 1), patient.text(5, 2)) == (*name.split("^"), "")[:2]


@pytest.mark.parametrize(
    ("charset", "content", "location"),
    [
        ("NO SUCH SET", b"", "MSH-18"),
        ("ASCII", "é".encode(), "MSH-18"),
        ("UNICODE UTF-8", b"\xff", "MSH-18"),
        ("~ISO IR87", b"\x1b$(Z\x80", "MSH-18"),
    ],
)
def test_a_text_that_is_not_in_its_character_set_is_refused(
    charset: str, content: bytes, location: str
) -> None:
    with pytest.raises(RefusedMessage) as refusal:
        read_message(f"{HEADER}{charset}\rPID|".encode() + content)
    assert refusal.value.location == location


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (r"a\T\b\F\c\S\d\R\e\E\f", r"a&b|c^d~e\f"),
        (r"\H\bold\N\ line\.br\next", "bold line next"),
        (r"\XC3A9\t\X41\ ", "étA"),
        (r"open\end", r"open\end"),
        ('""', ""),
        ("  padded  ", "padded"),
    ],
)
def test_escape_sequences_are_resolved(sent: str, read: str) -> None:
    segment = read_message(f"{HEADER}\rOBR|1|{sent}|x\r".encode()).first("OBR")
    assert segment.text(2) == read


@pytest.mark.parametrize("sent", [r"\C2842\ ", r"\M242A\ ", r"\X4\ ", r"\XFF\ ", r"\Zxx\ ", r"\\ "])
def test_an_escape_sequence_that_nobody_here_can_read_is_refused(sent: str) -> None:
    segment = read_message(f"{HEADER}\rOBR|1|{sent}|x\r".encode()).first("OBR")
    with pytest.raises(RefusedMessage, match="OBR-2 has an escape sequence") as refusal:
        segment.text(2)
    assert refusal.value.fault is Fault.DATA_TYPE


def test_line_ends_of_every_kind_separate_segments() -> None:
    for end in ("\r", "\n", "\r\n"):
        message = read_message(f"{HEADER}{end}PID|1{end}{end}ORC|NW{end}".encode())
        assert [each.name for each in message.segments] == ["MSH", "PID", "ORC"]


@pytest.mark.parametrize("separator", ["|", "^", "~", "&", "\r", "\rA|", "\\"])
def test_many_separators_take_no_time(separator: str) -> None:
    began = time.process_time()
    for count in (MOST_SEPARATORS - 100, 262_144):
        try:
            read_message(f"{HEADER}\rOBR|{separator * (count // len(separator))}".encode())
        except RefusedMessage:
            assert count > MOST_SEPARATORS - 100
    assert time.process_time() - began < 5


def test_more_values_than_an_order_has_are_refused() -> None:
    with pytest.raises(RefusedMessage, match="more than 10000 values"):
        read_message(f"{HEADER}\rOBR|{'|' * MOST_SEPARATORS}".encode())


@pytest.mark.parametrize(
    "content", [b"", b"MSH", b"MSH|", b"MSH|^~\\", b"BHS|^~\\&|", b"MSH$%~\\&$", b"\xff\xfeM\0"]
)
def test_what_is_no_message_is_refused_and_still_answered(content: bytes) -> None:
    with pytest.raises(RefusedMessage) as refusal:
        read_message(content)
    answer = acknowledgement(header_of(content), Code.ERROR, "no message", refusal.value)
    assert read_message(answer).first("MSA").text(1) == "AE"


CHARSETS = ("", "UNICODE UTF-8", "~ISO IR87", "GB 18030-2000")
SEPARATORS = ("", "|", "^", "~", "&", "\\", "\r", "^^^", "\x1c", "\0")
BEGINNINGS = ("\\X", "\\X1\\", '""', "\rMSH|", "\rORC|NW", "\rIPC|||1.2|")
DAMAGES = (*SEPARATORS, *BEGINNINGS, "é", "9" * 30, "\u202e")


def answered(content: bytes) -> None:
    """What every message goes through before the catalogue."""
    header = header_of(content)
    try:
        order_change(read_message(content))
    except RefusedMessage as refusal:
        answer = acknowledgement(header, code_of(refusal), str(refusal), refusal)
        assert read_message(answer).first("MSA").text(1) in ("AE", "AR")
    else:
        assert read_message(acknowledgement(header, Code.ACCEPTED)).first("MSA").text(1) == "AA"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(CHARSETS))
def test_hostile_bytes_are_answered(content: bytes, charset: str) -> None:
    answered(content)
    answered(f"{HEADER}{charset}\r".encode() + content)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([orm(), orm("CA"), omi(), omi("XO")]),
    st.lists(
        st.tuples(
            st.integers(0, 700),
            st.integers(0, 40),
            st.sampled_from(DAMAGES),
        ),
        max_size=6,
    ),
)
def test_damaged_orders_are_answered(sample: str, damages: list[tuple[int, int, str]]) -> None:
    for at, length, inserted in damages:
        sample = sample[:at] + inserted + sample[at + length :]
    answered(sample.encode())


def test_nothing_of_a_message_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answered(orm().replace("Wang", "Wang\\C2842\\\\").encode())
    answered(orm().replace("ORC", "Wang").encode())
    assert "Wang" not in caplog.text
