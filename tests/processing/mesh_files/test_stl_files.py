from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from processing.measurement import RejectedInput
from processing.mesh_files import decode_mesh
from processing.mesh_files.merged_corners import merged_corners

SQUARE = np.array(
    [[[0, 0, 0], [1, 0, 0], [1, 1, 0]], [[0, 0, 0], [1, 1, 0], [0, 1, 0]]], np.float32
)


def stl(attributes: tuple[int, int], header: bytes = b"") -> bytes:
    records = np.zeros(2, [("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")])
    records["c"], records["a"] = SQUARE, attributes
    return header.ljust(80, b"\0") + struct.pack("<I", 2) + records.tobytes()


def colours_of(data: bytes) -> list[list[int]] | None:
    colours = decode_mesh(data, "stl", source="scan", unit="mm").colours
    return None if colours is None else colours.tolist()


def test_viscam_colours_are_blue_in_the_lowest_bits() -> None:
    found = colours_of(stl((0x8000 | 31 << 10, 0x8000 | 31)))
    assert found is not None
    # Two vertices have both triangles and show the mean of red and blue.
    assert found[1] == [255, 0, 0]
    assert found[3] == [0, 0, 255]
    assert found[0] == [128, 0, 128]


def test_magics_colours_are_red_in_the_lowest_bits_with_a_default_in_the_header() -> None:
    found = colours_of(stl((31, 0x8000), header=b"COLOR=\x0a\x14\x1e\xff"))
    assert found is not None
    assert found[1] == [255, 0, 0]
    assert found[3] == [10, 20, 30]


@pytest.mark.parametrize("attributes", [(0, 0), (0x8000, 0), (7, 9)])
def test_attribute_bytes_that_are_no_colours_are_left_alone(attributes: tuple[int, int]) -> None:
    assert colours_of(stl(attributes)) is None


def test_bytes_behind_the_last_triangle_do_no_harm_to_a_binary_file_that_begins_with_solid() -> (
    None
):
    data = stl((0, 0), header=b"solid of a scanner") + b"\0"
    assert len(decode_mesh(data, "stl", source="scan", unit="mm").triangles) == 2


def test_text_with_carriage_returns_capitals_and_indents_is_read() -> None:
    lines = ["SOLID x"]
    for triangle in SQUARE:
        lines += ["\tFACET NORMAL 0 0 1", "  OUTER LOOP"]
        lines += [f"\tVERTEX {x:e} {y:e} {z:e}" for x, y, z in triangle]
        lines += ["  ENDLOOP", "ENDFACET"]
    data = "\r\n".join([*lines, "ENDSOLID x"]).encode()
    surface = decode_mesh(data, "stl", source="scan", unit="mm")
    assert surface.triangles.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_corners_of_a_text_that_make_no_whole_triangle_are_rejected() -> None:
    data = b"solid\nfacet\nvertex 0 0 0\nvertex 1 0 0\nendfacet\nendsolid\n"
    with pytest.raises(RejectedInput, match="2 corners"):
        decode_mesh(data, "stl", source="scan", unit="mm")


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 200), st.just(3)),
        elements=st.sampled_from([-0.0, 0.0, 1.5, -2.25, 1e-30, 3e30]),
    )
)
def test_merging_is_the_same_as_sorting_out_equal_rows(corners: np.ndarray) -> None:
    vertices, index, first = merged_corners(corners)
    np.testing.assert_array_equal(vertices[index], corners)
    assert len(np.unique(corners + np.float32(0), axis=0)) == len(vertices)
    assert (np.diff(first) > 0).all()
    assert index[first].tolist() == list(range(len(vertices)))


def test_corners_that_all_fall_into_one_slot_are_merged_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "processing.mesh_files.merged_corners._slots",
        lambda columns, _random: np.zeros(len(columns[0]), np.int64),
    )
    corners = np.repeat(np.arange(60, dtype=np.float64).reshape(20, 3), 2, axis=0)
    vertices, index, first = merged_corners(corners)
    np.testing.assert_array_equal(vertices, corners[::2])
    np.testing.assert_array_equal(index, np.repeat(np.arange(20), 2))
    np.testing.assert_array_equal(first, np.arange(0, 40, 2))
