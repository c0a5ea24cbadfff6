"""What of a header the catalogue keeps because queries ask for it; fit for JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dicom_nodes.objects.header import InstanceHeader, read_header


def instance_facts(header: InstanceHeader) -> dict[str, Any]:
    """What queries ask of an instance; rows and columns are those of images alone."""
    facts: dict[str, Any] = {"instance_number": header.instance_number}
    if header.rows and header.columns:
        facts |= {
            "rows": header.rows,
            "columns": header.columns,
            "frames": header.number_of_frames,
        }
    return facts


def made_facts(path: Path) -> dict[str, Any]:
    """The same of an object that this node made, and what is asked of its series.

    Raises
    ------
    RejectedInput
        If the file is no DICOM object.
    """
    header = read_header(path)
    return {
        **instance_facts(header),
        "modality": header.modality,
        "series_number": header.series_number,
        "series_description": header.series_description,
        "transfer_syntax_uid": header.transfer_syntax_uid,
    }
