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
    for heading in ("Structure", "Region", "Side"):
        table.add_column(heading)
    table.add_column("Value ± standard uncertainty", justify="right", no_wrap=True)
    for each in measurements:
        table.add_row(
            each["quantity"],
            each["structure"] or "",
            each["region"] or "",
            each["side"] or "",
            quantity(each["value"], each["uncertainty"], each["unit"]),
        )
    return table
