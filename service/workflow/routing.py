"""Which destinations get the results of a study."""

from __future__ import annotations

from collections.abc import Iterable

from service.settings import DeliverySettings


def destination_names(senders: Iterable[str], delivery: DeliverySettings) -> list[str]:
    """Names of the destinations, each once.

    Parameters
    ----------
    senders : iterable of str
        Calling AE titles that the study came from.
    delivery : DeliverySettings
    """
    names = list(delivery.always_to)
    if delivery.to_sender:
        known = set(senders)
        names += [each.name for each in delivery.destinations if each.ae_title in known]
        names += [each.name for each in delivery.web_destinations if each.ae_title in known]
    return list(dict.fromkeys(names))
