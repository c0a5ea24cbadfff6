"""GLB files built by hand, so that they may be as odd as a test wants."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

_TYPES = {"f4": 5126, "u2": 5123, "u4": 5125, "i1": 5120, "u1": 5121, "i2": 5122}
_WIDTHS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}


class GlbBuilder:
    """Collects arrays and writes the container."""

    def __init__(self) -> None:
        self.content: dict[str, Any] = {
            "asset": {"version": "2.0"},
            "accessors": [],
            "bufferViews": [],
        }
        self.bytes = b""

    def view(self, data: bytes, **facts: Any) -> int:
        """Add a buffer view; returns its number."""
        self.bytes += b"\0" * (-len(self.bytes) % 4)
        entry = {"buffer": 0, "byteOffset": len(self.bytes), "byteLength": len(data)} | facts
        self.content["bufferViews"].append(entry)
        self.bytes += data
        return len(self.content["bufferViews"]) - 1

    def accessor(self, values: Any, kind: str, *, view: int | None = None, **facts: Any) -> int:
        """Add an array; returns the number of its accessor."""
        array = np.asarray(values, f"<{kind}")
        entry = {
            "bufferView": self.view(array.tobytes()) if view is None else view,
            "componentType": _TYPES[kind],
            "count": len(array),
            "type": _WIDTHS[array.shape[1] if array.ndim == 2 else 1],
        }
        self.content["accessors"].append(entry | facts)
        return len(self.content["accessors"]) - 1

    def as_bytes(self) -> bytes:
        """The GLB file."""
        self.content["buffers"] = [{"byteLength": len(self.bytes)}]
        text = json.dumps(self.content).encode()
        text += b" " * (-len(text) % 4)
        rest = self.bytes + b"\0" * (-len(self.bytes) % 4)
        whole = 12 + 8 + len(text) + 8 + len(rest)
        head = struct.pack("<4s2I", b"glTF", 2, whole)
        return (
            head
            + struct.pack("<2I", len(text), 0x4E4F534A)
            + text
            + struct.pack("<2I", len(rest), 0x004E4942)
            + rest
        )
