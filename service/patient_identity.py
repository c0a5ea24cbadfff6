"""Whether two objects are of one patient.

A Patient ID alone does not show it: two hospitals give the same one, and a mistyped one
is somebody's. A photograph of another patient beside the right one does harm, one that
is missing does little: so a doubt is a no.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """A patient as a header or an archive names one; what it does not tell is empty.

    `birth_date` is YYYYMMDD, `name` as in the Patient's Name (0010,0010).
    """

    patient_id: str
    issuer: str
    name: str
    birth_date: str


def why_not_same_patient(one: PatientIdentity, other: PatientIdentity) -> str | None:
    """Why two identities are not taken for one patient; None where they are.

    The Patient ID must be the same, and its issuer where both name one. Name or birth
    date must be known on both sides and agree, and neither may disagree. With the same
    birth date a changed family name is no disagreement.

    Returns
    -------
    str or None
        Names attributes, never their values.
    """
    if not one.patient_id or one.patient_id != other.patient_id:
        return "Patient ID differs"
    if one.issuer and other.issuer and one.issuer != other.issuer:
        return "Issuer of Patient ID differs"
    born = _agree(one.birth_date, other.birth_date)
    if born is False:
        return "Patient's Birth Date differs"
    named = _names_agree(one.name, other.name, is_born_same=born is True)
    if named is False:
        return "Patient's Name differs"
    if born is None and named is None:
        return "neither Patient's Name nor Birth Date is known on both sides"
    return None


def _agree(one: str, other: str) -> bool | None:
    """Whether two values are the same; None where one is not known."""
    return one == other if one and other else None


def _names_agree(one: str, other: str, *, is_born_same: bool) -> bool | None:
    ones, others = _groups(one), _groups(other)
    if not ones or not others:
        return None
    # Alphabetic, ideographic and phonetic: an archive may have only one of them.
    if not ones.isdisjoint(others):
        return True
    given = {group[1] for group in ones} & {group[1] for group in others} - {""}
    return is_born_same and bool(given)


def _groups(name: str) -> frozenset[tuple[str, str]]:
    """Family and given name of each component group (PS3.5, section 6.2.1)."""
    found = set()
    for group in name.split("="):
        family, _, rest = group.partition("^")
        parts = (_plain(family), _plain(rest.partition("^")[0]))
        if any(parts):
            found.add(parts)
    return frozenset(found)


def _plain(text: str) -> str:
    """Without case, accents of width and doubled spaces: writers differ in these."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
