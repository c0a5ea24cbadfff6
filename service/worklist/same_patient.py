"""Whether two records name the same patient, before anything of one is put to the other."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_NAME_GROUPS = 3


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """Who a record says the patient is; each text empty where it does not say."""

    patient_id: str = ""
    issuer: str = ""
    name: str = ""
    birth_date: str = ""
    sex: str = ""


def differences(one: PatientIdentity, other: PatientIdentity) -> list[str]:
    """What speaks against the two being the same patient, in words; empty when nothing does.

    The Patient ID must be in both and equal. Everything else that both state must be
    equal, and beside the ID the name or the birth date must be in both: an ID alone
    may be mistyped.
    """
    found = []
    if not one.patient_id or not other.patient_id:
        found.append("the Patient ID is missing")
    elif one.patient_id != other.patient_id:
        found.append("the Patient IDs differ")
    if one.issuer and other.issuer and one.issuer != other.issuer:
        found.append("the issuers of the Patient IDs differ")
    same_name = _same_name(one.name, other.name)
    if same_name is False:
        found.append("the names differ")
    same_birth_date = _same(one.birth_date, other.birth_date)
    if same_birth_date is False:
        found.append("the birth dates differ")
    if _same(one.sex.upper(), other.sex.upper()) is False:
        found.append("the sexes differ")
    if same_name is None and same_birth_date is None:
        found.append("neither a name nor a birth date can be compared")
    return found


def _same(one: str, other: str) -> bool | None:
    """Whether two values are equal; None where one is missing."""
    return one == other if one and other else None


def _same_name(one: str, other: str) -> bool | None:
    """Whether two Person Names agree in every group that both have (PS3.5, section 6.2)."""
    compared = [
        first == second
        for first, second in zip(_groups(one), _groups(other), strict=True)
        if first and second
    ]
    return all(compared) if compared else None


def _groups(name: str) -> list[tuple[str, ...]]:
    groups = [_components(each) for each in name.split("=")[:_NAME_GROUPS]]
    return groups + [()] * (_NAME_GROUPS - len(groups))


def _components(group: str) -> tuple[str, ...]:
    """The components; case, width, spaces and empty ones at the end tell no people apart."""
    components = [
        "".join(unicodedata.normalize("NFKC", each).casefold().split()) for each in group.split("^")
    ]
    while components and not components[-1]:
        components.pop()
    return tuple(components)
