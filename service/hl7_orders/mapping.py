"""From an order message to scheduled procedure steps.

ORM^O01 of HL7 v2.3.1 and OMI^O23 of v2.5.1, as IHE RAD TF-2 profiles them for Procedure
Scheduled and Procedure Updated (4.4, 4.13) and, where a placer says as much, for Placer
Order Management (4.2); the segments are those of HL7 chapter 4. Attributes are mapped
by RAD TF-2, appendix B.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from dicom_nodes.network.worklist_scu import ScheduledStep
from dicom_nodes.objects.header import is_valid_uid
from service.catalogue.ordered_steps import OrderChange, OrderedStep, OrderName
from service.hl7_orders.message import Fault, Message, RefusedMessage, Segment

MOST_STEPS: Final = 100
_TYPES: Final = {"ORM": "O01", "OMI": "O23"}
_PROCESSING_IDS: Final = ("P", "T", "D", "")
# HL7 table 0119. CA and DC are a placer's requests, OC and OD what a filler has done.
_SCHEDULING: Final = ("NW", "XO")
_REMOVING: Final = ("CA", "DC", "OC", "OD")
_STATUS: Final = "SC"
_REMOVING_STATUS: Final = ("CA", "DC")  # table 0038, in ORC-5
# RAD TF-2, appendix B: HL7 priorities as Requested Procedure Priority (0040,1003).
_PRIORITIES: Final = {
    "S": "STAT",
    "A": "HIGH",
    "P": "HIGH",
    "C": "HIGH",
    "T": "MEDIUM",
    "R": "ROUTINE",
}
_SEXES: Final = ("M", "F", "O")
_LONGEST_TEXT: Final = 64
_LONGEST_GROUP: Final = 64
_LONGEST_NUMBER: Final = 427  # an EI of four components
_MODALITY: Final = re.compile(r"[A-Z0-9_ ]{1,16}")
_MOMENT: Final = re.compile(
    r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(?:(\d\d)(?:\.(\d{1,4}))?)?)?([+-]\d{4})?"
)


@dataclass(slots=True)
class _Order:
    """The segments of one order within a message."""

    common: Segment
    detail: Segment
    timing: Segment
    procedures: list[Segment] = field(default_factory=list)


def order_change(message: Message) -> OrderChange:
    """What an order message schedules and removes.

    Raises
    ------
    RefusedMessage
        If it is no order, or lacks what a scheduled step must have.
    """
    header = message.header
    _check_type(header)
    sender = "|".join(_identifier(header, number, 227) for number in (3, 4))
    control_id = _identifier(header, 10, 199)
    _required(control_id, "MSH-10")
    scheduled: list[OrderedStep] = []
    removed: list[OrderName] = []
    for each in _orders(message):
        control = each.common.text(1)
        if control in _SCHEDULING:
            scheduled += _scheduled(message, each)
        elif control in _REMOVING or (
            control == _STATUS and each.common.text(5) in _REMOVING_STATUS
        ):
            removed += _removed(message, each)
        elif control != _STATUS:
            raise RefusedMessage(
                "ORC-1 is none of NW, XO, CA, DC, OC, OD and SC, which change what is scheduled",
                Fault.UNKNOWN_VALUE,
                "ORC-1",
            )
    if len(scheduled) + len(removed) > MOST_STEPS:
        raise RefusedMessage(f"the message has more than {MOST_STEPS} steps", Fault.DATA_TYPE)
    if len({(each.step.study_instance_uid, each.step.step_id) for each in scheduled}) < len(
        scheduled
    ):
        raise RefusedMessage("two steps of the message have the same ID", Fault.DATA_TYPE, "OBR-20")
    return OrderChange(sender, control_id, _said_at(header), tuple(scheduled), tuple(removed))


def _check_type(header: Segment) -> None:
    kind, event = header.text(9, 1), header.text(9, 2)
    if kind not in _TYPES:
        raise RefusedMessage(
            "only orders are taken: ORM^O01 and OMI^O23", Fault.MESSAGE_TYPE, "MSH-9"
        )
    if event != _TYPES[kind]:
        raise RefusedMessage(f"of {kind} only {_TYPES[kind]} is taken", Fault.EVENT, "MSH-9")
    if header.text(11) not in _PROCESSING_IDS:
        raise RefusedMessage("MSH-11 is none of P, T and D", Fault.PROCESSING_ID, "MSH-11")


def _orders(message: Message) -> Iterator[_Order]:
    """The orders of a message, each from its ORC to the next (HL7 chapter 4, 4.4.1 and 4.4.12)."""
    found: list[_Order] = []
    for segment in message.segments:
        if segment.name == "ORC":
            found.append(_Order(segment, _without_values("OBR"), _without_values("TQ1")))
        elif found and segment.name == "OBR":
            found[-1].detail = segment
        elif found and segment.name == "TQ1":
            found[-1].timing = segment
        elif found and segment.name == "IPC":
            found[-1].procedures.append(segment)
    _required(found, "ORC")
    yield from found


def _scheduled(message: Message, order: _Order) -> Iterator[OrderedStep]:
    """The steps of an order: one for each IPC, or the one that OBR and ZDS describe."""
    for procedure in order.procedures or [_without_values("IPC")]:
        step = _step(message, order, procedure)
        yield OrderedStep(_placer_number(order), _filler_number(order), step)


def _step(message: Message, order: _Order, procedure: Segment) -> ScheduledStep:
    patient, detail = message.first("PID"), order.detail
    start_date, start_time = _start(order)
    patient_id = _identifier(patient, 3, 64)
    _required(patient_id, "PID-3")
    uid = _study_instance_uid(message, procedure)
    _required(uid, "IPC-3" if order.procedures else "ZDS-1")
    return ScheduledStep(
        study_instance_uid=uid,
        step_id=_identifier(procedure, 4, 16) or _identifier(detail, 20, 16),
        patient_id=patient_id,
        issuer=_identifier(patient, 3, 64, 4),
        patient_name=_patient_name(patient),
        birth_date=_birth_date(patient),
        sex=patient.text(8) if patient.text(8) in _SEXES else "",
        accession_number=_identifier(procedure, 1, 16) or _identifier(detail, 18, 16),
        referring_physician_name=_name(message.first("PV1"), 8, 1, first_component=2),
        procedure_id=_identifier(procedure, 2, 16) or _identifier(detail, 19, 16),
        procedure_description=_described(detail, (44, 2), (4, 2)),
        priority=_priority(order),
        step_description=_described(procedure, (6, 2)) or _described(detail, (4, 5), (4, 2)),
        modality=_modality(procedure, detail),
        station_ae_title=_station(procedure, order),
        start_date=start_date,
        start_time=start_time,
    )


def _removed(message: Message, order: _Order) -> Iterator[OrderName]:
    """What is no longer scheduled: by its Study Instance UID, or by the order's numbers."""
    for procedure in order.procedures or [_without_values("IPC")]:
        name = OrderName(
            _placer_number(order),
            _filler_number(order),
            _study_instance_uid(message, procedure),
            _identifier(procedure, 4, 16) or _identifier(order.detail, 20, 16),
        )
        _required(name.study_instance_uid or name.filler_number or name.placer_number, "ORC-2")
        yield name


def _study_instance_uid(message: Message, procedure: Segment) -> str:
    """IPC-3, or ZDS-1 (RAD TF-2, 4.4.4.1.2.1); empty where there is none."""
    uid = procedure.text(3) or message.first("ZDS").text(1)
    if uid and not is_valid_uid(uid):
        location = "IPC-3" if procedure.text(3) else "ZDS-1"
        raise RefusedMessage(f"{location} is no valid UID", Fault.DATA_TYPE, location)
    return uid


def _placer_number(order: _Order) -> str:
    return _order_number(order.common, 2) or _order_number(order.detail, 2)


def _filler_number(order: _Order) -> str:
    return _order_number(order.common, 3) or _order_number(order.detail, 3)


def _order_number(segment: Segment, number: int) -> str:
    """An order number with the namespace it is unique in."""
    parts = [_identifier(segment, number, _LONGEST_NUMBER, each) for each in (1, 2)]
    return "^".join(parts) if parts[0] else ""


def _station(procedure: Segment, order: _Order) -> str:
    """Scheduled Station AE Title.

    IPC-9 has it; ORM has no field for it. ORC-18, the entering device, and OBR-21
    are where senders put it.
    """
    return (
        _identifier(procedure, 9, 16)
        or _identifier(order.common, 18, 16)
        or _identifier(order.detail, 21, 16)
    )


def _modality(procedure: Segment, detail: Segment) -> str:
    segment, number = (procedure, 5) if procedure.text(5) else (detail, 24)
    modality = segment.text(number).upper()
    if modality and not _MODALITY.fullmatch(modality):
        location = f"{segment.name}-{number}"
        raise RefusedMessage(f"{location} is no modality", Fault.DATA_TYPE, location)
    return modality


def _priority(order: _Order) -> str:
    """Of TQ1-9, or the sixth component of Quantity/Timing (HL7 chapter 4, 4.3)."""
    said = order.timing.text(9) or order.detail.text(27, 6) or order.common.text(7, 6)
    return _PRIORITIES.get(said[:1].upper(), "")


def _start(order: _Order) -> tuple[str, str]:
    """Day and time of the scheduled start, as the clocks of the sender show them."""
    for segment, number, component in (
        (order.timing, 7, 1),
        (order.detail, 36, 1),
        (order.detail, 27, 4),
        (order.common, 7, 4),
    ):
        said = segment.text(number, component)
        if said:
            location = f"{segment.name}-{number}"
            moment = _moment(said, location)
            has_time = len(said) >= len("YYYYMMDDHHMM") and said[8].isdigit()
            return f"{moment:%Y%m%d}", f"{moment:%H%M%S}" if has_time else ""
    raise RefusedMessage(
        "the order has no scheduled start; send it in OBR-36, OBR-27, ORC-7 or TQ1-7",
        Fault.MISSING,
        "OBR-36",
    )


def _said_at(header: Segment) -> datetime:
    """MSH-7 in UTC; without an offset it is by the clock of this node's place."""
    _required(header.text(7), "MSH-7")
    moment = _moment(header.text(7), "MSH-7")
    try:
        return moment.astimezone(UTC)
    except (OverflowError, ValueError):
        raise RefusedMessage("MSH-7 is no date and time", Fault.DATA_TYPE, "MSH-7") from None


def _moment(said: str, location: str) -> datetime:
    """A DTM (HL7 chapter 2A): at least a day."""
    found = _MOMENT.fullmatch(said)
    try:
        if found is None:
            raise ValueError
        year, month, day, hour, minute, second = (int(each or 0) for each in found.groups()[:6])
        microsecond = int((found[7] or "0").ljust(6, "0"))
        offset = _offset(found[8])
        return datetime(year, month, day, hour, minute, second, microsecond, offset)
    except ValueError:
        raise RefusedMessage(
            f"{location} is no date and time as YYYYMMDDHHMM", Fault.DATA_TYPE, location
        ) from None


def _offset(said: str | None) -> timezone | None:
    if said is None:
        return None
    ahead = timedelta(hours=int(said[1:3]), minutes=int(said[3:5]))
    return timezone(-ahead if said[0] == "-" else ahead)


def _birth_date(patient: Segment) -> str:
    """Only a whole date can be compared; others are left out."""
    said = patient.text(7)[:8]
    try:
        return f"{_moment(said, 'PID-7'):%Y%m%d}"
    except RefusedMessage:
        return ""


def _patient_name(patient: Segment) -> str:
    """PID-5 as a Person Name of up to three groups, by the representation codes of XPN-8."""
    groups = ["", "", ""]
    places = {"I": 1, "P": 2}
    for repeat in range(1, min(patient.repeats(5), 10) + 1):
        place = places.get(patient.text(5, 8, repeat=repeat), 0)
        groups[place] = groups[place] or _name(patient, 5, repeat)
    return "=".join(groups).rstrip("=")


def _name(segment: Segment, number: int, repeat: int, first_component: int = 1) -> str:
    """A group of a Person Name: family, given, middle, prefix, suffix (PS3.5, section 6.2)."""
    location = f"{segment.name}-{number}"
    family, given, middle, suffix, prefix = (
        segment.text(number, first_component + each, repeat=repeat) for each in range(5)
    )
    parts = [family, given, middle, prefix, suffix]
    name = "^".join(parts).rstrip("^")
    # These would change who is meant.
    if any(set(each) & set("^=\\") for each in parts) or len(name) > _LONGEST_GROUP:
        raise RefusedMessage(
            f"{location} is no name that DICOM can hold", Fault.DATA_TYPE, location
        )
    return _printable(name, location)


def _identifier(segment: Segment, number: int, longest: int, component: int = 1) -> str:
    """A value that is compared: whole, or refused."""
    location = f"{segment.name}-{number}"
    text = segment.text(number, component)
    if len(text) > longest or "\\" in text:
        raise RefusedMessage(
            f"{location} is longer than {longest} characters, or has a backslash in it",
            Fault.DATA_TYPE,
            location,
        )
    return _printable(text, location)


def _described(segment: Segment, *places: tuple[int, int]) -> str:
    """The first of the texts that says something, cut to what DICOM allows."""
    said = next(filter(None, (segment.text(*each) for each in places)), "")
    text = "".join(each if each.isprintable() and each != "\\" else " " for each in said)
    return text[:_LONGEST_TEXT].strip()


def _printable(text: str, location: str) -> str:
    if not text.isprintable():
        raise RefusedMessage(f"{location} has control characters", Fault.DATA_TYPE, location)
    return text


def _without_values(name: str) -> Segment:
    return Segment(name, (), "ascii")


def _required(value: object, location: str) -> None:
    if not value:
        raise RefusedMessage(f"{location} is missing", Fault.MISSING, location)
