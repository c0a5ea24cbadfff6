"""What an analysis is to the workflow: what it wants, how it reads and how it measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processing.inputs import LandmarkEdits, Photograph, Surface
from processing.measurement import Analysis
from service.settings import Settings

if TYPE_CHECKING:
    from processing.face_landmarks import FaceDetector

Measurable = Photograph | Surface
AnyInput = Photograph | Surface | LandmarkEdits


@dataclass(frozen=True, slots=True)
class CandidateInput:
    """What an analysis looks at when it declares its inputs."""

    sop_instance_uid: str
    sop_class_uid: str
    modality: str
    header: Mapping[str, Any]


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


def amends_nothing(_candidate: CandidateInput, _wanted: Sequence[CandidateInput]) -> bool:
    """No instance amends the inputs."""
    return False


def no_choices(_settings: Settings) -> str:
    """Nothing in the settings changes the results."""
    return ""


@dataclass(frozen=True, slots=True)
class AnalysisEntry:
    """An analysis as the workflow sees it.

    Parameters
    ----------
    name, version : str
        As in the analysis' results.
    wants : callable
        Whether it would use this instance.
    declared : str, optional
        What it needs to be complete, for a person; None where a study is never
        waited for on its account.
    is_complete : callable
        Whether the wanted instances are all that it declares.
    read : callable
        Reads one DICOM file to inputs; raises RejectedInput.
    measure : callable
        Measures one input.
    preference : callable
        Smaller is better; chooses among several measured inputs.
    amends : callable
        Whether an instance, wanted by itself or not, amends one of the wanted ones:
        a reviewer's landmarks on a photograph.
    choices : callable
        What the settings choose that changes results; part of their content key.
        Empty for the defaults.
    """

    name: str
    version: str
    wants: Callable[[CandidateInput], bool]
    declared: str | None
    is_complete: Callable[[Sequence[CandidateInput]], bool]
    read: Callable[[Path, Settings], Sequence[AnyInput]]
    measure: Callable[[Any, Instruments], Analysis]
    preference: Callable[[Analysis], float]
    amends: Callable[[CandidateInput, Sequence[CandidateInput]], bool] = amends_nothing
    choices: Callable[[Settings], str] = no_choices

    def inputs_among(self, usable: Sequence[CandidateInput]) -> list[CandidateInput]:
        """The instances that it is run on; none where it wants none."""
        wanted = [each for each in usable if self.wants(each)]
        if not wanted:
            return []
        return wanted + [
            each for each in usable if each not in wanted and self.amends(each, wanted)
        ]
