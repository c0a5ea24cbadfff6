from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.measurement import RejectedInput
from processing.surface.edits import read_surface_edits_file, surface_edits_from_json


def _read(document: Any) -> Any:
    return surface_edits_from_json(json.dumps(document).encode(), "edits.json")


def test_landmarks_plane_and_area_are_read(tmp_path: Path) -> None:
    document = {
        "surface": "1.2.3",
        "landmarks": {"cheilion_left": [25, -3.5, 0.125]},
        "normal": [2.0, 0, 0],
        "offset": 3.0,
        "vertices": [[0, 0, 0], [1, 0, 0], [0, 1, 0.5]],
        "triangles": [[0, 1, 2]],
    }
    file = tmp_path / "edits.json"
    file.write_text(json.dumps(document))
    edits = read_surface_edits_file(file)
    assert (edits.source, edits.surface) == ("edits.json", "1.2.3")
    assert edits.landmarks_mm == {"cheilion_left": (25.0, -3.5, 0.125)}
    assert edits.plane is not None
    assert edits.area is not None
    assert (edits.plane.normal, edits.plane.offset_mm) == ((1.0, 0.0, 0.0), 1.5)
    np.testing.assert_array_equal(edits.area.vertices_mm, document["vertices"])
    assert edits.area.triangles.dtype == np.int32


def test_a_published_analysis_may_be_given_as_it_is() -> None:
    analysis = {
        "landmarks": {"nasion": [0.0, 1.0, 2.0]},
        "planes": {"midsagittal": {"normal": [0.0, 1.0, 0.0], "offset": 4.0}},
    }
    edits = _read({"schema": 1, "analyses": [analysis]})
    assert edits.landmarks_mm == {"nasion": (0.0, 1.0, 2.0)}
    assert edits.plane is not None
    assert edits.plane.offset_mm == 4.0


TRIANGLE = {"vertices": [[0, 0, 0], [1, 0, 0], [0, 1, 0]]}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "nothing"),
        ([], "object"),
        ({"landmarks": []}, "maps no names"),
        ({"landmarks": {"elbow": [0, 0, 0]}}, "elbow"),
        ({"landmarks": {"nasion": [0, 0]}}, "nasion"),
        ({"landmarks": {"nasion": [0, 0, True]}}, "nasion"),
        ({"landmarks": {"nasion": [0, 0, 10**400]}}, "nasion"),
        ({"surface": 3, "normal": [1, 0, 0], "offset": 0}, "surface"),
        ({"normal": [0, 0, 0], "offset": 0}, "length"),
        ({"normal": [1, 0, 0]}, "offset"),
        ({"normal": [1, 0, 0], "offset": "0"}, "offset"),
        ({**TRIANGLE, "triangles": [[0, 1, 3]]}, "not there"),
        ({**TRIANGLE, "triangles": [[0, 1, -1]]}, "not there"),
        ({**TRIANGLE, "triangles": [[0, 1, 0.5]]}, "not there"),
        ({**TRIANGLE, "triangles": [[0, 1]]}, "three numbers"),
        ({**TRIANGLE, "triangles": []}, "three numbers"),
        ({"triangles": [[0, 1, 2]]}, "three numbers"),
        ({"vertices": [[0, 0, 1e9]] * 3, "triangles": [[0, 1, 2]]}, "nowhere"),
    ],
)
def test_what_is_wrong_is_said(document: Any, said: str) -> None:
    with pytest.raises(RejectedInput, match=said):
        _read(document)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["landmarks", "normal", "offset", "vertices", "triangles", "planes"]),
            inner,
        )
    ),
)


@given(_ANYTHING)
def test_any_document_is_read_or_rejected(document: Any) -> None:
    data = json.dumps(document).encode()
    try:
        edits = surface_edits_from_json(data, "x")
    except RejectedInput:
        return
    assert edits.landmarks_mm or edits.plane or edits.area


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_rejected(data: bytes) -> None:
    with pytest.raises(RejectedInput):
        surface_edits_from_json(data, "x")
