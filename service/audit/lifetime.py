"""The node's start and stop, and settings that are not those of the last start."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from dicom_nodes.audit.events import (
    Alert,
    Node,
    alerted,
    application_started,
    application_stopped,
)
from service.audit.trail import Trail, audit_folder, launcher_name, open_trail, process_name
from service.settings import Settings

_SETTINGS: Final = "settings.json"


@contextmanager
def audited_lifetime(settings: Settings) -> Iterator[None]:
    """Record the start, changed settings, and the stop of the node (A.5.3.1, A.5.3.11)."""
    with open_trail(settings) as trail:
        trail.record(application_started(process_name(), launcher_name()))
        if settings.audit.enabled:
            _record_changes(trail, settings)
        try:
            yield
        finally:
            trail.record(application_stopped(process_name(), launcher_name()))


def _record_changes(trail: Trail, settings: Settings) -> None:
    """Record which settings have changed: their names, not their values, which may be secrets."""
    note = audit_folder(settings) / _SETTINGS
    now = _digests(settings)
    try:
        then: dict[str, str] | None = json.loads(note.read_text())
    except (FileNotFoundError, ValueError):
        then = None
    changed = (
        []
        if then is None
        else sorted(each for each in now.keys() | then.keys() if now.get(each) != then.get(each))
    )
    if changed:
        kind = (
            Alert.SECURITY_CONFIGURATION
            if any(each.startswith(("dicom.", "audit.", "http.")) for each in changed)
            else Alert.SOFTWARE_CONFIGURATION
        )
        trail.record(
            alerted(
                kind,
                trail.node.takes_part(is_requestor=True),
                Node("settings", is_ae=False),
                f"settings changed since the last start: {', '.join(changed)}",
            )
        )
    if changed or then is None:
        note.write_text(json.dumps(now))


def _digests(settings: Settings) -> dict[str, str]:
    """A hash of each setting, by its dotted name."""
    found: dict[str, str] = {}
    for table, value in settings.model_dump(mode="json").items():
        values = (
            {f"{table}.{name}": each for name, each in value.items()}
            if isinstance(value, dict)
            else {table: value}
        )
        for name, each in values.items():
            found[name] = hashlib.sha256(json.dumps(each, sort_keys=True).encode()).hexdigest()
    return found
