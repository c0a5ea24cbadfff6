"""Coloured surfaces as GLB (glTF 2.0, binary), which browsers and viewers turn about."""

from __future__ import annotations

import json
import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import ColouredModel

_MAGIC: Final = 0x46546C67
_JSON_CHUNK: Final = 0x4E4F534A
_BINARY_CHUNK: Final = 0x004E4942
_FLOAT: Final = 5126
_UNSIGNED_SHORT: Final = 5123
_UNSIGNED_INT: Final = 5125
_ARRAY_BUFFER: Final = 34962
_ELEMENT_ARRAY_BUFFER: Final = 34963
_METRES_PER_MM: Final = 0.001


def encode_glb(model: ColouredModel) -> bytes:
    """The model as a GLB file.

    Coordinates are those of the scan in mm, less the mean of all of them; the one
    node moves them back, stands them upright (x to the patient's left, y up, z
    forward) and makes them metres, as glTF 2.0 (ISO/IEC 12113:2022) asks for.
    Colours are turned from sRGB into linear light, section 3.7.2.1 there.

    Parameters
    ----------
    model : ColouredModel
        Its own axes where it has none for the face.
    """
    vertices = model.patch.vertices_mm
    centre = vertices.mean(axis=0)
    parts = [
        np.ascontiguousarray(vertices - centre, "<f4"),
        _linear_colours(model.colours),
        np.ascontiguousarray(model.patch.triangles, "<u4"),
    ]
    views, binary = _packed(parts)
    document = {
        "asset": {"version": "2.0", "generator": "hemiface"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": model.name, "matrix": _upright(model.axes, centre)}],
        "meshes": [
            {
                "name": model.name,
                "extras": {"caption": model.caption},
                "primitives": [
                    {
                        "attributes": {"POSITION": 0, "COLOR_0": 1},
                        "indices": 2,
                        "material": 0,
                    }
                ],
            }
        ],
        "materials": [
            {
                "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0},
                "doubleSided": True,
            }
        ],
        "accessors": _accessors(parts),
        "bufferViews": views,
        "buffers": [{"byteLength": len(binary)}],
    }
    return _container(json.dumps(document, separators=(",", ":")).encode(), binary)


def _linear_colours(colours: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Give sRGB as linear light with full opacity, 16 bits a channel (IEC 61966-2-1)."""
    shares = np.arange(256) / 255.0
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    table = (linear * 65535).round().astype("<u2")
    encoded = np.full((len(colours), 4), 65535, "<u2")
    encoded[:, :3] = table[colours]
    return encoded


def _packed(parts: list[NDArray[Any]]) -> tuple[list[dict[str, int]], bytes]:
    targets = (_ARRAY_BUFFER, _ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER)
    views, binary = [], bytearray()
    for part, target in zip(parts, targets, strict=True):
        data = part.tobytes()
        views.append(
            {"buffer": 0, "byteOffset": len(binary), "byteLength": len(data), "target": target}
        )
        binary += data
    return views, bytes(binary)


def _accessors(parts: list[NDArray[Any]]) -> list[dict[str, Any]]:
    places, colours, triangles = parts
    return [
        {
            "bufferView": 0,
            "componentType": _FLOAT,
            "count": len(places),
            "type": "VEC3",
            "min": places.min(axis=0).tolist(),
            "max": places.max(axis=0).tolist(),
        },
        {
            "bufferView": 1,
            "componentType": _UNSIGNED_SHORT,
            "normalized": True,
            "count": len(colours),
            "type": "VEC4",
        },
        {
            "bufferView": 2,
            "componentType": _UNSIGNED_INT,
            "count": triangles.size,
            "type": "SCALAR",
        },
    ]


def _upright(axes: NDArray[np.float64] | None, centre: NDArray[np.float64]) -> list[float]:
    """The matrix of the node, column by column."""
    matrix = np.eye(4)
    matrix[:3, :3] = _METRES_PER_MM * (np.eye(3) if axes is None else axes)
    matrix[:3, 3] = matrix[:3, :3] @ centre
    return [float(each) for each in matrix.T.ravel()]


def _container(document: bytes, binary: bytes) -> bytes:
    document += b" " * (-len(document) % 4)
    binary += b"\0" * (-len(binary) % 4)
    total = 12 + 8 + len(document) + 8 + len(binary)
    return b"".join(
        (
            struct.pack("<III", _MAGIC, 2, total),
            struct.pack("<II", len(document), _JSON_CHUNK),
            document,
            struct.pack("<II", len(binary), _BINARY_CHUNK),
            binary,
        )
    )
