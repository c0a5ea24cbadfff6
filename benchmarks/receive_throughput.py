"""How fast instances are received, by hemiface, DCMTK's storescp and Orthanc.

The same generated input is sent by the same sender, DCMTK's storescu, over
loopback, to one receiver after the other, in one run. hemiface answers when the
instance is durable (its bytes fsynced under their final name, its row
committed); storescp and Orthanc do not wait for the disk.

    python benchmarks/receive_throughput.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np

from dicom_nodes.network.instance_store import Arrival, StoreStatus
from dicom_nodes.network.part10_header import encode_header
from dicom_nodes.network.storage_scp import ListenOptions, start_listening

REPOSITORY: Final = Path(__file__).resolve().parents[1]
STORESCU: Final = "/usr/bin/storescu"
STORESCP: Final = "/usr/bin/storescp"
ORTHANC: Final = "/usr/sbin/Orthanc"
MR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
LOOPBACK: Final = "127.0.0.1"
# Without it DCMTK waits 40 ms per instance for an acknowledgement.
NO_DELAY: Final = {"TCP_NODELAY": "1"}

Receiver = Callable[[Path], AbstractContextManager[int]]


@dataclass(frozen=True, slots=True)
class Case:
    """So many instances of one size from so many associations at once."""

    size_bytes: int
    associations: int
    instances_per_association: int

    @property
    def name(self) -> str:
        """Size and associations, for a table."""
        size = f"{self.size_bytes // 1024} KB" if self.size_bytes < 1 << 20 else "2 MB"
        return f"{size} x {self.associations}"


@dataclass(frozen=True, slots=True)
class Result:
    """What one receiver did with one case: the best of the repetitions."""

    receiver: str
    case: str
    instances_per_second: float
    megabytes_per_second: float


FULL: Final = tuple(
    Case(size, associations, count)
    for size, count in ((33 * 1024, 600), (512 * 1024, 200), (2 * 1024 * 1024, 80))
    for associations in (1, 4)
)
QUICK: Final = tuple(
    Case(size, associations, 10)
    for size in (33 * 1024, 512 * 1024, 2 * 1024 * 1024)
    for associations in (1, 4)
)


def write_instances(folder: Path, case: Case, repetition: int) -> list[Path]:
    """Write a folder of instances for each association; every SOP Instance UID is new."""
    folders = []
    rng = np.random.default_rng(case.size_bytes)
    for association in range(case.associations):
        target = folder / f"{case.size_bytes}-{case.associations}-{repetition}-{association}"
        target.mkdir(parents=True)
        study = f"1.2.826.0.1.3680043.8.498.{time.time_ns()}"
        for number in range(case.instances_per_association):
            uid = f"{study}.1.{number + 1}"
            content = _data_set(uid, study, case.size_bytes, rng)
            header = encode_header(MR_IMAGE, uid, EXPLICIT_LITTLE_ENDIAN, "BENCHMARK")
            (target / f"{number:05}.dcm").write_bytes(header + content)
        folders.append(target)
    return folders


def _data_set(uid: str, study: str, size_bytes: int, rng: np.random.Generator) -> bytes:
    """A plain MR image, Explicit VR Little Endian."""
    rows = max(int((size_bytes / 2) ** 0.5), 1)

    def text(group: int, element: int, representation: bytes, value: str) -> bytes:
        padding = b"\0" if representation == b"UI" else b" "
        encoded = value.encode() + padding * (len(value) % 2)
        return struct.pack("<HH2sH", group, element, representation, len(encoded)) + encoded

    def number(group: int, element: int, value: int) -> bytes:
        return struct.pack("<HH2sHH", group, element, b"US", 2, value)

    pixels = rng.bytes(rows * rows * 2)
    return b"".join(
        (
            text(0x0008, 0x0016, b"UI", MR_IMAGE),
            text(0x0008, 0x0018, b"UI", uid),
            text(0x0008, 0x0060, b"CS", "MR"),
            text(0x0010, 0x0010, b"PN", "Benchmark^Receive"),
            text(0x0010, 0x0020, b"LO", "BENCHMARK"),
            text(0x0020, 0x000D, b"UI", study),
            text(0x0020, 0x000E, b"UI", f"{study}.1"),
            text(0x0020, 0x0013, b"IS", uid.rpartition(".")[2]),
            number(0x0028, 0x0002, 1),
            text(0x0028, 0x0004, b"CS", "MONOCHROME2"),
            number(0x0028, 0x0010, rows),
            number(0x0028, 0x0011, rows),
            number(0x0028, 0x0100, 16),
            number(0x0028, 0x0101, 16),
            number(0x0028, 0x0102, 15),
            number(0x0028, 0x0103, 0),
            struct.pack("<HH2sxxL", 0x7FE0, 0x0010, b"OW", len(pixels)),
            pixels,
        )
    )


def free_port() -> int:
    """A free TCP port of the loopback interface."""
    with socket.create_server((LOOPBACK, 0)) as probe:
        return int(probe.getsockname()[1])


def send(port: int, folders: Sequence[Path]) -> float:
    """Send each folder over an association of its own, all at once; returns seconds.

    Raises
    ------
    RuntimeError
        If a sender fails.
    """
    started = time.perf_counter()
    senders = [
        subprocess.Popen(
            [STORESCU, "+sd", "-R", "-aec", "HEMIFACE", LOOPBACK, str(port), str(folder)],
            env={**os.environ, **NO_DELAY},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for folder in folders
    ]
    failed = sum(each.wait() != 0 for each in senders)
    seconds = time.perf_counter() - started
    if failed:
        raise RuntimeError(f"{failed} of {len(folders)} senders failed")
    return seconds


@contextmanager
def hemiface(folder: Path) -> Iterator[int]:
    """The receivers of the real node, two processes on one port."""
    port = free_port()
    command = [sys.executable, "-m", "service.cli", "serve", "--role", "receive"]
    environment = {
        "HEMIFACE_DATA_FOLDER": str(folder / "data"),
        "HEMIFACE_DICOM__PORT": str(port),
        "HEMIFACE_DICOM__PROCESSES": "2",
        "HEMIFACE_HTTP__PORT": str(free_port()),
        "HEMIFACE_STORAGE__RESERVE_BYTES": "0",
    }
    with _process(command, folder, port, environment):
        yield port


@contextmanager
def network_alone(folder: Path) -> Iterator[int]:
    """The network part of hemiface without its catalogue: two processes, fsync, no rows."""
    port = free_port()
    listen = [sys.executable, str(Path(__file__).resolve()), "--listen", str(port), str(folder)]
    environment = {"PYTHONPATH": str(REPOSITORY)}
    with (
        _process(listen, folder / "1", port, environment),
        _process(listen, folder / "2", port, environment),
    ):
        # The port answers when the first listens; give the second its time.
        time.sleep(1)
        yield port


def listen_alone(port: int, folder: Path) -> None:
    """Receive until terminated, with an fsync of file and folder for each instance."""
    kept = folder / "kept"
    kept.mkdir(parents=True, exist_ok=True)

    def place() -> Path:
        return kept / f"{uuid4().hex}.dcm"

    def accept(arrival: Arrival) -> StoreStatus:
        _fsync(arrival.path)
        _fsync(arrival.path.parent)
        return StoreStatus.SUCCESS

    options = ListenOptions("HEMIFACE", LOOPBACK, port)
    listener = start_listening(options, accept, place=place, room=lambda: True, share_port=True)
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    listener.stop()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def storescp(folder: Path) -> Iterator[int]:
    """DCMTK's storescp, which writes without waiting for the disk."""
    port = free_port()
    stored = folder / "stored"
    stored.mkdir(parents=True)
    with _process([STORESCP, "--fork", "-od", str(stored), str(port)], folder, port, {}):
        yield port


@contextmanager
def orthanc(folder: Path) -> Iterator[int]:
    """Orthanc with its SQLite index."""
    port = free_port()
    configuration = {
        "Name": "BENCHMARK",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "TemporaryDirectory": str(folder),
        "HttpServerEnabled": False,
        "DicomAet": "HEMIFACE",
        "DicomPort": port,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowEcho": True,
        "Plugins": [],
    }
    file = folder / "orthanc.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(configuration))
    with _process([ORTHANC, str(file)], folder, port, {}):
        yield port


@contextmanager
def _process(
    command: Sequence[str], folder: Path, port: int, environment: dict[str, str]
) -> Iterator[None]:
    """A receiver in a process group of its own, which is ended afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            list(command),
            cwd=folder if "service.cli" not in command else REPOSITORY,
            env={**os.environ, **NO_DELAY, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _wait_for(process, port, folder / "output.txt")
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with socket.create_connection((LOOPBACK, port), 1):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"a receiver does not listen; it says:\n{output.read_text()[-2000:]}")


RECEIVERS: Final[dict[str, Receiver]] = {
    "hemiface": hemiface,
    "network alone": network_alone,
    "storescp": storescp,
    "Orthanc": orthanc,
}


def measure(
    receivers: dict[str, Receiver], cases: Sequence[Case], folder: Path, repetitions: int
) -> list[Result]:
    """Run every case with every receiver in turn, and keep the best of `repetitions`.

    Nothing is deleted before the end: for half a minute after a file was
    deleted, ext4 looks at its inode for every file that is created, and a
    receiver would pay for what the benchmark has thrown away.
    """
    results = []
    with ExitStack() as running:
        ports = {
            name: running.enter_context(receiver(folder / name))
            for name, receiver in receivers.items()
        }
        for case in cases:
            best = dict.fromkeys(receivers, float("inf"))
            for repetition in range(repetitions):
                folders = write_instances(folder / "sent", case, repetition)
                for name, port in ports.items():
                    best[name] = min(best[name], send(port, folders))
            count = case.associations * case.instances_per_association
            megabytes = count * case.size_bytes / 1e6
            results += [
                Result(name, case.name, count / seconds, megabytes / seconds)
                for name, seconds in best.items()
            ]
    return results


def print_table(results: Sequence[Result]) -> None:
    """Instances and megabytes per second by case, and the ratios to the first receiver."""
    names = list(dict.fromkeys(each.receiver for each in results))
    print("TCP_NODELAY=1 for every DCMTK tool and Orthanc; without it they wait 40 ms an instance.")
    print("hemiface answers after fsync and commit, with 2 processes on one port")
    print("(network alone: after fsync, without its catalogue);")
    print("storescp --fork and Orthanc answer before the disk has the bytes.\n")
    ratios = [f"{names[0]} / {name}" for name in names[1:]]
    print(f"{'':12}" + "".join(f"{each:>26}" for each in [*names, *ratios]))
    for case in dict.fromkeys(each.case for each in results):
        row = {each.receiver: each for each in results if each.case == case}
        cells = [
            f"{row[name].instances_per_second:.0f}/s {row[name].megabytes_per_second:.0f} MB/s"
            for name in names
        ]
        own = row[names[0]].instances_per_second
        cells += [f"{own / row[name].instances_per_second:.2f}" for name in names[1:]]
        print(f"{case:12}" + "".join(f"{each:>26}" for each in cells))


def main(arguments: Sequence[str] | None = None) -> list[Result]:
    """Measure and print; returns the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few instances, to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there as well")
    parser.add_argument(
        "--only", action="append", choices=list(RECEIVERS), help="measure only this receiver"
    )
    parser.add_argument("--listen", nargs=2, metavar=("PORT", "FOLDER"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.listen:
        listen_alone(int(chosen.listen[0]), Path(chosen.listen[1]))
        return []
    receivers = {name: RECEIVERS[name] for name in chosen.only or RECEIVERS}
    with tempfile.TemporaryDirectory(prefix="hemiface-benchmark-") as folder:
        results = measure(
            receivers, QUICK if chosen.quick else FULL, Path(folder), 1 if chosen.quick else 3
        )
    print_table(results)
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(each) for each in results], indent=1))
    return results


if __name__ == "__main__":
    main()
