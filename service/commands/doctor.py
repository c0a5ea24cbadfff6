"""``hemiface doctor``: looks at everything the node needs, and says what to do where it fails."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    fetch_model: Annotated[
        bool, typer.Option("--fetch-model", help="Download the face model first.")
    ] = False,
) -> None:
    """Check ports, database, disk, face model, rendering and destinations.

    Exit status 1 when something is wrong.
    """
    from rich.console import Console
    from rich.text import Text

    from service.checks import Verdict, every_check
    from service.display import shown
    from service.settings import load_settings

    settings = load_settings()
    notes = Console(stderr=True)
    if fetch_model:
        from processing.face_model import download_face_model

        with notes.status("downloading the face model"):
            path = download_face_model(settings.data_folder / "models")
        notes.print(Text(f"the face model is in {path}"))
    found = []
    console = Console(highlight=False)
    styles = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.WRONG: "bold red"}
    with notes.status("looking") as status:
        for what, check in every_check(settings):
            status.update(f"looking at: {what}")
            outcome = check()
            found.append({"check": what, **asdict(outcome)})
            if not as_json:
                console.print(
                    Text.assemble(
                        (f"{outcome.verdict.value:<6}", styles[outcome.verdict]),
                        f"{what}: {shown(outcome.finding, 400)}",
                        f"\n      → {shown(outcome.advice, 400)}" if outcome.advice else "",
                    ),
                    soft_wrap=True,
                )
    wrong = sum(each["verdict"] is Verdict.WRONG for each in found)
    if as_json:
        typer.echo(json.dumps({"schema": 1, "healthy": not wrong, "checks": found}, indent=1))
    elif wrong:
        typer.echo(f"{wrong} of {len(found)} checks say that something is wrong.", err=True)
    raise typer.Exit(1 if wrong else 0)
