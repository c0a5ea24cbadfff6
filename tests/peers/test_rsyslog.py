"""The audit trail into a real repository: rsyslog over TLS, that goes away and comes back."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom_nodes.audit.events import AuditedStudy, Node, transferred
from dicom_nodes.audit.messages import AuditSource, encode
from dicom_nodes.audit.syslog import Repository
from dicom_nodes.network.tls import ClientTLS
from service.audit.chain import Chain, Entry
from service.audit.forwarding import Forwarder
from service.demo_orthanc import free_ports
from tests.dicom_nodes.audit.schema import event_of, valid
from tests.dicom_nodes.network.certificates import Authority
from tests.durability.node import wait_until

RSYSLOG = "/usr/sbin/rsyslogd"
STREAM_DRIVER = Path("/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so")
IS_MISSING = not (Path(RSYSLOG).exists() and STREAM_DRIVER.exists())

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peer,
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        IS_MISSING and not os.environ.get("CI"), reason="needs rsyslog and rsyslog-gnutls"
    ),
]


def configuration(folder: Path, port: int, authority: Authority, server: tuple[Path, Path]) -> str:
    return f"""
global(workDirectory="{folder}"
       maxMessageSize="64k"
       defaultNetstreamDriver="gtls"
       defaultNetstreamDriverCAFile="{authority.certificate}"
       defaultNetstreamDriverCertFile="{server[0]}"
       defaultNetstreamDriverKeyFile="{server[1]}")
module(load="imtcp"
       StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
template(name="kept" type="string"
         string="%pri%|%protocol-version%|%app-name%|%procid%|%msgid%|%msg%\\n")
input(type="imtcp" port="{port}" address="127.0.0.1")
action(type="omfile" file="{folder}/kept.log" template="kept" asyncWriting="off")
"""


@contextmanager
def rsyslog(folder: Path, config: Path) -> Iterator[None]:
    with (folder / "rsyslog.err").open("ab") as said:
        process = subprocess.Popen(
            [RSYSLOG, "-n", "-f", str(config), "-i", str(folder / "pid")],
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def test_rsyslog_keeps_every_message_though_it_was_away(tmp_path: Path) -> None:
    assert shutil.which(RSYSLOG), "rsyslog is missing"
    authority = Authority(tmp_path)
    (port,) = free_ports(1)
    folder = tmp_path / "rsyslog"
    folder.mkdir()
    config = tmp_path / "rsyslog.conf"
    server = authority.issue("localhost", rsa_key=True)
    config.write_text(configuration(folder, port, authority, server))
    chain = Chain(tmp_path / "audit", 100_000)
    tls = ClientTLS(authority.certificate, *authority.issue("node", rsa_key=True))
    sending = Forwarder(
        tmp_path / "audit", Repository("127.0.0.1", port, tls=tls), first_retry_seconds=0.2
    )
    stopped = threading.Event()
    thread = threading.Thread(target=sending.run, args=(stopped,))
    thread.start()
    try:
        record(chain, 0, 50)
        with rsyslog(folder, config):
            wait_until(lambda: len(kept(folder)) >= 50, 30, "rsyslog has the first messages")
        record(chain, 50, 150)
        with rsyslog(folder, config):
            record(chain, 150, 200)
            wait_until(lambda: len({each[3] for each in kept(folder)}) == 200, 60, "all are there")
    finally:
        stopped.set()
        thread.join(20)
    for priority, version, application, _, message_id, message in kept(folder):
        assert (priority, version, application, message_id) == (
            "85",
            "1",
            "hemiface",
            "DICOM+RFC3881",
        )
        assert event_of(valid(message.lstrip("\ufeff"))) == "DICOM Instances Transferred"
    assert "Müller^Käthe" in kept(folder)[0][5]


def record(chain: Chain, first: int, end: int) -> None:
    study = AuditedStudy("1.2.3", "0815", "Müller^Käthe\n<x>", {"1.2.4": 3})
    message = transferred(Node("CAMERA", "10.0.0.7"), Node("HEMIFACE"), study)
    xml = encode(message, AuditSource("node"))
    chain.append([Entry(datetime.now(UTC), xml) for _ in range(first, end)])


def kept(folder: Path) -> list[list[str]]:
    path = folder / "kept.log"
    if not path.exists():
        return []
    return [line.split("|", 5) for line in path.read_text().split("\n") if line.count("|") >= 5]
