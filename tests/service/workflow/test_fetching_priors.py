from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_nodes.network.archive_query import HeldStudy
from dicom_nodes.network.instance_store import StoreStatus
from dicom_nodes.network.peer import Peer
from dicom_nodes.network.storage_scu import send_files
from service.catalogue import priors, studies
from service.catalogue.priors import WantedPrior
from service.demo_orthanc import Modality, OrthancServer, free_ports
from service.patient_identity import PatientIdentity
from service.settings import PriorSettings, PriorSource, Settings, WebPriorSource
from service.workflow import completion
from service.workflow.delivery import DeliveryState
from service.workflow.fetching_priors import analyses_with_priors, earlier_studies
from tests.peers.programs import QueryRetrieveSCP, new_dcmqrscp
from tests.service.workflow.priors_at_hand import (
    MR,
    PHOTOGRAPH,
    STL,
    EarlierStudy,
    FetchingNode,
    fetching_node,
    storage_port,
    write_study,
)

TRUE_COLOUR_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.4"
PATIENT = PatientIdentity("P1", "", "Wang^XiaoDong", "19850203")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[FetchingNode]:
    with fetching_node(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def present(node: FetchingNode, tmp_path: Path) -> EarlierStudy:
    """A follow-up that has just arrived."""
    study = write_study(tmp_path / "present", "20261120", kinds=((PHOTOGRAPH, "XC"), (STL, "M3D")))
    for file in study.files:
        node.push(file)
    return study


def source(port: int, retrieve: str = "C-GET", ae_title: str = "ORTHANC") -> PriorSource:
    return PriorSource.model_validate(
        {
            "name": "pacs",
            "ae_title": ae_title,
            "address": "127.0.0.1",
            "port": port,
            "retrieve": retrieve,
        }
    )


def fill(archive: OrthancServer | QueryRetrieveSCP, *held: EarlierStudy) -> None:
    peer = Peer("archive", archive.ae_title, "127.0.0.1", archive.dicom_port, "HEMIFACE")
    for study in held:
        assert all(each.accepted for each in send_files(peer, study.files))


def listed(uid: str, study_date: str, **changes: str) -> HeldStudy:
    known = {"patient_id": "P1", "patient_name": "Wang^XiaoDong", "birth_date": "19850203"}
    return HeldStudy(uid, study_date, issuer_of_patient_id="", **{**known, **changes})


def chosen(*held: HeldStudy, **limits: int) -> list[str]:
    found = earlier_studies(held, PATIENT, "1.1", "20261120", PriorSettings(**limits))
    return [each.study_instance_uid for each in found]


def test_the_newest_study_is_worth_most_and_then_the_oldest() -> None:
    held = [listed(f"1.2.{year}", f"{year}0101") for year in (2023, 2021, 2024, 2022)]
    assert chosen(*held) == ["1.2.2024", "1.2.2021", "1.2.2023", "1.2.2022"]


def test_later_and_undated_studies_and_the_study_itself_are_no_priors() -> None:
    assert chosen(listed("1.1", "20250101"), listed("1.2", "20270101"), listed("1.3", "")) == []
    assert chosen(listed("1.4", "20261120"), listed("1.5", "2026????")) == ["1.4"]


def test_a_study_beyond_the_age_limit_is_left() -> None:
    held = (listed("1.2", "20260101"), listed("1.3", "20240101"))
    assert chosen(*held, maximum_age_days=365) == ["1.2"]


def test_a_study_listed_under_the_same_id_for_another_person_is_left() -> None:
    assert chosen(listed("1.2", "20250101", birth_date="19700101")) == []
    assert chosen(listed("1.2", "20250101", patient_id="P1 ")) == []


def test_nothing_is_looked_for_without_a_source() -> None:
    job = completion.Job("photograph-symmetry", ("1.2",), "key")
    assert analyses_with_priors(Settings(), [job]) == []
    with_source = Settings(priors=PriorSettings(sources=(source(104),)))
    assert analyses_with_priors(with_source, [job]) == ["photograph-symmetry"]


@pytest.mark.peer
def test_a_series_that_an_archive_cannot_send_does_not_keep_back_the_others(
    node: FetchingNode, present: EarlierStudy, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    archive = new_dcmqrscp(tmp_path / "archive", peers={"HEMIFACE": port})
    archive.start()
    try:
        node = node.with_source(
            source(archive.dicom_port, "C-MOVE", archive.ae_title), maximum_attempts=2
        )
        earlier = write_study(tmp_path, "20240101", kinds=((STL, "M3D"), (PHOTOGRAPH, "XC")))
        fill(archive, earlier)
        with storage_port(node, port):
            assert node.fetch(present)["state"] == DeliveryState.WAITING
            assert [each.sop_class_uid for each in node.instances(earlier)] == [PHOTOGRAPH]
            last = node.fetch(present, attempt=1)
    finally:
        archive.stop()
    assert last["state"] == DeliveryState.PARKED
    outcomes = {
        each.outcome for each in priors.priors_of_study(node.database, present.study_instance_uid)
    }
    assert {each.split(":")[0] for each in outcomes if each} == {
        "here",
        "given up after 2 attempts",
    }


def test_an_archive_that_is_away_is_waited_for_until_the_attempts_are_used_up(
    node: FetchingNode, present: EarlierStudy
) -> None:
    away = node.with_source(source(free_ports(1)[0]), maximum_attempts=3)
    assert away.fetch(present, attempt=1)["state"] == DeliveryState.WAITING
    last = away.fetch(present, attempt=2)
    assert last["state"] == DeliveryState.PARKED
    assert "cannot be reached" in last["reason"]


def want(node: FetchingNode, present: EarlierStudy, earlier: EarlierStudy) -> WantedPrior:
    header = dcmread(earlier.files[0])
    wanted = WantedPrior(
        present.study_instance_uid,
        earlier.study_instance_uid,
        str(header.SeriesInstanceUID),
        str(header.SOPInstanceUID),
        str(header.SOPClassUID),
        "pacs",
    )
    priors.want(node.database, [wanted])
    return wanted


def test_what_comes_by_a_move_that_nobody_asked_for_is_refused(
    node: FetchingNode, tmp_path: Path
) -> None:
    earlier = write_study(tmp_path, "20240101")
    arrival = node.arrival(earlier.files[0], move_originator_ae_title="HEMIFACE")
    assert node.gate.accept(arrival) is StoreStatus.NOT_AUTHORIZED
    assert not arrival.path.exists()
    assert studies.uncatalogued(node.database, 10) == []


def test_what_somebody_else_has_moved_here_is_sent_for_its_own_sake(
    node: FetchingNode, present: EarlierStudy, tmp_path: Path
) -> None:
    earlier = write_study(tmp_path, "20240101")
    arrival = node.arrival(earlier.files[0], move_originator_ae_title="WORKSTATION")
    assert node.gate.accept(arrival) is StoreStatus.SUCCESS
    node.catalogue()
    assert [each.prior for each in node.instances(earlier)] == [False]


@pytest.mark.parametrize("originator", ["HEMIFACE", "ARCHIVE", None])
def test_only_the_move_that_is_pending_brings_a_prior(
    node: FetchingNode, present: EarlierStudy, tmp_path: Path, originator: str | None
) -> None:
    node = node.with_source(source(104, "C-MOVE", "ARCHIVE"))
    earlier = write_study(tmp_path, "20240101")
    wanted = want(node, present, earlier)
    priors.note_move(node.database, [wanted], 7)
    arrival = node.arrival(
        earlier.files[0],
        calling_ae_title="ARCHIVE",
        move_originator_ae_title=originator,
        move_originator_message_id=None if originator is None else 7,
    )
    assert node.gate.accept(arrival) is StoreStatus.SUCCESS
    node.catalogue()
    (kept,) = node.instances(earlier)
    assert kept.prior


def test_an_instance_of_another_patient_is_refused_whatever_the_archive_listed(
    node: FetchingNode, present: EarlierStudy, tmp_path: Path
) -> None:
    other = write_study(tmp_path, "20240101", name="Li^DaMing")
    want(node, present, other)
    assert node.gate.accept_retrieved(node.arrival(other.files[0])) is StoreStatus.NOT_AUTHORIZED
    (known,) = priors.priors_of_study(node.database, present.study_instance_uid)
    assert not known.is_here
    assert "Patient's Name differs" in (known.outcome or "")


def test_a_prior_that_is_then_sent_for_its_own_sake_is_measured(
    node: FetchingNode, present: EarlierStudy, tmp_path: Path
) -> None:
    earlier = write_study(tmp_path, "20240101", kinds=((STL, "M3D"),))
    want(node, present, earlier)
    node.gate.accept_retrieved(node.arrival(earlier.files[0]))
    node.catalogue()
    assert planned(node, earlier) == 0
    node.push(earlier.files[0])
    assert planned(node, earlier) == 1
    (instance,) = node.instances(earlier)
    assert (instance.prior, instance.calling_ae_title) == (False, "CAMERA")


def test_what_is_sent_wins_over_a_prior_with_other_bytes(
    node: FetchingNode, present: EarlierStudy, tmp_path: Path
) -> None:
    earlier = write_study(tmp_path, "20240101", kinds=((STL, "M3D"),))
    want(node, present, earlier)
    node.gate.accept_retrieved(node.arrival(earlier.files[0]))
    changed = dcmread(earlier.files[0])
    changed.StudyDescription = "corrected"
    changed.save_as(earlier.files[0], enforce_file_format=True)
    node.push(earlier.files[0])
    (instance,) = node.instances(earlier)
    assert node.stored.read(instance.key) == earlier.files[0].read_bytes()
    assert planned(node, earlier) == 1
    (replaced,) = studies.unusable(node.database, 10)
    assert "fetched as a prior" in replaced.reason


def planned(node: FetchingNode, study: EarlierStudy) -> int:
    known = studies.known_study(node.database, study.study_instance_uid)
    assert known is not None
    return len(completion.plan(known, node.settings, known.last_arrival).jobs)


@pytest.mark.peer
@pytest.mark.parametrize("retrieve", ["C-GET", "C-MOVE"])
def test_orthanc_brings_the_useful_priors_of_this_patient_once(
    start_orthanc: Callable[..., OrthancServer],
    node: FetchingNode,
    present: EarlierStudy,
    tmp_path: Path,
    retrieve: str,
) -> None:
    (port,) = free_ports(1)
    orthanc = start_orthanc(modalities=[Modality("hemiface", "HEMIFACE", port)])
    check_fetching(node.with_source(source(orthanc.dicom_port, retrieve)), orthanc, present,
                   tmp_path, port)  # fmt: skip


@pytest.mark.peer
def test_orthanc_brings_the_useful_priors_of_this_patient_once_by_dicomweb(
    start_orthanc: Callable[..., OrthancServer],
    node: FetchingNode,
    present: EarlierStudy,
    tmp_path: Path,
) -> None:
    (port,) = free_ports(1)
    orthanc = start_orthanc(modalities=[Modality("hemiface", "HEMIFACE", port)])
    web = WebPriorSource(name="pacs", url=f"{orthanc.client.url}/dicom-web")
    check_fetching(node.with_source(web), orthanc, present, tmp_path, port)


@pytest.mark.peer
@pytest.mark.parametrize("retrieve", ["C-GET", "C-MOVE"])
def test_dcmqrscp_brings_the_useful_priors_of_this_patient_once(
    node: FetchingNode, present: EarlierStudy, tmp_path: Path, retrieve: str
) -> None:
    (port,) = free_ports(1)
    archive = new_dcmqrscp(tmp_path / "archive", peers={"HEMIFACE": port})
    archive.start()
    try:
        check_fetching(
            node.with_source(source(archive.dicom_port, retrieve, archive.ae_title)),
            archive,
            present,
            tmp_path,
            port,
            # DCMTK 3.6.7 does not propose encapsulated STL when it sends by C-MOVE.
            second=(TRUE_COLOUR_CAPTURE, "XC"),
        )
    finally:
        archive.stop()


def check_fetching(
    node: FetchingNode,
    archive: OrthancServer | QueryRetrieveSCP,
    present: EarlierStudy,
    folder: Path,
    port: int,
    second: tuple[str, str] = (STL, "M3D"),
) -> None:
    both = write_study(folder, "20240101", kinds=((PHOTOGRAPH, "XC"), second, (MR, "MR")))
    only_mr = write_study(folder, "20250101", kinds=((MR, "MR"),))
    namesake = write_study(folder, "20230101", name="Li^DaMing", birth_date="19700101")
    fill(archive, both, only_mr, namesake)
    with storage_port(node, port):
        outcome = node.fetch(present)
    assert outcome["state"] == DeliveryState.DELIVERED, outcome
    assert "2 of 2 instances of 1 earlier studies are here" in outcome["reason"]
    (asked,) = node.trail.recorded
    assert node.trail.events() == ["Query"]
    assert b"P1" in asked.objects[0].query
    kept = node.instances(both)
    assert [each.prior for each in kept] == [True, True]
    assert {each.sop_class_uid for each in kept} == {PHOTOGRAPH, second[0]}
    assert node.instances(only_mr) == node.instances(namesake) == ()
    for file in both.files[:2]:
        uid = str(dcmread(file).SOPInstanceUID)
        key = next(each.key for each in kept if each.sop_instance_uid == uid)
        with node.stored.as_file(key) as path:
            assert dcmread(path) == dcmread(file)
    # Again, as after a crash: nothing is asked for twice, and nothing comes twice.
    with storage_port(node, port):
        assert node.fetch(present) == outcome
    assert len(node.instances(both)) == 2


@pytest.mark.peer
def test_no_more_is_fetched_than_the_limits_allow(
    start_orthanc: Callable[..., OrthancServer],
    node: FetchingNode,
    present: EarlierStudy,
    tmp_path: Path,
) -> None:
    orthanc = start_orthanc(modalities=[Modality("hemiface", "HEMIFACE", 1)])
    years = {
        year: write_study(tmp_path, f"{year}0101", kinds=((PHOTOGRAPH, "XC"), (PHOTOGRAPH, "XC")))
        for year in (2021, 2022, 2023, 2024)
    }
    fill(orthanc, *years.values())
    pacs = source(orthanc.dicom_port)
    node.with_source(pacs, maximum_studies=2).fetch(present)
    assert [year for year, study in years.items() if node.instances(study)] == [2021, 2024]
    node.with_source(pacs, maximum_studies=3, maximum_instances=5).fetch(present)
    assert len(node.instances(years[2023])) == 1
    node.with_source(pacs, maximum_bytes=1).fetch(present)
    assert node.instances(years[2022]) == ()
