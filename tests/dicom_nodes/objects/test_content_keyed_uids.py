from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dicom_nodes.objects.content_keyed_uids import content_key, content_uid
from dicom_nodes.objects.header import is_valid_uid


@given(st.lists(st.text(), min_size=1), st.randoms())
def test_key_does_not_depend_on_the_order_of_inputs(inputs: list[str], chance: object) -> None:
    shuffled = list(inputs)
    chance.shuffle(shuffled)
    assert content_key(inputs, "a", "1") == content_key(shuffled, "a", "1")


@given(st.text(min_size=1), st.text(min_size=1))
def test_key_separates_inputs_whatever_they_contain(one: str, other: str) -> None:
    joined = content_key([one + other], "a", "1")
    assert content_key([one, other], "a", "1") != joined


def test_key_changes_with_each_part_of_the_content() -> None:
    keys = {
        content_key(["1"], "a", "1"),
        content_key(["2"], "a", "1"),
        content_key(["1"], "b", "1"),
        content_key(["1"], "a", "2"),
        content_key(["1"], "a", "1", edits="moved"),
        content_key(["1"], "a1", ""),
    }
    assert len(keys) == 6


@given(st.text(), st.text())
def test_uid_is_valid_and_derived_from_a_uuid_of_version_8(key: str, role: str) -> None:
    uid = content_uid(key, role)
    number = int(uid.removeprefix("2.25."))
    assert is_valid_uid(uid)
    assert number >> 76 & 0xF == 8
    assert number >> 62 & 0x3 == 2
    assert number < 1 << 128


def test_uids_of_two_roles_differ() -> None:
    assert content_uid("k", "report") != content_uid("k", "report-series")
