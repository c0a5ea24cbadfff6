"""Which analyses exist, and which inputs each declares.

Every process of the node knows this list, but only the measuring child measures:
so what measures is imported where it is used.

A new analysis is a package in `processing`, an entry in `ANALYSES` here and its
codes in `dicom_nodes.objects.codes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_nodes.objects.header import InstanceHeader
from processing import photograph, surface
from processing.inputs import Photograph, Surface, View
from processing.measurement import Analysis, RejectedInput, Status
from service.settings import Settings

if TYPE_CHECKING:
    from processing.face_landmarks import FaceDetector

VL_PHOTOGRAPHIC_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.77.1.4"
SECONDARY_CAPTURES: Final = frozenset({"1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.4"})
ENCAPSULATED_MODELS: Final = frozenset(
    {"1.2.840.10008.5.1.4.1.1.104.3", "1.2.840.10008.5.1.4.1.1.104.4"}
)


@dataclass(frozen=True, slots=True)
class CandidateInput:
    """What an analysis looks at when it declares its inputs."""

    sop_instance_uid: str
    sop_class_uid: str
    modality: str
    header: Mapping[str, Any]


def facts_for_analyses(header: InstanceHeader) -> dict[str, Any]:
    """What of a header the analyses look at when they declare their inputs; fit for JSON."""
    return {"view": header.view.value if header.view is not None else None}


@dataclass(slots=True)
class Instruments:
    """What measuring needs and what is slow to open: kept open between analyses."""

    settings: Settings
    _open: ExitStack = field(default_factory=ExitStack)
    _detector: FaceDetector | None = None

    def detector(self) -> FaceDetector:
        """The face detector, opened at its first use."""
        from processing.face_landmarks import FaceDetector
        from processing.face_model import find_face_model

        if self._detector is None:
            model = find_face_model(self.settings.face_model, self.settings.data_folder)
            self._detector = self._open.enter_context(FaceDetector(model))
        return self._detector

    def close(self) -> None:
        """Close what was opened."""
        self._open.close()
        self._detector = None


@dataclass(frozen=True, slots=True)
class AnalysisEntry:
    """An analysis as the workflow sees it.

    Parameters
    ----------
    name, version : str
        As in the analysis' results.
    wants : callable
        Whether it would use this instance.
    declared : str
        What it needs to be complete, for a person.
    is_complete : callable
        Whether the wanted instances are all that it declares.
    read : callable
        Reads one DICOM file to inputs; raises RejectedInput.
    measure : callable
        Measures one input.
    preference : callable
        Smaller is better; chooses among several measured inputs.
    """

    name: str
    version: str
    wants: Callable[[CandidateInput], bool]
    declared: str
    is_complete: Callable[[Sequence[CandidateInput]], bool]
    read: Callable[[Path], Sequence[Photograph | Surface]]
    measure: Callable[[Any, Instruments], Analysis]
    preference: Callable[[Analysis], float]


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
    inputs: Sequence[Photograph | Surface],
    rejected: Mapping[str, str],
    instruments: Instruments,
) -> Analysis:
    """Measure every input, and answer with the best; it is named first, the others after it.

    Parameters
    ----------
    entry : AnalysisEntry
    inputs : sequence of Photograph or Surface
        What could be read.
    rejected : mapping of str to str
        Source to reason, of what could not be read.
    instruments : Instruments
    """
    sources = tuple(sorted({each.source for each in inputs} | set(rejected)))
    found = [_measure_one(entry, each, instruments) for each in inputs]
    measured = [each for each in found if each.status is Status.MEASURED]
    if measured:
        best = min(measured, key=entry.preference)
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


def _measure_one(
    entry: AnalysisEntry, each: Photograph | Surface, instruments: Instruments
) -> Analysis:
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


def _is_photograph(candidate: CandidateInput) -> bool:
    if candidate.sop_class_uid in SECONDARY_CAPTURES and candidate.modality != "XC":
        return False
    is_picture = (
        candidate.sop_class_uid == VL_PHOTOGRAPHIC_IMAGE
        or candidate.sop_class_uid in SECONDARY_CAPTURES
    )
    return is_picture and candidate.header.get("view") in (None, View.FRONTAL.value)


def _is_model(candidate: CandidateInput) -> bool:
    return candidate.sop_class_uid in ENCAPSULATED_MODELS


def _read_photographs(path: Path) -> Sequence[Photograph]:
    from dicom_nodes.objects.photograph_reader import read_photographs

    return read_photographs(path)


def _read_model(path: Path) -> tuple[Surface]:
    from dicom_nodes.objects.surface_reader import read_encapsulated_model
    from processing.mesh_files import decode_mesh

    model = read_encapsulated_model(path)
    return (
        decode_mesh(
            model.data, model.media, source=model.source, unit=model.unit, frame=model.frame
        ),
    )


def _measure_photograph(each: Photograph, instruments: Instruments) -> Analysis:
    from processing.photograph.analysis import measure
    from processing.photograph.quality import PhotographLimits

    limits = PhotographLimits(
        yaw_limit_deg=instruments.settings.photograph.yaw_limit_deg,
        pitch_limit_deg=instruments.settings.photograph.pitch_limit_deg,
    )
    return measure(each, instruments.detector(), limits)


def _measure_surface(each: Surface, instruments: Instruments) -> Analysis:
    from processing.surface.symmetry import measure

    return measure(each, instruments.detector())


def load_what_measures() -> None:
    """Import all that measuring needs, so that the first study does not wait for it."""
    for module in (
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
        AnalysisEntry(
            name=photograph.ANALYSIS,
            version=photograph.VERSION,
            wants=_is_photograph,
            declared="a photograph whose coded view is frontal",
            is_complete=lambda wanted: any(
                each.header.get("view") == View.FRONTAL.value for each in wanted
            ),
            read=_read_photographs,
            measure=_measure_photograph,
            preference=_absolute("yaw"),
        ),
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
