"""The elements of a PLY file, column by column, with lists of any length."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import RejectedInput
from processing.mesh_files.ply_header import PlyElement

LONGEST_LIST: Final = 10_000


@dataclass(frozen=True, slots=True)
class ListColumn:
    """A list property of all elements.

    Parameters
    ----------
    values : (k,) array
        The values of all lists, one after the other.
    sizes : (n,) int64 array
        How many each list has.
    """

    values: NDArray[Any] = field(repr=False)
    sizes: NDArray[np.int64] = field(repr=False)


Columns = list[NDArray[Any] | ListColumn]


def read_records(
    body: NDArray[np.uint8], at: int, element: PlyElement, byte_order: str, source: str
) -> tuple[Columns, int]:
    """Read all of an element.

    Parameters
    ----------
    body : (b,) uint8 array
    at : int
        The byte where the element begins.
    element : PlyElement
    byte_order : str
        ``"<"`` or ``">"``; empty where every property is a double of this machine.
    source : str

    Returns
    -------
    list of array or ListColumn
        In the order of the properties.
    int
        The byte behind the element.

    Raises
    ------
    RejectedInput
        If the bytes end before it, or a list claims more than `LONGEST_LIST` values.
    """
    types = [
        (
            np.dtype(byte_order + (each.value_type if byte_order else "f8")),
            None
            if each.count_type is None
            else np.dtype(byte_order + (each.count_type if byte_order else "f8")),
        )
        for each in element.properties
    ]
    if not element.count or not types:
        return [_empty(kind, count_kind) for kind, count_kind in types], at
    columns = _uniform(body, at, element.count, types, source)
    if columns is not None:
        return columns
    return _walked(body, at, element, types, source)


_Types = list[tuple[np.dtype[Any], np.dtype[Any] | None]]


def _empty(kind: np.dtype[Any], count_kind: np.dtype[Any] | None) -> NDArray[Any] | ListColumn:
    values: NDArray[Any] = np.empty(0, kind)
    return values if count_kind is None else ListColumn(values, np.empty(0, np.int64))


def _uniform(
    body: NDArray[np.uint8], at: int, count: int, types: _Types, source: str
) -> tuple[Columns, int] | None:
    """The columns where the lists of every record are as long as those of the first."""
    fields: list[tuple[str, Any] | tuple[str, Any, tuple[int]]] = []
    end = at
    for number, (kind, count_kind) in enumerate(types):
        if count_kind is None:
            fields.append((f"value{number}", kind))
            end += kind.itemsize
            continue
        length = _length(body, end, count_kind, source)
        fields += [(f"count{number}", count_kind), (f"value{number}", kind, (length,))]
        end += count_kind.itemsize + length * kind.itemsize
    layout = np.dtype(fields)
    if at + count * layout.itemsize > len(body):
        return None
    records = np.frombuffer(body, layout, count, at)
    columns: Columns = []
    for number, (_, count_kind) in enumerate(types):
        values = records[f"value{number}"]
        if count_kind is None:
            columns.append(values)
            continue
        length = values.shape[1]
        if not (records[f"count{number}"] == length).all():
            return None
        columns.append(ListColumn(values.reshape(-1), np.full(count, length, np.int64)))
    return columns, at + count * layout.itemsize


def _walked(
    body: NDArray[np.uint8], at: int, element: PlyElement, types: _Types, source: str
) -> tuple[Columns, int]:
    """The columns where the records differ in length: found one after the other."""
    starts = np.empty((len(types), element.count), np.int64)
    sizes = np.ones((len(types), element.count), np.int64)
    for record in range(element.count):
        for number, (kind, count_kind) in enumerate(types):
            length = 1
            if count_kind is not None:
                length = _length(body, at, count_kind, source)
                at += count_kind.itemsize
                sizes[number, record] = length
            starts[number, record] = at
            at += length * kind.itemsize
        if at > len(body):
            raise _too_short(source)
    columns: Columns = []
    for number, (kind, count_kind) in enumerate(types):
        values = _gathered(body, starts[number], sizes[number], kind)
        columns.append(values if count_kind is None else ListColumn(values, sizes[number]))
    return columns, at


def _gathered(
    body: NDArray[np.uint8],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    kind: np.dtype[Any],
) -> NDArray[Any]:
    first = np.cumsum(sizes) - sizes
    within = np.arange(int(sizes.sum())) - np.repeat(first, sizes)
    place = np.repeat(starts, sizes) + within * kind.itemsize
    return np.ascontiguousarray(body[place[:, None] + np.arange(kind.itemsize)]).view(kind).ravel()


def _length(body: NDArray[np.uint8], at: int, kind: np.dtype[Any], source: str) -> int:
    if at + kind.itemsize > len(body):
        raise _too_short(source)
    length = body[at : at + kind.itemsize].view(kind)[0]
    if not 0 <= length <= LONGEST_LIST or length != int(length):
        raise RejectedInput(
            f"{source}: a list of the PLY claims {length} values; the file is damaged"
        )
    return int(length)


def _too_short(source: str) -> RejectedInput:
    return RejectedInput(f"{source}: the PLY ends before its elements; the file is truncated")
