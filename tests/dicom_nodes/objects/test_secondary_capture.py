from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.photograph_reader import read_photographs
from dicom_nodes.objects.secondary_capture import write_secondary_capture
from processing.measurement import Analysis, Picture, Status

REFUSED = Analysis("photograph-symmetry", "1.0.0", Status.REFUSED, "no face")


def test_picture_is_read_back_and_named(
    photograph: Path, picture: np.ndarray, made_at: datetime
) -> None:
    out = photograph.with_name("sc.dcm")
    shown = Picture("landmarks", "Landmarks and midline – 标记", picture)
    write_secondary_capture(shown, REFUSED, [photograph], out, key="k", made_at=made_at, number=1)
    (found,) = read_photographs(out)
    assert (found.pixels == picture).all()
    dataset = dcmread(out)
    assert dataset.ImageComments == shown.caption
    assert dataset.BurnedInAnnotation == "NO"
    assert dataset.RecognizableVisualFeatures == "YES"
    assert "not a medical device" in dataset.DerivationDescription
    source = dcmread(photograph)
    assert dataset.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert dataset.StudyInstanceUID == source.StudyInstanceUID
    assert read_header(out).is_own


def test_pictures_of_one_analysis_are_one_series(
    photograph: Path, picture: np.ndarray, made_at: datetime
) -> None:
    written = [
        write_secondary_capture(
            Picture(f"p{number}", "c", picture),
            REFUSED,
            [photograph],
            photograph.with_name(f"{number}.dcm"),
            key="k",
            made_at=made_at,
            number=number,
        )
        for number in (1, 2)
    ]
    assert written[0].series_instance_uid == written[1].series_instance_uid
    assert written[0].sop_instance_uid != written[1].sop_instance_uid


def test_same_picture_makes_the_same_bytes(
    photograph: Path, picture: np.ndarray, made_at: datetime
) -> None:
    for name in "ab":
        write_secondary_capture(
            Picture("p", "c", picture),
            REFUSED,
            [photograph],
            photograph.with_name(name),
            key="k",
            made_at=made_at,
            number=1,
        )
    assert photograph.with_name("a").read_bytes() == photograph.with_name("b").read_bytes()


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 4), (0, 2, 3)])
def test_array_that_is_no_picture_is_refused(
    photograph: Path, made_at: datetime, shape: tuple[int, ...]
) -> None:
    shown = Picture("p", "c", np.zeros(shape, np.uint8))
    out = photograph.with_name("sc.dcm")
    with pytest.raises(ValueError, match="picture"):
        write_secondary_capture(
            shown, REFUSED, [photograph], out, key="k", made_at=made_at, number=1
        )
