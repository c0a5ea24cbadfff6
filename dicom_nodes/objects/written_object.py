"""What is common to all objects that hemiface writes: file, equipment, texts."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final
from uuid import uuid4

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_nodes.implementation import IMPLEMENTATION_CLASS_UID
from dicom_nodes.objects.character_sets import without_controls
from dicom_nodes.objects.coded_entries import Code, code_item

OWN_MANUFACTURER: Final = "hemiface"
WRAPPING_MANUFACTURER: Final = "hemiface wrap"
DEVICE_UID: Final = "2.25.160038624973257667073045316915201795927"
RESEARCH_USE: Final = "For research use only; not a medical device."


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """An object that was written, and its UIDs."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str


@cache
def software_version() -> str:
    """The version of hemiface that is installed."""
    try:
        return version("hemiface")
    except PackageNotFoundError:
        return "unknown"


def write_file(
    dataset: Dataset, out: Path, transfer_syntax_uid: str = ExplicitVRLittleEndian
) -> WrittenObject:
    """Write a dataset as a Part 10 file that is either complete or not there.

    The bytes go to a file beside `out`, are fsynced and renamed.

    Parameters
    ----------
    dataset : Dataset
    out : Path
        In an existing folder; replaced if it exists.
    transfer_syntax_uid : str

    Returns
    -------
    WrittenObject

    Raises
    ------
    OSError
        If it cannot be written.
    """
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.FileMetaInformationVersion = b"\x00\x01"
    dataset.file_meta.MediaStorageSOPClassUID = UID(str(dataset.SOPClassUID))
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(str(dataset.SOPInstanceUID))
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    dataset.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    dataset.file_meta.ImplementationVersionName = f"HEMIFACE_{software_version()}"[:16]
    _keep_undecoded(dataset)
    partial = out.with_name(f".{out.name}.{uuid4().hex}.part")
    try:
        with partial.open("xb") as file:
            dcmwrite(file, dataset, enforce_file_format=True)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    except BaseException:
        with suppress(FileNotFoundError):
            partial.unlink()
        raise
    _sync_folder(out.parent)
    return WrittenObject(
        path=out,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
    )


def _keep_undecoded(dataset: Dataset) -> None:
    """Let pydicom write undecoded values as they are.

    It decodes and encodes them anew in a dataset whose original encoding is another
    or unknown, which would change bytes that do not decode.
    """
    # The public name would decide by the same attribute, but does not give it.
    character_set = dataset._character_set
    dataset.set_original_encoding(
        is_implicit_vr=False, is_little_endian=True, character_encoding=character_set
    )
    for tag in dataset.keys():  # noqa: SIM118 - iterating a Dataset would decode its elements
        element = dataset.get_item(tag)
        if not element.is_raw and element.VR == "SQ":
            for item in element.value:
                _keep_undecoded(item)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def add_creation(dataset: Dataset, made_at: datetime) -> None:
    """Say when an instance was made, in the wall-clock time of `made_at`."""
    dataset.InstanceCreationDate = made_at.strftime("%Y%m%d")
    dataset.InstanceCreationTime = made_at.strftime("%H%M%S")
    dataset.ContentDate = made_at.strftime("%Y%m%d")
    dataset.ContentTime = made_at.strftime("%H%M%S")


def add_own_equipment(dataset: Dataset) -> None:
    """Name hemiface as the equipment that made the instance."""
    dataset.Manufacturer = OWN_MANUFACTURER
    dataset.ManufacturerModelName = "hemiface"
    dataset.DeviceSerialNumber = "1"
    dataset.SoftwareVersions = software_version()


def clean_text(text: str, longest: int, *, is_single_valued: bool = True) -> str:
    """A text that fits a value of DICOM, whatever it was.

    Control characters become spaces; a backslash, which separates values, becomes
    a slash; what is too long is cut and ends in an ellipsis.

    Parameters
    ----------
    text : str
    longest : int
        Most characters: 16 for SH, 64 for LO and Code Meaning, 1024 for ST.
    is_single_valued : bool
        False for ST, LT and UT, where a backslash is text.
    """
    cleaned = " ".join(without_controls(text).split())
    if is_single_valued:
        cleaned = cleaned.replace("\\", "/")
    return cleaned if len(cleaned) <= longest else cleaned[: longest - 3].rstrip() + "..."


def add_wrapping(dataset: Dataset, moment: datetime) -> None:
    """Name hemiface as the equipment that wrapped what another device made.

    Contributing Equipment Sequence (0018,A001), with a purpose of CID 7005.
    """
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(Code("109103", "DCM", "Modifying Equipment"))]
    item.Manufacturer = WRAPPING_MANUFACTURER
    item.ManufacturerModelName = "hemiface"
    item.SoftwareVersions = software_version()
    item.ContributionDateTime = moment.strftime("%Y%m%d%H%M%S")
    item.ContributionDescription = "Wrapped a file into DICOM"
    dataset.ContributingEquipmentSequence = [item]
