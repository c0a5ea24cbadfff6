"""The TLS context of a listener, made anew when its files have changed.

Certificates are short-lived: a new one is put in the place of the old one while
the node runs, by a person or a program such as certbot.
"""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path

from dicom_nodes.network.tls import ServerTLS, server_context
from processing.measurement import PermanentFault

_LOGGER = logging.getLogger(__name__)

_Stamp = tuple[int, int, int] | None


class ReloadedTLS:
    """Gives the context for the next handshake.

    Its files are looked at before each handshake. Where one of them has changed
    a new context is made; where the new files are not usable the old context
    stays in use, and the log says so once for each change. That also holds for
    the moment between a new certificate and its private key.

    Parameters
    ----------
    tls : ServerTLS

    Raises
    ------
    PermanentFault
        If a file is missing or not usable now; the message names it.
    """

    def __init__(self, tls: ServerTLS) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        self._stamps = _stamps(tls)
        self._context = server_context(tls)

    def context(self) -> ssl.SSLContext:
        """The context of the files as they are, or as they were when they last were usable."""
        with self._lock:
            stamps = _stamps(self._tls)
            if stamps != self._stamps:
                self._stamps = stamps
                self._reload()
            return self._context

    def lasting_context(self) -> ssl.SSLContext:
        """A context for a server that keeps one: each handshake is answered by `context`.

        Raises
        ------
        PermanentFault
            If a file is missing or not usable now; the message names it.
        """
        context = server_context(self._tls)
        # Called for every ClientHello, also for one without a server name (RFC 6066, section 3).
        context.sni_callback = self._answer_anew
        return context

    def _answer_anew(
        self, handshake: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _first: ssl.SSLContext
    ) -> None:
        handshake.context = self.context()

    def _reload(self) -> None:
        try:
            self._context = server_context(self._tls)
        except PermanentFault as fault:
            _LOGGER.error("%s; the certificate that was read before stays in use", fault)
        else:
            _LOGGER.info("TLS: read %s anew", self._tls.certificate)


def _stamps(tls: ServerTLS) -> tuple[_Stamp, ...]:
    files = (tls.certificate, tls.private_key, tls.client_authorities)
    return tuple(None if each is None else _stamp(each) for each in files)


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
