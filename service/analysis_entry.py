"""What an analysis is to the workflow: what it wants, how it reads and how it measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processing.inputs import LandmarkEdits, Photograph, Surface, SurfaceEdits
from processing.measurement import Analysis, RejectedInput
from service.settings import Settings

if TYPE_CHECKING:
    from processing.face_landmarks import FaceDetector

Measurable = Photograph | Surface
AnyInput = Photograph | Surface | LandmarkEdits | SurfaceEdits


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


@dataclass(frozen=True, slots=True)
class Read:
    """What could be read of an analysis' instances.

    `rejected` maps SOP Instance UIDs of the others to the reason.
    """

    inputs: tuple[AnyInput, ...]
    rejected: Mapping[str, str]


def each_for_itself(
    read_one: Callable[[Path, Settings], Sequence[AnyInput]],
) -> Callable[[Mapping[str, Path], Settings], Read]:
    """Read instances that do not depend on one another; `read_one` raises RejectedInput."""

    def read(paths: Mapping[str, Path], settings: Settings) -> Read:
        inputs: list[AnyInput] = []
        rejected: dict[str, str] = {}
        for uid, path in paths.items():
            try:
                inputs.extend(read_one(path, settings))
            except RejectedInput as rejection:
                rejected[uid] = str(rejection)
        return Read(tuple(inputs), rejected)

    return read


@dataclass(frozen=True, slots=True)
class UsefulPriors:
    """What an analysis can use of a patient's earlier studies.

    Parameters
    ----------
    what : str
        For a person.
    modalities : frozenset of str
        Of the series that may hold it.
    sop_class_uids : frozenset of str
        Of the instances.
    """

    what: str
    modalities: frozenset[str]
    sop_class_uids: frozenset[str]


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
        Reads all instances (SOP Instance UID to file) that it takes of a study.
    measure : callable
        Measures one input.
    preference : callable
        Smaller is better; chooses among several measured inputs.
    amends : callable
        Whether an instance, wanted by itself or not, amends one of the wanted ones:
        a reviewer's landmarks on a photograph, the texture of a scan.
    choices : callable
        What the settings choose that changes results; part of their content key.
        Empty for the defaults.
    priors : UsefulPriors, optional
        What it can use of earlier studies; None where it looks at one study alone.
    """

    name: str
    version: str
    wants: Callable[[CandidateInput], bool]
    declared: str | None
    is_complete: Callable[[Sequence[CandidateInput]], bool]
    read: Callable[[Mapping[str, Path], Settings], Read]
    measure: Callable[[Any, Instruments], Analysis]
    preference: Callable[[Analysis], float]
    amends: Callable[[CandidateInput, Sequence[CandidateInput]], bool] = amends_nothing
    choices: Callable[[Settings], str] = no_choices
    priors: UsefulPriors | None = None

    def inputs_among(self, usable: Sequence[CandidateInput]) -> list[CandidateInput]:
        """The instances that it is run on; none where it wants none.

        What amends them may itself be amended: a scan names its materials, and these
        name pictures.
        """
        taken = [each for each in usable if self.wants(each)]
        further = taken
        while further:
            further = [each for each in usable if each not in taken and self.amends(each, taken)]
            taken = taken + further
        return taken
