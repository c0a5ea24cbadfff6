"""The one command, ``hemiface``.

Everything heavy is imported by the command that needs it, so that help and
completion answer at once.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from service.commands import (
    analyze,
    audit,
    conformance,
    demo,
    doctor,
    phantom,
    send,
    serve,
    study,
    worklist,
    wrap,
)

if TYPE_CHECKING:
    from pydantic import ValidationError


class OneLineErrors(TyperGroup):
    """A group of commands whose expected faults end in one line on standard error."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; exit status 1 after a fault, with a traceback under ``--debug``."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        # Evaluated only when something was raised: the imports behind it are slow.
        except _expected_faults() as fault:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"hemiface: {_one_line(fault)}", err=True)
            raise typer.Exit(1) from fault


app = typer.Typer(
    name="hemiface",
    cls=OneLineErrors,
    help="A DICOM node that measures faces. For research use. Not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line."""
    app()


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"hemiface {version('hemiface')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """A DICOM node that measures faces. For research use. Not a medical device."""


app.command("serve")(serve.command)
app.command("demo")(demo.command)
app.command("phantom")(phantom.command)
app.command("wrap")(wrap.command)
app.command("send")(send.command)
app.command("analyze")(analyze.command)
app.add_typer(study.app, name="study")
app.add_typer(audit.app, name="audit")
app.command("worklist")(worklist.command)
app.command("doctor")(doctor.command)
app.command("conformance")(conformance.command)


def _expected_faults() -> tuple[type[Exception], ...]:
    """What may go wrong without being a fault of the software."""
    from tomllib import TOMLDecodeError

    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from processing.measurement import PermanentFault, RejectedInput, TransientFault
    from service.catalogue.database import DATABASE_FAULTS

    return (
        RejectedInput,
        TransientFault,
        PermanentFault,
        ValidationError,
        SettingsError,
        TOMLDecodeError,
        OSError,
        *DATABASE_FAULTS,
    )


def _one_line(fault: Exception) -> str:
    from tomllib import TOMLDecodeError

    from pydantic import ValidationError

    from service.display import shown
    from service.settings import settings_file

    longest = 2000
    match fault:
        case ValidationError():
            return shown(_settings_as_text(fault), longest)
        case TOMLDecodeError():
            return shown(f"{settings_file()} is no TOML file: {fault}", longest)
        case OSError() if fault.strerror and fault.filename:
            return shown(f"{fault.filename}: {fault.strerror}", longest)
        case _:
            return shown(str(fault) or type(fault).__name__, longest)


def _settings_as_text(fault: ValidationError) -> str:
    """Which settings cannot be used, each with the variable that would set it."""
    from service.settings import settings_file

    wrong = [
        f"{'.'.join(map(str, each['loc']))}: {each['msg']} (is {each['input']!r})"
        for each in fault.errors()
    ]
    return (
        f"settings: {'; '.join(wrong)}. Change {settings_file()}, or an environment variable "
        "such as HEMIFACE_DICOM__PORT"
    )


if __name__ == "__main__":
    main()
