"""``hemiface send``: DICOM files to the local node, to a destination, or to any peer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from service.display import shown
from service.input_files import FileKind, files_below, kind_of, listed

if TYPE_CHECKING:
    from dicom_nodes.network.peer import Peer
    from dicom_nodes.network.storage_scu import SendOutcome

# Not the AE title of the node itself: a PACS that forwards does not send back what the
# node sent, and must not take what is sent by hand for a result.
_CALLING_AE_TITLE: Final = "HEMIFACE_SEND"
_LONGEST_AE_TITLE: Final = 16
_MOST_REASONS: Final = 20


def command(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="DICOM files and folders.")
    ],
    to: Annotated[
        str | None, typer.Option(metavar="NAME", help="A destination of the settings.")
    ] = None,
    aet: Annotated[str | None, typer.Option(metavar="TITLE", help="AE title of a peer.")] = None,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where that peer is.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port that it listens on.")
    ] = None,
    calling_ae: Annotated[
        str, typer.Option(metavar="TITLE", help="AE title to call with.")
    ] = _CALLING_AE_TITLE,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what became of each file as JSON.")
    ] = False,
) -> None:
    """Send DICOM files by C-STORE; without another peer, to the node of these settings.

    Files that are not DICOM are left out with a note. Exit status 1 when the
    peer did not accept everything.
    """
    from processing.measurement import RejectedInput

    peer = _peer(to, aet, host, port, calling_ae)
    every = files_below(paths)
    kinds = {path: kind_of(path) for path in every}
    files = [path for path, kind in kinds.items() if kind is FileKind.DICOM]
    others = [path.name for path, kind in kinds.items() if kind is not FileKind.DICOM]
    if not files:
        raise RejectedInput(f"there is no DICOM file in {listed(str(path) for path in paths)}")
    if others:
        typer.secho(
            f"not sent, since it is not DICOM: {shown(listed(others))}", fg="yellow", err=True
        )
    outcomes = _send(peer, files)
    if as_json:
        typer.echo(json.dumps(_as_json(peer, outcomes, others), indent=1))
    else:
        _show(peer, outcomes)
    raise typer.Exit(0 if all(each.accepted for each in outcomes) else 1)


def _peer(
    to: str | None, aet: str | None, host: str | None, port: int | None, calling_ae: str
) -> Peer:
    from dicom_nodes.network.peer import Peer
    from service.peers import destination_named, local_node, peer_of
    from service.settings import load_settings

    _check_ae_title("--calling-ae", calling_ae)
    given = [each is not None for each in (aet, host, port)]
    if to is not None:
        if any(given):
            raise typer.BadParameter("give --to, or --aet with --host and --port, not both")
        return peer_of(destination_named(load_settings(), to), calling_ae)
    if not any(given):
        return local_node(load_settings(), calling_ae)
    if aet is None or host is None or port is None:
        raise typer.BadParameter("--aet, --host and --port belong together")
    _check_ae_title("--aet", aet)
    return Peer(name=aet, ae_title=aet, address=host, port=port, own_ae_title=calling_ae)


def _check_ae_title(option: str, title: str) -> None:
    """An AE title has 1 to 16 characters of the default repertoire, no backslash (PS3.5, 6.2)."""
    allowed = title.isascii() and title.isprintable() and "\\" not in title
    if not (allowed and title.strip() and len(title) <= _LONGEST_AE_TITLE):
        raise typer.BadParameter(f"{option}: {title!r} is no AE title")


def _send(peer: Peer, files: Sequence[Path]) -> tuple[SendOutcome, ...]:
    from dicom_nodes.network.storage_scu import send_files
    from service.progress import counted

    with counted("sending", len(files)) as advance:
        return send_files(peer, files, on_progress=lambda _done, _all: advance())


def _as_json(peer: Peer, outcomes: Sequence[SendOutcome], others: Sequence[str]) -> dict[str, Any]:
    return {
        "schema": 1,
        "peer": {"ae_title": peer.ae_title, "address": peer.address, "port": peer.port},
        "accepted": sum(each.accepted for each in outcomes),
        "files": [
            {
                "path": str(each.path),
                "sop_instance_uid": each.sop_instance_uid,
                "accepted": each.accepted,
                "status": each.status,
                "reason": each.reason or None,
            }
            for each in outcomes
        ],
        "not_dicom": list(others),
    }


def _show(peer: Peer, outcomes: Sequence[SendOutcome]) -> None:
    failed = [each for each in outcomes if not each.accepted]
    typer.echo(f"{len(outcomes) - len(failed)} of {len(outcomes)} accepted by {peer}")
    by_reason: dict[str, list[str]] = {}
    for each in failed:
        by_reason.setdefault(each.reason, []).append(each.path.name)
    for reason, names in list(by_reason.items())[:_MOST_REASONS]:
        typer.echo(f"not accepted: {shown(listed(names))}: {shown(reason, 300)}", err=True)
