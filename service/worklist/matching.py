"""Which scheduled procedure a study belongs to: pure functions, safe before helpful.

What identifies an order is tried first; a match that is not certain is never taken,
and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dicom_nodes.network.worklist_scu import ScheduledStep
from service.worklist.same_patient import PatientIdentity, differences

_MOST_NAMED: Final = 3


class Outcome(StrEnum):
    """What became of looking for an order."""

    MATCHED = "matched"
    AMBIGUOUS = "ambiguous"
    MISMATCH = "mismatch"
    NONE = "no order"


class By(StrEnum):
    """What an order was found by, the strongest first."""

    STUDY_INSTANCE_UID = "Study Instance UID"
    ACCESSION_NUMBER = "accession number"
    REQUESTED_PROCEDURE = "patient and requested procedure"
    PATIENT_DATE_STATION = "patient, date and station"


@dataclass(frozen=True, slots=True)
class ArrivedStudy:
    """What the headers of a study say, as far as orders are found by it.

    Parameters
    ----------
    study_instance_uid : str
    patients : tuple of PatientIdentity
        As its objects name them; more than one where they do not agree.
    accession_numbers, procedure_ids : tuple of str
        Accession Number and Requested Procedure ID, each once, without empty ones.
    dates : tuple of str
        Study dates, ``YYYYMMDD``.
    stations : tuple of str
        Station names and the AE titles that sent it.
    modalities : tuple of str
    """

    study_instance_uid: str
    patients: tuple[PatientIdentity, ...]
    accession_numbers: tuple[str, ...] = ()
    procedure_ids: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """What came of looking for a study's order, with the reason in words.

    `step` is set for MATCHED, and for MISMATCH: the order that was not taken.
    """

    outcome: Outcome
    reason: str
    by: By | None = None
    step: ScheduledStep | None = None


def match(study: ArrivedStudy, steps: Sequence[ScheduledStep]) -> Match:
    """Find the order of a study among the scheduled steps.

    The first of `By` under which there are candidates decides. Several steps of one
    requested procedure are one order. Candidates that are several orders are
    ambiguous; an order of another patient, or one that contradicts what the study
    says of itself, is a mismatch. Neither is taken.
    """
    if len(study.patients) != 1:
        return Match(Outcome.MISMATCH, "the objects of the study do not name the same patient")
    for by in By:
        candidates = [each for each in steps if _CANDIDATE[by](study, each)]
        if candidates:
            return _decided(study, by, candidates)
    if study.accession_numbers:
        return Match(
            Outcome.NONE,
            f"accession number {', '.join(study.accession_numbers[:_MOST_NAMED])} is not on the "
            "worklist",
        )
    return Match(Outcome.NONE, "nothing on the worklist is for this patient, day and station")


def same_patient(study: ArrivedStudy, step: ScheduledStep) -> list[str]:
    """What speaks against the study and the order being of the same patient."""
    ordered = PatientIdentity(
        step.patient_id, step.issuer, step.patient_name, step.birth_date, step.sex
    )
    return [reason for each in study.patients for reason in differences(each, ordered)]


def _decided(study: ArrivedStudy, by: By, candidates: Sequence[ScheduledStep]) -> Match:
    fitting = [each for each in candidates if not same_patient(study, each)]
    if not fitting:
        against = "; ".join(same_patient(study, candidates[0]))
        return Match(
            Outcome.MISMATCH,
            f"{_named(candidates[0])} has the same {by}, but {against}. Correct the study or the "
            "order where it is wrong",
            by,
            candidates[0],
        )
    orders = {_order(each): each for each in reversed(fitting)}
    if len(orders) > 1:
        named = "; ".join(_named(each) for each in list(orders.values())[:_MOST_NAMED])
        return Match(
            Outcome.AMBIGUOUS,
            f"{len(orders)} orders have the same {by} ({named}); none is taken",
            by,
        )
    step = _most_alike(study, fitting)
    contradiction = _contradiction(study, step)
    if contradiction:
        return Match(
            Outcome.MISMATCH, f"{_named(step)} has the same {by}, but {contradiction}", by, step
        )
    return Match(Outcome.MATCHED, f"{_named(step)} has the same {by}", by, step)


def _order(step: ScheduledStep) -> tuple[str, str]:
    return (step.study_instance_uid, step.accession_number)


def _most_alike(study: ArrivedStudy, steps: Sequence[ScheduledStep]) -> ScheduledStep:
    """The step of the station and modality, of several steps of one order."""
    return max(
        steps,
        key=lambda each: (_at_station(study, each), each.modality in study.modalities),
    )


def _contradiction(study: ArrivedStudy, step: ScheduledStep) -> str | None:
    others = [each for each in study.accession_numbers if each != step.accession_number]
    if others and step.accession_number:
        return f"the study says accession number {', '.join(others[:_MOST_NAMED])}"
    if len(study.accession_numbers) > 1:
        return "the study says several accession numbers"
    return None


def _named(step: ScheduledStep) -> str:
    what = step.procedure_description or step.step_description or step.procedure_id
    number = step.accession_number or step.study_instance_uid
    return f"order {number}" + (f" ({what})" if what else "")


def _has_study_uid(study: ArrivedStudy, step: ScheduledStep) -> bool:
    return study.study_instance_uid == step.study_instance_uid


def _has_accession_number(study: ArrivedStudy, step: ScheduledStep) -> bool:
    return step.accession_number != "" and step.accession_number in study.accession_numbers


def _is_without_order(study: ArrivedStudy) -> bool:
    """Whether a study names no order: one that does is never put under another."""
    return not study.accession_numbers


def _has_patient_id(study: ArrivedStudy, step: ScheduledStep) -> bool:
    return any(each.patient_id == step.patient_id for each in study.patients)


def _has_requested_procedure(study: ArrivedStudy, step: ScheduledStep) -> bool:
    return (
        _is_without_order(study)
        and step.procedure_id != ""
        and step.procedure_id in study.procedure_ids
        and _has_patient_id(study, step)
    )


def _at_station(study: ArrivedStudy, step: ScheduledStep) -> bool:
    names = {each for each in (step.station_ae_title, step.station_name) if each}
    return bool(names & set(study.stations))


def _has_patient_date_and_station(study: ArrivedStudy, step: ScheduledStep) -> bool:
    return (
        _is_without_order(study)
        and not study.procedure_ids
        and _has_patient_id(study, step)
        and step.start_date != ""
        and study.dates == (step.start_date,)
        and _at_station(study, step)
        and (not step.modality or step.modality in study.modalities)
    )


_CANDIDATE: Final[dict[By, Callable[[ArrivedStudy, ScheduledStep], bool]]] = {
    By.STUDY_INSTANCE_UID: _has_study_uid,
    By.ACCESSION_NUMBER: _has_accession_number,
    By.REQUESTED_PROCEDURE: _has_requested_procedure,
    By.PATIENT_DATE_STATION: _has_patient_date_and_station,
}
