"""General acknowledgements in original mode (HL7 v2.5.1, chapter 2, 2.9.2 and 2.13.1)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import uuid4

from service.hl7_orders.message import Fault, RefusedMessage, Segment

_LONGEST_ECHO: Final = 227
_ESCAPED: Final = str.maketrans(
    {"|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\\": "\\E\\"}
)
# Not for its content: the same message may be taken later, or elsewhere.
_REJECTED: Final = (Fault.MESSAGE_TYPE, Fault.EVENT, Fault.PROCESSING_ID, Fault.INTERNAL)


class Code(StrEnum):
    """HL7 table 0008: what became of a message."""

    ACCEPTED = "AA"
    ERROR = "AE"
    REJECTED = "AR"


def code_of(refusal: RefusedMessage) -> Code:
    """Error for what is wrong with the content, reject for all else (2.9.2.2)."""
    return Code.REJECTED if refusal.fault in _REJECTED else Code.ERROR


def acknowledgement(
    header: Segment, code: Code, text: str = "", refusal: RefusedMessage | None = None
) -> bytes:
    """An ACK message.

    Parameters
    ----------
    header : Segment
        MSH of the message that is answered; one without values if it had none.
    code : Code
    text : str
        For a person; MSA-3, and of a refusal ERR-8.
    refusal : RefusedMessage, optional
        What ERR tells.
    """
    event = _echo(header, 9, 2)
    kind = f"ACK^{event}^ACK" if event else "ACK"
    own = "|".join(_echo(header, number) for number in (5, 6, 3, 4))
    now = f"{datetime.now().astimezone():%Y%m%d%H%M%S%z}"
    processing, version = _echo(header, 11) or "P", _echo(header, 12) or "2.5.1"
    lines = [
        f"MSH|^~\\&|{own}|{now}||{kind}|{uuid4().hex[:20]}|{processing}|{version}"
        "||||||UNICODE UTF-8",
        f"MSA|{code}|{_echo(header, 10)}|{text.translate(_ESCAPED)}",
    ]
    if refusal is not None:
        number, meaning = refusal.fault.value
        location = refusal.location.replace("-", "^1^")
        lines.append(f"ERR||{location}|{number}^{meaning}^HL70357|E||||{text.translate(_ESCAPED)}")
    return "".join(f"{each}\r" for each in lines).encode()


def _echo(header: Segment, field: int, component: int = 1) -> str:
    """A value of the sender, fit to be sent back."""
    try:
        text = header.text(field, component)[:_LONGEST_ECHO]
    except RefusedMessage:
        return ""
    return text.translate(_ESCAPED) if text.isprintable() else ""
