from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.photograph_symmetry import TABLES, main
from benchmarks.photographs.ict_head import VERTICES, read_head_model
from benchmarks.photographs.painting import IRIS_DIAMETER_MM
from benchmarks.photographs.rendered import HeadSpec, rendered, shared_data
from benchmarks.photographs.warped import Structure, Warp
from processing.measurement import Side
from processing.rendering.probe import why_rendering_fails


@pytest.fixture(scope="module", autouse=True)
def needs_rendering() -> None:
    missing = why_rendering_fails()
    if missing is not None:
        pytest.skip(missing)


needs_model = pytest.mark.skipif(
    not (shared_data() / "faces" / "ict").is_dir(),
    reason="the development data are not there (ICT-FaceKit heads)",
)


@pytest.mark.slow
@needs_model
@pytest.mark.timeout(900)
@pytest.mark.parametrize("table", list(TABLES))
def test_the_benchmark_makes_every_table(
    tmp_path: Path, table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "results.json"
    main(["--quick", "--only", table, "--json", str(written)])
    (result,) = json.loads(written.read_text()).values()
    assert result["tables"]
    assert all(each["rows"] for each in result["tables"])
    assert "| --- |" in capsys.readouterr().out


@pytest.mark.slow
@needs_model
def test_a_head_is_symmetric_until_it_is_moved() -> None:
    model = read_head_model(shared_data() / "faces" / "ict")
    head = rendered(model, HeadSpec(identity=5, mm_per_px=0.5, yaw_deg=2.0))
    flip = np.array([-1.0, 1.0, 1.0])
    for name in VERTICES:
        if name.endswith("_right"):
            partner = name.removesuffix("_right") + "_left"
            assert head.points_mm[partner] * flip == pytest.approx(head.points_mm[name], abs=0.01)
    drop = Warp(Structure.COMMISSURE, Side.LEFT, upward_mm=-4.0)
    moved = rendered(model, HeadSpec(identity=5, mm_per_px=0.5, yaw_deg=2.0, warps=(drop,)))
    by = moved.points_mm["cheilion_left"] - head.points_mm["cheilion_left"]
    assert by == pytest.approx([0, -4, 0], abs=0.05)
    assert moved.points_mm["cheilion_right"] == pytest.approx(head.points_mm["cheilion_right"])


@pytest.mark.slow
@needs_model
def test_irises_are_painted_where_they_are_said_to_be_and_as_wide() -> None:
    model = read_head_model(shared_data() / "faces" / "ict")
    head = rendered(model, HeadSpec(mm_per_px=0.1))
    for side in Side:
        column, row = head.points_px[f"iris_centre_{side.value}"]
        # Below the catchlight; the sclera is the brightest.
        line = head.pixels[round(row) + 8].mean(axis=-1)
        reach = round(0.65 * IRIS_DIAMETER_MM / head.mm_per_px)
        near = line[round(column) - reach : round(column) + reach]
        dark = np.flatnonzero(near < (near.max() + near.min()) / 2)
        width = (dark[-1] - dark[0] + 1) * head.mm_per_px
        assert width == pytest.approx(IRIS_DIAMETER_MM, abs=0.5)
        middle = round(column) - reach + (dark[0] + dark[-1]) / 2
        assert middle * head.mm_per_px == pytest.approx(column * head.mm_per_px, abs=0.3)
