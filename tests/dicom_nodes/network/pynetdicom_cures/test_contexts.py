"""Cure 4: storage contexts with all transfer syntaxes."""

from __future__ import annotations

from pathlib import Path

import pydicom
from pynetdicom.presentation import build_context

from dicom_nodes.network.pynetdicom_cures.contexts import storage_contexts
from tests.dicom_nodes.network.listening import listening
from tests.dicom_nodes.network.scripted_peer import (
    A_ASSOCIATE_AC,
    JPEG,
    MR_IMAGE,
    connect,
    data_set,
)


def test_jpeg_is_accepted(tmp_path: Path) -> None:
    with listening(tmp_path) as node, connect(node.port) as peer:
        kind, content = peer.associate((MR_IMAGE, [JPEG]))
        assert kind == A_ASSOCIATE_AC
        assert JPEG.encode() in content
        instance = data_set("1.2.3")
        assert peer.store(MR_IMAGE, "1.2.3", instance) == 0x0000
        (file,) = node.files()
        assert pydicom.filereader.read_file_meta_info(file).TransferSyntaxUID == JPEG
        assert file.read_bytes().endswith(instance)


def test_a_known_transfer_syntax_is_preferred_to_one_that_nobody_knows() -> None:
    (context,) = storage_contexts(
        [build_context(MR_IMAGE, ["1.2.3.4.5", JPEG])], lambda uid: True, ()
    )
    assert context.transfer_syntax == [JPEG]
    (context,) = storage_contexts([build_context(MR_IMAGE, ["1.2.3.4.5"])], lambda uid: True, ())
    assert context.transfer_syntax == ["1.2.3.4.5"]
