"""``hemiface audit``: whether the local audit log is whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.audit.chain import Verification

app = typer.Typer(help="Look after the audit log.", no_args_is_help=True)


@app.command("verify")
def verify(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Follow the chain of hashes through the local audit log.

    Exit status 1 when it is broken. Note the last hash elsewhere now and then:
    a log that was written anew from its beginning does not end in it.
    """
    from service.audit import chain
    from service.audit.trail import audit_folder
    from service.settings import load_settings

    folder = audit_folder(load_settings())
    found = chain.verify(folder)
    typer.echo(json.dumps(_as_json(found)) if as_json else _as_text(found, str(folder)))
    if found.broken is not None:
        raise typer.Exit(1)


def _as_text(found: Verification, folder: str) -> str:
    if found.broken is not None:
        where = f"{found.broken.file}, line {found.broken.line}"
        return (
            f"The audit log in {folder} is broken: {where} {found.broken.reason}.\n"
            f"The {found.records} records before are whole. Keep the folder as it is, and compare "
            "it with the repository."
        )
    if not found.records:
        return f"There is no record in {folder}."
    lines = [
        f"{found.records} records are whole, to record {found.head.sequence}.",
        f"Last hash: {found.head.digest}",
    ]
    if found.first_sequence > 1:
        lines.append(
            f"Records 1 to {found.first_sequence - 1} are not here; if they were archived, put "
            "their files beside these to verify them too."
        )
    return "\n".join(lines)


def _as_json(found: Verification) -> dict[str, object]:
    broken = found.broken
    return {
        "schema": 1,
        "whole": broken is None,
        "records": found.records,
        "first": found.first_sequence,
        "last": found.head.sequence,
        "last_hash": found.head.digest,
        "broken": None
        if broken is None
        else {"file": broken.file, "line": broken.line, "reason": broken.reason},
    }
