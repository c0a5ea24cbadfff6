"""UIDs that follow from the content: the same work done twice makes the same UID."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable


def content_key(inputs: Iterable[str], analysis: str, version: str, edits: str = "") -> str:
    """Key of a result: which inputs, which method, which edits.

    Parameters
    ----------
    inputs : iterable of str
        SOP Instance UIDs (or file names, or hashes); order and repetition do not matter.
    analysis, version : str
        The method.
    edits : str
        What a reviewer changed, in any unambiguous form.

    Returns
    -------
    str
        SHA-256 as 64 hexadecimal digits, over a JSON list so that no two
        different inputs are written alike.
    """
    content = json.dumps(
        [sorted(set(inputs)), analysis, version, edits], ensure_ascii=True, separators=(",", ":")
    )
    return hashlib.sha256(content.encode("ascii")).hexdigest()


def content_uid(key: str, role: str) -> str:
    """UID of one object that belongs to a key.

    Parameters
    ----------
    key : str
        From `content_key`.
    role : str
        What the object is, for example ``"report"`` or ``"report-series"``.

    Returns
    -------
    str
        ``2.25.`` and a UUID of version 8 as a decimal number (PS3.5 annex B.2,
        RFC 9562 section 5.8).
    """
    number = int.from_bytes(
        hashlib.sha256(json.dumps([key, role]).encode("ascii")).digest()[:16], "big"
    )
    number = (number & ~(0xF << 76)) | (0x8 << 76)
    number = (number & ~(0x3 << 62)) | (0x2 << 62)
    return f"2.25.{number}"
