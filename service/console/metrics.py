"""``/metrics``: the counters of all parts, and what is worked out when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.catalogue.database import DATABASE_FAULTS, Database
from service.catalogue.overviews import counts, unread_instances
from service.catalogue.stored_bytes import StoredBytes
from service.processes import metrics_folder
from service.settings import Settings


class Queues(Protocol):
    """What is asked of the workflow engine; see `service.workflow.engine.EngineClient`."""

    def queue_depths(self) -> dict[str, int]:
        """How many pieces of work wait or run, by queue."""


@dataclass(frozen=True, slots=True, eq=False)
class PresentState(Collector):
    """Gauges of the present moment; those that cannot be told now are left out."""

    database: Database
    stored: StoredBytes
    queues: Queues

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All gauges."""
        for gauge in (self._queues, self._catalogue, self._disk):
            yield from _told(gauge)

    def _queues(self) -> Iterator[GaugeMetricFamily]:
        depth = GaugeMetricFamily(
            "hemiface_queue_depth", "Pieces of work that wait or run, by queue", labels=["queue"]
        )
        for queue, pieces in self.queues.queue_depths().items():
            depth.add_metric([queue], pieces)
        yield depth

    def _catalogue(self) -> Iterator[GaugeMetricFamily]:
        held = counts(self.database)
        for name, text, value in (
            ("hemiface_studies", "Studies in the catalogue", held.studies),
            ("hemiface_instances", "Instances in the catalogue", held.instances),
            ("hemiface_quarantined_instances", "Instances kept but not used", held.quarantined),
            (
                "hemiface_uncatalogued_instances",
                "Instances whose headers are still to be read",
                unread_instances(self.database),
            ),
        ):
            yield GaugeMetricFamily(name, text, value=value)

    def _disk(self) -> Iterator[GaugeMetricFamily]:
        free = self.stored.free_bytes()
        if free is not None:
            yield GaugeMetricFamily(
                "hemiface_free_bytes", "Bytes free where images are kept", value=free
            )


def exposition(
    settings: Settings, database: Database, stored: StoredBytes, queues: Queues
) -> bytes:
    """The page of metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    folder = metrics_folder(settings)
    if folder.is_dir():
        # prometheus_client leaves this one without types.
        MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]  # theirs has no types
    registry.register(PresentState(database, stored, queues))
    return generate_latest(registry)


def _told(gauge: Callable[[], Iterator[GaugeMetricFamily]]) -> list[GaugeMetricFamily]:
    try:
        return list(gauge())
    except (*DATABASE_FAULTS, OSError):
        return []
