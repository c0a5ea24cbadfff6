"""Which instances came together in one STOW-RS request that has ended well.

A sender that puts a study into one request has said where it ends. That is kept
here, durable before the request is answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from processing.measurement import TransientFault
from service.catalogue.database import DATABASE_FAULTS, Database
from service.catalogue.models import Instance, StowRequest, StowRequestInstance, Study


@dataclass(frozen=True, slots=True)
class Covered:
    """That all of a study came in finished STOW-RS requests, the latest of them by `client`."""

    client: str
    finished_at: datetime
    requests: int


def record_request(database: Database, client: str, sop_instance_uids: Sequence[str]) -> None:
    """Record that a request has ended, all of whose instances are kept.

    Raises
    ------
    TransientFault
        If the database did not take it.
    """
    try:
        with database.turn(), database.sessions.begin() as session:
            request = StowRequest(client=client, finished_at=datetime.now(UTC))
            session.add(request)
            session.flush()
            session.execute(
                sa.insert(StowRequestInstance),
                [
                    {"request_row": request.id, "sop_instance_uid": uid}
                    for uid in dict.fromkeys(sop_instance_uids)
                ],
            )
    except DATABASE_FAULTS as fault:
        raise TransientFault(f"the catalogue did not take the request: {fault.orig}") from fault


def studies_with(database: Database, sop_instance_uids: Sequence[str]) -> list[str]:
    """Study Instance UIDs of those instances that are catalogued already."""
    found: set[str] = set()
    with database.sessions() as session:
        # Within the number of parameters that every SQLite takes.
        for start in range(0, len(sop_instance_uids), 500):
            query = (
                sa.select(Study.study_instance_uid)
                .join(Instance, Instance.study_row == Study.id)
                .where(Instance.sop_instance_uid.in_(sop_instance_uids[start : start + 500]))
                .distinct()
            )
            found.update(session.scalars(query))
    return sorted(found)


def covering_requests(database: Database, study_instance_uid: str) -> Covered | None:
    """The requests that brought a study, if each of its instances came in one that has ended.

    None also while instances of these requests are not catalogued yet: they may be
    of this study.
    """
    own_study = (
        sa.select(Study.id).where(Study.study_instance_uid == study_instance_uid).scalar_subquery()
    )
    named = sa.select(StowRequestInstance.request_row).where(
        StowRequestInstance.sop_instance_uid == Instance.sop_instance_uid
    )
    not_covered = sa.select(Instance.id).where(
        Instance.study_row == own_study, Instance.own.is_(False), ~named.exists()
    )
    touching = (
        sa.select(StowRequestInstance.request_row)
        .join(Instance, Instance.sop_instance_uid == StowRequestInstance.sop_instance_uid)
        .where(Instance.study_row == own_study)
        .distinct()
    )
    catalogued = sa.select(Instance.id).where(
        Instance.sop_instance_uid == StowRequestInstance.sop_instance_uid,
        Instance.catalogued_at.is_not(None),
    )
    not_catalogued = sa.select(StowRequestInstance.request_row).where(
        StowRequestInstance.request_row.in_(touching), ~catalogued.exists()
    )
    with database.sessions() as session:
        requests = session.scalars(
            sa.select(StowRequest).where(StowRequest.id.in_(touching)).order_by(StowRequest.id)
        ).all()
        if not requests:
            return None
        if session.scalar(not_covered.limit(1)) is not None:
            return None
        if session.scalar(not_catalogued.limit(1)) is not None:
            return None
        return Covered(requests[-1].client, requests[-1].finished_at, len(requests))
