"""What was read, as a file: arrays and facts that the measuring step takes up again.

`keys.READING_FORMAT` gets another number with whatever changes here.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from processing.inputs import (
    Expression,
    LandmarkEdits,
    Photograph,
    Surface,
    SurfaceEdits,
    Texture,
    View,
)
from processing.measurement import Plane, SurfacePatch
from service.analysis_entry import AnyInput

_FACTS: Final = "facts"


@dataclass(frozen=True, slots=True)
class Reading:
    """The inputs that could be read, and for each that could not the reason.

    `rejected` maps SOP Instance UIDs to reasons.
    """

    inputs: tuple[AnyInput, ...]
    rejected: dict[str, str]


def reading_as_bytes(reading: Reading) -> bytes:
    """The reading as an uncompressed NumPy archive."""
    arrays: dict[str, Any] = {}
    facts: list[dict[str, Any]] = []
    for number, each in enumerate(reading.inputs):
        if isinstance(each, Photograph):
            arrays[f"{number}.pixels"] = each.pixels
            facts.append(
                {
                    "kind": "photograph",
                    "source": each.source,
                    "pixel_spacing_mm": each.pixel_spacing_mm,
                    "view": each.view,
                    "expression": each.expression,
                    "pixel_spacing_uncertainty_mm": each.pixel_spacing_uncertainty_mm,
                    "pixel_spacing_origin": each.pixel_spacing_origin,
                    "edited_landmarks": dict(each.edited_landmarks),
                    "is_turned_back": each.is_turned_back,
                }
            )
        elif isinstance(each, LandmarkEdits):
            facts.append(
                {
                    "kind": "landmark edits",
                    "source": each.source,
                    "photograph": each.photograph,
                    "landmarks_px": dict(each.landmarks_px),
                    "made_at": each.made_at,
                }
            )
        elif isinstance(each, SurfaceEdits):
            facts.append({"kind": "surface edits", **_edits_facts(each, f"{number}.area", arrays)})
        else:
            facts.append({"kind": "surface", **_surface_facts(each, str(number), arrays)})
    text = json.dumps({"inputs": facts, "rejected": reading.rejected})
    arrays[_FACTS] = np.frombuffer(text.encode(), dtype=np.uint8)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def reading_from_bytes(data: bytes) -> Reading:
    """The reading that `reading_as_bytes` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        facts = json.loads(archive[_FACTS].tobytes())
        inputs = tuple(
            _input_of(archive, number, each) for number, each in enumerate(facts["inputs"])
        )
    return Reading(inputs, facts["rejected"])


def _input_of(archive: Any, number: int, facts: dict[str, Any]) -> AnyInput:
    if facts["kind"] == "photograph":
        return Photograph(
            pixels=archive[f"{number}.pixels"],
            source=facts["source"],
            pixel_spacing_mm=facts["pixel_spacing_mm"],
            view=View(facts["view"]) if facts["view"] else None,
            expression=Expression(facts["expression"]) if facts["expression"] else None,
            pixel_spacing_uncertainty_mm=facts["pixel_spacing_uncertainty_mm"],
            pixel_spacing_origin=facts["pixel_spacing_origin"],
            edited_landmarks=_places(facts["edited_landmarks"]),
            is_turned_back=facts["is_turned_back"],
        )
    if facts["kind"] == "landmark edits":
        return LandmarkEdits(
            source=facts["source"],
            photograph=facts["photograph"],
            landmarks_px=_places(facts["landmarks_px"]),
            made_at=facts["made_at"],
        )
    if facts["kind"] == "surface edits":
        return _edits_of(archive, f"{number}.area", facts)
    return _surface_of(archive, str(number), facts)


def _surface_facts(surface: Surface, name: str, arrays: dict[str, Any]) -> dict[str, Any]:
    arrays[f"{name}.vertices_mm"] = surface.vertices_mm
    arrays[f"{name}.triangles"] = surface.triangles
    if surface.colours is not None:
        arrays[f"{name}.colours"] = surface.colours
    if surface.texture is not None:
        arrays[f"{name}.texture.pixels"] = surface.texture.pixels
        arrays[f"{name}.texture.corners"] = surface.texture.corners
    edits = surface.edits
    return {
        "source": surface.source,
        "unit": surface.unit,
        "unit_stated": surface.unit_stated,
        "frame": surface.frame,
        "edits": None if edits is None else _edits_facts(edits, f"{name}.edits.area", arrays),
    }


def _surface_of(archive: Any, name: str, facts: dict[str, Any]) -> Surface:
    has_texture = f"{name}.texture.pixels" in archive
    return Surface(
        vertices_mm=archive[f"{name}.vertices_mm"],
        triangles=archive[f"{name}.triangles"],
        source=facts["source"],
        unit=facts["unit"],
        unit_stated=facts["unit_stated"],
        frame=facts["frame"],
        colours=archive.get(f"{name}.colours"),
        texture=Texture(archive[f"{name}.texture.pixels"], archive[f"{name}.texture.corners"])
        if has_texture
        else None,
        edits=_edits_of(archive, f"{name}.edits.area", facts["edits"]) if facts["edits"] else None,
    )


def _edits_facts(edits: SurfaceEdits, name: str, arrays: dict[str, Any]) -> dict[str, Any]:
    if edits.area is not None:
        arrays[f"{name}.vertices_mm"] = edits.area.vertices_mm
        arrays[f"{name}.triangles"] = edits.area.triangles
    plane = edits.plane
    return {
        "source": edits.source,
        "surface": edits.surface,
        "landmarks_mm": {landmark: list(at) for landmark, at in edits.landmarks_mm.items()},
        "plane": None if plane is None else [list(plane.normal), plane.offset_mm],
        "made_at": edits.made_at,
    }


def _edits_of(archive: Any, name: str, facts: dict[str, Any]) -> SurfaceEdits:
    area = None
    if f"{name}.triangles" in archive:
        area = SurfacePatch(archive[f"{name}.vertices_mm"], archive[f"{name}.triangles"])
    plane = None
    if facts["plane"] is not None:
        (x, y, z), offset_mm = facts["plane"]
        plane = Plane((x, y, z), offset_mm)
    return SurfaceEdits(
        source=facts["source"],
        surface=facts["surface"],
        landmarks_mm={name: (x, y, z) for name, (x, y, z) in facts["landmarks_mm"].items()},
        plane=plane,
        area=area,
        made_at=facts["made_at"],
    )


def _places(facts: dict[str, list[float]]) -> dict[str, tuple[float, float]]:
    return {name: (column, row) for name, (column, row) in facts.items()}
