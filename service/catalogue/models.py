"""The tables: what was received, what it belongs to, what was made of it and where that went.

The status of work is not here: it is asked of the workflow engine.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

UID = String(64)


class UTCDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets the zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a moment without a zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Give the moment its zone back."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Base(DeclarativeBase):
    """Every table of the catalogue."""


class Patient(Base):
    """A patient as the headers name them; `issuer` tells equal IDs apart."""

    __tablename__ = "patients"
    __table_args__ = (UniqueConstraint("patient_id", "issuer"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    patient_id: Mapped[str] = mapped_column(Text)
    issuer: Mapped[str] = mapped_column(Text, default="")
    name: Mapped[str] = mapped_column(Text, default="")
    birth_date: Mapped[str] = mapped_column(String(8), default="")
    sex: Mapped[str] = mapped_column(String(16), default="")


class Study(Base):
    """A study, from its first instance on.

    `patient_name` is what this study's own header says: two patients of two
    hospitals may come with the same ID, or both without one.
    """

    __tablename__ = "studies"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, unique=True)
    patient_row: Mapped[int] = mapped_column(ForeignKey("patients.id"), index=True)
    patient_name: Mapped[str] = mapped_column(Text, default="")
    accession_number: Mapped[str] = mapped_column(Text, default="", index=True)
    study_date: Mapped[str] = mapped_column(String(8), default="", index=True)
    study_time: Mapped[str] = mapped_column(String(16), default="")
    study_id: Mapped[str] = mapped_column(Text, default="")
    referring_physician: Mapped[str] = mapped_column(Text, default="")
    description: Mapped[str] = mapped_column(Text, default="")
    priority: Mapped[str] = mapped_column(String(16), default="")
    first_arrival: Mapped[datetime] = mapped_column(UTCDateTime)
    last_arrival: Mapped[datetime] = mapped_column(UTCDateTime, index=True)

    patient: Mapped[Patient] = relationship(lazy="joined")


class StudyName(Base):
    """A component group of the patient's name of a study, folded for matching.

    Compared by code points in every database, so that a beginning is a range of the index.
    """

    __tablename__ = "study_names"
    __table_args__ = (Index("ix_study_names_name", "name", "study_row"),)

    study_row: Mapped[int] = mapped_column(ForeignKey("studies.id"), primary_key=True)
    name: Mapped[str] = mapped_column(
        Text().with_variant(postgresql.TEXT(collation="C"), "postgresql"), primary_key=True
    )


class Series(Base):
    """A series, of instances that were received or of objects that were made."""

    __tablename__ = "series"

    id: Mapped[int] = mapped_column(primary_key=True)
    series_instance_uid: Mapped[str] = mapped_column(UID, unique=True)
    study_row: Mapped[int] = mapped_column(ForeignKey("studies.id"), index=True)
    modality: Mapped[str] = mapped_column(String(16), default="")
    number: Mapped[int | None] = mapped_column(Integer)
    description: Mapped[str] = mapped_column(Text, default="")


def _index_where_set(column: str) -> Index:
    """An index of instances that a row enters when it is catalogued, not when it is received."""
    where = text(f"{column} IS NOT NULL")
    return Index(f"ix_instances_{column}", column, sqlite_where=where, postgresql_where=where)


_UNUSABLE: Final = text("reason IS NOT NULL AND study_row IS NULL")


class Instance(Base):
    """A received instance; its header is unread while `catalogued_at` is empty."""

    __tablename__ = "instances"
    __table_args__ = (
        Index("ix_instances_uncatalogued", "catalogued_at", "id"),
        _index_where_set("series_row"),
        _index_where_set("study_row"),
        Index("ix_instances_unusable", "id", sqlite_where=_UNUSABLE, postgresql_where=_UNUSABLE),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, unique=True)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(UID)
    key: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    dataset_offset: Mapped[int] = mapped_column(Integer)
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    peer_address: Mapped[str] = mapped_column(String(64))
    catalogued_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    series_row: Mapped[int | None] = mapped_column(ForeignKey("series.id"))
    study_row: Mapped[int | None] = mapped_column(ForeignKey("studies.id"))
    own: Mapped[bool] = mapped_column(Boolean, default=False)
    prior: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    header: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    reason: Mapped[str | None] = mapped_column(Text)


class Prior(Base):
    """An instance of an earlier study that is wanted beside a study.

    It is pending until `settled_at`; `outcome` then says what became of it.
    `message_id` is that of the C-MOVE that brings it.
    """

    __tablename__ = "priors"
    __table_args__ = (UniqueConstraint("study_instance_uid", "sop_instance_uid"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID)
    prior_study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    series_instance_uid: Mapped[str] = mapped_column(UID)
    sop_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    source: Mapped[str] = mapped_column(Text)
    message_id: Mapped[int | None] = mapped_column(Integer)
    requested_at: Mapped[datetime] = mapped_column(UTCDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outcome: Mapped[str | None] = mapped_column(Text)


class ProcedureStepRow(Base):
    """A Unified Procedure Step that the node claims, with the transaction that holds it.

    `inputs` lists study, series, SOP class and instance of each. A cancel that was
    requested before `begun_at`, the moment when measuring began, calls the step off;
    `cancel_code` is its coded reason: value, scheme and meaning.
    """

    __tablename__ = "procedure_steps"
    __table_args__ = (UniqueConstraint("uid", "source"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(UID)
    source: Mapped[str] = mapped_column(Text)
    transaction_uid: Mapped[str] = mapped_column(UID)
    inputs: Mapped[list[list[str]]] = mapped_column(JSON)
    kept_at: Mapped[datetime] = mapped_column(UTCDateTime)
    claimed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    begun_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    cancel_reason: Mapped[str | None] = mapped_column(Text)
    cancel_code: Mapped[list[str] | None] = mapped_column(JSON)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outcome: Mapped[str | None] = mapped_column(Text)


class ProcedureStepInput(Base):
    """An instance that a kept step is about, to find the step by."""

    __tablename__ = "procedure_step_inputs"

    step_row: Mapped[int] = mapped_column(ForeignKey("procedure_steps.id"), primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True, index=True)


class StepNotice(Base):
    """How often a manager of procedure steps has told that one waits."""

    __tablename__ = "step_notices"

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    times: Mapped[int] = mapped_column(Integer)


class Quarantined(Base):
    """Bytes that were kept but are not used, and why."""

    __tablename__ = "quarantine"

    id: Mapped[int] = mapped_column(primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(Text, index=True)
    key: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    peer_address: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)


class Completion(Base):
    """Why a study counted as complete at a moment, with the inputs it had then."""

    __tablename__ = "completions"
    __table_args__ = (UniqueConstraint("study_row", "inputs_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_row: Mapped[int] = mapped_column(ForeignKey("studies.id"), index=True)
    inputs_key: Mapped[str] = mapped_column(String(64))
    evidence: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime] = mapped_column(UTCDateTime)


class Result(Base):
    """What one analysis made of one set of inputs; `key` is the content key."""

    __tablename__ = "results"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    study_row: Mapped[int] = mapped_column(ForeignKey("studies.id"), index=True)
    analysis: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    inputs: Mapped[list[str]] = mapped_column(JSON)
    made_at: Mapped[datetime] = mapped_column(UTCDateTime)
    predecessor_uid: Mapped[str | None] = mapped_column(UID)
    # The study of an order that its objects were put into, where it is not that of the inputs.
    filed_under: Mapped[str | None] = mapped_column(UID)

    study: Mapped[Study] = relationship()
    objects: Mapped[list[ResultObject]] = relationship(
        back_populates="result", order_by="ResultObject.id"
    )


class ResultObject(Base):
    """A DICOM object that was made: the report, or a picture; `header` as in `Instance`."""

    __tablename__ = "result_objects"

    id: Mapped[int] = mapped_column(primary_key=True)
    result_row: Mapped[int] = mapped_column(ForeignKey("results.id"), index=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, unique=True)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    series_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    role: Mapped[str] = mapped_column(String(32))
    key: Mapped[str] = mapped_column(Text)
    header: Mapped[dict[str, Any] | None] = mapped_column(JSON)

    result: Mapped[Result] = relationship(back_populates="objects")


class Delivery(Base):
    """That a destination took a result, when, and how that was confirmed."""

    __tablename__ = "deliveries"
    __table_args__ = (UniqueConstraint("result_row", "destination"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    result_row: Mapped[int] = mapped_column(ForeignKey("results.id"), index=True)
    destination: Mapped[str] = mapped_column(Text)
    delivered_at: Mapped[datetime] = mapped_column(UTCDateTime)
    confirmation: Mapped[str | None] = mapped_column(Text)
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    result: Mapped[Result] = relationship()


class StowRequest(Base):
    """A STOW-RS request that has ended, all of whose instances are kept."""

    __tablename__ = "stow_requests"

    id: Mapped[int] = mapped_column(primary_key=True)
    client: Mapped[str] = mapped_column(Text)
    finished_at: Mapped[datetime] = mapped_column(UTCDateTime)


class StowRequestInstance(Base):
    """That an instance came in a request."""

    __tablename__ = "stow_request_instances"

    request_row: Mapped[int] = mapped_column(ForeignKey("stow_requests.id"), primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True, index=True)


class CommitmentRequest(Base):
    """That a peer asked the node to commit itself to these instances.

    `due_at` is when it is handed to the workflow engine, if it is not reported on
    by then. `given_up` says why no report will be sent.
    """

    __tablename__ = "commitment_requests"
    __table_args__ = (UniqueConstraint("calling_ae_title", "transaction_uid"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    transaction_uid: Mapped[str] = mapped_column(UID)
    references: Mapped[list[list[str]]] = mapped_column(JSON)
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    reported_at: Mapped[datetime | None] = mapped_column(UTCDateTime, index=True)
    given_up: Mapped[str | None] = mapped_column(Text)


class ResultCommitment(Base):
    """That a destination was asked to commit itself to a result, and what it reported.

    `failures` are SOP Instance UIDs and why they were not committed; `given_up`
    says why no report is waited for.
    """

    __tablename__ = "result_commitments"
    __table_args__ = (Index("ix_result_commitments_of", "result_row", "destination"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    transaction_uid: Mapped[str] = mapped_column(UID, unique=True)
    result_row: Mapped[int] = mapped_column(ForeignKey("results.id"))
    destination: Mapped[str] = mapped_column(Text)
    requested_at: Mapped[datetime] = mapped_column(UTCDateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reported_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    failures: Mapped[dict[str, str] | None] = mapped_column(JSON)
    given_up: Mapped[str | None] = mapped_column(Text)

    result: Mapped[Result] = relationship()


class WorkerSlot(Base):
    """The last sign of life of a worker slot, so that a vanished one's work is taken over."""

    __tablename__ = "worker_slots"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    beat_at: Mapped[datetime] = mapped_column(UTCDateTime)


class PerformedProcedureStep(Base):
    """What a modality said of a step (MPPS); `looked_at` is empty until its studies were."""

    __tablename__ = "performed_steps"
    __table_args__ = (Index("ix_performed_steps_looked_at", "looked_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, unique=True)
    state: Mapped[str] = mapped_column(String(16))
    accession_number: Mapped[str] = mapped_column(Text)
    patient_id: Mapped[str] = mapped_column(Text)
    patient_name: Mapped[str] = mapped_column(Text)
    modality: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    station_ae_title: Mapped[str] = mapped_column(Text)
    began: Mapped[str] = mapped_column(String(14))
    ended: Mapped[str] = mapped_column(String(14))
    reason: Mapped[str] = mapped_column(Text)
    instances: Mapped[list[str]] = mapped_column(JSON)
    calling_ae_title: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    looked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    studies: Mapped[list[PerformedStepStudy]] = relationship(
        cascade="all, delete-orphan", order_by="PerformedStepStudy.id"
    )


class PerformedStepStudy(Base):
    """A study that a performed step is about; its images may not be here yet."""

    __tablename__ = "performed_step_studies"

    id: Mapped[int] = mapped_column(primary_key=True)
    step_row: Mapped[int] = mapped_column(
        ForeignKey("performed_steps.id", ondelete="CASCADE"), index=True
    )
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)


class WorklistItem(Base):
    """A scheduled procedure step, as a worklist described it."""

    __tablename__ = "worklist_items"
    __table_args__ = (UniqueConstraint("source", "study_instance_uid", "step_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(String(64))
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    step_id: Mapped[str] = mapped_column(Text)
    patient_id: Mapped[str] = mapped_column(Text, index=True)
    accession_number: Mapped[str] = mapped_column(Text, index=True)
    start_date: Mapped[str] = mapped_column(String(8), index=True)
    step: Mapped[dict[str, Any]] = mapped_column(JSON)
    first_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class WorklistSource(Base):
    """When a worklist was asked last, and what came of it."""

    __tablename__ = "worklist_sources"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    asked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    items: Mapped[int] = mapped_column(Integer, default=0)
    fault: Mapped[str | None] = mapped_column(Text)
    rejected: Mapped[list[str]] = mapped_column(JSON)


class OrderState(Base):
    """When an order by HL7 last said something of a step, also of one that it removed."""

    __tablename__ = "order_states"
    __table_args__ = (UniqueConstraint("study_instance_uid", "step_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID)
    step_id: Mapped[str] = mapped_column(Text)
    sender: Mapped[str] = mapped_column(Text)
    placer_number: Mapped[str] = mapped_column(Text, index=True)
    filler_number: Mapped[str] = mapped_column(Text, index=True)
    said_at: Mapped[datetime] = mapped_column(UTCDateTime)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class OrderMessage(Base):
    """A message by HL7 whose order was taken; it may be sent again."""

    __tablename__ = "order_messages"
    __table_args__ = (UniqueConstraint("sender", "control_id", "digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    sender: Mapped[str] = mapped_column(Text)
    control_id: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))
    received_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class StudyOrder(Base):
    """What came of looking for a study's order; of several rows the last decided counts."""

    __tablename__ = "study_orders"
    __table_args__ = (UniqueConstraint("study_row", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_row: Mapped[int] = mapped_column(ForeignKey("studies.id"), index=True)
    key: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(16))
    found_by: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    correction: Mapped[str] = mapped_column(String(16))
    order_study_uid: Mapped[str | None] = mapped_column(UID, index=True)
    step: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    first_decided_at: Mapped[datetime] = mapped_column(UTCDateTime)
    decided_at: Mapped[datetime] = mapped_column(UTCDateTime)

    study: Mapped[Study] = relationship()
