"""``hemiface study``: the last studies, one of them, why it has no result, once more, verified."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from service.measurements_table import measurements_table

if TYPE_CHECKING:
    from rich.table import Table

    from service.catalogue.database import Database
    from service.settings import Settings
    from service.study_state import ResultState, StudyState
    from service.workflow.engine import EngineClient

_MOST_MATCHES: Final = 5
_MOST_ROWS: Final = 200
_LONGEST_LINE: Final = 2000
_STYLES: Final = {
    "done": "green",
    "refused": "yellow",
    "failed": "red",
    "parked": "red",
    "unusable": "yellow",
    "nothing to measure": "yellow",
}

UID = Annotated[
    str,
    typer.Argument(metavar="UID", help="Study Instance UID, or the beginning of only one."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer(help="Look at studies, run them again, verify them.", no_args_is_help=True)


@dataclass(frozen=True, slots=True)
class Node:
    """What the commands ask: the catalogue, and the engine."""

    settings: Settings
    database: Database
    engine: EngineClient

    def study(self, prefix: str) -> StudyState:
        """How the study that begins with `prefix` stands.

        Raises
        ------
        RejectedInput
            If no study, or more than one, begins so.
        """
        from service.study_state import state_of

        state = state_of(self.database, self.engine, self._uid(prefix))
        assert state is not None  # its UID has just been found in the catalogue
        return state

    def _uid(self, prefix: str) -> str:
        from processing.measurement import RejectedInput
        from service.catalogue.overviews import uids_starting_with, unread_instances

        found = uids_starting_with(self.database, prefix, _MOST_MATCHES + 1)
        if len(found) == 1:
            return found[0]
        if found:
            more = " …" if len(found) > _MOST_MATCHES else ""
            raise RejectedInput(
                f"more than one study begins with {prefix}: "
                f"{', '.join(found[:_MOST_MATCHES])}{more}; type more of the UID"
            )
        unread = unread_instances(self.database)
        raise RejectedInput(
            f"no study begins with {prefix!r}: no usable image of it has arrived here. "
            + (f"{unread} instances are still to be catalogued. " if unread else "")
            + "Look at the sender's log, and at `hemiface study list` and what it says "
            "could not be used."
        )


@app.command("list")
def list_studies(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many studies.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the last studies with their state, the latest first."""
    from service.catalogue.studies import latest_studies, unusable
    from service.study_json import study_as_json, unusable_as_json
    from service.study_state import states_of

    with _open_node() as node:
        states = states_of(node.database, node.engine, latest_studies(node.database, limit))
        kept_aside = unusable(node.database, limit)
    now = datetime.now(UTC)
    if as_json:
        _print_json(
            {
                "studies": [study_as_json(each, now) for each in states],
                "unusable": [unusable_as_json(each) for each in kept_aside],
            }
        )
        return
    if not states:
        typer.echo("No study has arrived yet.")
    else:
        _print_table(_studies_table(states, now))
    if kept_aside:
        typer.echo(f"\nKept but not used ({len(kept_aside)}):")
        for each in kept_aside:
            _print_line(f"  {each.sop_instance_uid} from {each.calling_ae_title}: {each.reason}")


@app.command("show")
def show(uid: UID, as_json: AsJson = False) -> None:
    """Show one study: what arrived, why it is complete, its results, and where they went."""
    from service.catalogue.stored_bytes import open_stored_bytes
    from service.catalogue.studies import known_study
    from service.study_json import instance_as_json, measurements_of, study_as_json

    with _open_node() as node:
        state = node.study(uid)
        known = known_study(node.database, state.study.study_instance_uid)
        instances = known.instances if known is not None else ()
        stored = open_stored_bytes(node.settings)
        measurements = {
            each.made.key: measurements_of(stored, each.made.key) for each in state.results
        }
    now = datetime.now(UTC)
    if as_json:
        document = study_as_json(state, now)
        document["instances"] = [instance_as_json(each) for each in instances]
        for result in document["results"]:
            result["measurements"] = measurements[result["key"]]
        _print_json(document)
        return
    _show_study(state, now)
    for each in state.results:
        _show_result(each, measurements[each.made.key], now)


@app.command("re-run")
def run_again(
    uid: UID,
    analysis: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this analysis.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Do again what has no result yet, and deliver again what did not arrive."""
    from service.commands.running_again import run_again as run

    with _open_node() as node:
        begun = run(node.settings, node.database, node.engine, node.study(uid), analysis)
    if as_json:
        _print_json({"begun": begun.work, "notes": begun.notes})
        return
    for each in begun.notes:
        _print_line(each)


@app.command("verify")
def verify(
    uid: UID,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who, as Family^Given.")],
    organization: Annotated[str, typer.Option(metavar="NAME", help="For which organization.")],
    analysis: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which analysis, where there are several.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say that a person has verified the newest report; it is written and sent as verified."""
    from dicom_nodes.objects.verification import Verification
    from service.catalogue.stored_bytes import open_stored_bytes
    from service.verifying import verify_result

    verification = Verification(by, organization, datetime.now(UTC).replace(microsecond=0))
    with _open_node(for_writing=True) as node:
        verified = verify_result(
            node.settings,
            node.database,
            open_stored_bytes(node.settings),
            node.engine,
            node.study(uid).study.study_instance_uid,
            analysis,
            verification,
        )
    report = verified.result.objects[0].sop_instance_uid
    if as_json:
        _print_json(
            {
                "key": verified.result.key,
                "report": report,
                "predecessor": verified.result.predecessor_uid,
                "destinations": list(verified.destinations),
            }
        )
        return
    _print_line(f"{verified.result.analysis} is verified by {by}; the report is now {report}")
    for each in verified.destinations:
        _print_line(f"it is sent to {each}")


@app.command("why-not")
def why_not(uid: UID, as_json: AsJson = False) -> None:
    """Say in plain language why a study has no result (yet), and what to do."""
    from service.commands.why_not import reasons_for_no_result

    with _open_node() as node:
        state = node.study(uid)
    reasons = reasons_for_no_result(state, datetime.now(UTC))
    if as_json:
        _print_json({"state": state.stage.value, "reasons": reasons})
        return
    for each in reasons:
        _print_line(each)


@contextmanager
def _open_node(*, for_writing: bool = False) -> Iterator[Node]:
    from service.catalogue.database import open_present_database
    from service.settings import load_settings
    from service.workflow.engine import EngineClient

    settings = load_settings()
    database = open_present_database(settings, for_writing=for_writing)
    engine = EngineClient(settings)
    try:
        yield Node(settings, database, engine)
    finally:
        engine.close()
        database.close()


def _studies_table(states: list[StudyState], now: datetime) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from service.display import ago, person_name, shown
    from service.study_explanation import contents_as_text, explanation

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("State", no_wrap=True)
    table.add_column("Patient and Study Instance UID", overflow="fold")
    table.add_column("Arrived")
    table.add_column("Why")
    for state in states:
        study = state.study
        name = " ".join(filter(None, (shown(study.patient_id), person_name(study.patient_name))))
        table.add_row(
            Text(state.stage.value, style=_STYLES.get(state.stage.value, "")),
            Text(f"{name}\n{study.study_instance_uid}"),
            Text(f"{contents_as_text(study)}\n{ago(study.last_arrival, now)}"),
            Text(explanation(state, now)),
        )
    return table


def _show_study(state: StudyState, now: datetime) -> None:
    from service.display import clock, person_name
    from service.study_explanation import contents_as_text, explanation, unusable_reasons
    from service.worklist.words import order_as_text, step_as_text

    study = state.study
    facts = {
        "study": study.study_instance_uid,
        "patient": " ".join(filter(None, (study.patient_id, person_name(study.patient_name)))),
        "description": " ".join(filter(None, (study.study_date, study.description))),
        "accession": study.accession_number,
        "priority": study.priority,
        "arrived": f"{contents_as_text(study)}, "
        f"from {', '.join(dict.fromkeys(each.calling_ae_title for each in study.arrived))}, "
        f"{clock(study.first_arrival, now)} to {clock(study.last_arrival, now)}",
        "state": f"{state.stage.value}: {explanation(state, now)}",
    }
    for name, value in facts.items():
        _print_fact(name, value)
    if state.order is not None:
        _print_fact("order", order_as_text(state.order))
    for step in state.performed:
        _print_fact("performed", step_as_text(step))
    for count, reason in unusable_reasons(study):
        _print_fact("not used", f"{count} × {reason}")
    for each in state.evidence:
        at = clock(each.decided_at, now)
        _print_fact("complete", f"{at} by {each.evidence}: {each.detail}")


def _show_result(result: ResultState, measurements: list[dict[str, Any]], now: datetime) -> None:
    from service.display import clock
    from service.study_explanation import delivery_as_text

    made = result.made
    replaced = "" if result.is_newest else ", replaced by a later one"
    _print_line("")
    _print_line(
        f"{made.analysis} {made.version}: {made.status} at {clock(made.made_at, now)}{replaced}"
    )
    facts = {
        "reason": made.reason,
        "report": result.report_uid,
        "predecessor": made.predecessor_uid,
    }
    for name, value in facts.items():
        _print_fact(f"  {name}", value)
    for delivery in result.deliveries:
        _print_fact("  delivery", delivery_as_text(delivery, now))
    if measurements:
        _print_table(measurements_table(measurements[:_MOST_ROWS]))


def _print_table(table: Table) -> None:
    from rich.console import Console

    Console(highlight=False).print(table)


def _print_line(text: str) -> None:
    """A line that may quote headers: without anything that a terminal would obey."""
    from service.display import shown

    indent = len(text) - len(text.lstrip())
    typer.echo(" " * indent + shown(text, _LONGEST_LINE))


def _print_fact(name: str, value: str | None) -> None:
    """A named value, where there is one."""
    from service.display import shown

    if value:
        typer.echo(f"{name:<14}{shown(value, _LONGEST_LINE)}")


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps({"schema": 1, **document}, indent=1))
