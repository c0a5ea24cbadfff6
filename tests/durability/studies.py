"""Studies to send: a phantom's photograph and scan under UIDs of their own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

from tests.durability.node import REPOSITORY


@dataclass(frozen=True)
class SentStudy:
    """A study in files."""

    study_instance_uid: str
    files: tuple[Path, ...]
    sop_instance_uids: tuple[str, ...]


def write_phantom(folder: Path) -> Path:
    """Write the phantom's study once; `renewed` gives it new UIDs."""
    subprocess.run(
        [sys.executable, "-m", "service.cli", "phantom", str(folder), "--vertices", "30000"],
        cwd=REPOSITORY,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return folder


def renewed(phantom: Path, folder: Path) -> SentStudy:
    """The phantom's study again, as a new study of another patient."""
    folder.mkdir(parents=True)
    study_instance_uid = generate_uid()
    files: list[Path] = []
    uids: list[str] = []
    for number, source in enumerate(sorted(phantom.rglob("*.dcm"))):
        dataset = dcmread(source)
        dataset.StudyInstanceUID = study_instance_uid
        dataset.SeriesInstanceUID = generate_uid()
        dataset.SOPInstanceUID = generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.PatientID = f"PHANTOM-{study_instance_uid[-8:]}"
        target = folder / f"{number}.dcm"
        dataset.save_as(target, enforce_file_format=True)
        files.append(target)
        uids.append(str(dataset.SOPInstanceUID))
    return SentStudy(study_instance_uid, tuple(files), tuple(uids))
