"""UPS Event SOP class as SCU: a manager of Unified Procedure Steps reports to the node.

The manager opens the association, and is its SCP (PS3.4, section CC.2.4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydicom.dataset import Dataset
from pynetdicom import evt

from dicom_nodes.network.n_service_answers import (
    NO_SUCH_EVENT_TYPE,
    answered,
    calling_ae_title,
    refused,
)
from dicom_nodes.network.node_service import NodeService
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS
from dicom_nodes.objects.procedure_step import (
    PROCEDURE_STEP_EVENT,
    EventType,
    StepEvent,
    step_event_of,
)
from processing.measurement import RejectedInput

_SERVICE: Final = "a report on procedure steps"


def procedure_step_events(take: Callable[[StepEvent, str], None]) -> NodeService:
    """The service, to be offered beside storage.

    Parameters
    ----------
    take : callable
        Told of each event, and of the AE title that reports it; called in the threads
        of associations. May raise PermanentFault where that one may not report, and
        TransientFault where it may try again.
    """

    def report(event: Any) -> tuple[Dataset, None]:
        calling = calling_ae_title(event)
        if event.event_type not in list(EventType):
            return refused(_SERVICE, calling, NO_SUCH_EVENT_TYPE, "no such event type"), None
        return answered(_SERVICE, calling, lambda: take(_read(event), calling)), None

    return NodeService(
        "ups",
        (PROCEDURE_STEP_EVENT,),
        {evt.EVT_N_EVENT_REPORT: report},
        peer_may_be_scp=True,
        is_user=True,
    )


def _read(event: Any) -> StepEvent:
    try:
        attributes = event.event_information
    except FOREIGN_VALUE_FAULTS as fault:
        raise RejectedInput("The report cannot be read: correct it.") from fault
    uid = str(event.request.AffectedSOPInstanceUID or "")
    return step_event_of(event.event_type, uid, attributes)
