"""A thousand instances of 2 MB from four associations at once: all there, memory flat."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.durability.node import Node

INSTANCES = 1000
ASSOCIATIONS = 4
PIXEL_BYTES = 2_000_000
# A receiver that kept what it receives would hold 2 GB at the end.
LARGEST_GROWTH_BYTES = 60_000_000

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.timeout(600)]


def write_instances(folder: Path, count: int, seed: int) -> dict[str, str]:
    """Write MR instances; gives the digest of the pixel data by SOP Instance UID."""
    folder.mkdir()
    noise = np.random.default_rng(seed)
    digests: dict[str, str] = {}
    study, series = generate_uid(), generate_uid()
    for number in range(count):
        dataset = Dataset()
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        dataset.SOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.PatientID, dataset.Modality = "FLOOD", "MR"
        dataset.Rows = dataset.Columns = 1000
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.SamplesPerPixel, dataset.PixelRepresentation = 15, 1, 0
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.PixelData = noise.bytes(PIXEL_BYTES)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)
        digests[str(dataset.SOPInstanceUID)] = hashlib.sha256(dataset.PixelData).hexdigest()
    return digests


def test_a_flood_is_all_there_and_the_receivers_stay_small(
    tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    folders = [tmp_path / f"association-{number}" for number in range(ASSOCIATIONS)]
    digests: dict[str, str] = {}
    for number, folder in enumerate(folders):
        digests |= write_instances(folder, INSTANCES // ASSOCIATIONS, number)
    node = Node.delivering_to(tmp_path, None, {"HEMIFACE_DICOM__PROCESSES": "2"})
    node.start()
    try:
        node.wait_until_listening()
        receivers = [
            each for each in node.processes() if each.cmdline()[-1].startswith("receiver-")
        ]
        assert receivers
        before = [each.memory_info().rss for each in receivers]
        peaks = list(before)
        finished = threading.Event()

        def watch() -> None:
            while not finished.wait(0.05):
                for number, each in enumerate(receivers):
                    peaks[number] = max(peaks[number], each.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.monotonic()
        with ThreadPoolExecutor(ASSOCIATIONS) as pool:
            codes = list(pool.map(lambda folder: send(folder, node.dicom_port), folders))
        seconds = time.monotonic() - began
        finished.set()
        watcher.join()
        assert codes == [0] * ASSOCIATIONS
        assert kept_digests(node) == digests
        record_property("seconds", seconds)
        record_property("peak_bytes", max(peaks))
        print(f"{INSTANCES} instances of 2 MB in {seconds:.1f} s; peak {max(peaks) / 1e6:.0f} MB")
        for first, peak in zip(before, peaks, strict=True):
            assert psutil.virtual_memory().total > peak
            assert peak - first < LARGEST_GROWTH_BYTES
    finally:
        node.kill()


def send(folder: Path, port: int) -> int:
    return subprocess.run(
        ["/usr/bin/storescu", "+sd", "-aec", "HEMIFACE", "127.0.0.1", str(port), str(folder)],
        env={"TCP_NODELAY": "1"},
        check=False,
    ).returncode


def kept_digests(node: Node) -> dict[str, str]:
    """Digests of the pixel data of all that is registered and on disk."""
    with sqlite3.connect(node.data_folder / "catalogue.sqlite") as catalogue:
        rows = catalogue.execute("SELECT sop_instance_uid, key FROM instances").fetchall()
    found: dict[str, str] = {}
    for uid, key in rows:
        with (node.data_folder / key).open("rb") as stream:
            stream.seek(-PIXEL_BYTES, 2)
            found[uid] = hashlib.sha256(stream.read()).hexdigest()
    return found
