"""Retrieve of the Query/Retrieve Service Class as SCP (PS3.4, annex C): C-MOVE and C-GET.

Files are sent as they lie on disk. After every sub-operation the requestor hears
how many remain; a C-CANCEL between two of them ends the request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pynetdicom.dimse_primitives import C_GET, C_MOVE

from dicom_nodes.network.data_set_streams import data_set_of
from dicom_nodes.network.node_service import NodeService
from dicom_nodes.network.peer import Peer
from dicom_nodes.network.pynetdicom_cures.conversing_association import ConversingAssociation
from dicom_nodes.network.query import Question, RetrievedInstance
from dicom_nodes.network.query_identifier import (
    DOES_NOT_MATCH,
    PATIENT_ROOT,
    STUDY_ROOT,
    UNABLE_TO_PROCESS,
    UnusableIdentifier,
    encode_failed_instances,
    retrieve_question,
)
from dicom_nodes.network.query_scp import CANCELLED, OUT_OF_RESOURCES, SUCCESS, response_to
from dicom_nodes.network.storage_scu import (
    MoveOriginator,
    SendOutcome,
    is_warning,
    send_files,
)
from dicom_nodes.network.store_command import StoreRequest, store_request_pdus
from processing.measurement import PermanentFault, RejectedInput, TransientFault

MOVE_MODELS: Final = {
    "1.2.840.10008.5.1.4.1.2.1.2": PATIENT_ROOT,
    "1.2.840.10008.5.1.4.1.2.2.2": STUDY_ROOT,
}
GET_MODELS: Final = {
    "1.2.840.10008.5.1.4.1.2.1.3": PATIENT_ROOT,
    "1.2.840.10008.5.1.4.1.2.2.3": STUDY_ROOT,
}
MOST_INSTANCES: Final = 0xFFFF  # what the counters of the responses can say
_FILES_PER_ASSOCIATION: Final = 200
_PENDING: Final = 0xFF00
_CANNOT_COUNT: Final = 0xA701
_CANNOT_PERFORM: Final = 0xA702
_UNKNOWN_DESTINATION: Final = 0xA801
_WARNING: Final = 0xB000
RETRIEVE_STATUSES: Final = MappingProxyType(
    {
        SUCCESS: "all instances were sent",
        _PENDING: "sub-operations remain",
        _WARNING: "some instances were not sent, or with a warning",
        CANCELLED: "ended by C-CANCEL",
        OUT_OF_RESOURCES: "the catalogue is away",
        _CANNOT_COUNT: "more instances than a response can count",
        _CANNOT_PERFORM: "no instance was sent",
        _UNKNOWN_DESTINATION: "the Move Destination is no peer in the settings",
        DOES_NOT_MATCH: "no retrieval of the model, or a unique key that is missing",
        UNABLE_TO_PROCESS: "the identifier cannot be decoded",
    }
)
"""What the statuses of C-MOVE and C-GET mean here (PS3.4, tables C.4-2 and C.4-3)."""
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetrieveOptions:
    """What is retrieved, and where it may be moved to.

    Parameters
    ----------
    instances : callable
        The instances that a question with unique keys names; may raise
        RejectedInput or TransientFault.
    destination : callable
        The peer of an AE title, None where the node knows none.
    """

    instances: Callable[[Question], Iterator[RetrievedInstance]]
    destination: Callable[[str], Peer | None]


def retrieve_service(options: RetrieveOptions) -> NodeService:
    """C-MOVE and C-GET in the Patient Root and Study Root information models."""
    return NodeService(
        "retrieve",
        (*MOVE_MODELS, *GET_MODELS),
        conversations={
            C_MOVE: lambda association, context_id, request: _Retrieval(
                options, association, context_id, request
            ).serve(),
            C_GET: lambda association, context_id, request: _Retrieval(
                options, association, context_id, request
            ).serve(),
        },
        stores_on_same_association=frozenset(GET_MODELS),
    )


class _Refused(Exception):
    """The request is answered without any sub-operation."""

    def __init__(self, status: int, comment: str) -> None:
        super().__init__(comment)
        self.status = status


@dataclass(slots=True)
class _Counters:
    """What became of the sub-operations (section C.4.2.1.6)."""

    remaining: int = 0
    completed: int = 0
    warnings: int = 0
    failed: list[str] = field(default_factory=list)
    reason: str = ""

    def count(self, instance: RetrievedInstance, failure: str | None, *, warned: bool) -> None:
        self.remaining -= 1
        if failure is not None:
            self.failed.append(instance.sop_instance_uid)
            self.reason = self.reason or failure
        elif warned:
            self.warnings += 1
        else:
            self.completed += 1

    @property
    def final_status(self) -> int:
        if not self.failed and not self.warnings:
            return SUCCESS
        return _WARNING if self.completed or self.warnings else _CANNOT_PERFORM


@dataclass(frozen=True, slots=True)
class _Retrieval:
    """One C-MOVE or C-GET request."""

    options: RetrieveOptions
    association: ConversingAssociation
    context_id: int
    request: Any
    counters: _Counters = field(default_factory=_Counters)

    def serve(self) -> None:
        try:
            instances = self._instances()
            self.counters.remaining = len(instances)
            if isinstance(self.request, C_MOVE):
                self._move(instances, self._destination())
            else:
                self._get(instances)
        except _Refused as refusal:
            self._respond(refusal.status, comment=str(refusal))
        except UnusableIdentifier as fault:
            self._respond(fault.status, comment=str(fault), element=fault.element)
        except RejectedInput as rejection:
            self._respond(DOES_NOT_MATCH, comment=str(rejection))
        except TransientFault as fault:
            self._respond(OUT_OF_RESOURCES, comment=str(fault))
        else:
            self._finish()

    @property
    def _transfer_syntax(self) -> str:
        return self.association.accepted_syntaxes(self.context_id)[1]

    def _instances(self) -> list[RetrievedInstance]:
        sop_class, transfer_syntax = self.association.accepted_syntaxes(self.context_id)
        model = (MOVE_MODELS | GET_MODELS)[sop_class]
        question = retrieve_question(self.request.Identifier.getvalue(), transfer_syntax, model)
        instances = list(islice(self.options.instances(question), MOST_INSTANCES + 1))
        if len(instances) > MOST_INSTANCES:
            raise _Refused(_CANNOT_COUNT, f"more than {MOST_INSTANCES} instances; ask for less")
        return instances

    def _destination(self) -> Peer:
        ae_title = str(self.request.MoveDestination or "").strip()
        destination = self.options.destination(ae_title)
        if destination is None:
            raise _Refused(_UNKNOWN_DESTINATION, f"{ae_title} is no peer in the settings")
        return destination

    def _is_cancelled(self) -> bool:
        return self.association.is_cancelled(self.request.MessageID)

    def _get(self, instances: Sequence[RetrievedInstance]) -> None:
        for instance in instances:
            if self._is_cancelled():
                return
            try:
                status = self._store_back(instance)
            except (TransientFault, PermanentFault) as fault:
                self._count(instance, str(fault))
                continue
            failed = status != SUCCESS and not is_warning(status)
            self._count(
                instance,
                f"the receiver answered 0x{status:04X}" if failed else None,
                warned=is_warning(status),
            )

    def _store_back(self, instance: RetrievedInstance) -> int:
        """C-STORE an instance on the same association; gives its status."""
        association = self.association
        sop_class = instance.sop_class_uid

        def is_accepted(transfer_syntax: str) -> bool:
            return association.context_for(sop_class, transfer_syntax) is not None

        with ExitStack() as stack:
            try:
                path = stack.enter_context(instance.file())
                opened = stack.enter_context(data_set_of(path, is_accepted))
            except OSError as error:
                raise TransientFault(f"a file cannot be read: {error.strerror}") from error
            context_id = association.context_for(sop_class, opened.transfer_syntax_uid)
            assert context_id is not None
            message_id = association.new_message_id()
            request = StoreRequest(message_id, sop_class, instance.sop_instance_uid, True)
            for pdu in store_request_pdus(
                request, context_id, opened.stream, association.dimse.maximum_pdu_size
            ):
                association.connection.sendall(pdu)
        return int(association.response_to(message_id).Status)

    def _move(self, instances: Sequence[RetrievedInstance], destination: Peer) -> None:
        remaining = iter(instances)
        while batch := list(islice(remaining, _FILES_PER_ASSOCIATION)):
            if self._is_cancelled():
                return
            self._move_batch(batch, destination)

    def _move_batch(self, batch: Sequence[RetrievedInstance], destination: Peer) -> None:
        with ExitStack() as stack:
            files: dict[Path, RetrievedInstance] = {}
            for instance in batch:
                try:
                    files[stack.enter_context(instance.file())] = instance
                except (TransientFault, OSError) as fault:
                    self._count(instance, f"a file cannot be read: {fault}")

            def watch(outcome: SendOutcome) -> None:
                failure = None if outcome.accepted else outcome.reason
                self._count(files[outcome.path], failure, warned=bool(outcome.reason))

            send_files(
                destination,
                list(files),
                originator=MoveOriginator(
                    self.association.calling_ae_title, int(self.request.MessageID)
                ),
                on_outcome=watch,
                proceed=lambda: not self._is_cancelled(),
            )

    def _count(
        self, instance: RetrievedInstance, failure: str | None, *, warned: bool = False
    ) -> None:
        self.counters.count(instance, failure, warned=warned)
        if self.counters.remaining:
            self._respond(_PENDING)

    def _finish(self) -> None:
        counters = self.counters
        cancelled = counters.remaining > 0
        status = CANCELLED if cancelled else counters.final_status
        if counters.failed:
            _LOGGER.warning(
                "%s: %d of %d instances could not be given: %s",
                self.association.name,
                len(counters.failed),
                len(counters.failed) + counters.completed + counters.warnings,
                counters.reason,
            )
        identifier = None
        if status != SUCCESS:
            identifier = encode_failed_instances(counters.failed, self._transfer_syntax)
        self._respond(status, identifier, comment=counters.reason)

    def _respond(
        self,
        status: int,
        identifier: bytes | None = None,
        *,
        comment: str = "",
        element: int | None = None,
    ) -> None:
        response = response_to(self.request, status, identifier, comment=comment, element=element)
        if status in (_PENDING, CANCELLED):
            response.NumberOfRemainingSuboperations = self.counters.remaining
        response.NumberOfCompletedSuboperations = self.counters.completed
        response.NumberOfFailedSuboperations = len(self.counters.failed)
        response.NumberOfWarningSuboperations = self.counters.warnings
        self.association.send(response, self.context_id)
