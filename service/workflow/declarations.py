"""Who has said that a study is complete: evidence that comes from outside."""

from __future__ import annotations

from service.catalogue.database import Database
from service.catalogue.performed_steps import catalogued_among
from service.catalogue.procedure_steps import claimed_steps
from service.catalogue.stow_requests import covering_requests
from service.settings import Settings
from service.workflow.completion import Declaration, Evidence


def declaration_of(
    database: Database, settings: Settings, study_instance_uid: str
) -> Declaration | None:
    """The first statement that the study is complete, or None."""
    by_step = _by_procedure_step(database, study_instance_uid)
    if by_step is not None:
        return by_step
    if settings.completion.start_on_stow_request:
        return _by_stow_request(database, study_instance_uid)
    return None


def _by_procedure_step(database: Database, study_instance_uid: str) -> Declaration | None:
    """A claimed step whose inputs are all here says that these are what is to be measured."""
    for step in claimed_steps(database):
        uids = {
            each.sop_instance_uid
            for each in step.inputs
            if each.study_instance_uid == study_instance_uid
        }
        if uids and uids <= catalogued_among(database, uids):
            return Declaration(
                Evidence.PROCEDURE_STEP,
                f"all {len(uids)} inputs of the claimed procedure step {step.uid} are here",
            )
    return None


def _by_stow_request(database: Database, study_instance_uid: str) -> Declaration | None:
    covered = covering_requests(database, study_instance_uid)
    if covered is None:
        return None
    at = f"{covered.finished_at:%H:%M:%S} UTC"
    if covered.requests == 1:
        detail = f"all of it came in one STOW-RS request of {covered.client}, ended at {at}"
    else:
        detail = (
            f"all of it came in {covered.requests} STOW-RS requests, "
            f"the last of {covered.client}, ended at {at}"
        )
    return Declaration(Evidence.STOW_REQUEST, detail)
