from __future__ import annotations

import zlib
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

from dicom_nodes.objects.photograph_reader import read_photographs
from dicom_nodes.objects.picture_file import read_picture_file
from dicom_nodes.objects.study_context import StudyIdentity, identity_of
from dicom_nodes.objects.vl_photograph import write_vl_photograph
from processing.inputs import Expression, View
from processing.measurement import RejectedInput

Pixels = NDArray[np.uint8]


def _file(pixels: Pixels, form: str, **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def _exif(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Camera\x07 Maker"
    exif[ExifTags.Base.Model] = "D1"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:01:02 03:04:05"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] = 8.0
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] = 200
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSMapDatum] = "SECRETPLACE"
    return exif


def _difference(one: Pixels, other: Pixels) -> int:
    return int(np.abs(one.astype(int) - other).max())


def test_upright_baseline_jpeg_is_kept_bit_for_bit(
    tmp_path: Path, identity: StudyIdentity, picture: Pixels, made_at: datetime
) -> None:
    data = _file(picture, "JPEG", quality=90)
    written = write_vl_photograph(data, identity, tmp_path / "o.dcm", made_at=made_at)
    dataset = dcmread(written.path)
    assert dataset.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    assert frame[: len(data)] == data
    assert len(frame) - len(data) <= 1
    assert dataset.PhotometricInterpretation == "YBR_FULL_422"
    assert dataset.LossyImageCompression == "01"
    assert dataset.LossyImageCompressionMethod == "ISO_10918_1"
    assert float(dataset.LossyImageCompressionRatio) == pytest.approx(
        picture.nbytes / len(data), abs=0.01
    )


def test_place_and_other_metadata_of_a_jpeg_are_dropped_but_no_coefficient(
    tmp_path: Path, identity: StudyIdentity, picture: Pixels, made_at: datetime
) -> None:
    data = _file(picture, "JPEG", exif=_exif(), comment="SECRETPLACE too")
    assert data.count(b"SECRETPLACE") == 2
    written = write_vl_photograph(data, identity, tmp_path / "o.dcm", made_at=made_at)
    assert b"SECRETPLACE" not in written.path.read_bytes()
    (frame,) = generate_frames(dcmread(written.path).PixelData, number_of_frames=1)
    assert (np.asarray(Image.open(BytesIO(frame))) == np.asarray(Image.open(BytesIO(data)))).all()


def _exchanging_profile() -> bytes:
    """A profile whose red is sRGB's green."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


@pytest.mark.parametrize(
    ("kind", "options"), [("JPEG", {"quality": 98, "subsampling": 0}), ("PNG", {}), ("HEIF", {})]
)
def test_picture_in_other_colours_is_shown_in_its_colours(
    tmp_path: Path,
    identity: StudyIdentity,
    picture: Pixels,
    made_at: datetime,
    kind: str,
    options: dict[str, Any],
) -> None:
    data = _file(picture, kind, icc_profile=_exchanging_profile(), **options)
    written = write_vl_photograph(data, identity, tmp_path / "o.dcm", made_at=made_at)
    (photograph,) = read_photographs(written.path)
    assert _difference(photograph.pixels, picture[:, :, [1, 0, 2]]) < 12
    # The coefficients of a JPEG are kept, so the object states its profile.
    assert ("ICCProfile" in dcmread(written.path)) == (kind == "JPEG")


def test_srgb_profile_is_left_out(
    tmp_path: Path, identity: StudyIdentity, picture: Pixels, made_at: datetime
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = _file(picture, "JPEG", icc_profile=profile)
    written = write_vl_photograph(data, identity, tmp_path / "o.dcm", made_at=made_at)
    assert "ICCProfile" not in dcmread(written.path)


def test_camera_is_the_manufacturer(
    tmp_path: Path, identity: StudyIdentity, picture: Pixels, made_at: datetime
) -> None:
    data = _file(picture, "JPEG", exif=_exif())
    dataset = dcmread(write_vl_photograph(data, identity, tmp_path / "o", made_at=made_at).path)
    assert dataset.Manufacturer == "Camera Maker"
    assert dataset.ManufacturerModelName == "D1"
    assert dataset.AcquisitionDateTime == "20260102030405"
    assert (dataset.FNumber, dataset.PhotographicSensitivity) == (8, 200)
    assert dataset.ContributingEquipmentSequence[0].Manufacturer == "hemiface wrap"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_picture_is_stored_upright(
    tmp_path: Path, identity: StudyIdentity, picture: Pixels, made_at: datetime, orientation: int
) -> None:
    undo = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }[orientation]
    as_camera_stores = np.ascontiguousarray(undo(picture))
    data = _file(as_camera_stores, "JPEG", quality=98, subsampling=0, exif=_exif(orientation))
    written = write_vl_photograph(data, identity, tmp_path / "o.dcm", made_at=made_at)
    (photograph,) = read_photographs(written.path)
    assert photograph.pixels.shape == picture.shape
    assert _difference(photograph.pixels, picture) < 12
    dataset = dcmread(written.path)
    assert dataset.LossyImageCompression == "01"
    expected = JPEGBaseline8Bit if orientation == 1 else ExplicitVRLittleEndian
    assert dataset.file_meta.TransferSyntaxUID == expected


@pytest.mark.parametrize(
    "options",
    [{"progressive": True}, {"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}],
    ids=str,
)
def test_every_process_of_jpeg_shows_the_same_picture(
    tmp_path: Path,
    identity: StudyIdentity,
    picture: Pixels,
    made_at: datetime,
    options: dict[str, Any],
) -> None:
    data = _file(picture, "JPEG", quality=95, **options)
    written = write_vl_photograph(data, identity, tmp_path / "o.dcm", made_at=made_at)
    (photograph,) = read_photographs(written.path)
    assert _difference(photograph.pixels, np.asarray(Image.open(BytesIO(data)))) <= 1
    if "progressive" in options:
        assert dcmread(written.path).PhotometricInterpretation == "RGB"


def test_grey_cmyk_and_rgb_jpegs_show_the_same_picture(
    tmp_path: Path, identity: StudyIdentity, picture: Pixels, made_at: datetime
) -> None:
    for number, data in enumerate(
        (
            _file(np.ascontiguousarray(picture[:, :, 0]), "JPEG", quality=95),
            _file(picture, "JPEG", quality=95, keep_rgb=True),
        )
    ):
        out = tmp_path / f"{number}.dcm"
        write_vl_photograph(data, identity, out, made_at=made_at)
        assert dcmread(out).file_meta.TransferSyntaxUID == JPEGBaseline8Bit
        (photograph,) = read_photographs(out)
        shown = np.asarray(Image.open(BytesIO(data)).convert("RGB"))
        assert _difference(photograph.pixels, shown) <= 1
    file = BytesIO()
    Image.fromarray(picture).convert("CMYK").save(file, "JPEG")
    written = write_vl_photograph(file.getvalue(), identity, out, made_at=made_at)
    assert dcmread(written.path).PhotometricInterpretation == "RGB"


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_lossless_file_keeps_every_pixel(
    tmp_path: Path, identity: StudyIdentity, picture: Pixels, made_at: datetime, form: str
) -> None:
    data = _file(picture, form)
    written = write_vl_photograph(data, identity, tmp_path / "o.dcm", made_at=made_at)
    (photograph,) = read_photographs(written.path)
    assert (photograph.pixels == picture).all()
    assert dcmread(written.path).LossyImageCompression == "00"


def test_heic_is_read_and_marked_lossy(
    tmp_path: Path, identity: StudyIdentity, picture: Pixels, made_at: datetime
) -> None:
    file = BytesIO()
    pillow_heif.from_pillow(Image.fromarray(picture)).save(file, quality=95)
    written = write_vl_photograph(file.getvalue(), identity, tmp_path / "o.dcm", made_at=made_at)
    (photograph,) = read_photographs(written.path)
    assert _difference(photograph.pixels, picture) < 40
    assert dcmread(written.path).LossyImageCompressionMethod == "ISO_23008_2"


def test_sixteen_bit_and_transparent_pngs_become_eight_bit_rgb(picture: Pixels) -> None:
    grey = Image.fromarray((picture[:, :, 0].astype(np.uint16)) * 257)
    file = BytesIO()
    grey.save(file, "PNG")
    assert (read_picture_file(file.getvalue()).pixels[:, :, 0] == picture[:, :, 0]).all()
    transparent = np.dstack([picture, np.zeros(picture.shape[:2], np.uint8)])
    assert (read_picture_file(_file(transparent, "PNG")).pixels == 255).all()


@pytest.mark.parametrize("view", [each for each in View if each is not View.OTHER])
def test_view_and_expression_are_read_back(
    tmp_path: Path, identity: StudyIdentity, picture: Pixels, made_at: datetime, view: View
) -> None:
    for expression in Expression:
        written = write_vl_photograph(
            picture,
            identity,
            tmp_path / "o.dcm",
            made_at=made_at,
            view=view,
            expression=expression,
            pixel_spacing_mm=0.125,
        )
        (photograph,) = read_photographs(written.path)
        assert photograph.view is view
        assert photograph.expression is expression
        assert photograph.pixel_spacing_mm == 0.125


def test_unknown_view_and_expression_are_not_invented(
    tmp_path: Path, identity: StudyIdentity, picture: Pixels, made_at: datetime
) -> None:
    written = write_vl_photograph(picture, identity, tmp_path / "o.dcm", made_at=made_at)
    (photograph,) = read_photographs(written.path)
    assert (photograph.view, photograph.expression) == (None, None)
    assert photograph.pixel_spacing_mm is None


def test_same_picture_makes_the_same_bytes_and_another_another_uid(
    tmp_path: Path, identity: StudyIdentity, picture: Pixels, made_at: datetime
) -> None:
    one = write_vl_photograph(picture, identity, tmp_path / "1", made_at=made_at)
    two = write_vl_photograph(picture, identity, tmp_path / "2", made_at=made_at)
    other = write_vl_photograph(picture[::-1], identity, tmp_path / "3", made_at=made_at)
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.sop_instance_uid != other.sop_instance_uid
    assert one.series_instance_uid == other.series_instance_uid


def test_picture_joins_an_existing_study(
    tmp_path: Path, photograph: Path, picture: Pixels, made_at: datetime
) -> None:
    joined = identity_of(photograph)
    written = write_vl_photograph(picture, joined, tmp_path / "o.dcm", made_at=made_at)
    one, other = dcmread(photograph), dcmread(written.path)
    for keyword in ("StudyInstanceUID", "PatientName", "PatientID", "StudyDate", "StudyID"):
        assert one[keyword].value == other[keyword].value


@pytest.mark.parametrize(
    "data", [b"", b"nothing", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + b"\0" * 40]
)
def test_file_that_is_no_picture_is_rejected(
    tmp_path: Path, identity: StudyIdentity, made_at: datetime, data: bytes
) -> None:
    with pytest.raises(RejectedInput, match="cannot be read"):
        write_vl_photograph(data, identity, tmp_path / "o.dcm", made_at=made_at)
    assert list(tmp_path.iterdir()) == []


def test_png_that_claims_60000_by_60000_is_rejected(picture: Pixels) -> None:
    data = bytearray(_file(picture, "PNG"))
    data[16:24] = (60000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    with pytest.raises(RejectedInput, match=r"claims 60000 x 60000|exceeds limit"):
        read_picture_file(bytes(data))


def test_truncated_jpeg_is_rejected(picture: Pixels) -> None:
    data = _file(picture, "JPEG")
    with pytest.raises(RejectedInput, match="cannot be read"):
        read_picture_file(data[: len(data) // 2])
