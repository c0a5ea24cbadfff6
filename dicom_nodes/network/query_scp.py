"""Query of the Query/Retrieve Service Class as SCP (PS3.4, annex C): C-FIND.

Answers are sent while they are read; a C-CANCEL between two of them ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType
from typing import Any, Final

from pynetdicom.dimse_primitives import C_FIND

from dicom_nodes.network.node_service import NodeService
from dicom_nodes.network.pynetdicom_cures.conversing_association import ConversingAssociation
from dicom_nodes.network.query import Find, Level, Question
from dicom_nodes.network.query_identifier import (
    DOES_NOT_MATCH,
    PATIENT_ROOT,
    STUDY_ROOT,
    UNABLE_TO_PROCESS,
    UnusableIdentifier,
    encode_answer,
    find_question,
)
from processing.measurement import RejectedInput, TransientFault

FIND_MODELS: Final = {
    "1.2.840.10008.5.1.4.1.2.1.1": PATIENT_ROOT,
    "1.2.840.10008.5.1.4.1.2.2.1": STUDY_ROOT,
}
SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
CANCELLED: Final = 0xFE00
_PENDING: Final = 0xFF00
_PENDING_WITH_UNSUPPORTED_KEYS: Final = 0xFF01
QUERY_STATUSES: Final = MappingProxyType(
    {
        SUCCESS: "all answers were sent",
        _PENDING: "an answer",
        _PENDING_WITH_UNSUPPORTED_KEYS: "an answer to a query with keys that are not known here",
        CANCELLED: "ended by C-CANCEL",
        OUT_OF_RESOURCES: "too many answers, or the catalogue is away",
        DOES_NOT_MATCH: "no query of the model, or a value that cannot be used",
        UNABLE_TO_PROCESS: "the identifier cannot be decoded",
    }
)
"""What the statuses of C-FIND mean here (PS3.4, table C.4-1)."""
_LONGEST_COMMENT: Final = 64


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """How C-FIND is answered.

    Parameters
    ----------
    find : callable
        Gives the answers to a question, read as they are asked for; may raise
        RejectedInput for a value that cannot be used, or TransientFault.
    supported_keys : callable
        Keywords of the attributes that `find` knows at a level.
    ae_title : str
        Where what was found can be retrieved.
    maximum_answers : int
        More are not sent: the request then ends as out of resources.
    """

    find: Find
    supported_keys: Callable[[Level], frozenset[str]]
    ae_title: str
    maximum_answers: int


def query_service(options: QueryOptions) -> NodeService:
    """C-FIND in the Patient Root and Study Root information models."""
    return NodeService(
        "query",
        tuple(FIND_MODELS),
        conversations={
            C_FIND: lambda association, context_id, request: _Search(
                options, association, context_id, request
            ).answer()
        },
    )


def response_to(
    request: Any,
    status: int,
    identifier: bytes | None = None,
    *,
    comment: str = "",
    element: int | None = None,
) -> Any:
    """The response to a C-FIND, C-MOVE or C-GET (PS3.7, section 9.1).

    Parameters
    ----------
    request : C_FIND, C_MOVE or C_GET
    status : int
    identifier : bytes, optional
        Encoded in the transfer syntax of the presentation context.
    comment : str
        Why, for a person; cut to what fits.
    element : int, optional
        Tag of the element that cannot be used.
    """
    response: Any = type(request)()
    response.MessageIDBeingRespondedTo = request.MessageID
    response.AffectedSOPClassUID = request.AffectedSOPClassUID
    response.Status = status
    if identifier is not None:
        response.Identifier = BytesIO(identifier)
    if comment:
        response.ErrorComment = as_comment(comment)
    if element is not None:
        response.OffendingElement = [element]
    return response


def as_comment(text: str) -> str:
    """A text as Error Comment (0000,0902): ASCII, at most 64 characters."""
    return text.encode("ascii", "replace").decode().replace("\\", "/")[:_LONGEST_COMMENT]


@dataclass(frozen=True, slots=True)
class _Search:
    """One C-FIND request."""

    options: QueryOptions
    association: ConversingAssociation
    context_id: int
    request: Any

    def answer(self) -> None:
        sop_class, transfer_syntax = self.association.accepted_syntaxes(self.context_id)
        try:
            identifier = self.request.Identifier.getvalue()
            question = find_question(identifier, transfer_syntax, FIND_MODELS[sop_class])
            status, comment = self._send_answers(question, transfer_syntax)
            self._respond(status, comment=comment)
        except UnusableIdentifier as fault:
            self._respond(fault.status, comment=str(fault), element=fault.element)
        except RejectedInput as rejection:
            self._respond(DOES_NOT_MATCH, comment=str(rejection))
        except TransientFault as fault:
            self._respond(OUT_OF_RESOURCES, comment=str(fault))

    def _send_answers(self, question: Question, transfer_syntax: str) -> tuple[int, str]:
        """Send what is found; gives the final status and a comment on it."""
        supported = self.options.supported_keys(question.level)
        pending = _PENDING if question.keys.keys() <= supported else _PENDING_WITH_UNSUPPORTED_KEYS
        for number, answer in enumerate(self.options.find(question)):
            if self.association.is_cancelled(self.request.MessageID):
                return CANCELLED, "cancelled"
            if number >= self.options.maximum_answers:
                return OUT_OF_RESOURCES, f"more than {number} answers; ask for less"
            self._respond(
                pending,
                encode_answer(
                    answer,
                    question.level,
                    self.options.ae_title,
                    transfer_syntax,
                ),
            )
        return SUCCESS, ""

    def _respond(
        self,
        status: int,
        identifier: bytes | None = None,
        *,
        comment: str = "",
        element: int | None = None,
    ) -> None:
        response = response_to(self.request, status, identifier, comment=comment, element=element)
        self.association.send(response, self.context_id)
