"""The page at ``/``: the last studies, and what could not be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from processing.measurement import Status
from service.catalogue.stored_bytes import StoredBytes
from service.catalogue.studies import Unusable
from service.display import ago, clock, person_name, quantity, shown
from service.study_explanation import (
    contents_as_text,
    delivery_as_text,
    explanation,
    parked_as_text,
    unusable_reasons,
)
from service.study_json import measurements_of
from service.study_state import StudyState
from service.worklist.words import is_open, order_as_text, step_as_text

_TEMPLATES: Final = Path(__file__).parent / "templates"
_MOST_HEADLINES: Final = 2
_MOST_KEPT: Final = 2000


@dataclass(frozen=True, slots=True)
class Headlines:
    """The first measurements of results; a result never changes, so they are kept."""

    stored: StoredBytes
    _kept: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, key: str) -> tuple[str, ...]:
        """The first measurements of a result, as text."""
        if key not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = _headlines(measurements_of(self.stored, key))
        return self._kept[key]


def environment() -> Environment:
    """Templates whose every value is escaped, and the filters that make values fit to show."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"shown": shown, "person_name": person_name}
    return made


def page(
    templates: Environment,
    states: Sequence[StudyState],
    unusable: Sequence[Unusable],
    warnings: Sequence[str],
    headlines: Headlines,
    now: datetime,
) -> str:
    """The page as HTML."""
    summary = Counter(each.stage.value for each in states)
    return templates.get_template("page.html").render(
        version=version("hemiface"),
        now=now.astimezone(),
        warnings=list(warnings),
        summary=summary.most_common(),
        studies=[_study(each, headlines, now) for each in states],
        unusable=[
            {
                "uid": each.sop_instance_uid,
                "sender": each.calling_ae_title,
                "reason": each.reason,
                "ago": ago(each.received_at, now),
            }
            for each in unusable
        ],
    )


def _study(state: StudyState, headlines: Headlines, now: datetime) -> dict[str, Any]:
    study = state.study
    return {
        "uid": study.study_instance_uid,
        "patient_id": study.patient_id,
        "patient_name": study.patient_name,
        "description": study.description,
        "study_date": study.study_date,
        "accession_number": study.accession_number,
        "priority": study.priority,
        "senders": ", ".join(dict.fromkeys(each.calling_ae_title for each in study.arrived)),
        "contents": contents_as_text(study),
        "ago": ago(study.last_arrival, now),
        "at": clock(study.last_arrival, now),
        "stage": state.stage.value,
        "explanation": explanation(state, now),
        "evidence": [
            {"at": clock(each.decided_at, now), "evidence": each.evidence, "detail": each.detail}
            for each in state.evidence
        ],
        "order": order_as_text(state.order) if state.order is not None else "",
        "order_is_open": state.order is not None and is_open(state.order),
        "performed": [step_as_text(each) for each in state.performed],
        "unusable": unusable_reasons(study),
        "parked": [parked_as_text(each) for each in state.parked],
        "results": [
            {
                "key": each.made.key,
                "analysis": each.made.analysis,
                "version": each.made.version,
                "status": each.made.status,
                "reason": each.made.reason,
                "at": clock(each.made.made_at, now),
                "is_newest": each.is_newest,
                "report_uid": each.report_uid,
                "predecessor_uid": each.made.predecessor_uid,
                "headlines": headlines.of(each.made.key)
                if each.made.status == Status.MEASURED and each.is_newest
                else (),
                "deliveries": [
                    {
                        "destination": delivery.destination,
                        "stage": delivery.stage.value,
                        "text": delivery_as_text(delivery, now),
                    }
                    for delivery in each.deliveries
                ],
            }
            for each in state.results
        ],
    }


def _headlines(measurements: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The first quantities of the whole face; an analysis puts its headline first."""
    first: dict[str, dict[str, Any]] = {}
    for each in measurements:
        if each["region"] is None:
            first.setdefault(each["quantity"], each)
    return tuple(_measurement_as_text(each) for each in list(first.values())[:_MOST_HEADLINES])


def _measurement_as_text(measurement: dict[str, Any]) -> str:
    name = measurement["quantity"].replace("_", " ")
    side = f" {measurement['side']}" if measurement["side"] else ""
    value = quantity(measurement["value"], measurement["uncertainty"], measurement["unit"])
    return f"{name}{side} {value}"
