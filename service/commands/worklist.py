"""``hemiface worklist``: what is scheduled, what of it arrived, and what modalities say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer


def command(
    limit: Annotated[int, typer.Option(min=1, max=5000, help="How many scheduled steps.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is scheduled, what of it arrived, and what modalities say."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from service.catalogue import orders, performed_steps, worklist
    from service.catalogue.database import open_present_database
    from service.display import person_name, shown
    from service.settings import load_settings
    from service.worklist.words import (
        asked_as_text,
        changed_as_text,
        step_as_text,
        when_as_text,
        worklist_as_json,
    )

    database = open_present_database(load_settings())
    try:
        items = worklist.items(database, limit)
        uids = [each.step.study_instance_uid for each in items]
        arrived = orders.studies_of_orders(database, uids)
        asked = worklist.asked(database)
        performed = performed_steps.latest_steps(database, limit)
    finally:
        database.close()
    if as_json:
        typer.echo(json.dumps(worklist_as_json(items, arrived, asked, performed), indent=1))
        return
    now = datetime.now(UTC)
    for source in asked:
        typer.echo(asked_as_text(source, now))
    if not asked and not items:
        typer.echo("No worklist has been asked yet: set [worklist.peer] in the settings.")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("Scheduled", "Patient", "Procedure", "Station", "Accession", "Arrived"):
        table.add_column(name, overflow="fold")
    for item in items:
        step = item.step
        table.add_row(
            Text(f"{when_as_text(item)} {shown(step.priority)}".strip()),
            Text(f"{person_name(step.patient_name)}\n{shown(step.patient_id)}"),
            Text(shown(step.procedure_description or step.step_description)),
            Text(f"{shown(step.station_ae_title)} {shown(step.modality)}"),
            Text(shown(step.accession_number)),
            Text("\n".join(arrived.get(step.study_instance_uid, ["not yet"]))),
        )
    if items:
        Console(highlight=False).print(table)
    for kept in performed:
        typer.echo(f"{changed_as_text(kept, now)} {step_as_text(kept)}")
