"""Writes a Key Object Selection (PS3.3 A.35.4) that points to the pictures of a result."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom.sr.codedict import codes as standard_codes

from dicom_nodes.objects.content_keyed_uids import content_uid
from dicom_nodes.objects.report_document import (
    Parts,
    WrittenPicture,
    context_of,
    finished_document,
    read_sources,
)
from dicom_nodes.objects.report_items import device_observer_context
from dicom_nodes.objects.written_object import (
    OWN_MANUFACTURER,
    RESEARCH_USE,
    WrittenObject,
    clean_text,
)
from processing.measurement import Analysis

KEY_OBJECT_SERIES_NUMBER: Final = 9106


def write_key_object_selection(
    analysis: Analysis,
    sources: Sequence[Path],
    pictures: Sequence[WrittenPicture],
    out: Path,
    *,
    key: str,
    made_at: datetime,
    series_number: int = KEY_OBJECT_SERIES_NUMBER,
) -> WrittenObject | None:
    """Select what a person should look at first: the photographs measured, and the pictures.

    The same arguments make the same bytes.

    Parameters
    ----------
    analysis : Analysis
    sources : sequence of Path
        The objects it was made from. Patient and study are taken from the first.
    pictures : sequence of WrittenPicture
    out : Path
        The file to write.
    key : str
        From `content_key`; the UIDs follow from it.
    made_at : datetime
    series_number : int

    Returns
    -------
    WrittenObject or None
        None where there are no pictures.

    Raises
    ------
    RejectedInput
        If no source can be referred to.
    OSError
        If the file cannot be written.
    """
    if not pictures:
        return None
    found = read_sources(sources)
    context = context_of(analysis, found, Parts(pictures=pictures))
    selected = [each.reference() for each in (*context.images(), *context.pictures)]
    document = KeyObjectSelectionDocument(
        evidence=selected,
        content=KeyObjectSelection(
            document_title=standard_codes.DCM.OfInterest,
            referenced_objects=selected,
            observer_device_context=device_observer_context(),
            description=clean_text(
                f"Pictures of {analysis.analysis} {analysis.version}. {RESEARCH_USE}", 1024
            ),
        ),
        series_instance_uid=content_uid(key, "key-objects-series"),
        series_number=series_number,
        sop_instance_uid=content_uid(key, "key-objects"),
        instance_number=1,
        manufacturer=OWN_MANUFACTURER,
        series_description=clean_text(f"hemiface {analysis.analysis} key pictures", 64),
        specific_character_set="ISO_IR 192",
    )
    return finished_document(document, found.identity, made_at, out)
