"""A PACS that is down for a while gets every result once when it is back."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from service.demo_orthanc import Modality, OrthancServer, free_ports
from tests.durability.node import Node, wait_until
from tests.durability.studies import renewed, write_phantom

SR = "1.2.840.10008.5.1.4.1.1.88.34"

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.timeout(300)]


def test_results_arrive_after_the_pacs_is_back_none_lost_none_twice(tmp_path: Path) -> None:
    phantom = write_phantom(tmp_path / "phantom")
    dicom_port, *of_pacs = free_ports(3)
    modality = Modality("hemiface", "HEMIFACE", dicom_port)
    pacs = OrthancServer(
        tmp_path / "orthanc", modalities=[modality], http_port=of_pacs[0], dicom_port=of_pacs[1]
    )
    pacs.start()
    node = Node.delivering_to(tmp_path, pacs, {"HEMIFACE_DICOM__PORT": str(dicom_port)})
    node.dicom_port = dicom_port
    node.start()
    try:
        node.wait_until_listening()
        pacs.stop()
        studies = [renewed(phantom, tmp_path / f"study-{number}") for number in range(3)]
        for study in studies:
            node.send_until_acknowledged(study.files)
        wait_until(
            lambda: all(
                len(node.state(study.study_instance_uid)["results"]) == 2 for study in studies
            ),
            120,
            "all studies are measured while the PACS is away",
        )
        # Long enough for several attempts against the closed port.
        time.sleep(5)
        for study in studies:
            found = node.deliveries(study.study_instance_uid)
            assert {each["state"] for each in found} <= {"queued", "retrying"}, found
        # The node itself may go down and come back meanwhile.
        node.kill()
        node.start()
        node.wait_until_listening()
        pacs.start()

        def held() -> Counter[str]:
            return Counter(
                str(tags["StudyInstanceUID"])
                for study in studies
                for each in pacs.client.instances(study.study_instance_uid)
                if (tags := pacs.client.tags(each))["SOPClassUID"] == SR
            )

        expected = Counter({study.study_instance_uid: 2 for study in studies})
        wait_until(lambda: held() >= expected, 120, "all reports are in the PACS")
        time.sleep(4)
        assert held() == expected

        def confirmed() -> bool:
            found = [
                each for study in studies for each in node.deliveries(study.study_instance_uid)
            ]
            return len(found) == 6 and all(
                "storage commitment for all" in (each["detail"] or "") for each in found
            )

        wait_until(confirmed, 60, "each delivery is confirmed")
    finally:
        node.kill()
        pacs.kill()
        pacs.client.close()
