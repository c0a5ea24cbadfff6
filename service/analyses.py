"""Which analyses exist, and how their inputs are measured together.

Every process of the node knows this list, but only the measuring child measures:
so what measures is imported where it is used.

A new analysis is a package in `processing`, an entry in `ANALYSES` here and its
codes in `dicom_nodes.objects.codes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, Final

from dicom_nodes.objects.header import InstanceHeader
from dicom_nodes.objects.sop_classes import VL_PHOTOGRAPHIC_IMAGE as VL_PHOTOGRAPHIC_IMAGE
from processing.measurement import Analysis, QualityCheck, RejectedInput, Status
from service.analysis_entry import AnalysisEntry, AnyInput, Measurable
from service.analysis_entry import CandidateInput as CandidateInput
from service.analysis_entry import Instruments as Instruments
from service.edited_inputs import is_edited
from service.edited_inputs import with_edits as with_edits
from service.photograph_entries import photograph_entries
from service.surface_entries import surface_entries


def facts_for_analyses(header: InstanceHeader) -> dict[str, Any]:
    """What of a header the analyses look at when they declare their inputs; fit for JSON."""
    return {
        "view": header.view.value if header.view is not None else None,
        "expression": header.expression.value if header.expression is not None else None,
        "edited_photographs": list(header.edited_photographs),
        "edited_surfaces": list(header.edited_surfaces),
        "references": list(header.referenced_instances),
        "segmented": list(header.segmented_properties),
    }


def analysis_named(name: str) -> AnalysisEntry:
    """The entry of this name.

    Raises
    ------
    KeyError
        If there is no such analysis.
    """
    return ANALYSES[name]


def instance_of(source: str) -> str:
    """SOP Instance UID of a source; frame 2 of an image is ``uid#2``."""
    return source.partition("#")[0]


def measure_inputs(
    entry: AnalysisEntry,
    inputs: Sequence[AnyInput],
    rejected: Mapping[str, str],
    instruments: Instruments,
) -> Analysis:
    """Measure every input, and answer with the best; it is named first, the others after it.

    One on which a reviewer placed something is better than any other.

    Parameters
    ----------
    entry : AnalysisEntry
    inputs : sequence of Photograph, Surface, LandmarkEdits or SurfaceEdits
        What could be read.
    rejected : mapping of str to str
        Source to reason, of what could not be read.
    instruments : Instruments
    """
    sources = tuple(sorted({each.source for each in inputs} | set(rejected)))
    measurable = with_edits(inputs)
    found = [_measure_one(entry, each, instruments) for each in measurable]
    measured = [
        (not is_edited(each), entry.preference(analysis), analysis)
        for each, analysis in zip(measurable, found, strict=True)
        if analysis.status is Status.MEASURED
    ]
    if measured:
        _, _, best = min(measured, key=lambda each: each[:2])
        others = tuple(each for each in sources if each not in best.inputs)
        return replace(
            best,
            inputs=best.inputs + others,
            quality=best.quality + _not_all_read(inputs, rejected),
        )
    reasons = dict(rejected) | {each.inputs[0]: each.reason or "" for each in found}
    return Analysis(
        analysis=entry.name,
        version=entry.version,
        status=Status.REFUSED,
        reason=_joined(reasons),
        inputs=sources,
        quality=found[0].quality if len(found) == 1 else (),
        pictures=found[0].pictures if len(found) == 1 else (),
    )


def _not_all_read(
    inputs: Sequence[AnyInput], rejected: Mapping[str, str]
) -> tuple[QualityCheck, ...]:
    """A check that says that something could not be read: a reviewer must not miss it."""
    if not rejected:
        return ()
    read = len({each.source for each in inputs})
    wanted = float(read + len(rejected))
    return (QualityCheck("inputs_read", float(read), "1", wanted, passed=False),)


def _measure_one(entry: AnalysisEntry, each: Measurable, instruments: Instruments) -> Analysis:
    try:
        return replace(entry.measure(each, instruments), inputs=(each.source,))
    except RejectedInput as rejection:
        return Analysis(
            analysis=entry.name,
            version=entry.version,
            status=Status.REFUSED,
            reason=str(rejection),
            inputs=(each.source,),
        )


def _joined(reasons: Mapping[str, str]) -> str:
    if len(set(reasons.values())) == 1:
        return next(iter(reasons.values()))
    return " ".join(f"{source}: {reason}" for source, reason in sorted(reasons.items()))


def load_what_measures() -> None:
    """Import all that measuring needs, so that the first study does not wait for it."""
    for module in (
        "dicom_nodes.objects.landmark_edits",
        "dicom_nodes.objects.photograph_reader",
        "dicom_nodes.objects.surface_edits",
        "dicom_nodes.objects.surface_reader",
        "processing.mediapipe_landmarker",
        "processing.mesh_files",
        "processing.photograph.analysis",
        "processing.surface.symmetry",
    ):
        import_module(module)


ANALYSES: Final[Mapping[str, AnalysisEntry]] = {
    entry.name: entry for entry in (*photograph_entries(), *surface_entries())
}
