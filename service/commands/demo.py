"""``hemiface demo``: the whole way of a study, without any PACS at hand."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from service.display import quantity, shown

if TYPE_CHECKING:
    from rich.console import Console

    from service.demonstration import Screen
    from service.truth_comparison import Row


def command(
    keep: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep all that was made, in this new folder."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print truth and measured as JSON.")
    ] = False,
) -> None:
    """Show the whole way: phantoms to an Orthanc, and the measurements back out of it.

    Starts an Orthanc and a node on free ports of this machine, pushes two
    phantoms whose truth is known, and prints what came back beside the truth.
    Exit status 1 when a target is missed. Everything is stopped and removed
    afterwards.
    """
    from rich.console import Console

    from service.demonstration import demonstrate
    from service.settings import load_settings

    settings = load_settings()
    with _stopped_by_sigterm(), _folder(keep) as folder, _screen(Console(stderr=True)) as screen:
        rows = demonstrate(folder, settings, screen)
    missed = [row for row in rows if row.passed is False]
    if as_json:
        typer.echo(json.dumps({"schema": 1, "rows": [asdict(row) for row in rows]}, indent=1))
    else:
        _show(rows, Console())
        typer.echo(_verdict(rows, missed))
    if keep is not None:
        _say_what_is_kept(keep.absolute())
    raise typer.Exit(1 if missed else 0)


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, so that Orthanc and the node are stopped as well."""
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with TemporaryDirectory(prefix="hemiface-demo-") as folder:
            yield Path(folder)
        return
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise typer.BadParameter(f"--keep: {keep} is not empty; name a new folder")
    yield keep


@contextmanager
def _screen(console: Console) -> Iterator[Screen]:
    from rich.markup import escape

    from service.demonstration import Screen

    with console.status("preparing") as status:
        yield Screen(
            doing=lambda text: status.update(escape(shown(text, 300))),
            done=lambda text: console.print(f"[green]✓[/green] {escape(shown(text, 300))}"),
        )


def _show(rows: Sequence[Row], console: Console) -> None:
    from rich.table import Table

    console.print("Truth, and what was read out of the reports in Orthanc:")
    for phantom in dict.fromkeys(row.phantom for row in rows):
        table = Table(title=f"phantom: {phantom}", title_justify="left", min_width=76)
        table.add_column("quantity")
        for name in ("truth", "measured"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("target", no_wrap=True)
        for row in rows:
            if row.phantom == phantom:
                table.add_row(
                    row.quantity,
                    f"{row.truth:.4g}".replace("-", "−"),
                    _measured(row),
                    _verdict_on(row),
                )
        console.print(table)


def _measured(row: Row) -> str:
    if row.measured is None:
        return "not measured"
    if row.uncertainty is None:
        return f"{row.measured:.3f} {row.unit}".replace("-", "−")
    return quantity(row.measured, row.uncertainty, row.unit)


def _verdict_on(row: Row) -> str:
    if row.target is None:
        return ""
    return f"{row.target}: {'[green]passed[/green]' if row.passed else '[red]missed[/red]'}"


def _verdict(rows: Sequence[Row], missed: Sequence[Row]) -> str:
    asked = sum(row.target is not None for row in rows)
    if not missed:
        return f"All {asked} targets are met. For research use. Not a medical device."
    names = ", ".join(f"{row.quantity} ({row.phantom})" for row in missed)
    return f"{len(missed)} of {asked} targets are missed: {names}"


def _say_what_is_kept(folder: Path) -> None:
    typer.echo(f"phantoms and their truth: {folder / 'phantoms'}")
    typer.echo(f"reports as they were in Orthanc: {folder / 'reports'}")
    for path in sorted((folder / "node").rglob("*.png")):
        typer.echo(f"picture: {path}")
