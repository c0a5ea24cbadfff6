from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.landmarks import LANDMARKS
from processing.measurement import RejectedInput
from processing.photograph.edits import (
    EditedLandmarks,
    edited_landmarks_from_json,
    read_edited_landmarks,
    unusable_edits,
    write_edited_landmarks,
)

PLACES = st.floats(-1e6, 1e6)
EDITED = st.builds(
    EditedLandmarks,
    st.dictionaries(st.sampled_from(sorted(LANDMARKS)), st.tuples(PLACES, PLACES)),
    st.none() | st.just("1.2.840.1") | st.just("Übung.jpg"),
)


@given(edited=EDITED)
def test_what_was_written_is_read_again(
    edited: EditedLandmarks, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("edits") / "edited.json"
    write_edited_landmarks(edited, path)
    read = read_edited_landmarks(path)
    assert dict(read.points) == dict(edited.points)
    assert read.image == edited.image


def test_the_landmarks_of_a_published_analysis_and_a_bare_mapping_are_read() -> None:
    points = {"cheilion_left": [812, 1034.5], "gnathion": [700.25, 1300]}
    analysis = {"schema": 1, "analysis": "photograph-symmetry", "landmarks": points}
    for document in (analysis, {"landmarks": points}, points, {**points, "image": "a.jpg"}):
        read = edited_landmarks_from_json(json.dumps(document).encode(), "x.json")
        assert read.points == {"cheilion_left": (812.0, 1034.5), "gnathion": (700.25, 1300.0)}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[1, 2]", "is expected"),
        (b'{"landmarks": [1, 2]}', "maps no names"),
        (b'{"landmarks": {"elbow_left": [1, 2]}}', "'elbow_left' is not among"),
        (b'{"landmarks": {"gnathion": [1]}}', "gnathion is not"),
        (b'{"landmarks": {"gnathion": [1, 2, 3]}}', "gnathion is not"),
        (b'{"landmarks": {"gnathion": "12"}}', "gnathion is not"),
        (b'{"landmarks": {"gnathion": [true, 2]}}', "gnathion is not"),
        (b'{"landmarks": {"gnathion": [null, 2]}}', "gnathion is not"),
        (b'{"landmarks": {"gnathion": [NaN, 2]}}', "gnathion is not"),
        (b'{"landmarks": {"gnathion": [Infinity, 2]}}', "gnathion is not"),
        (b'{"landmarks": {"gnathion": [1' + b"0" * 400 + b", 2]}}", "gnathion is not"),
        (b'{"landmarks": {}, "image": 7}', "'image'"),
        (b'{"landmarks": {}, "image": "' + b"a" * 2000 + b'"}', "'image'"),
        (b"{" + b" " * 1_000_001 + b"}", "larger than"),
    ],
)
def test_a_document_of_another_form_is_rejected_with_what_is_wrong(data: bytes, said: str) -> None:
    with pytest.raises(RejectedInput, match=r"^x\.json") as rejected:
        edited_landmarks_from_json(data, "x.json")
    assert said in str(rejected.value)


def test_an_integer_of_too_many_digits_is_rejected() -> None:
    data = b'{"landmarks": {"gnathion": [' + b"9" * 10_000 + b", 2]}}"
    with pytest.raises(RejectedInput):
        edited_landmarks_from_json(data, "x.json")


def test_a_message_shows_neither_control_characters_nor_a_whole_novel() -> None:
    name = "\x1b[2J" + "a" * 5000
    with pytest.raises(RejectedInput) as rejected:
        edited_landmarks_from_json(json.dumps({name: [1, 2]}).encode(), "x.json")
    assert "\x1b" not in str(rejected.value)
    assert len(str(rejected.value)) < 200


def test_a_large_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(RejectedInput, match="larger than"):
        read_edited_landmarks(path)


def test_landmarks_inside_the_photograph_can_be_used() -> None:
    assert unusable_edits({"gnathion": (-0.5, 0.0), "stomion": (99.5, 49.5)}, 100, 50) is None


@pytest.mark.parametrize(
    "place", [(100, 10), (10, 50), (-0.6, 3), (3, -0.6), (math.nan, 3), (3, math.inf)]
)
def test_landmarks_outside_the_photograph_cannot_be_used(place: tuple[float, float]) -> None:
    said = unusable_edits({"gnathion": place}, 100, 50)
    assert said is not None
    assert "gnathion" in said
    assert "outside the photograph of 100 x 50" in said


def test_a_landmark_without_a_name_cannot_be_used() -> None:
    assert "'elbow' is not among" in str(unusable_edits({"elbow": (1, 1)}, 100, 50))
