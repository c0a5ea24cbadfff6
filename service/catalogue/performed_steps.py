"""What modalities said of their procedure steps (MPPS), kept by study."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session, selectinload

from dicom_nodes.network.mpps_scp import PerformedStep, StepState
from processing.measurement import TransientFault
from service.catalogue.database import DATABASE_FAULTS, Database
from service.catalogue.models import Instance, PerformedProcedureStep, PerformedStepStudy

# What a peer can make grow: far more steps than a department does in the days they are kept.
MOST_STEPS: Final = 100_000
# SQLite's limit of parameters to a statement is 32,766 since 3.32, was 999 before.
_UIDS_AT_ONCE: Final = 500

_CHANGING: Final = (
    "state",
    "accession_number",
    "patient_id",
    "patient_name",
    "modality",
    "description",
    "station_ae_title",
    "began",
    "ended",
    "reason",
)


@dataclass(frozen=True, slots=True)
class KeptStep:
    """A step, and when the node was told of it last."""

    step: PerformedStep
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class KeptSteps:
    """The steps in the catalogue, as `dicom_nodes.network.mpps_scp` wants them kept."""

    database: Database
    keep: timedelta

    def create(self, step: PerformedStep, calling_ae_title: str) -> bool:
        """Keep a new step; False when there is one with its UID.

        Raises
        ------
        TransientFault
            If the catalogue does not answer, or holds too many steps.
        """
        now = datetime.now(UTC)
        try:
            with self._session() as session:
                session.execute(
                    sa.delete(PerformedProcedureStep).where(
                        PerformedProcedureStep.changed_at < now - self.keep
                    )
                )
                if session.scalar(sa.select(sa.func.count(PerformedProcedureStep.id))) == (
                    MOST_STEPS
                ):
                    raise TransientFault(f"the node keeps {MOST_STEPS} steps and takes no more")
                session.add(_new_row(step, calling_ae_title, now))
        except sa.exc.IntegrityError:
            return False
        return True

    def change(
        self, sop_instance_uid: str, change: Callable[[PerformedStep], PerformedStep]
    ) -> bool:
        """Keep what `change` makes of a step; False when there is none with this UID.

        Raises
        ------
        TransientFault
            If the catalogue does not answer.
        """
        with self._session() as session:
            row = session.scalar(
                sa.select(PerformedProcedureStep)
                .where(PerformedProcedureStep.sop_instance_uid == sop_instance_uid)
                .with_for_update()
            )
            if row is None:
                return False
            changed = change(_step(row))
            for name in _CHANGING:
                setattr(row, name, getattr(changed, name))
            row.instances = list(changed.instances)
            row.changed_at = datetime.now(UTC)
            row.looked_at = None
        return True

    @contextmanager
    def _session(self) -> Iterator[Session]:
        try:
            with self.database.sessions.begin() as session:
                yield session
        except DATABASE_FAULTS as fault:
            raise TransientFault("the catalogue does not answer; try again") from fault


def steps_of_studies(
    database: Database, study_instance_uids: Sequence[str]
) -> dict[str, list[KeptStep]]:
    """The steps of each study, by Study Instance UID, the oldest first."""
    query = (
        sa.select(PerformedStepStudy.study_instance_uid, PerformedProcedureStep)
        .join(PerformedProcedureStep, PerformedStepStudy.step_row == PerformedProcedureStep.id)
        .options(selectinload(PerformedProcedureStep.studies))
        .where(PerformedStepStudy.study_instance_uid.in_(study_instance_uids))
        .order_by(PerformedProcedureStep.id)
    )
    found: dict[str, list[KeptStep]] = {}
    with database.sessions() as session:
        for uid, row in session.execute(query):
            found.setdefault(uid, []).append(KeptStep(_step(row), row.changed_at))
    return found


def latest_steps(database: Database, limit: int) -> list[KeptStep]:
    """The steps that were changed last, the latest first."""
    query = (
        sa.select(PerformedProcedureStep)
        .options(selectinload(PerformedProcedureStep.studies))
        .order_by(PerformedProcedureStep.changed_at.desc(), PerformedProcedureStep.id.desc())
        .limit(limit)
    )
    with database.sessions() as session:
        return [KeptStep(_step(row), row.changed_at) for row in session.scalars(query)]


def catalogued_among(database: Database, sop_instance_uids: Iterable[str]) -> set[str]:
    """Those of these instances that are here and catalogued."""
    wanted = list(sop_instance_uids)
    found: set[str] = set()
    with database.sessions() as session:
        for start in range(0, len(wanted), _UIDS_AT_ONCE):
            found |= set(
                session.scalars(
                    sa.select(Instance.sop_instance_uid).where(
                        Instance.sop_instance_uid.in_(wanted[start : start + _UIDS_AT_ONCE]),
                        Instance.catalogued_at.is_not(None),
                    )
                )
            )
    return found


@dataclass(frozen=True, slots=True)
class ToldStep:
    """A step whose studies have not been looked at since it changed."""

    row: int
    changed_at: datetime
    study_instance_uids: tuple[str, ...]


def steps_to_look_at(database: Database, limit: int) -> list[ToldStep]:
    """Steps that changed since their studies were looked at, the oldest first."""
    query = (
        sa.select(PerformedProcedureStep)
        .options(selectinload(PerformedProcedureStep.studies))
        .where(PerformedProcedureStep.looked_at.is_(None))
        .order_by(PerformedProcedureStep.id)
        .limit(limit)
    )
    with database.sessions() as session:
        return [
            ToldStep(row.id, row.changed_at, tuple(each.study_instance_uid for each in row.studies))
            for row in session.scalars(query)
        ]


def mark_looked_at(database: Database, steps: Sequence[ToldStep]) -> None:
    """Note that the studies of these steps were looked at; not of one that changed meanwhile."""
    now = datetime.now(UTC)
    with database.sessions.begin() as session:
        for each in steps:
            session.execute(
                sa.update(PerformedProcedureStep)
                .where(
                    PerformedProcedureStep.id == each.row,
                    PerformedProcedureStep.changed_at == each.changed_at,
                )
                .values(looked_at=now)
            )


def _new_row(step: PerformedStep, calling_ae_title: str, now: datetime) -> PerformedProcedureStep:
    return PerformedProcedureStep(
        sop_instance_uid=step.sop_instance_uid,
        **{name: getattr(step, name) for name in _CHANGING},
        instances=list(step.instances),
        calling_ae_title=calling_ae_title,
        created_at=now,
        changed_at=now,
        studies=[PerformedStepStudy(study_instance_uid=each) for each in step.study_instance_uids],
    )


def _step(row: PerformedProcedureStep) -> PerformedStep:
    return PerformedStep(
        sop_instance_uid=row.sop_instance_uid,
        study_instance_uids=tuple(each.study_instance_uid for each in row.studies),
        instances=tuple(row.instances),
        **{name: getattr(row, name) for name in _CHANGING if name != "state"},
        state=StepState(row.state),
    )
