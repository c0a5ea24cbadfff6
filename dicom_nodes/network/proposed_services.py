"""What the node proposes on the associations that it opens, service by service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from pydicom.dataset import Dataset
from pynetdicom.presentation import build_context

from dicom_nodes.network.query_scu import STUDY_ROOT_FIND
from dicom_nodes.network.retrieve_scu import STUDY_ROOT_GET, STUDY_ROOT_MOVE
from dicom_nodes.network.storage_commitment import STORAGE_COMMITMENT_SOP_CLASS
from dicom_nodes.network.verification_scp import VERIFICATION_SOP_CLASS
from dicom_nodes.network.worklist_scu import (
    MODALITY_WORKLIST_FIND,
    WorklistQuery,
    worklist_identifier,
)
from dicom_nodes.objects.procedure_step import (
    PROCEDURE_STEP_PULL,
    PROCEDURE_STEP_PUSH,
    PROCEDURE_STEP_WATCH,
    step_keys,
)


@dataclass(frozen=True, slots=True)
class ProposedService:
    """A service class that the node asks of its peers, as SCU.

    `section` is that of PS3.4; `purpose` says when an association is opened for it.
    """

    name: str
    section: str
    sop_classes: tuple[str, ...]
    purpose: str


PROPOSED: Final = (
    ProposedService(
        "Verification",
        "annex A",
        (VERIFICATION_SOP_CLASS,),
        "to see whether a peer is there (`hemiface doctor`)",
    ),
    ProposedService(
        "Storage Commitment Push Model",
        "annex J",
        (STORAGE_COMMITMENT_SOP_CLASS,),
        "for results that a destination has taken; and, with the node as SCP, to report on "
        "what a peer has asked for",
    ),
    ProposedService(
        "Query/Retrieve, C-FIND",
        "annex C",
        (STUDY_ROOT_FIND,),
        "whether a destination holds a result; which earlier studies of a patient an archive holds",
    ),
    ProposedService(
        "Query/Retrieve, C-GET",
        "annex C",
        (STUDY_ROOT_GET,),
        "to fetch earlier studies over the node's own association, with the node as SCP of storage",
    ),
    ProposedService(
        "Query/Retrieve, C-MOVE",
        "annex C",
        (STUDY_ROOT_MOVE,),
        "to have earlier studies sent to the node's own port",
    ),
    ProposedService(
        "Basic Worklist Management",
        "annex K",
        (MODALITY_WORKLIST_FIND,),
        "which procedures are scheduled, periodically",
    ),
    ProposedService(
        "Unified Procedure Step",
        "annex CC",
        (PROCEDURE_STEP_PULL, PROCEDURE_STEP_PUSH, PROCEDURE_STEP_WATCH),
        "to find, claim and perform steps, to ask for the review of a result, and to subscribe "
        "to reports on steps",
    ),
)
"""All but storage, whose SOP classes and transfer syntaxes are those of the files to send."""


@dataclass(frozen=True, slots=True)
class AskedKey:
    """An attribute that a query asks for; `is_matched` where the query gives it a value."""

    keyword: str
    is_matched: bool


def worklist_keys() -> tuple[AskedKey, ...]:
    """The keys of a query for scheduled procedure steps (PS3.4, table K.6-1)."""
    day = date(2000, 1, 1)
    return _asked_keys(worklist_identifier(WorklistQuery(day, day), "MODALITY", "STATION"))


def procedure_step_keys() -> tuple[AskedKey, ...]:
    """The keys of a query for unified procedure steps (PS3.4, table CC.2.5-3)."""
    return _asked_keys(step_keys("LABEL"))


def _asked_keys(identifier: Dataset) -> tuple[AskedKey, ...]:
    return tuple(
        AskedKey(each.keyword, is_matched=each.VR != "SQ" and bool(each.value))
        for each in identifier.iterall()
        if each.keyword != "SpecificCharacterSet"
    )


def proposed_transfer_syntaxes(sop_class_uid: str) -> tuple[str, ...]:
    """The transfer syntaxes that one of these is proposed in."""
    return tuple(str(each) for each in build_context(sop_class_uid).transfer_syntax)
