"""Verifying a report by HTTP: only those whom the settings name, each with a token of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from dicom_nodes.objects.verification import Verification
from processing.measurement import RejectedInput
from service.bearer_tokens import bearer_token, holder_of
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes
from service.settings import Settings, Verifier
from service.verifying import Deliverer, verify_result

_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="hemiface"'}


class WantedVerification(BaseModel):
    """What is verified; who does it follows from the token."""

    model_config = ConfigDict(extra="forbid")

    analysis: Annotated[str, Field(max_length=64)] | None = None


def add_verification(
    application: FastAPI,
    settings: Settings,
    database: Database,
    stored: StoredBytes,
    deliverer: Deliverer,
) -> None:
    """Answer ``POST /api/studies/{uid}/verification``; `database` is for writing."""

    @application.post("/api/studies/{study_instance_uid}/verification", status_code=201)
    def verify(
        study_instance_uid: str,
        wanted: WantedVerification,
        authorization: Annotated[str | None, Header()] = None,
    ) -> dict[str, Any]:
        verifier = _verifier(settings, authorization)
        try:
            verified = verify_result(
                settings,
                database,
                stored,
                deliverer,
                study_instance_uid,
                wanted.analysis,
                Verification(
                    verifier.name,
                    verifier.organization,
                    datetime.now(UTC).replace(microsecond=0),
                ),
            )
        except RejectedInput as rejection:
            raise HTTPException(409, str(rejection)) from rejection
        return {
            "schema": 1,
            "key": verified.result.key,
            "report": verified.result.objects[0].sop_instance_uid,
            "predecessor": verified.result.predecessor_uid,
            "verified_by": verifier.name,
            "destinations": list(verified.destinations),
        }


def _verifier(settings: Settings, authorization: str | None) -> Verifier:
    if not settings.report.verifiers:
        raise HTTPException(403, "nobody may verify by HTTP; set report.verifiers")
    found = holder_of(settings.report.verifiers, bearer_token(authorization))
    if found is None:
        raise HTTPException(
            401,
            "send the token of one of report.verifiers as Authorization: Bearer",
            headers=_CHALLENGE,
        )
    return found
