"""Which analyses exist, and how their inputs are measured together.

Every process of the node knows this list, but only the measuring child measures:
so what measures is imported where it is used.

A new analysis is a package in `processing`, an entry in `ANALYSES` here and its
codes in `dicom_nodes.objects.codes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from dicom_nodes.objects.header import InstanceHeader
from dicom_nodes.objects.sop_classes import VL_PHOTOGRAPHIC_IMAGE as VL_PHOTOGRAPHIC_IMAGE
from processing import surface
from processing.inputs import LandmarkEdits, Photograph, Surface
from processing.measurement import Analysis, RejectedInput, Status
from service.analysis_entry import AnalysisEntry, AnyInput, Measurable
from service.analysis_entry import CandidateInput as CandidateInput
from service.analysis_entry import Instruments as Instruments
from service.photograph_entries import photograph_entries
from service.settings import Settings

ENCAPSULATED_MODELS: Final = frozenset(
    {"1.2.840.10008.5.1.4.1.1.104.3", "1.2.840.10008.5.1.4.1.1.104.4"}
)


def facts_for_analyses(header: InstanceHeader) -> dict[str, Any]:
    """What of a header the analyses look at when they declare their inputs; fit for JSON."""
    return {
        "view": header.view.value if header.view is not None else None,
        "expression": header.expression.value if header.expression is not None else None,
        "edited_photographs": list(header.edited_photographs),
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

    A photograph on which a reviewer placed landmarks is better than any other.

    Parameters
    ----------
    entry : AnalysisEntry
    inputs : sequence of Photograph, Surface or LandmarkEdits
        What could be read.
    rejected : mapping of str to str
        Source to reason, of what could not be read.
    instruments : Instruments
    """
    sources = tuple(sorted({each.source for each in inputs} | set(rejected)))
    measurable = with_edits(inputs)
    found = [_measure_one(entry, each, instruments) for each in measurable]
    measured = [
        (not _is_edited(each), entry.preference(analysis), analysis)
        for each, analysis in zip(measurable, found, strict=True)
        if analysis.status is Status.MEASURED
    ]
    if measured:
        _, _, best = min(measured, key=lambda each: each[:2])
        others = tuple(each for each in sources if each not in best.inputs)
        return replace(best, inputs=best.inputs + others)
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


def with_edits(inputs: Sequence[AnyInput]) -> list[Measurable]:
    """What can be measured, each photograph with the landmarks last placed on it."""
    edits = sorted(
        (each for each in inputs if isinstance(each, LandmarkEdits)),
        key=lambda each: (each.made_at, each.source),
    )
    measurable = [each for each in inputs if not isinstance(each, LandmarkEdits)]
    for number, each in enumerate(measurable):
        latest = next(
            (edit for edit in reversed(edits) if isinstance(each, Photograph) and edit.is_of(each)),
            None,
        )
        if latest is not None and isinstance(each, Photograph):
            measurable[number] = replace(each, edited_landmarks=latest.landmarks_px)
    return measurable


def _is_edited(each: Measurable) -> bool:
    return isinstance(each, Photograph) and bool(each.edited_landmarks)


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


def _is_model(candidate: CandidateInput) -> bool:
    return candidate.sop_class_uid in ENCAPSULATED_MODELS


def _read_model(path: Path, _settings: Settings) -> tuple[Surface]:
    from dicom_nodes.objects.surface_reader import read_encapsulated_model
    from processing.mesh_files import decode_mesh

    model = read_encapsulated_model(path)
    return (
        decode_mesh(
            model.data, model.media, source=model.source, unit=model.unit, frame=model.frame
        ),
    )


def _measure_surface(each: Surface, instruments: Instruments) -> Analysis:
    from processing.surface.symmetry import measure

    return measure(each, instruments.detector())


def load_what_measures() -> None:
    """Import all that measuring needs, so that the first study does not wait for it."""
    for module in (
        "dicom_nodes.objects.landmark_edits",
        "dicom_nodes.objects.photograph_reader",
        "dicom_nodes.objects.surface_reader",
        "processing.mediapipe_landmarker",
        "processing.mesh_files",
        "processing.photograph.analysis",
        "processing.surface.symmetry",
    ):
        import_module(module)


def _absolute(quantity: str) -> Callable[[Analysis], float]:
    def value(analysis: Analysis) -> float:
        return min(
            (abs(each.value) for each in analysis.measurements if each.quantity == quantity),
            default=float("inf"),
        )

    return value


ANALYSES: Final[Mapping[str, AnalysisEntry]] = {
    entry.name: entry
    for entry in (
        *photograph_entries(),
        AnalysisEntry(
            name=surface.ANALYSIS,
            version=surface.VERSION,
            wants=_is_model,
            declared="a surface scan (encapsulated STL or OBJ)",
            is_complete=bool,
            read=_read_model,
            measure=_measure_surface,
            preference=_absolute("landmark_asymmetry"),
        ),
    )
}
