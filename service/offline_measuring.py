"""Measuring files without network or database, in the same child process as the node does.

Instances of one DICOM study are grouped for an analysis as the workflow groups
them. A plain file names no patient and no study, so it is a group of its own:
two people's pictures are never taken for two tries at one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from dicom_nodes.objects.header import InstanceHeader, inspect
from processing import photograph, surface
from processing.face_model import find_face_model
from processing.inputs import Expression, LandmarkEdits, Photograph, Surface, SurfaceEdits
from processing.measurement import (
    Analysis,
    RejectedInput,
    Status,
    SurfacePatch,
    analysis_as_json,
)
from processing.mesh_encoding import encode_stl
from processing.mesh_files import read_mesh_file
from processing.picture_files import read_picture
from service.analyses import ANALYSES, CandidateInput, analysis_named, facts_for_analyses
from service.catalogue.stored_bytes import LocalBytes
from service.input_files import FileKind, MeshScale, kind_of, texture_files_of
from service.photograph_entries import MOVEMENTS, analysis_of_expression
from service.settings import Settings, StorageSettings
from service.site_calibration import calibrated
from service.workflow.measuring import ANALYSIS_FILE, MeasureTask, ReadTask
from service.workflow.measuring_child import ChildDied, MeasuringChild
from service.workflow.patches import patch_from_bytes
from service.workflow.readings import Reading, reading_as_bytes, reading_from_bytes

# Later than any moment that an object can state: what is typed now wins.
_NEWEST: Final = "9999"
_PHOTOGRAPH_ANALYSES: Final = frozenset({photograph.ANALYSIS, *MOVEMENTS.values()})


@dataclass(slots=True)
class Group:
    """What one analysis is run on.

    `instances` maps SOP Instance UIDs to files, `rejected` sources to the reason
    why they cannot be read; `plain` is a file that is no DICOM, `expression` that on
    a plain picture. `paths` are all its DICOM files. `edits` are what a reviewer
    placed, given on the command line.
    """

    analysis: str
    instances: dict[str, Path] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)
    plain: Path | None = None
    paths: list[Path] = field(default_factory=list)
    expression: Expression | None = None
    edits: LandmarkEdits | SurfaceEdits | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """A DICOM file, and what an analysis looks at of it."""

    path: Path
    candidate: CandidateInput
    fault: str | None
    is_own: bool


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
class SolidFile:
    """A coloured model (GLB) or an area (STL) that an analysis made, as a file."""

    name: str
    suffix: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found on a group.

    `document` is the published JSON form, its list of pictures still empty.
    """

    document: dict[str, Any]
    pictures: tuple[PictureFile, ...] = ()
    solids: tuple[SolidFile, ...] = ()

    @property
    def status(self) -> Status:
        """How the analysis ended."""
        return Status(self.document["status"])


def sort_files(paths: Sequence[Path], expression: Expression | None = None) -> Sorted:
    """Sort files into groups, one for each analysis that wants some of a study's files.

    Parameters
    ----------
    paths : sequence of Path
    expression : Expression, optional
        On plain pictures, which do not say it themselves; in repose where not given.
    """
    groups: list[Group] = []
    unused: list[tuple[Path, str]] = []
    studies: dict[str, list[_Found]] = {}
    # Read with their mesh, not for themselves.
    textures = texture_files_of(paths)
    for path in paths:
        if path in textures:
            continue
        kind = kind_of(path)
        if kind is FileKind.DICOM:
            header, fault = inspect(path)
            if header is None:
                unused.append((path, fault or ""))
            else:
                studies.setdefault(header.study_instance_uid, []).append(
                    _Found(path, _candidate(header), fault, header.is_own)
                )
        elif kind is FileKind.OTHER:
            unused.append((path, "neither DICOM nor JPG, PNG, TIFF, HEIC, STL, OBJ, PLY or GLB"))
        elif kind is FileKind.PICTURE:
            analysis = analysis_of_expression(expression)
            groups.append(Group(analysis, plain=path, expression=expression))
        else:
            groups.append(Group(surface.ANALYSIS, plain=path))
    for found in studies.values():
        groups += _groups_of_study(found)
        wanted = {path for group in groups for path in group.paths}
        unused += [(each.path, _why_unused(each)) for each in found if each.path not in wanted]
    order = {path: number for number, path in enumerate(paths)}
    groups.sort(key=lambda group: order[group.plain or group.paths[0]])
    return Sorted(tuple(groups), tuple(unused))


def _groups_of_study(found: Sequence[_Found]) -> Iterator[Group]:
    usable = [each for each in found if not each.is_own]
    for entry in ANALYSES.values():
        chosen = entry.inputs_among([each.candidate for each in usable])
        group = Group(entry.name)
        for each in usable:
            if each.candidate not in chosen:
                continue
            if each.fault is None:
                group.instances[each.candidate.sop_instance_uid] = each.path
            else:
                group.rejected[each.path.name] = each.fault
            group.paths.append(each.path)
        if group.paths:
            yield group


def _why_unused(found: _Found) -> str:
    facts = found.candidate.header
    kind = ", ".join(
        filter(
            None,
            (
                f"modality {found.candidate.modality or 'unknown'}",
                facts.get("view"),
                facts.get("expression"),
            ),
        )
    )
    return found.fault or f"no analysis uses this object ({kind})"


def give_landmarks(found: Sorted, edits: LandmarkEdits) -> None:
    """Give a reviewer's landmarks to the photograph that they were placed on.

    Raises
    ------
    RejectedInput
        If there is not exactly one group of photographs.
    """
    groups = [each for each in found.groups if each.analysis in _PHOTOGRAPH_ANALYSES]
    if len(groups) != 1:
        raise RejectedInput(
            f"--landmarks is for one photograph, but {len(groups)} are to be measured: give the "
            "photograph alone"
        )
    groups[0].edits = edits


def surfaces_among(found: Sorted) -> list[Group]:
    """The groups that are surface scans."""
    return [each for each in found.groups if each.analysis == surface.ANALYSIS]


def give_surface_edits(found: Sorted, edits: SurfaceEdits) -> None:
    """Give a reviewer's landmarks, plane or area to the scan that they were placed on.

    What was given before to the same scan stays where `edits` has nothing.

    Raises
    ------
    RejectedInput
        If there is not exactly one group of surface scans.
    """
    groups = surfaces_among(found)
    if len(groups) != 1:
        raise RejectedInput(
            f"{edits.source} is for one surface scan, but {len(groups)} are to be measured: give "
            "the scan alone"
        )
    former = groups[0].edits
    if isinstance(former, SurfaceEdits):
        edits = replace(
            edits,
            source=", ".join(dict.fromkeys((former.source, edits.source))),
            surface=edits.surface or former.surface,
            landmarks_mm=edits.landmarks_mm or former.landmarks_mm,
            plane=edits.plane or former.plane,
            area=edits.area or former.area,
        )
    groups[0].edits = edits


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


def _candidate(header: InstanceHeader) -> CandidateInput:
    return CandidateInput(
        header.sop_instance_uid,
        header.sop_class_uid,
        header.modality,
        facts_for_analyses(header),
    )


def _measure(
    group: Group, folder: str, stored: LocalBytes, child: MeasuringChild, scale: MeshScale
) -> Outcome:
    reading_key = f"{folder}/reading.npz"
    try:
        if group.plain is not None:
            reading = _plain_reading(group, group.plain, child.settings, scale)
            stored.write(reading_key, reading_as_bytes(reading))
        else:
            _read_instances(group, folder, reading_key, stored, child)
        child.run(MeasureTask(group.analysis, reading_key, folder))
    except ChildDied as death:
        return Outcome(_failure(group, str(death)))
    finally:
        stored.remove(reading_key)
    document = json.loads(stored.read(f"{folder}/{ANALYSIS_FILE}"))
    texts = document.pop("captions")
    document.pop("marks", None)
    keys, document["pictures"] = document["pictures"], []
    models, areas = document.pop("models", []), document.pop("areas", {})
    return Outcome(
        document,
        pictures=tuple(
            PictureFile(text["name"], text["caption"], stored.read(key))
            for key, text in zip(keys, texts, strict=True)
        ),
        solids=(
            *(SolidFile(each["name"], ".glb", stored.read(each["key"])) for each in models),
            *(
                SolidFile(name, ".stl", _patch_as_stl(patch_from_bytes(stored.read(key))))
                for name, key in areas.items()
            ),
        ),
    )


def _patch_as_stl(patch: SurfacePatch) -> bytes:
    return encode_stl(Surface(patch.vertices_mm, patch.triangles, source=""))


def _read_instances(
    group: Group, folder: str, reading_key: str, stored: LocalBytes, child: MeasuringChild
) -> None:
    """Read DICOM in the child, where a file that kills its reader does no harm."""
    keys = {uid: f"{folder}/{number}.dcm" for number, uid in enumerate(group.instances)}
    (stored.root / folder).mkdir(parents=True)
    for uid, path in group.instances.items():
        (stored.root / keys[uid]).symlink_to(path.absolute())
    child.run(ReadTask(group.analysis, keys, reading_key))
    if group.rejected or group.edits is not None:
        reading = reading_from_bytes(stored.read(reading_key))
        reading = Reading(reading.inputs, reading.rejected | group.rejected)
        stored.write(reading_key, reading_as_bytes(_with_edits(reading, group.edits)))


def _plain_reading(group: Group, path: Path, settings: Settings, scale: MeshScale) -> Reading:
    found: Surface | Photograph
    try:
        if group.analysis == surface.ANALYSIS:
            found = read_mesh_file(path, scale.unit, scale.mm_per_unit)
        else:
            picture = calibrated(read_picture(path), settings.photograph.calibrations)
            found = replace(picture, expression=group.expression)
    except RejectedInput as rejection:
        return Reading((), {path.name: str(rejection)})
    return _with_edits(Reading((found,), {}), group.edits)


def _with_edits(reading: Reading, edits: LandmarkEdits | SurfaceEdits | None) -> Reading:
    """The reading with the edits of the command line, on the input that they name."""
    if edits is None:
        return reading
    if isinstance(edits, LandmarkEdits):
        photographs = [each for each in reading.inputs if isinstance(each, Photograph)]
        if not edits.photograph and len(photographs) == 1:
            edits = replace(edits, photograph=photographs[0].source)
        if not any(edits.is_of(each) for each in photographs):
            _check_named(edits.source, edits.photograph, "image", photographs)
        return Reading((*reading.inputs, edits), reading.rejected)
    scans = [each for each in reading.inputs if isinstance(each, Surface)]
    if not edits.surface and len(scans) == 1:
        edits = replace(edits, surface=scans[0].source)
    if not any(edits.is_of(each) for each in scans):
        _check_named(edits.source, edits.surface, "surface", scans)
    return Reading((*reading.inputs, replace(edits, made_at=_NEWEST)), reading.rejected)


def _check_named(
    file: str, meant: str, key: str, inputs: Sequence[Photograph] | Sequence[Surface]
) -> None:
    """Refuse edits of another input; where none could be read, its own reason is the answer."""
    if not inputs:
        return
    named = ", ".join(each.source for each in inputs)
    said = f"are for {meant}" if meant else "name no input"
    raise RejectedInput(f'the edits of {file} {said}; "{key}" in the file must be one of: {named}')


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
