"""OHIF as a hospital serves it: its built pages, beside the DICOMweb of a server.

`@ohif/app` on npm holds the built viewer. It is fetched once, into a folder that
lasts (`OHIF_CACHE`, else one below the user's cache), and checked by its integrity
hash as every npm package is.
"""

from __future__ import annotations

import http.server
import json
import os
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest

from tests.peers.programs import required, run

VERSION = "3.13.2"
CHROMIUM = "/usr/bin/chromium"
_PROXIED = ("/dicom-web", "/wado")
_PASSED_ON = ("accept", "content-type")


def built_app() -> Path:
    """The folder of the built viewer; fetched when it is not there yet."""
    cache = os.environ.get("OHIF_CACHE") or Path.home() / ".cache" / "hemiface"
    app = Path(cache) / f"ohif-{VERSION}"
    if not (app / "index.html").exists():
        _fetch(app)
    return app


def _fetch(app: Path) -> None:
    npm = required("/usr/bin/npm", "npm")
    app.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=app.parent) as folder:
        packed = run(
            npm,
            "pack",
            f"@ohif/app@{VERSION}",
            "--pack-destination",
            folder,
            timeout_seconds=600,
        )
        archives = list(Path(folder).glob("*.tgz"))
        if not archives:
            missing = f"npm could not fetch @ohif/app: {packed.stderr[-300:]}"
            if os.environ.get("CI"):
                pytest.fail(missing)
            pytest.skip(missing)
        with tarfile.open(archives[0]) as archive:
            archive.extractall(folder, filter="data")
        (Path(folder) / "package" / "dist").rename(app)


@contextmanager
def served(app: Path, server_url: str, port: int, token: str | None = None) -> Iterator[str]:
    """Serve the viewer, and the DICOMweb of a server beside it; gives the address.

    The token, where there is one, is put to what the viewer asks, as a hospital's
    portal does for the people who are logged in there.
    """
    handler = partial(_Pages, app, server_url, token)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.shutdown()
            thread.join()


class _Pages(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    extensions_map: ClassVar = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".wasm": "application/wasm",
        ".js": "text/javascript",
    }

    def __init__(self, app: Path, server_url: str, token: str | None, *args: object) -> None:
        self._app, self._server_url, self._token = app, server_url, token
        super().__init__(*args, directory=str(app))

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith(_PROXIED):
            self._pass_on(None)
        elif path == "/app-config.js":
            self._answer(HTTPStatus.OK, "text/javascript", _configuration())
        else:
            if not (self._app / path.lstrip("/")).is_file():
                self.path = "/index.html"  # a page of the viewer, which it routes itself
            super().do_GET()

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def end_headers(self) -> None:
        # What the viewer needs for shared memory between its threads.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def _pass_on(self, body: bytes | None) -> None:
        headers = {k: v for k, v in self.headers.items() if k.lower() in _PASSED_ON}
        # Servers write addresses of bulk data by the host they were asked as.
        headers["Host"] = self.headers.get("Host", "")
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self._server_url + self.path, body, headers)
        try:
            with urllib.request.urlopen(request) as answer:
                kind = answer.headers.get("Content-Type", "")
                self._answer(HTTPStatus(answer.status), kind, answer.read())
        except urllib.error.HTTPError as refusal:
            self._answer(HTTPStatus(refusal.code), "text/plain", refusal.read())

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _configuration() -> bytes:
    source = {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": "archive",
        "configuration": {
            "friendlyName": "Archive",
            "name": "archive",
            "wadoUriRoot": "/wado",
            "qidoRoot": "/dicom-web",
            "wadoRoot": "/dicom-web",
            "qidoSupportsIncludeField": True,
            "imageRendering": "wadors",
            "thumbnailRendering": "wadors",
            "enableStudyLazyLoad": True,
            "supportsFuzzyMatching": False,
            "supportsWildcard": True,
            "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
            "omitQuotationForMultipartRequest": True,
        },
    }
    configuration = {
        "routerBasename": None,
        "extensions": [],
        "modes": [],
        "showStudyList": True,
        "defaultDataSourceName": "archive",
        "maxNumberOfWebWorkers": 2,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": False,
        "investigationalUseDialog": {"option": "never"},
        "strictZSpacingForVolumeViewport": True,
        "dataSources": [source],
    }
    return f"window.config={json.dumps(configuration)};".encode()
