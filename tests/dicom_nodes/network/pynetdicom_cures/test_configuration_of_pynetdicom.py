"""The version of pynetdicom that the cures were tried with."""

from __future__ import annotations

import pynetdicom
import pytest

from dicom_nodes.network.pynetdicom_cures.configuration import configure_pynetdicom


def test_an_unknown_version_of_pynetdicom_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynetdicom, "__version__", "9.9.9")
    with pytest.raises(RuntimeError, match=r"9\.9\.9 is installed.*tried with 3\.0\.4"):
        configure_pynetdicom()
