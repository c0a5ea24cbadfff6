"""Worklists of other makers: DCMTK's wlmscpfs, and the files that it and Orthanc serve."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_nodes.network.worklist_scu import ScheduledStep
from service.demo_orthanc import free_ports
from tests.peers.programs import required, serving

SCHEDULED = ScheduledStep(
    study_instance_uid="1.2.99",
    step_id="S1",
    patient_id="P1",
    patient_name="Wang^XiaoDong=王^小东",
    birth_date="19800102",
    sex="M",
    accession_number="A1",
    procedure_id="R1",
    procedure_description="Face before operation",
    priority="STAT",
    modality="XC",
    station_ae_title="STUDIO1",
    start_date="20261121",
)
"""A photograph that is ordered."""


def worklist_dataset(step: ScheduledStep, character_set: str = "ISO_IR 192") -> Dataset:
    """A scheduled step as an item of a worklist."""
    scheduled = Dataset()
    scheduled.ScheduledStationAETitle = step.station_ae_title
    scheduled.ScheduledStationName = step.station_name
    scheduled.ScheduledProcedureStepStartDate = step.start_date
    scheduled.ScheduledProcedureStepStartTime = step.start_time or "080000"
    scheduled.Modality = step.modality
    scheduled.ScheduledPerformingPhysicianName = "Doe^John"
    scheduled.ScheduledProcedureStepDescription = step.step_description or "Face"
    scheduled.ScheduledProcedureStepID = step.step_id
    dataset = Dataset()
    dataset.SpecificCharacterSet = character_set
    dataset.AccessionNumber = step.accession_number
    dataset.ReferringPhysicianName = step.referring_physician_name
    dataset.PatientName = step.patient_name
    dataset.PatientID = step.patient_id
    dataset.PatientBirthDate = step.birth_date
    dataset.PatientSex = step.sex
    dataset.StudyInstanceUID = step.study_instance_uid
    dataset.RequestedProcedureDescription = step.procedure_description
    dataset.RequestedProcedureID = step.procedure_id
    dataset.RequestedProcedurePriority = step.priority
    dataset.ScheduledProcedureStepSequence = [scheduled]
    return dataset


def write_worklist(folder: Path, *items: Dataset) -> None:
    """Write items as the files that wlmscpfs and Orthanc's plugin serve."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lockfile").touch()
    for number, item in enumerate(items):
        item.file_meta = FileMetaDataset()
        item.file_meta.MediaStorageSOPClassUID = "1.2.276.0.7230010.3.1.0.1"
        item.file_meta.MediaStorageSOPInstanceUID = f"1.2.276.0.7230010.3.1.4.{number + 1}"
        item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item.save_as(folder / f"{number}.wl", enforce_file_format=True)


@dataclass(slots=True)
class WorklistServer:
    """A wlmscpfs that serves the files in ``folder/AE_TITLE``."""

    folder: Path
    port: int
    ae_title: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return when it listens."""
        program = required("/usr/bin/wlmscpfs", "dcmtk")
        # Without -csk it drops Specific Character Set from its answers.
        self.process = serving(
            (program, "-csk", "-dfp", self.folder, self.port), self.port, self.ae_title
        )

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def new_wlmscpfs(folder: Path, ae_title: str = "RIS") -> WorklistServer:
    """A wlmscpfs on a free port, not started yet."""
    return WorklistServer(folder, free_ports(1)[0], ae_title)
