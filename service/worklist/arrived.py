"""What the headers of an arrived study say, as far as its order is found by it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from dicom_nodes.objects.header import InstanceHeader
from service.catalogue.studies import KnownInstance, KnownStudy
from service.worklist.matching import ArrivedStudy
from service.worklist.same_patient import PatientIdentity

_FACTS: Final = "order"
_LONGEST: Final = 500


def facts_for_orders(header: InstanceHeader) -> dict[str, Any]:
    """What of a header an order is found by; fit for JSON, kept with the instance."""
    facts = {
        "patient_id": header.patient_id,
        "issuer": header.issuer_of_patient_id,
        "name": header.patient_name,
        "birth_date": header.birth_date,
        "sex": header.sex,
        "accession_number": header.accession_number,
        "date": header.study_date,
        "station": header.station_name,
    }
    # A value that was cut could be that of another patient or order.
    usable = {name: value if len(value) <= _LONGEST else "" for name, value in facts.items()}
    return {_FACTS: usable | {"procedures": list(header.requested_procedure_ids)}}


def arrived_study(study: KnownStudy) -> ArrivedStudy | None:
    """A study as its order is looked for; None where nothing usable arrived.

    What the node made itself, and what cannot be used, does not count.
    """
    instances = [each for each in study.instances if each.reason is None and not each.own]
    facts = [each.header[_FACTS] for each in instances if _FACTS in each.header]
    if not facts or len(facts) < len(instances):
        return None
    return ArrivedStudy(
        study_instance_uid=study.study_instance_uid,
        patients=tuple(dict.fromkeys(_patient(each) for each in facts)),
        accession_numbers=_each_once(each["accession_number"] for each in facts),
        procedure_ids=_each_once(uid for each in facts for uid in each["procedures"]),
        dates=_each_once(each["date"] for each in facts),
        stations=_each_once(
            [*(each["station"] for each in facts), *(_sender(each) for each in instances)]
        ),
        modalities=_each_once(each.modality for each in instances),
    )


def _patient(facts: dict[str, Any]) -> PatientIdentity:
    return PatientIdentity(
        facts["patient_id"], facts["issuer"], facts["name"], facts["birth_date"], facts["sex"]
    )


def _sender(instance: KnownInstance) -> str:
    return instance.calling_ae_title


def _each_once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, values)))
