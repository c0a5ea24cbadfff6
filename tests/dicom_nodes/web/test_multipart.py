from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_nodes.web.multipart import (
    MOST_HEADER_BYTES,
    MOST_PREAMBLE_BYTES,
    PartBegins,
    PartData,
    boundary_of,
    closing,
    media_type,
    multipart_events,
    part_header,
)
from processing.measurement import RejectedInput

BOUNDARY = "--b0undary"


def body_of(parts: Iterable[bytes]) -> bytes:
    pieces = []
    for number, part in enumerate(parts):
        fields = {"Content-Type": "application/dicom"}
        pieces += [part_header(BOUNDARY, fields, is_first=number == 0), part]
    return b"".join(pieces) + closing(BOUNDARY)


def parts_in(chunks: Iterable[bytes], boundary: str = BOUNDARY) -> list[bytes]:
    parts: list[bytes] = []
    for event in multipart_events(chunks, boundary):
        if isinstance(event, PartBegins):
            parts.append(b"")
        elif isinstance(event, PartData):
            parts[-1] += event.data
    return parts


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@given(
    st.lists(st.binary(max_size=200) | st.just(b"\r\n--\r\n-"), min_size=1, max_size=4),
    st.integers(1, 70),
)
def test_parts_come_out_as_they_went_in_however_the_body_is_cut(
    parts: list[bytes], size: int
) -> None:
    assert parts_in(cut(body_of(parts), size)) == parts


@given(st.binary(max_size=300), st.integers(1, 40))
def test_what_is_no_multipart_body_is_refused_and_does_nothing_else(data: bytes, size: int) -> None:
    with pytest.raises(RejectedInput):
        parts_in(cut(data, size))


@given(st.data())
def test_a_body_cut_short_is_refused(data: st.DataObject) -> None:
    whole = body_of([b"one", b"two"])
    end = data.draw(st.integers(0, len(whole) - len("--\r\n") - 1))
    with pytest.raises(RejectedInput, match="ends before its closing boundary"):
        parts_in([whole[:end]])


def test_fields_of_a_part_are_read_without_regard_to_case() -> None:
    body = b"--x\r\nCONTENT-type:  application/dicom \r\nX-Other: 1\r\n\r\n\r\n--x--"
    begun = [each for each in multipart_events([body], "x") if isinstance(each, PartBegins)]
    assert begun == [PartBegins({"content-type": "application/dicom", "x-other": "1"})]


def test_a_part_may_have_no_fields_and_a_preamble_may_stand_before() -> None:
    assert parts_in([b"hello\r\n--x \t\r\n\r\ncontent\r\n--x--\r\nepilogue"], "x") == [b"content"]


def test_no_more_than_a_piece_is_held_of_a_part_without_end() -> None:
    chunk = bytes(100_000)
    events = multipart_events(iter([b"--x\r\n\r\n", *[chunk] * 50]), "x")
    assert isinstance(next(events), PartBegins)
    for _ in range(40):
        event = next(events)
        assert isinstance(event, PartData)
        assert len(event.data) <= len(chunk) + 10


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"a" * (MOST_PREAMBLE_BYTES + 1000), "does not begin with its boundary"),
        (b"--x\r\n" + b"a: b\r\n" * MOST_HEADER_BYTES, "header of a part is longer"),
        (b"--x" + b" " * 1000 + b"\r\n", "line of a boundary is longer"),
        (b"--xyz\r\n\r\n\r\n--x--", "followed by something else"),
    ],
)
def test_what_would_grow_in_memory_is_refused(body: bytes, reason: str) -> None:
    endless = iter([body, *[b"b" * 1000] * 100])
    with pytest.raises(RejectedInput, match=reason):
        parts_in(endless, "x")


def test_a_content_type_is_taken_apart() -> None:
    stated = media_type('Multipart/Related; TYPE="application/dicom"; boundary="a b=c"')
    assert stated.name == "multipart/related"
    assert stated.parameters == {"type": "application/dicom", "boundary": "a b=c"}
    assert boundary_of(stated) == "a b=c"
    assert media_type("").name == ""
    assert "\r" not in media_type("text/plain\r\nX-Injected: 1").name


@pytest.mark.parametrize("boundary", ["", "a" * 201, '"caf\xe9"', '"ends with "', "\x01"])
def test_a_hostile_boundary_is_refused(boundary: str) -> None:
    with pytest.raises(RejectedInput, match="boundary"):
        boundary_of(media_type(f"multipart/related; boundary={boundary}"))
