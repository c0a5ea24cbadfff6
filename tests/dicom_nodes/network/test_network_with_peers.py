"""The network services against DCMTK and Orthanc."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.query_scu import find_instances
from dicom_nodes.network.storage_scu import send_files
from dicom_nodes.network.tls import ServerTLS
from dicom_nodes.network.verification_scu import echo
from processing.measurement import TransientFault
from service.demo_orthanc import Modality
from tests.dicom_nodes.network.certificates import Authority
from tests.dicom_nodes.network.instances import SERIES, STUDY, write_instance
from tests.dicom_nodes.network.listening import listening
from tests.peers.programs import StoreSCP, echoscu, required, run, storescu

pytestmark = pytest.mark.peer


def test_dcmtk_verifies_the_node(tmp_path: Path) -> None:
    with listening(tmp_path) as node:
        assert echoscu(node.port).returncode == 0


def test_dcmtk_cannot_shut_the_node_down(tmp_path: Path) -> None:
    """`termscu` asks by DCMTK's private service, which ends DCMTK's own servers."""
    with listening(tmp_path) as node:
        termscu = required("/usr/bin/termscu", "dcmtk")
        asked = run(termscu, "-v", "127.0.0.1", str(node.port))
        assert "Association Accepted" in asked.stderr
        assert echoscu(node.port).returncode == 0


@pytest.mark.parametrize(
    ("transfer_syntax", "option"),
    [(ExplicitVRLittleEndian, "-x="), (ImplicitVRLittleEndian, "-xi"), (JPEGBaseline8Bit, "-xy")],
)
def test_dcmtk_stores_files_as_they_are(tmp_path: Path, transfer_syntax: UID, option: str) -> None:
    files = [
        write_instance(tmp_path / "files", number, transfer_syntax=transfer_syntax)
        for number in range(1, 6)
    ]
    with listening(tmp_path / "node") as node:
        sent = storescu(node.port, [tmp_path / "files"], options=(option, "-R"))
        assert sent.returncode == 0, sent.stderr
        arrived = {dcmread(each).SOPInstanceUID: each for each in node.files()}
    assert len(arrived) == 5
    for file in files:
        here, there = dcmread(file), dcmread(arrived[dcmread(file).SOPInstanceUID])
        assert here == there
        assert here.file_meta.TransferSyntaxUID == there.file_meta.TransferSyntaxUID


def test_dcmtk_is_told_when_it_is_not_allowed(tmp_path: Path) -> None:
    write_instance(tmp_path / "files", 1)
    with listening(tmp_path / "node", calling_ae_titles=("PACS",)) as node:
        refused = storescu(node.port, [tmp_path / "files"])
        assert refused.returncode != 0
        assert "Calling AE Title Not Recognized" in refused.stderr + refused.stdout
        assert storescu(node.port, [tmp_path / "files"], calling="PACS").returncode == 0


@pytest.mark.parametrize("profile", ["+py", "+px"])
def test_dcmtk_stores_over_tls(tmp_path: Path, profile: str) -> None:
    program = required("/usr/bin/storescu", "dcmtk")
    authority = Authority(tmp_path)
    server = ServerTLS(*authority.issue("localhost", rsa_key=True), authority.certificate, True)
    certificate, key = authority.issue("client", rsa_key=True)
    file = write_instance(tmp_path / "files", 1, rows=600)
    with listening(tmp_path / "node", tls=server) as node:
        sent = run(
            program, "-aec", "HEMIFACE", profile, "+cf", authority.certificate,
            "+tls", key, certificate, "127.0.0.1", str(node.port), file,
        )  # fmt: skip
        assert sent.returncode == 0, sent.stderr
        assert len(node.files()) == 1
        unknown = run(program, "-aec", "HEMIFACE", "+tla", "-ic", "127.0.0.1", str(node.port), file)
        assert unknown.returncode != 0


def peer_of(server: StoreSCP) -> Peer:
    return Peer("archive", server.ae_title, "127.0.0.1", server.port, "HEMIFACE")


def test_files_are_stored_by_dcmtk(tmp_path: Path, storescp: StoreSCP) -> None:
    files = [
        write_instance(tmp_path, 1),
        write_instance(tmp_path, 2, transfer_syntax=JPEGBaseline8Bit),
        write_instance(tmp_path, 3, transfer_syntax=ImplicitVRLittleEndian),
    ]
    outcomes = send_files(peer_of(storescp), files)
    assert [each.reason for each in outcomes] == [""] * 3
    assert {dcmread(each).SOPInstanceUID for each in storescp.stored()} == {
        f"{SERIES}.{number}" for number in (1, 2, 3)
    }


def test_dcmtk_is_verified_and_missed_when_it_is_down(storescp: StoreSCP) -> None:
    echo(peer_of(storescp))
    storescp.stop()
    with pytest.raises(TransientFault, match="refused"):
        echo(peer_of(storescp))


def test_dcmtk_offers_no_query(storescp: StoreSCP) -> None:
    assert find_instances(peer_of(storescp), STUDY, SERIES, [f"{SERIES}.1"]) is None


def test_orthanc_says_what_it_holds(tmp_path: Path, start_orthanc: Callable[..., Any]) -> None:
    orthanc = start_orthanc(modalities=[Modality("hemiface", "HEMIFACE", 11112)])
    peer = Peer("orthanc", "ORTHANC", "127.0.0.1", orthanc.dicom_port, "HEMIFACE")
    files = [write_instance(tmp_path, number) for number in (1, 2)]
    assert all(each.accepted for each in send_files(peer, files))
    wanted = [f"{SERIES}.{number}" for number in (1, 2, 3)]
    assert find_instances(peer, STUDY, SERIES, wanted) == set(wanted[:2])
    assert find_instances(peer, STUDY, None, wanted) == set(wanted[:2])
    assert find_instances(peer, "1.2.3.4", None, wanted) == frozenset()


@pytest.mark.slow
def test_no_response_is_lost_in_ten_thousand_instances(
    tmp_path: Path, start_storescp: Callable[..., StoreSCP]
) -> None:
    server = start_storescp(options=("--ignore",))
    files = [write_instance(tmp_path, number, rows=2) for number in range(1, 101)]
    for _ in range(100):
        outcomes = send_files(peer_of(server), files)
        assert all(each.accepted for each in outcomes)


@pytest.mark.slow
def test_memory_stays_flat_from_2_mb_to_100_mb_instances(tmp_path: Path) -> None:
    """In a process of its own, whose peak is that of receiving.

    Of its own memory only: `getrusage` also counts who started it, up to the start.
    """
    program = required("/usr/bin/storescu", "dcmtk")
    script = """
import re, sys
from pathlib import Path
from uuid import uuid4
from dicom_nodes.network.instance_store import StoreStatus
from dicom_nodes.network.storage_scp import ListenOptions, start_listening
listener = start_listening(
    ListenOptions("HEMIFACE", "127.0.0.1", 0), lambda arrival: StoreStatus.SUCCESS,
    place=lambda: Path(sys.argv[1]) / uuid4().hex, room=lambda: True)
print(listener.port, flush=True)
for _ in sys.stdin:
    print(re.search("VmHWM:.*?([0-9]+)", Path("/proc/self/status").read_text())[1], flush=True)
"""
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", script, str(incoming)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[3],
    ) as receiver:
        assert receiver.stdin is not None
        assert receiver.stdout is not None
        port = receiver.stdout.readline().strip()

        def peak_kb_after(rows: int, count: int) -> int:
            folder = tmp_path / f"{rows}"
            for number in range(1, count + 1):
                write_instance(folder, number, rows=rows)
            senders = [
                subprocess.Popen(
                    [program, "+sd", "-R", "127.0.0.1", port, str(folder)],
                    env={**os.environ, "TCP_NODELAY": "1"},
                )
                for _ in range(4)
            ]
            assert all(each.wait(60) == 0 for each in senders)
            receiver.stdin.write("\n")
            receiver.stdin.flush()
            return int(receiver.stdout.readline())

        small = peak_kb_after(1448, 25)  # 4 x 25 instances of 2 MB
        large = peak_kb_after(10240, 1)  # 4 x 1 of 105 MB
        receiver.kill()
    assert large - small < 10_000, f"{small} KB, then {large} KB"
