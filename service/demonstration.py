"""The whole way of a study without any PACS at hand: phantoms to Orthanc, results back.

Orthanc gets the phantoms by C-STORE and forwards them; the node measures and
sends its reports; what is compared with the truth is read out of Orthanc.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dicom_nodes.network.peer import Peer
from dicom_nodes.network.storage_scu import send_files
from dicom_nodes.objects.report_reader import read_measurement_report
from dicom_nodes.objects.sop_classes import COMPREHENSIVE_3D_SR
from processing.face_model import find_face_model
from processing.measurement import Analysis, PermanentFault, Side, Status, TransientFault
from processing.phantom.deficit import Site
from processing.phantom.phantom import PhantomSpec
from service.analyses import ANALYSES
from service.demo_node import AE_TITLE, DemoNode, NodePorts
from service.demo_orthanc import LOOPBACK, Modality, OrthancClient, OrthancServer, free_ports
from service.phantom_study import PhantomPatient, PhantomStudy, write_single
from service.settings import Destination, Settings
from service.study_explanation import explanation
from service.truth_comparison import Row, compare

DEFICIT: Final = "deficit of the left cheek"
SYMMETRIC: Final = "symmetric"
# Poses as patients have them; the truth is stated in the frame of the scan.
_SPECS: Final[Mapping[str, PhantomSpec]] = {
    DEFICIT: PhantomSpec(
        deficit_ml=8.0,
        site=Site.CHEEK,
        side=Side.LEFT,
        vertices=40_000,
        yaw_deg=4.0,
        pitch_deg=-3.0,
        roll_deg=2.0,
        shift_mm=(6.0, -9.0, 14.0),
        seed=1,
    ),
    SYMMETRIC: PhantomSpec(
        deficit_ml=0.0, vertices=40_000, yaw_deg=-2.0, pitch_deg=3.0, roll_deg=-1.0, seed=2
    ),
}
_CALLING_AE_TITLE: Final = "HEMIFACE_DEMO"
_PATIENCE_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Screen:
    """Where the demonstration says what it does and what it has done."""

    doing: Callable[[str], None]
    done: Callable[[str], None]


@dataclass(slots=True)
class Sought:
    """A phantom's study on its way, with the reports that Orthanc holds of it so far."""

    name: str
    study: PhantomStudy
    reports: dict[str, Analysis] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    @property
    def is_complete(self) -> bool:
        """Whether the report of every analysis that declares its inputs is there."""
        return set(self.reports) >= {name for name, each in ANALYSES.items() if each.declared}


def demonstrate(folder: Path, settings: Settings, screen: Screen) -> tuple[Row, ...]:
    """Show the whole way, and compare what came back with the truth.

    Parameters
    ----------
    folder : Path
        Everything is written below it; the caller removes it.
    settings : Settings
        Tells where the face model is; no other setting matters.
    screen : Screen

    Returns
    -------
    tuple of Row

    Raises
    ------
    TransientFault, PermanentFault
        If Orthanc, rendering or the face model is missing, something does not
        start, or the results do not come; the message says at which stage.
    """
    model = find_face_model(settings.face_model, settings.data_folder)
    with _running(folder, model, screen) as (orthanc, node):
        sought = [
            _made(name, spec, folder / "phantoms", model, screen) for name, spec in _SPECS.items()
        ]
        _push(orthanc, sought, screen)
        wait_for_reports(orthanc.client, node, sought, folder / "reports", screen)
    return tuple(
        row for each in sought for row in compare(each.name, each.study.phantom.truth, each.reports)
    )


@contextmanager
def _running(folder: Path, model: Path, screen: Screen) -> Iterator[tuple[OrthancServer, DemoNode]]:
    dicom, http, orthanc_dicom, orthanc_http = free_ports(4)
    screen.doing("starting Orthanc")
    with OrthancServer(
        folder / "orthanc",
        forward_to=Modality("hemiface", AE_TITLE, dicom),
        dicom_port=orthanc_dicom,
        http_port=orthanc_http,
    ) as orthanc:
        screen.done(f"Orthanc runs: DICOM on {orthanc_dicom}, HTTP on {orthanc_http}")
        screen.doing("starting the node")
        destination = Destination(
            name="orthanc", ae_title=orthanc.ae_title, address=LOOPBACK, port=orthanc_dicom
        )
        with DemoNode(folder / "node", NodePorts(dicom, http), destination, model) as node:
            screen.done(f"hemiface runs: DICOM on {dicom}, its page on http://{LOOPBACK}:{http}/")
            yield orthanc, node
            screen.doing("stopping Orthanc and the node")


def _made(name: str, spec: PhantomSpec, folder: Path, model: Path, screen: Screen) -> Sought:
    screen.doing(f"making the phantom: {name}")
    number = 1 + list(_SPECS).index(name)
    patient = PhantomPatient(f"DEMO-{number}", f"Phantom^{name.title().replace(' ', '')}")
    own_folder = folder / name.replace(" ", "-")
    study = write_single(spec, own_folder, patient, model, lambda: None)
    screen.done(f"phantom made: {name} ({spec.deficit_ml:g} mL), a photograph and a face scan")
    return Sought(name, study)


def _push(orthanc: OrthancServer, sought: Sequence[Sought], screen: Screen) -> None:
    screen.doing("pushing the phantoms to Orthanc")
    peer = Peer("Orthanc", orthanc.ae_title, LOOPBACK, orthanc.dicom_port, _CALLING_AE_TITLE)
    files = [path for each in sought for path in each.study.files]
    refused = [each for each in send_files(peer, files) if not each.accepted]
    if refused:
        raise PermanentFault(
            f"stopped at the push: Orthanc did not accept {refused[0].path.name}: "
            f"{refused[0].reason}"
        )
    screen.done(
        f"{len(files)} instances pushed to Orthanc by C-STORE; it forwards them to hemiface"
    )


def wait_for_reports(
    orthanc: OrthancClient, node: DemoNode, sought: Sequence[Sought], folder: Path, screen: Screen
) -> None:
    """Wait until Orthanc holds the report of every analysis, and read them out of it.

    Parameters
    ----------
    orthanc : OrthancClient
    node : DemoNode
        Asked how the studies stand meanwhile.
    sought : sequence of Sought
        Get the reports.
    folder : Path
        Gets the reports as files.
    screen : Screen

    Raises
    ------
    TransientFault
        If nothing moves for five minutes; the message says where it stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began = last_progress = time.monotonic()
    stages: dict[str, str] = {}
    while not all(each.is_complete for each in sought):
        new_reports = [_take_new_reports(orthanc, each, folder) for each in sought]
        words = _words(node, sought)
        screen.doing("; ".join(f"{name}: {word}" for name, word in words.items()))
        former, stages = stages, {name: word.partition(":")[0] for name, word in words.items()}
        now = time.monotonic()
        if any(new_reports) or stages != former:
            last_progress = now
        elif now - last_progress > _PATIENCE_SECONDS:
            raise TransientFault(_where_it_stopped(words, node))
        time.sleep(_POLL_SECONDS)
    count = sum(len(each.reports) for each in sought)
    took = time.monotonic() - began
    screen.done(f"{count} reports read out of Orthanc, {took:.0f} s after the push")
    for each in sought:
        for analysis in each.reports.values():
            if analysis.status is not Status.MEASURED:
                screen.done(
                    f"{each.name}: {analysis.analysis} {analysis.status}: {analysis.reason}"
                )


def _take_new_reports(orthanc: OrthancClient, sought: Sought, folder: Path) -> bool:
    """Read the structured reports that Orthanc has got since; whether there were any."""
    new = set(orthanc.instances(sought.study.study_instance_uid)) - sought.seen
    sought.seen |= new
    # The display report beside it repeats what can be drawn, as a Comprehensive SR.
    reports = [
        each for each in sorted(new) if orthanc.tags(each).get("SOPClassUID") == COMPREHENSIVE_3D_SR
    ]
    for each in reports:
        content = orthanc.file(each)
        analysis = read_measurement_report(io.BytesIO(content))
        sought.reports[analysis.analysis] = analysis
        name = f"{sought.name.replace(' ', '-')}-{analysis.analysis}.dcm"
        (folder / name).write_bytes(content)
    return bool(reports)


def _words(node: DemoNode, sought: Sequence[Sought]) -> dict[str, str]:
    """How each study stands, in words; its stage stands before a colon."""
    states = {
        state.study.study_instance_uid: state
        for state in node.study_states([each.study.study_instance_uid for each in sought])
    }
    words = {}
    for each in sought:
        state = states.get(each.study.study_instance_uid)
        if each.is_complete:
            words[each.name] = "all reports are in Orthanc"
        elif state is None:
            words[each.name] = "not received yet: Orthanc has not forwarded it to hemiface"
        else:
            words[each.name] = f"{state.stage}: {explanation(state, datetime.now(UTC))}"
    return words


def _where_it_stopped(words: Mapping[str, str], node: DemoNode) -> str:
    stopped = "; ".join(f"{name}: {word}" for name, word in words.items())
    return (
        f"no progress for {_PATIENCE_SECONDS:.0f} s; it stopped at: {stopped}. "
        f"The node's last words: {node.last_log_lines()}"
    )
