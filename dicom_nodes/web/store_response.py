"""The Store Instances Response module (PS3.18, annex I) in the DICOM JSON model (annex F)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dicom_nodes.web.store_service import FailedInstance, StoredInstance, StoreOutcome

_RETRIEVE_URL: Final = "00081190"
_FAILURE_REASON: Final = "00081197"
_FAILED_SOP_SEQUENCE: Final = "00081198"
_REFERENCED_SOP_SEQUENCE: Final = "00081199"
_OTHER_FAILURES_SEQUENCE: Final = "0008119A"
_REFERENCED_SOP_CLASS_UID: Final = "00081150"
_REFERENCED_SOP_INSTANCE_UID: Final = "00081155"
# Of the command group, as other servers say it here: for the person who reads the answer.
_ERROR_COMMENT: Final = "00000902"
_LONGEST_COMMENT: Final = 64

Item = dict[str, dict[str, Any]]


def store_response(outcome: StoreOutcome) -> Item:
    """The answer to a STOW-RS request.

    Parts that name no instance are in the Other Failures Sequence.
    """
    named = [each for each in outcome.failed if each.sop_instance_uid]
    unnamed = [each for each in outcome.failed if not each.sop_instance_uid]
    response: Item = {_RETRIEVE_URL: {"vr": "UR"}}
    for tag, items in (
        (_REFERENCED_SOP_SEQUENCE, [_stored(each) for each in outcome.stored]),
        (_FAILED_SOP_SEQUENCE, [_reference(each) | _failure(each) for each in named]),
        (_OTHER_FAILURES_SEQUENCE, [_failure(each) for each in unnamed]),
    ):
        if items:
            response[tag] = {"vr": "SQ", "Value": items}
    return response


def _stored(instance: StoredInstance) -> Item:
    return _reference(instance) | {_RETRIEVE_URL: {"vr": "UR"}}


def _reference(instance: StoredInstance | FailedInstance) -> Item:
    return {
        _REFERENCED_SOP_CLASS_UID: {"vr": "UI", "Value": [instance.sop_class_uid]},
        _REFERENCED_SOP_INSTANCE_UID: {"vr": "UI", "Value": [instance.sop_instance_uid]},
    }


def _failure(instance: FailedInstance) -> Item:
    return {
        _FAILURE_REASON: {"vr": "US", "Value": [instance.reason]},
        _ERROR_COMMENT: {"vr": "LO", "Value": [instance.comment[:_LONGEST_COMMENT]]},
    }


def failures_in(response: Any) -> dict[str, tuple[int | None, str]] | None:
    """The failed instances that another server's answer lists: reason and comment by UID.

    None where the answer is no Store Instances Response. The key is empty for a failure
    that names no instance.
    """
    dataset = response[0] if isinstance(response, list) and len(response) == 1 else response
    if not isinstance(dataset, dict):
        return None
    failed: dict[str, tuple[int | None, str]] = {}
    for tag in (_FAILED_SOP_SEQUENCE, _OTHER_FAILURES_SEQUENCE):
        for item in _values(dataset, tag):
            if isinstance(item, dict):
                uid = _first_text(item, _REFERENCED_SOP_INSTANCE_UID)
                reason = next(iter(_values(item, _FAILURE_REASON)), None)
                failed[uid] = (
                    reason if isinstance(reason, int) else None,
                    _first_text(item, _ERROR_COMMENT),
                )
    return failed


def stored_in(response: Any) -> frozenset[str]:
    """SOP Instance UIDs that another server's answer lists as stored."""
    dataset = response[0] if isinstance(response, list) and len(response) == 1 else response
    if not isinstance(dataset, dict):
        return frozenset()
    return frozenset(
        _first_text(item, _REFERENCED_SOP_INSTANCE_UID)
        for item in _values(dataset, _REFERENCED_SOP_SEQUENCE)
        if isinstance(item, dict)
    )


def _values(item: dict[str, Any], tag: str) -> Sequence[Any]:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _first_text(item: dict[str, Any], tag: str) -> str:
    return str(next(iter(_values(item, tag)), ""))
