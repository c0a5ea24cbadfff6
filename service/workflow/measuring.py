"""Reading and measuring, as they run in the measuring child.

Decoding bytes that a stranger sent, MediaPipe and VTK may each take their
process with them; so this module runs in a child that can be replaced.
Everything goes by keys of stored bytes: a task names what to take and where to
put what was made.
"""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from PIL import Image

from processing.glb_encoding import encode_glb
from processing.measurement import Analysis, Picture, analysis_as_json, marks_as_json
from service.analyses import Instruments, analysis_named, measure_inputs
from service.catalogue.stored_bytes import StoredBytes
from service.workflow.keys import ANALYSIS_FILE as ANALYSIS_FILE
from service.workflow.patches import patch_as_bytes
from service.workflow.readings import Reading, reading_as_bytes, reading_from_bytes


@dataclass(frozen=True, slots=True)
class ReadTask:
    """Read instances (SOP Instance UID to key) and store the reading."""

    analysis: str
    instances: dict[str, str]
    reading_key: str


@dataclass(frozen=True, slots=True)
class MeasureTask:
    """Measure a reading; the analysis and its pictures go into a folder."""

    analysis: str
    reading_key: str
    folder: str


Task = ReadTask | MeasureTask


def carry_out(task: Task, stored: StoredBytes, instruments: Instruments) -> None:
    """Do the task; doing it again does the same again."""
    if isinstance(task, ReadTask):
        _read(task, stored, instruments)
    else:
        _measure(task, stored, instruments)


def _read(task: ReadTask, stored: StoredBytes, instruments: Instruments) -> None:
    entry = analysis_named(task.analysis)
    with ExitStack() as stack:
        paths = {
            uid: stack.enter_context(stored.as_file(key))
            for uid, key in sorted(task.instances.items())
        }
        read = entry.read(paths, instruments.settings)
    stored.write(
        task.reading_key, reading_as_bytes(Reading(tuple(read.inputs), dict(read.rejected)))
    )


def _measure(task: MeasureTask, stored: StoredBytes, instruments: Instruments) -> None:
    entry = analysis_named(task.analysis)
    reading = reading_from_bytes(stored.read(task.reading_key))
    with ExitStack() as on_failure:
        # MediaPipe may be left in an odd state by whatever went wrong.
        on_failure.callback(instruments.close)
        analysis = measure_inputs(entry, reading.inputs, reading.rejected, instruments)
        on_failure.pop_all()
    keys = tuple(
        f"{task.folder}/{number:02d}-{picture.name}.png"
        for number, picture in enumerate(analysis.pictures)
    )
    for key, picture in zip(keys, analysis.pictures, strict=True):
        stored.write(key, as_png(picture))
    document = analysis_as_json(analysis, keys)
    document["captions"] = [
        {
            "name": picture.name,
            "caption": picture.caption,
            "marks": marks_as_json(picture.marks),
        }
        for picture in analysis.pictures
    ]
    document["marks"] = marks_as_json(analysis.marks)
    document |= _solids(analysis, task.folder, stored)
    stored.write(f"{task.folder}/{ANALYSIS_FILE}", json.dumps(document).encode())


def _solids(analysis: Analysis, folder: str, stored: StoredBytes) -> dict[str, Any]:
    """Store models and areas; gives where they are, for the document of the analysis."""
    models = []
    for model in analysis.models:
        key = f"{folder}/{model.name}.glb"
        stored.write(key, encode_glb(model))
        models.append({"name": model.name, "caption": model.caption, "key": key})
    areas = {}
    for name, patch in analysis.areas.items():
        areas[name] = f"{folder}/{name}.npz"
        stored.write(areas[name], patch_as_bytes(patch))
    return {"models": models, "areas": areas}


def as_png(picture: Picture) -> bytes:
    """The picture as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(picture.pixels).save(stream, format="png", compress_level=1)
    return stream.getvalue()
