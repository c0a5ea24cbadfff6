"""Measuring files without network or database, in the same child process as the node does.

Instances of one DICOM study are grouped for an analysis as the workflow groups
them. A plain file names no patient and no study, so it is a group of its own:
two people's pictures are never taken for two tries at one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from dicom_nodes.objects.header import InstanceHeader, inspect
from processing import photograph, surface
from processing.face_model import find_face_model
from processing.inputs import Photograph, Surface
from processing.measurement import Analysis, RejectedInput, Status, analysis_as_json
from processing.mesh_files import read_mesh_file
from processing.picture_files import read_picture
from service.analyses import (
    ANALYSES,
    AnalysisEntry,
    CandidateInput,
    analysis_named,
    facts_for_analyses,
)
from service.catalogue.stored_bytes import LocalBytes
from service.input_files import FileKind, MeshScale, kind_of
from service.settings import Settings, StorageSettings
from service.workflow.measuring import ANALYSIS_FILE, MeasureTask, ReadTask
from service.workflow.measuring_child import ChildDied, MeasuringChild
from service.workflow.readings import Reading, reading_as_bytes, reading_from_bytes

_PLAIN_ANALYSES: Final = {
    FileKind.PICTURE: photograph.ANALYSIS,
    FileKind.MESH: surface.ANALYSIS,
}


@dataclass(slots=True)
class Group:
    """What one analysis is run on.

    `instances` maps SOP Instance UIDs to files, `rejected` sources to the reason
    why they cannot be read; `plain` is a file that is no DICOM.
    """

    analysis: str
    instances: dict[str, Path] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    plain: Path | None = None


@dataclass(frozen=True, slots=True)
class Sorted:
    """The groups, and the files that no analysis uses with the reason."""

    groups: tuple[Group, ...]
    unused: tuple[tuple[Path, str], ...]


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture that an analysis made, as a PNG file."""

    name: str
    caption: str
    png: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found on a group.

    `document` is the published JSON form, its list of pictures still empty.
    """

    document: dict[str, Any]
    pictures: tuple[PictureFile, ...] = ()

    @property
    def status(self) -> Status:
        """How the analysis ended."""
        return Status(self.document["status"])


def sort_files(paths: Sequence[Path]) -> Sorted:
    """Sort files into groups, one for each analysis that wants some of a study's files."""
    groups: dict[tuple[str, str], Group] = {}
    unused: list[tuple[Path, str]] = []
    for path in paths:
        kind = kind_of(path)
        if kind is FileKind.DICOM:
            reason = _add_instance(groups, path)
            if reason is not None:
                unused.append((path, reason))
        elif kind is FileKind.OTHER:
            unused.append((path, "neither DICOM nor JPG, PNG, TIFF, HEIC, STL, OBJ, PLY or GLB"))
        else:
            analysis = _PLAIN_ANALYSES[kind]
            groups[analysis, str(path)] = Group(analysis, plain=path)
    return Sorted(tuple(groups.values()), tuple(unused))


def measure_groups(
    groups: Sequence[Group],
    settings: Settings,
    scale: MeshScale,
) -> Iterator[Outcome]:
    """Measure the groups one after the other.

    Parameters
    ----------
    groups : sequence of Group
    settings : Settings
        Limits, and where the face model is; its data folder is not written to.
    scale : MeshScale
        For plain mesh files; DICOM states its own unit.

    Yields
    ------
    Outcome
        For each group, in their order; of an input that no process survives, `failed`.

    Raises
    ------
    PermanentFault
        If the face model is missing.
    """
    if not groups:
        return
    model = find_face_model(settings.face_model, settings.data_folder)
    with TemporaryDirectory(prefix="hemiface-") as folder:
        root = Path(folder)
        own = settings.model_copy(
            update={"data_folder": root, "face_model": model, "storage": StorageSettings()}
        )
        child = MeasuringChild(own)
        try:
            for number, group in enumerate(groups):
                yield _measure(group, f"work/{number}", LocalBytes(root), child, scale)
        finally:
            child.stop()


def _add_instance(groups: dict[tuple[str, str], Group], path: Path) -> str | None:
    """Put an instance into the groups that want it, or say why there is none."""
    header, fault = inspect(path)
    if header is None:
        return fault
    wanting = [entry for entry in ANALYSES.values() if _wants(entry, header)]
    for entry in wanting:
        group = groups.setdefault((entry.name, header.study_instance_uid), Group(entry.name))
        if fault is None:
            group.instances[header.sop_instance_uid] = path
        else:
            group.rejected[path.name] = fault
    if wanting:
        return None
    return fault or f"no analysis uses this object (modality {header.modality or 'unknown'})"


def _wants(entry: AnalysisEntry, header: InstanceHeader) -> bool:
    candidate = CandidateInput(
        header.sop_instance_uid,
        header.sop_class_uid,
        header.modality,
        facts_for_analyses(header),
    )
    return not header.is_own and entry.wants(candidate)


def _measure(
    group: Group, folder: str, stored: LocalBytes, child: MeasuringChild, scale: MeshScale
) -> Outcome:
    reading_key = f"{folder}/reading.npz"
    try:
        if group.plain is not None:
            stored.write(reading_key, reading_as_bytes(_plain_reading(group.plain, scale)))
        else:
            _read_instances(group, folder, reading_key, stored, child)
        child.run(MeasureTask(group.analysis, reading_key, folder))
    except ChildDied as death:
        return Outcome(_failure(group, str(death)))
    finally:
        stored.remove(reading_key)
    document = json.loads(stored.read(f"{folder}/{ANALYSIS_FILE}"))
    texts = document.pop("captions")
    keys, document["pictures"] = document["pictures"], []
    pictures = tuple(
        PictureFile(text["name"], text["caption"], stored.read(key))
        for key, text in zip(keys, texts, strict=True)
    )
    return Outcome(document, pictures)


def _read_instances(
    group: Group, folder: str, reading_key: str, stored: LocalBytes, child: MeasuringChild
) -> None:
    """Read DICOM in the child, where a file that kills its reader does no harm."""
    keys = {uid: f"{folder}/{number}.dcm" for number, uid in enumerate(group.instances)}
    (stored.root / folder).mkdir(parents=True)
    for uid, path in group.instances.items():
        (stored.root / keys[uid]).symlink_to(path.absolute())
    child.run(ReadTask(group.analysis, keys, reading_key))
    if group.rejected:
        reading = reading_from_bytes(stored.read(reading_key))
        rejected = reading.rejected | group.rejected
        stored.write(reading_key, reading_as_bytes(Reading(reading.inputs, rejected)))


def _plain_reading(path: Path, scale: MeshScale) -> Reading:
    try:
        return Reading((_read_plain(path, scale),), {})
    except RejectedInput as rejection:
        return Reading((), {path.name: str(rejection)})


def _read_plain(path: Path, scale: MeshScale) -> Photograph | Surface:
    if kind_of(path) is FileKind.PICTURE:
        return read_picture(path)
    return read_mesh_file(path, scale.unit, scale.mm_per_unit)


def _failure(group: Group, reason: str) -> dict[str, Any]:
    entry = analysis_named(group.analysis)
    sources = [*group.instances, *group.rejected]
    if group.plain is not None:
        sources.append(group.plain.name)
    return analysis_as_json(
        Analysis(
            analysis=entry.name,
            version=entry.version,
            status=Status.FAILED,
            reason=f"The software failed on this input ({reason}). Please report it.",
            inputs=tuple(sorted(sources)),
        )
    )
