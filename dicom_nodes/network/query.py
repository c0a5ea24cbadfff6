"""A query as it is put, whether by C-FIND (PS3.4, annex C) or by QIDO-RS (PS3.18, 10.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Level(StrEnum):
    """Query/Retrieve Level (0008,0052), from the highest to the lowest."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"

    @property
    def depth(self) -> int:
        """0 for PATIENT to 3 for IMAGE."""
        return list(Level).index(self)

    @property
    def unique_key(self) -> str:
        """Keyword of the attribute that identifies an entity of this level."""
        return ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")[self.depth]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for.

    Parameters
    ----------
    level : Level
        Of the entities that are looked for.
    keys : mapping
        Keywords of attributes, and their matching values in Unicode: a single
        value, a list separated by backslashes, a pattern with ``*`` and ``?``, or
        a range of dates or times with ``-``. An attribute whose value is empty
        matches everything and is only asked for.
    """

    level: Level
    keys: Mapping[str, str]


# Keywords of attributes and their values; a tuple for several values.
Answer = dict[str, str | int | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RetrievedInstance:
    """An instance that can be given to whoever asks for it.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid : str
    file : callable
        Opens its DICOM file: a context manager that gives the path, and may
        raise TransientFault or OSError.
    """

    sop_class_uid: str
    sop_instance_uid: str
    file: Callable[[], AbstractContextManager[Path]]


Find = Callable[[Question], Iterator[Answer]]
