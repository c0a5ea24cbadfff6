from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from sqlalchemy import select

from service.catalogue.arrivals import Received
from service.catalogue.models import Instance, Quarantined, StowRequest
from service.settings import (
    DicomSettings,
    DicomwebClient,
    DicomwebSettings,
    HttpSettings,
    StorageSettings,
)
from service.workflow.completion import Evidence
from service.workflow.declarations import declaration_of
from tests.dicom_nodes.network.instances import SECONDARY_CAPTURE, SERIES, STUDY, write_instance
from tests.service.dicomweb.conftest import MULTIPART, Site, multipart_body

TOKEN = "a-token-of-the-viewer"


def referenced(answer: dict, tag: str = "00081199") -> list[str]:
    return [item["00081155"]["Value"][0] for item in answer.get(tag, {}).get("Value", [])]


def reasons(answer: dict, tag: str = "00081198") -> list[int]:
    return [item["00081197"]["Value"][0] for item in answer.get(tag, {}).get("Value", [])]


def rows(site: Site) -> list[Instance]:
    with site.database.sessions() as session:
        return list(session.scalars(select(Instance).order_by(Instance.id)))


def test_instances_are_kept_and_named_in_the_answer(site: Site, tmp_path: Path) -> None:
    files = [write_instance(tmp_path, number, rows=200) for number in (1, 2, 3)]
    answer = site.store(files)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    assert referenced(answer.json()) == [f"{SERIES}.{number}" for number in (1, 2, 3)]
    kept = rows(site)
    assert [each.calling_ae_title for each in kept] == ["DICOMWEB"] * 3
    for row, file in zip(kept, files, strict=True):
        with site.node.stored.as_file(row.key) as path:
            assert dcmread(path) == dcmread(file)
            assert path.stat().st_size == row.size_bytes


def test_preamble_and_private_meta_information_are_not_kept(site: Site, tmp_path: Path) -> None:
    file = write_instance(tmp_path, 1).read_bytes()
    assert site.store([b"MZ" + b"\x90" * 126 + file[128:]]).status_code == 200
    with site.node.stored.as_file(rows(site)[0].key) as path:
        assert path.read_bytes()[:128] == bytes(128)


def test_the_same_again_is_stored_and_held_once(site: Site, tmp_path: Path) -> None:
    file = write_instance(tmp_path, 1)
    assert site.store([file]).status_code == site.store([file]).status_code == 200
    assert len(rows(site)) == 1


def test_the_same_uid_with_other_bytes_goes_into_quarantine(site: Site, tmp_path: Path) -> None:
    first = write_instance(tmp_path, 1)
    site.store([first])
    other = dcmread(first)
    other.PatientName = "Another^Name"
    other.save_as(tmp_path / "other.dcm")
    assert site.store([tmp_path / "other.dcm"]).status_code == 200
    with site.database.sessions() as session:
        assert [each.sop_instance_uid for each in session.scalars(select(Quarantined))] == [
            f"{SERIES}.1"
        ]


def test_what_fails_is_named_with_its_reason_beside_what_is_stored(
    site: Site, tmp_path: Path
) -> None:
    good = write_instance(tmp_path, 1)
    command = write_instance(tmp_path, 2, sop_class="1.2.840.10008.1.1")  # Verification
    lying = bytearray(write_instance(tmp_path, 3).read_bytes())
    # The data set then says another SOP Instance UID than the meta information.
    at = lying.rindex(f"{SERIES}.3".encode())
    lying[at : at + len(SERIES) + 2] = f"{SERIES}.9".encode()
    answer = site.store([good, command, bytes(lying), b"no DICOM at all" * 20])
    assert answer.status_code == 202
    assert referenced(answer.json()) == [f"{SERIES}.1"]
    assert referenced(answer.json(), "00081198") == [f"{SERIES}.2", f"{SERIES}.3"]
    assert reasons(answer.json()) == [0x0122, 0xA900]
    assert reasons(answer.json(), "0008119A") == [0xC000]
    assert len(rows(site)) == 1


def test_nothing_stored_is_a_conflict(site: Site) -> None:
    assert site.store([b"no DICOM at all"]).status_code == 409


def test_a_full_disk_is_told_as_such(start_site: Callable[..., Site], tmp_path: Path) -> None:
    site = start_site(storage=StorageSettings(reserve_bytes=2**62))
    answer = site.store([write_instance(tmp_path, 1)])
    assert answer.status_code == 507
    assert reasons(answer.json()) == [0xA700]
    assert rows(site) == []


def test_the_settings_restrict_sop_classes_and_transfer_syntaxes(
    start_site: Callable[..., Site], tmp_path: Path
) -> None:
    file = write_instance(tmp_path, 1)
    only_mr = DicomSettings(sop_classes=("1.2.840.10008.5.1.4.1.1.4",))
    assert reasons(start_site(dicom=only_mr).store([file]).json()) == [0x0122]
    only_jpeg = DicomSettings(transfer_syntaxes=("1.2.840.10008.1.2.4.50",))
    assert reasons(start_site(dicom=only_jpeg).store([file]).json()) == [0xC122]
    both = DicomSettings(
        sop_classes=(SECONDARY_CAPTURE,), transfer_syntaxes=("1.2.840.10008.1.2.1",)
    )
    assert start_site(dicom=both).store([file]).status_code == 200


def test_an_instance_of_another_study_than_the_address_is_refused(
    site: Site, tmp_path: Path
) -> None:
    file = write_instance(tmp_path, 1)
    answer = site.store([file], "/studies/1.2.3")
    assert (answer.status_code, reasons(answer.json())) == (409, [0xA900])
    assert rows(site) == []
    left = (site.settings.data_folder / "instances").rglob("*.dcm")
    assert all(each.stat().st_size == 0 for each in left)  # prepared names only
    assert site.store([file], f"/studies/{STUDY}").status_code == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/dicom", 415),
        ('multipart/related; type="application/dicom+json"; boundary=x', 415),
        ('multipart/related; type="application/dicom+xml"; boundary=x', 415),
        ('multipart/related; type="application/dicom"', 400),
        ("", 415),
    ],
)
def test_other_bodies_are_refused_in_words(site: Site, content_type: str, status: int) -> None:
    answer = site.ask("POST", "/studies", content=b"x", headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert answer.text.strip()


def test_a_body_that_breaks_off_keeps_what_was_whole_and_says_so(
    site: Site, tmp_path: Path
) -> None:
    files = [write_instance(tmp_path, number) for number in (1, 2)]
    body = multipart_body(files)
    answer = site.ask("POST", "/studies", content=body[:-2000], headers={"Content-Type": MULTIPART})
    assert answer.status_code == 400
    assert "ends before its closing boundary" in answer.headers["warning"]
    assert (
        referenced(answer.json())
        == [f"{SERIES}.1"]
        == [each.sop_instance_uid for each in rows(site)]
    )


def test_a_sender_that_falls_silent_is_not_waited_for(
    start_site: Callable[..., Site], tmp_path: Path
) -> None:
    site = start_site(dicomweb=DicomwebSettings(idle_timeout_seconds=0.05))
    body = multipart_body([write_instance(tmp_path, 1)])

    async def silent() -> Iterator[bytes]:
        import asyncio

        yield body[:-500]
        await asyncio.sleep(3)
        yield body[-500:]

    import asyncio

    import httpx

    from service.dicomweb.application import dicomweb_application

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(dicomweb_application(site.node))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.post(
                "/studies", content=silent(), headers={"Content-Type": MULTIPART}
            )

    assert asyncio.run(ask()).status_code == 408
    assert rows(site) == []


def test_one_request_is_evidence_of_a_complete_set(site: Site, tmp_path: Path) -> None:
    site.store([write_instance(tmp_path, number) for number in (1, 2)])
    assert declaration_of(site.database, site.settings, STUDY) is None  # nothing catalogued yet
    site.catalogue()
    declaration = declaration_of(site.database, site.settings, STUDY)
    assert declaration is not None
    assert declaration.evidence == Evidence.STOW_REQUEST
    assert "one STOW-RS request of this machine" in declaration.detail
    # The quiet time first, then soon, when all of it is catalogued.
    assert [seconds for _, seconds in site.engine.looks] == [30, 2]


def test_a_request_that_ends_after_its_instances_are_catalogued_starts_the_study_too(
    site: Site, tmp_path: Path
) -> None:
    file = write_instance(tmp_path, 1)
    body = multipart_body([file])

    def pieces() -> Iterator[bytes]:
        yield body[:-4]
        yield body[-4:]

    site.ask("POST", "/studies", content=pieces(), headers={"Content-Type": MULTIPART})
    site.catalogue()
    site.engine.looks.clear()
    site.store([file])  # once more: catalogued long ago
    assert site.engine.looks == [(STUDY, 2)]


def test_an_image_from_elsewhere_or_a_failed_part_is_no_evidence(
    site: Site, tmp_path: Path
) -> None:
    site.store([write_instance(tmp_path, 1)])
    with site.node.stored.as_file(rows(site)[0].key) as first:
        key = site.node.reception.keys.next(rows(site)[0].received_at)
        other = write_instance(tmp_path, 2)
        site.node.stored.write(key, other.read_bytes())
        assert first.exists()
    site.node.reception.group_commit.commit(
        Received(
            f"{SERIES}.2", SECONDARY_CAPTURE, "1.2.840.10008.1.2.1", key, 1, 0,
            rows(site)[0].received_at, "CAMERA", "127.0.0.1",
        )
    )  # fmt: skip
    site.catalogue()
    assert declaration_of(site.database, site.settings, STUDY) is None
    site.store([other, b"no DICOM"])
    assert declaration_of(site.database, site.settings, STUDY) is None
    site.store([other])
    assert declaration_of(site.database, site.settings, STUDY) is not None


def test_a_client_that_sends_in_pieces_gives_no_evidence(
    start_site: Callable[..., Site], tmp_path: Path
) -> None:
    client = DicomwebClient(name="orthanc", token=TOKEN, sends_complete_sets=False)
    site = start_site(dicomweb=DicomwebSettings(clients=(client,)))
    authorized = {"Authorization": f"Bearer {TOKEN}"}
    assert site.store([write_instance(tmp_path, 1)], headers=authorized).status_code == 200
    with site.database.sessions() as session:
        assert session.scalars(select(StowRequest)).all() == []


def test_a_token_is_asked_for_where_clients_are_named(
    start_site: Callable[..., Site], tmp_path: Path
) -> None:
    clients = (
        DicomwebClient(name="camera", token=TOKEN, ae_title="CAMERA1"),
        DicomwebClient(name="viewer", token="another-token-of-ours", permissions=("query",)),
    )
    site = start_site(dicomweb=DicomwebSettings(clients=clients))
    file = write_instance(tmp_path, 1)
    for wrong in ({}, {"Authorization": "Bearer a-token-of-the-viewers"}, {"Authorization": TOKEN}):
        answer = site.store([file], headers=wrong)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
    forbidden = site.store([file], headers={"Authorization": "Bearer another-token-of-ours"})
    assert forbidden.status_code == 403
    assert site.store([file], headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200
    assert rows(site)[0].calling_ae_title == "CAMERA1"


def test_without_clients_an_open_address_is_closed(
    start_site: Callable[..., Site], tmp_path: Path
) -> None:
    site = start_site(http=HttpSettings(address="0.0.0.0"))
    answer = site.store([write_instance(tmp_path, 1)])
    assert answer.status_code == 403
    assert "dicomweb.clients" in answer.text
    assert rows(site) == []
