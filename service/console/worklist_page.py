"""The page at ``/worklist``: what is scheduled, what of it arrived, what modalities say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from jinja2 import Environment

from service.catalogue.performed_steps import KeptStep
from service.catalogue.worklist import Asked, KeptItem
from service.worklist.words import (
    asked_as_text,
    changed_as_text,
    has_left,
    step_as_text,
    when_as_text,
)


def worklist_page(
    templates: Environment,
    items: Sequence[KeptItem],
    arrived: Mapping[str, Sequence[str]],
    asked: Sequence[Asked],
    performed: Sequence[KeptStep],
    now: datetime,
) -> str:
    """The page as HTML.

    Parameters
    ----------
    templates : Environment
    items : sequence of KeptItem
    arrived : mapping of str to sequence of str
        Studies that belong to an order, by the Study Instance UID of the order.
    asked : sequence of Asked
    performed : sequence of KeptStep
    now : datetime
    """
    return templates.get_template("worklist.html").render(
        now=now.astimezone(),
        asked=[
            {"text": asked_as_text(each, now), "fault": each.fault, "rejected": each.rejected}
            for each in asked
        ],
        items=[
            {
                "when": when_as_text(each),
                "step": each.step,
                "has_left": has_left(each, asked),
                "studies": arrived.get(each.step.study_instance_uid, ()),
            }
            for each in items
        ],
        performed=[
            {
                "step": each.step,
                "text": step_as_text(each),
                "at": changed_as_text(each, now),
            }
            for each in performed
        ],
    )
