"""The worklist query against DCMTK's wlmscpfs and Orthanc's worklist plugin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.worklist_scu import ScheduledStep, WorklistQuery, find_scheduled
from service.demo_orthanc import Modality, OrthancServer, free_ports
from tests.peers.programs import required
from tests.peers.worklists import SCHEDULED, new_wlmscpfs, worklist_dataset, write_worklist

CHINESE = replace(
    SCHEDULED,
    referring_physician_name="Li^Ming=李^明",
    procedure_description="术前面部照相",
    step_description="Face",
    start_time="080000",
)
GERMAN = replace(
    CHINESE,
    study_instance_uid="1.2.98",
    step_id="S2",
    patient_name="Müller^Jörg",
    referring_physician_name="Größe^Änne",
    procedure_description="Gesicht präoperativ",
    station_ae_title="STUDIO2",
)
RESONANCE = replace(CHINESE, study_instance_uid="1.2.97", step_id="S3", modality="MR")
TOMORROW = replace(CHINESE, study_instance_uid="1.2.96", step_id="S4", start_date="20261122")
ITEMS = (
    worklist_dataset(CHINESE, "GB18030"),
    worklist_dataset(GERMAN, "ISO_IR 100"),
    worklist_dataset(RESONANCE),
    worklist_dataset(TOMORROW),
)
TODAY = WorklistQuery(date(2026, 11, 21), date(2026, 11, 21), modalities=("XC",))

pytestmark = [pytest.mark.peer]


def peer(ae_title: str, port: int) -> Peer:
    return Peer(
        name="ris", ae_title=ae_title, address="127.0.0.1", port=port, own_ae_title="HEMIFACE"
    )


@pytest.fixture(scope="module", params=["wlmscpfs", "Orthanc"])
def ris(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder = tmp_path_factory.mktemp("ris")
    write_worklist(folder / "RIS", *ITEMS)
    if request.param == "wlmscpfs":
        server = new_wlmscpfs(folder)
        server.start()
        yield peer("RIS", server.port)
        server.stop()
        return
    required("/usr/share/orthanc/plugins/libModalityWorklists.so", "orthanc")
    # Orthanc answers the worklist query of peers that it knows.
    node = Modality("hemiface", "HEMIFACE", free_ports(1)[0])
    with OrthancServer(folder / "orthanc", modalities=[node], worklist=folder / "RIS") as orthanc:
        yield peer("ORTHANC", orthanc.dicom_port)


@pytest.mark.parametrize(
    ("query", "steps"),
    [
        (TODAY, {CHINESE, GERMAN}),
        (replace(TODAY, modalities=("XC", "MR")), {CHINESE, GERMAN, RESONANCE}),
        (replace(TODAY, modalities=()), {CHINESE, GERMAN, RESONANCE}),
        (replace(TODAY, stations=("STUDIO2", "STUDIO3")), {GERMAN}),
        (replace(TODAY, last_day=date(2026, 11, 22)), {CHINESE, GERMAN, TOMORROW}),
        (replace(TODAY, first_day=date(2027, 1, 1), last_day=date(2027, 1, 2)), set()),
    ],
)
def test_what_is_scheduled_comes_with_every_name_as_it_is_written(
    ris: Peer, query: WorklistQuery, steps: set[ScheduledStep]
) -> None:
    answer = find_scheduled(ris, query)
    assert set(answer.steps) == steps
    assert answer.rejected == ()
