from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dicom_nodes.network.storage_scu import Fault
from dicom_nodes.network.tls import ClientTLS
from dicom_nodes.web.multipart import PartData, multipart_events
from dicom_nodes.web.qido_client import find_instances
from dicom_nodes.web.stow_client import store_files
from dicom_nodes.web.web_peer import WebPeer
from processing.measurement import PermanentFault, TransientFault
from service.demo_orthanc import free_ports
from tests.dicom_nodes.network.instances import SECONDARY_CAPTURE, SERIES, write_instance
from tests.dicom_nodes.web.scripted_server import Scripted, answering


def listed(*uids: str) -> dict[str, Any]:
    return {
        "vr": "SQ",
        "Value": [
            {
                "00081150": {"vr": "UI", "Value": [SECONDARY_CAPTURE]},
                "00081155": {"vr": "UI", "Value": [uid]},
            }
            for uid in uids
        ],
    }


def failed(uid: str, reason: int) -> dict[str, Any]:
    sequence = listed(uid)
    sequence["Value"][0]["00081197"] = {"vr": "US", "Value": [reason]}
    return sequence


def as_json(answer: object, status: int = 200) -> Scripted:
    return Scripted(status, json.dumps(answer).encode())


def test_files_go_as_they_are_in_one_request_of_known_length(tmp_path: Path) -> None:
    files = [write_instance(tmp_path, number) for number in (1, 2)]
    stored = as_json({"00081199": listed(f"{SERIES}.1", f"{SERIES}.2")})
    with answering(stored) as (url, asked):
        outcomes = store_files(WebPeer("pacs", url, token="secret-token"), files)
    assert all(each.accepted for each in outcomes)
    (request,) = asked
    assert request.path == "/dicom-web/studies"
    assert request.headers["authorization"] == "Bearer secret-token"
    boundary = request.headers["content-type"].rpartition("=")[2]
    events = multipart_events([request.body], boundary)
    content = b"".join(each.data for each in events if isinstance(each, PartData))
    assert content == b"".join(file.read_bytes() for file in files)


def test_user_and_password_are_sent_where_there_is_no_token(tmp_path: Path) -> None:
    with answering(Scripted(200)) as (url, asked):
        store_files(WebPeer("pacs", url, user="u", password="p"), [write_instance(tmp_path, 1)])
    assert asked[0].headers["authorization"] == "Basic dTpw"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Scripted(200), None),
        (Scripted(200, b"<xml/>"), None),
        (as_json({"00081199": listed(f"{SERIES}.1")}), None),
        (as_json({"00081198": failed(f"{SERIES}.1", 0x0111)}, 409), None),
        (as_json({"00081198": failed(f"{SERIES}.1", 0xA700)}, 202), Fault.TRANSIENT),
        (as_json({"00081198": failed(f"{SERIES}.1", 0xA900)}, 409), Fault.PERMANENT),
        (as_json({"00081198": failed(f"{SERIES}.1", 0xC000)}, 202), Fault.PERMANENT),
        (as_json({"00081199": listed("1.2.3")}), Fault.TRANSIENT),
        (Scripted(202), Fault.TRANSIENT),
        (Scripted(401), Fault.PERMANENT),
        (Scripted(403), Fault.PERMANENT),
        (Scripted(409), Fault.PERMANENT),
        (Scripted(413), Fault.PERMANENT),
        (Scripted(415), Fault.PERMANENT),
        (Scripted(429), Fault.TRANSIENT),
        (Scripted(301, headers={"Location": "http://127.0.0.1:1/"}), Fault.PERMANENT),
        (Scripted(500, b"out of memory"), Fault.TRANSIENT),
        (Scripted(501), Fault.PERMANENT),
        (Scripted(503), Fault.TRANSIENT),
        (Scripted(507), Fault.TRANSIENT),
        (as_json(["not", {"a": 1}]), None),
    ],
)
def test_what_an_answer_means_for_sending_again(
    tmp_path: Path, answer: Scripted, fault: Fault | None
) -> None:
    with answering(answer) as (url, _):
        (outcome,) = store_files(WebPeer("pacs", url), [write_instance(tmp_path, 1)])
    assert outcome.fault == fault
    assert bool(outcome.reason) or fault is None


def test_a_server_that_is_away_is_tried_again(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    peer = WebPeer("pacs", f"http://127.0.0.1:{port}/dicom-web")
    (outcome,) = store_files(peer, [write_instance(tmp_path, 1)])
    assert outcome.fault is Fault.TRANSIENT
    assert "does not answer" in outcome.reason
    with pytest.raises(TransientFault):
        find_instances(peer, "1.2", SERIES, ["9.9"])


def test_a_file_that_is_no_dicom_file_does_not_hold_up_the_others(tmp_path: Path) -> None:
    text = tmp_path / "text.dcm"
    text.write_text("no DICOM")
    with answering(as_json({"00081199": listed(f"{SERIES}.1")})) as (url, _):
        outcomes = store_files(WebPeer("pacs", url), [text, write_instance(tmp_path, 1)])
    assert [each.fault for each in outcomes] == [Fault.PERMANENT, None]


def instance_item(number: int) -> dict[str, Any]:
    return {"00080018": {"vr": "UI", "Value": [f"{SERIES}.{number}"]}}


def test_instances_are_found_over_several_pages() -> None:
    first = as_json([instance_item(number) for number in range(1000)])
    second = as_json([instance_item(number) for number in range(1000, 1010)])
    with answering(first, second) as (url, asked):
        held = find_instances(WebPeer("pacs", url), "1.2", SERIES, [f"{SERIES}.1005", "9.9"])
    assert held == {f"{SERIES}.1005"}
    assert [each.path.partition("offset=")[2] for each in asked] == ["0", "1000"]


def test_a_server_that_knows_no_offset_is_not_asked_for_ever() -> None:
    same = as_json([instance_item(number) for number in range(1000)])
    with answering(same) as (url, asked):
        find_instances(WebPeer("pacs", url), "1.2", SERIES, ["9.9"])
    assert len(asked) == 2


def test_tokens_are_not_shown() -> None:
    assert "secret" not in repr(WebPeer("pacs", "http://x", token="secret", password="secret"))


def test_an_untrusted_certificate_waits_for_a_person(tmp_path: Path) -> None:
    import ssl
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    from tests.dicom_nodes.network.certificates import Authority

    certificate, key = Authority(tmp_path, "theirs").issue("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    ours = Authority(tmp_path, "ours").certificate
    peer = WebPeer(
        "pacs", f"https://127.0.0.1:{server.server_address[1]}", tls=ClientTLS(authorities=ours)
    )
    try:
        with pytest.raises(PermanentFault, match="not trusted"):
            find_instances(peer, "1.2", SERIES, ["9.9"])
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
