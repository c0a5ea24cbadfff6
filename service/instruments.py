"""What the node counts and times, for Prometheus.

Processes that count keep their numbers in files (`PROMETHEUS_MULTIPROC_DIR`), so
that one page at ``/metrics`` speaks for all of them.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

RECEIVED: Final = Counter(
    "hemiface_instances_received_total", "Instances received, by what became of them", ["status"]
)
COMPLETED: Final = Counter(
    "hemiface_studies_completed_total",
    "Studies that counted as complete, by evidence",
    ["evidence"],
)
STEPS: Final = Counter(
    "hemiface_steps_total", "Steps of the workflow, by outcome", ["step", "outcome"]
)
STEP_SECONDS: Final = Histogram(
    "hemiface_step_seconds",
    "Time of a step",
    ["step"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300),
)
