"""A listening node for tests: what it accepts it keeps in a list and a folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from dicom_nodes.network.instance_store import Arrival, StoreStatus
from dicom_nodes.network.node_service import NodeService
from dicom_nodes.network.storage_scp import Listener, ListenOptions, Rejected, start_listening


@dataclass
class Node:
    """What `accept` of the tests does, and what it has seen."""

    folder: Path
    answer: StoreStatus | Exception = StoreStatus.SUCCESS
    room: Callable[[], bool] = lambda: True
    arrivals: list[Arrival] = field(default_factory=list)
    listener: Listener | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def port(self) -> int:
        assert self.listener is not None
        return self.listener.port

    @property
    def incoming(self) -> Path:
        return self.folder / "incoming"

    @property
    def kept(self) -> Path:
        return self.folder / "kept"

    def accept(self, arrival: Arrival) -> StoreStatus:
        with self.lock:
            self.arrivals.append(arrival)
        if self.answer is StoreStatus.SUCCESS:
            arrival.path.rename(self.kept / f"{arrival.path.stem}.dcm")
            return self.answer
        arrival.path.unlink()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def place(self) -> Path:
        self.incoming.mkdir(parents=True, exist_ok=True)
        return self.incoming / uuid4().hex

    def files(self) -> list[Path]:
        return sorted(self.kept.iterdir())

    def options(self, **changes: Any) -> ListenOptions:
        chosen: dict[str, Any] = {
            "ae_title": "HEMIFACE",
            "address": "127.0.0.1",
            "port": 0,
        }
        return ListenOptions(**{**chosen, **changes})


@contextmanager
def listening(
    folder: Path,
    services: Sequence[NodeService] = (),
    *,
    rejected: Callable[[Rejected], None] = lambda _: None,
    **changes: Any,
) -> Iterator[Node]:
    """A node that listens on a free port; `changes` are those of its `ListenOptions`."""
    node = Node(folder)
    node.kept.mkdir(parents=True)
    node.incoming.mkdir()
    node.listener = start_listening(
        node.options(**changes),
        lambda arrival: node.accept(arrival),
        place=lambda: node.place(),
        room=lambda: node.room(),
        services=services,
        rejected=rejected,
    )
    try:
        yield node
    finally:
        node.listener.stop(grace_seconds=0.2)
