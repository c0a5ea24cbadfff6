"""``hemiface conformance``: the DICOM conformance statement of this version."""

from __future__ import annotations

import typer


def command() -> None:
    """Print the DICOM conformance statement of this version, as Markdown."""
    from service.conformance.statement import conformance_statement

    typer.echo(conformance_statement(), nl=False)
