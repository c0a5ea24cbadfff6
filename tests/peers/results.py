"""Results as the node writes them, made in this process: read, measured, and every object."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from dicom_nodes.objects.header import read_header
from processing.measurement import analysis_from_json, marks_from_json
from service.analyses import Instruments
from service.catalogue.stored_bytes import LocalBytes
from service.settings import Settings
from service.workflow.measuring import ANALYSIS_FILE, MeasureTask, ReadTask, carry_out
from service.workflow.result_objects import (
    ResultContent,
    areas_of,
    pictures_of,
    write_result_objects,
)

MADE_AT = datetime(2026, 3, 4, 5, 6, 7)  # noqa: DTZ001 - the wall-clock time of a site


def written_result(analysis: str, files: Sequence[Path], folder: Path) -> dict[str, Path]:
    """Run an analysis on files; gives the path of each written object by its role."""
    settings = Settings(data_folder=folder)
    stored = LocalBytes(folder)
    keys: dict[str, str] = {}
    for each in files:
        uid = read_header(each).sop_instance_uid
        keys[uid] = f"inputs/{uid}.dcm"
        stored.write(keys[uid], each.read_bytes())
    work = f"work/{analysis}"
    instruments = Instruments(settings)
    try:
        carry_out(ReadTask(analysis, keys, f"{work}/reading.npz"), stored, instruments)
        carry_out(MeasureTask(analysis, f"{work}/reading.npz", work), stored, instruments)
    finally:
        instruments.close()
    document = json.loads(stored.read(f"{work}/{ANALYSIS_FILE}"))
    content = ResultContent(
        analysis=replace(
            analysis_from_json(document),
            areas=areas_of(document, stored),
            marks=marks_from_json(document["marks"]),
        ),
        pictures=pictures_of(document, stored),
        source_keys=list(keys.values()),
        key=analysis,
        made_at=MADE_AT,
        predecessor=None,
    )
    return {each.role: folder / each.key for each in write_result_objects(content, stored)}
