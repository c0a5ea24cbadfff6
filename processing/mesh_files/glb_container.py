"""The container of a GLB file: its JSON, its bytes, and the arrays in them (glTF 2.0)."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import RejectedInput

_LARGEST_JSON_BYTES: Final = 16_000_000
_JSON_CHUNK: Final = 0x4E4F534A
_BINARY_CHUNK: Final = 0x004E4942
_MOST_ENTRIES: Final = 10_000
_LISTS: Final = (
    "accessors",
    "bufferViews",
    "images",
    "materials",
    "meshes",
    "nodes",
    "scenes",
    "textures",
)
_UNDERSTOOD: Final = frozenset({"KHR_mesh_quantization", "KHR_materials_unlit"})
_COMPONENTS: Final = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS: Final = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


@dataclass(frozen=True, slots=True)
class Container:
    """A GLB file that was opened; nothing outside it is ever read.

    Parameters
    ----------
    content : dict
        The JSON.
    lists : mapping of str to list of dict
        The lists of it that are used, checked to be such.
    buffers : tuple of memoryview
    source : str
        Named in messages.
    """

    content: dict[str, Any] = field(repr=False)
    lists: Mapping[str, list[dict[str, Any]]] = field(repr=False)
    buffers: tuple[memoryview, ...] = field(repr=False)
    source: str

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """One of the lists of the JSON."""
        return self.lists[kind]

    def entry(self, kind: str, number: Any) -> dict[str, Any]:
        """One of a list of the JSON; raises RejectedInput where there is none such."""
        entries = self.entries(kind)
        if not isinstance(number, int) or not 0 <= number < len(entries):
            raise RejectedInput(
                f"{self.source}: the GLB names {kind} {number!r}, which do not exist"
            )
        return entries[number]

    def view(self, number: Any) -> memoryview:
        """The bytes of a buffer view, the whole of its length within its buffer."""
        view = self.entry("bufferViews", number)
        which = whole_number(view, "buffer", None, self.source)
        start = whole_number(view, "byteOffset", 0, self.source)
        length = whole_number(view, "byteLength", None, self.source)
        if which >= len(self.buffers) or start + length > len(self.buffers[which]):
            raise RejectedInput(
                f"{self.source}: a view of the GLB claims {length} bytes from {start}, more than "
                "there are; the file is truncated or damaged"
            )
        return self.buffers[which][start : start + length]

    def claimed_count(self, number: Any) -> int:
        """How many elements an accessor claims, its bytes not yet looked at."""
        return whole_number(self.entry("accessors", number), "count", None, self.source)

    def array(self, number: Any, width: int | tuple[int, ...]) -> NDArray[Any]:
        """The elements of an accessor, (count, width), as they are stored.

        Raises
        ------
        RejectedInput
            If it is sparse, of another width, or claims more than its bytes hold.
        """
        accessor = self.entry("accessors", number)
        kind = _COMPONENTS.get(_hashable(accessor.get("componentType")))
        components = _WIDTHS.get(str(accessor.get("type")))
        count = whole_number(accessor, "count", None, self.source)
        allowed = (width,) if isinstance(width, int) else width
        if kind is None or components is None or components not in allowed:
            raise RejectedInput(f"{self.source}: an accessor of the GLB is malformed")
        if "sparse" in accessor or "bufferView" not in accessor:
            raise RejectedInput(
                f"{self.source}: the GLB stores positions sparsely; export it without"
            )
        data = self.view(accessor["bufferView"])
        view = self.entry("bufferViews", accessor["bufferView"])
        itemsize = np.dtype(kind).itemsize
        start = whole_number(accessor, "byteOffset", 0, self.source)
        stride = whole_number(view, "byteStride", itemsize * components, self.source)
        if stride < itemsize * components:
            raise RejectedInput(f"{self.source}: an accessor of the GLB is malformed")
        if count and start + stride * (count - 1) + itemsize * components > len(data):
            raise RejectedInput(
                f"{self.source}: an accessor of the GLB claims {count} elements, more than its "
                f"{len(data)} bytes can hold"
            )
        if not count:
            return np.empty((0, components), kind)
        return np.ndarray((count, components), kind, data, start, (stride, itemsize))


def open_container(data: bytes, source: str) -> Container:
    """Open a GLB file.

    Raises
    ------
    RejectedInput
        If it is none, is truncated, needs an extension that is not understood, or
        refers to another file.
    """
    if len(data) < 20 or data[:4] != b"glTF":
        raise RejectedInput(f"{source}: this is no GLB file")
    version, length, json_length, json_type = struct.unpack_from("<4I", data, 4)
    if version != 2:
        raise RejectedInput(f"{source}: the GLB is of version {version}; export version 2")
    if length > len(data) or json_type != _JSON_CHUNK or 20 + json_length > len(data):
        raise RejectedInput(f"{source}: the GLB is truncated or damaged")
    content = _json(data[20 : 20 + json_length], source)
    required = content.get("extensionsRequired", [])
    if not isinstance(required, list) or not all(
        _hashable(each) in _UNDERSTOOD for each in required
    ):
        raise RejectedInput(
            f"{source}: the GLB needs extensions ({required}); export it without compression"
        )
    rest = memoryview(data)[20 + json_length :]
    lists = {kind: entries_of(content, kind, source) for kind in _LISTS}
    return Container(content, lists, _buffers(content, rest, source), source)


def entries_of(content: dict[str, Any], kind: str, source: str) -> list[dict[str, Any]]:
    """A list of objects in the JSON; raises RejectedInput where it is none, or too long."""
    entries = content.get(kind, [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise RejectedInput(f"{source}: {kind!r} of the GLB is malformed")
    if len(entries) > _MOST_ENTRIES:
        raise RejectedInput(f"{source}: the GLB has more than {_MOST_ENTRIES} {kind}")
    return entries


def whole_number(content: dict[str, Any], name: str, default: int | None, source: str) -> int:
    """A number of the JSON that is whole and not negative; raises RejectedInput."""
    value = content.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise RejectedInput(f"{source}: {name!r} of the GLB is malformed")
    return value


def _hashable(value: Any) -> Any:
    return value if isinstance(value, int | str) else None


def _json(text: bytes, source: str) -> dict[str, Any]:
    if len(text) > _LARGEST_JSON_BYTES:
        raise RejectedInput(f"{source}: the JSON inside the GLB has {len(text)} bytes; export less")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise RejectedInput(f"{source}: the JSON inside the GLB cannot be read") from None
    if not isinstance(content, dict):
        raise RejectedInput(f"{source}: the JSON inside the GLB is malformed")
    return content


def _buffers(content: dict[str, Any], rest: memoryview, source: str) -> tuple[memoryview, ...]:
    buffers = []
    for number, entry in enumerate(entries_of(content, "buffers", source)):
        if "uri" in entry:
            buffers.append(memoryview(embedded(entry["uri"], "buffers", source)))
            continue
        if number or len(rest) < 8:
            raise RejectedInput(f"{source}: a buffer of the GLB has no bytes")
        length, kind = struct.unpack_from("<2I", rest)
        if kind != _BINARY_CHUNK or 8 + length > len(rest):
            raise RejectedInput(f"{source}: the GLB is truncated or damaged")
        buffers.append(rest[8 : 8 + length])
    return tuple(buffers)


def embedded(uri: Any, kind: str, source: str) -> bytes:
    """The bytes of a data URI; raises RejectedInput for every other address."""
    if not isinstance(uri, str) or not uri.startswith("data:"):
        raise RejectedInput(
            f"{source}: the GLB refers to another file ({kind}); embed everything in it"
        )
    try:
        return base64.b64decode(uri.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise RejectedInput(f"{source}: a data URI of the GLB is damaged") from None
