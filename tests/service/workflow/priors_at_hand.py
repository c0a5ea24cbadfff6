"""A node in one process that fetches priors, and patients whose studies an archive holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

from dicom_nodes.network.instance_store import Arrival
from dicom_nodes.network.storage_scp import ListenOptions, start_listening
from dicom_nodes.objects.header import InstanceHeader, read_header
from service.analyses import facts_for_analyses
from service.audit.questions import QuestionAudit
from service.catalogue import studies
from service.catalogue.database import Database
from service.catalogue.stored_bytes import StoredBytes, open_stored_bytes
from service.prior_gate import PriorGate
from service.receive import Reception, reception_of
from service.settings import PriorSettings, PriorSource, Settings, StorageSettings, WebPriorSource
from service.workflow.fetching_priors import PriorFetching
from tests.dicom_nodes.network.instances import write_instance
from tests.migrated import empty_catalogue
from tests.service.audit.watched_trail import WatchedTrail

PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.77.1.4"
STL = "1.2.840.10008.5.1.4.1.1.104.3"
MR = "1.2.840.10008.5.1.4.1.1.4"


@dataclass(frozen=True)
class EarlierStudy:
    """A study of an archive, one instance a series."""

    study_instance_uid: str
    files: tuple[Path, ...]

    @property
    def sop_instance_uids(self) -> set[str]:
        return {str(dcmread(each).SOPInstanceUID) for each in self.files}


def write_study(
    folder: Path,
    study_date: str,
    *,
    patient_id: str = "P1",
    name: str = "Wang^XiaoDong",
    birth_date: str = "19850203",
    kinds: tuple[tuple[str, str], ...] = ((PHOTOGRAPH, "XC"),),
) -> EarlierStudy:
    """A study with an instance of each kind (SOP class, modality)."""
    uid = generate_uid()
    files = []
    for number, (sop_class, modality) in enumerate(kinds):
        path = write_instance(folder / uid, number, sop_class=sop_class)
        instance = dcmread(path)
        instance.StudyInstanceUID = uid
        instance.SeriesInstanceUID = generate_uid()
        instance.SOPInstanceUID = generate_uid()
        instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
        instance.StudyDate = study_date
        instance.PatientID = patient_id
        instance.PatientName = name
        instance.PatientBirthDate = birth_date
        instance.Modality = modality
        instance.save_as(path, enforce_file_format=True)
        files.append(path)
    return EarlierStudy(uid, tuple(files))


@dataclass(frozen=True)
class FetchingNode:
    """What fetches, with the catalogue that shows what has come."""

    settings: Settings
    database: Database
    stored: StoredBytes
    reception: Reception
    trail: WatchedTrail = field(default_factory=WatchedTrail)

    @property
    def gate(self) -> PriorGate:
        return PriorGate(self.settings, self.database, self.reception)

    def with_source(self, source: PriorSource | WebPriorSource, **limits: int) -> FetchingNode:
        priors = (
            PriorSettings(sources=(source,), **limits)
            if isinstance(source, PriorSource)
            else PriorSettings(web_sources=(source,), **limits)
        )
        return replace(self, settings=self.settings.model_copy(update={"priors": priors}))

    def push(self, file: Path) -> None:
        """Have a file arrive for its own sake."""
        self.gate.accept(self.arrival(file))
        self.catalogue()

    def arrival(self, file: Path, **changes: object) -> Arrival:
        header = read_header(file)
        path = self.reception.place()
        path.write_bytes(file.read_bytes())
        arrival = Arrival(
            path=path,
            sop_class_uid=header.sop_class_uid,
            sop_instance_uid=header.sop_instance_uid,
            transfer_syntax_uid=header.transfer_syntax_uid,
            calling_ae_title="CAMERA",
            called_ae_title="HEMIFACE",
            peer_address="127.0.0.1",
            dataset_offset=0,
            size_bytes=path.stat().st_size,
        )
        return replace(arrival, **changes)  # type: ignore[arg-type]  # names are of its fields

    def catalogue(self) -> None:
        """Read the headers of what has arrived."""
        batch = []
        for each in studies.uncatalogued(self.database, 1000):
            with self.stored.as_file(each.key) as path:
                header = read_header(path)
            batch.append(
                studies.Catalogued(each, _facts(header), facts_for_analyses(header), None, False)
            )
        studies.record(self.database, batch)

    def fetch(self, study: EarlierStudy, attempt: int = 0) -> dict[str, str]:
        analyses = ["photograph-symmetry", "surface-symmetry"]
        fetching = PriorFetching(
            self.settings, self.database, self.reception, QuestionAudit(self.trail).asked
        )
        outcome = fetching.fetch(study.study_instance_uid, analyses, attempt)
        self.catalogue()
        return outcome

    def instances(self, study: EarlierStudy) -> tuple[studies.KnownInstance, ...]:
        known = studies.known_study(self.database, study.study_instance_uid)
        return () if known is None else known.instances


def _facts(header: InstanceHeader) -> studies.StudyFacts:
    return studies.StudyFacts(
        study_instance_uid=header.study_instance_uid,
        series_instance_uid=header.series_instance_uid,
        patient_id=header.patient_id,
        issuer=header.issuer_of_patient_id,
        patient_name=header.patient_name,
        birth_date=header.birth_date,
        sex=header.sex,
        accession_number=header.accession_number,
        study_date=header.study_date,
        study_description=header.study_description,
        priority="",
        modality=header.modality,
        series_description="",
    )


@contextmanager
def fetching_node(folder: Path) -> Iterator[FetchingNode]:
    """A node without a source yet; see `FetchingNode.with_source`."""
    settings = Settings(data_folder=folder, storage=StorageSettings(reserve_bytes=0))
    stored = open_stored_bytes(settings)
    with (
        empty_catalogue(settings) as database,
        reception_of(settings, "test", database, stored) as reception,
    ):
        yield FetchingNode(settings, database, stored, reception)


@contextmanager
def storage_port(node: FetchingNode, port: int) -> Iterator[None]:
    """Listen as the node's receivers do."""
    listener = start_listening(
        ListenOptions("HEMIFACE", "127.0.0.1", port),
        node.gate.accept,
        place=node.reception.place,
        room=node.reception.has_room,
    )
    try:
        yield
    finally:
        listener.stop(grace_seconds=0.2)
