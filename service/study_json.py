"""How a study stands, as JSON for scripts: the form of ``hemiface study`` and ``/api/studies``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from service.catalogue.overviews import Content
from service.catalogue.priors import KnownPrior
from service.catalogue.stored_bytes import StoredBytes
from service.catalogue.studies import KnownInstance, Unusable
from service.study_explanation import explanation
from service.study_state import ResultState, StudyState
from service.workflow.engine import WorkState
from service.workflow.keys import analysis_key
from service.worklist.words import order_as_json, performed_as_json


def study_as_json(state: StudyState, now: datetime) -> dict[str, Any]:
    """How a study stands; strings of its headers are given as they were received."""
    study = state.study
    return {
        "study_instance_uid": study.study_instance_uid,
        "patient_id": study.patient_id,
        "patient_name": study.patient_name,
        "accession_number": study.accession_number,
        "study_date": study.study_date,
        "description": study.description,
        "priority": study.priority,
        "first_arrival": _moment(study.first_arrival),
        "last_arrival": _moment(study.last_arrival),
        "state": state.stage.value,
        "explanation": explanation(state, now),
        "looked_at_next": _moment(state.looked_at_next),
        "contents": [_content(each) for each in study.contents],
        "complete": [
            {
                "evidence": each.evidence,
                "detail": each.detail,
                "decided_at": _moment(each.decided_at),
            }
            for each in state.evidence
        ],
        "results": [_result(each) for each in state.results],
        "work": [_work(each) for each in state.work],
        "order": order_as_json(state.order),
        "performed_steps": [performed_as_json(each) for each in state.performed],
    }


def instance_as_json(instance: KnownInstance) -> dict[str, Any]:
    """An instance of a study; `reason` says why it cannot be used."""
    return {
        "sop_instance_uid": instance.sop_instance_uid,
        "sop_class_uid": instance.sop_class_uid,
        "modality": instance.modality,
        "view": instance.header.get("view"),
        "expression": instance.header.get("expression"),
        "received_at": _moment(instance.received_at),
        "calling_ae_title": instance.calling_ae_title,
        "own": instance.own,
        "prior": instance.prior,
        "reason": instance.reason,
    }


def priors_as_json(known: Sequence[KnownPrior], work: Sequence[WorkState]) -> dict[str, Any]:
    """The earlier studies that were looked for beside a study, and what became of each."""
    return {
        "work": [_work(each) for each in work],
        "instances": [
            {
                "study_instance_uid": each.wanted.prior_study_instance_uid,
                "sop_instance_uid": each.wanted.sop_instance_uid,
                "sop_class_uid": each.wanted.sop_class_uid,
                "source": each.wanted.source,
                "here": each.is_here,
                "outcome": each.outcome,
                "requested_at": _moment(each.requested_at),
                "settled_at": _moment(each.settled_at),
            }
            for each in known
        ],
    }


def unusable_as_json(unusable: Unusable) -> dict[str, Any]:
    """Bytes that are kept but not used."""
    return {
        "sop_instance_uid": unusable.sop_instance_uid,
        "received_at": _moment(unusable.received_at),
        "calling_ae_title": unusable.calling_ae_title,
        "reason": unusable.reason,
    }


def measurements_of(stored: StoredBytes, key: str) -> list[dict[str, Any]]:
    """The measurements of a result in the published JSON form; none where they are gone."""
    try:
        document = json.loads(stored.read(analysis_key(key)))
    except FileNotFoundError:
        return []
    found: list[dict[str, Any]] = document["measurements"]
    return found


def _content(content: Content) -> dict[str, Any]:
    return {
        "modality": content.modality,
        "view": content.view,
        "expression": content.expression,
        "calling_ae_title": content.calling_ae_title,
        "own": content.own,
        "prior": content.prior,
        "reason": content.reason,
        "instances": content.instances,
    }


def _result(result: ResultState) -> dict[str, Any]:
    made = result.made
    return {
        "key": made.key,
        "analysis": made.analysis,
        "version": made.version,
        "status": made.status,
        "reason": made.reason,
        "made_at": _moment(made.made_at),
        "is_newest": result.is_newest,
        "report_uid": result.report_uid,
        "predecessor_uid": made.predecessor_uid,
        "inputs": list(made.inputs),
        "objects": [
            {
                "role": each.role,
                "sop_instance_uid": each.sop_instance_uid,
                "sop_class_uid": each.sop_class_uid,
                "series_instance_uid": each.series_instance_uid,
            }
            for each in made.objects
        ],
        "deliveries": [
            {
                "destination": each.destination,
                "state": each.stage.value,
                "detail": each.detail,
                "at": _moment(each.at),
            }
            for each in result.deliveries
        ],
    }


def _work(work: WorkState) -> dict[str, Any]:
    return {
        "identifier": work.identifier,
        "work": work.name,
        "state": work.state,
        "reason": work.reason,
        "created_at": _moment(work.created_at),
        "not_before": _moment(work.not_before),
        "slot": work.attempts_on,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
