"""The ports that the node listens on, and whether they are free."""

from __future__ import annotations

import errno
import socket
import time
from typing import Final

import psutil

from processing.measurement import PermanentFault
from service.processes import Role
from service.settings import Settings

_POLL_SECONDS: Final = 0.25
_LEFT_OVER_SECONDS: Final = 30.0


def listening_ports(settings: Settings, role: Role) -> list[tuple[str, int, str]]:
    """Address, port and setting of each port that a role listens on."""
    if role is Role.WORK:
        return []
    dicom, http = settings.dicom, settings.http
    ports = [(dicom.address, dicom.port, "DICOM__PORT"), (http.address, http.port, "HTTP__PORT")]
    if dicom.tls.certificate is not None:
        ports.append((dicom.address, dicom.tls.port, "DICOM__TLS__PORT"))
    orders = settings.worklist.orders
    if orders.port is not None:
        ports.append((orders.address, orders.port, "WORKLIST__ORDERS__PORT"))
    return ports


def check_port_is_free(address: str, port: int, setting: str) -> None:
    """Return when a port can be listened on.

    Parts of a node whose supervisor was killed end within seconds; those are
    waited for.

    Raises
    ------
    PermanentFault
        If it cannot; the message names the setting that would change it.
    """
    deadline = time.monotonic() + _LEFT_OVER_SECONDS
    while (fault := _fault_of_port(address, port)) is not None:
        holder = _listener(port) if fault.errno == errno.EADDRINUSE else None
        if holder is None or not _is_left_over(holder) or time.monotonic() > deadline:
            raise PermanentFault(_port_as_text(address, port, setting, fault, holder)) from fault
        time.sleep(_POLL_SECONDS)


def _fault_of_port(address: str, port: int) -> OSError | None:
    try:
        family = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as fault:
        return fault
    return None


def _port_as_text(
    address: str, port: int, setting: str, fault: OSError, holder: psutil.Process | None
) -> str:
    variable = f"HEMIFACE_{setting}"
    match fault.errno:
        case errno.EADDRINUSE:
            by = f"process {holder.pid}" if holder else "another program"
            return (
                f"port {port} on {address} is in use by {by}; "
                f"stop that program, or set {variable} to another port"
            )
        case errno.EACCES:
            return (
                f"port {port} is kept for programs with more rights; "
                f"set {variable} to one above 1023"
            )
        case _:
            table = setting.removesuffix("__TLS__PORT").removesuffix("__PORT")
            return f"cannot listen on {address}: {fault.strerror}; set HEMIFACE_{table}__ADDRESS"


def _listener(port: int) -> psutil.Process | None:
    """The process that listens on a port, where the system tells."""
    for each in psutil.net_connections("tcp"):
        if each.status == psutil.CONN_LISTEN and each.laddr.port == port and each.pid:
            try:
                return psutil.Process(each.pid)
            except psutil.NoSuchProcess:
                return None
    return None


def _is_left_over(process: psutil.Process) -> bool:
    """Whether a process is a part of a node whose supervisor is gone."""
    try:
        parent = process.parent()
        has_supervisor = parent is not None and "serve" in parent.cmdline()
        return "service.part" in process.cmdline() and not has_supervisor
    except psutil.Error:
        return False
