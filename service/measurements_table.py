"""Measurements as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from service.display import quantity

if TYPE_CHECKING:
    from rich.table import Table


def measurements_table(measurements: Sequence[dict[str, Any]]) -> Table:
    """A table of measurements in the published JSON form, a row each."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Quantity", no_wrap=True)
    # One column, so that a terminal of 80 characters has room for what was measured.
    table.add_column("Of", overflow="fold")
    table.add_column("Value ± standard u.", justify="right", no_wrap=True)
    for each in measurements:
        table.add_row(
            each["quantity"],
            _measured(each),
            quantity(each["value"], each["uncertainty"], each["unit"]),
        )
    return table


def _measured(measurement: dict[str, Any]) -> str:
    """Structure, region and side in one."""
    parts = (measurement[name] for name in ("structure", "region", "side"))
    return " ".join(part for part in parts if part)
