"""Objects and PDUs with bytes changed: from a seed, so that each run is the same."""

from __future__ import annotations

import random
from io import BytesIO

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SC = "1.2.840.10008.5.1.4.1.1.7"
MR = "1.2.840.10008.5.1.4.1.1.4"
PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.77.1.4"
STL = "1.2.840.10008.5.1.4.1.1.104.3"
OBJ = "1.2.840.10008.5.1.4.1.1.104.4"
MESH = "1.2.840.10008.5.1.4.1.1.66.5"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
# Where values of lengths, counts and tags break what believes them.
_TELLING = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xfe\xff\x0d\xe0", b"\x80\0")


def mutated(data: bytes, choice: random.Random, *, spare: int = 0) -> bytes:
    """`data` with a few bytes changed, put in, taken out or cut off; the first `spare` stay."""
    changed = bytearray(data)
    for _ in range(choice.choice((1, 1, 2, 5, 20))):
        # Half of the changes hit the first kilobytes, where the structure is.
        limit = len(changed) if choice.random() < 0.5 else min(len(changed), spare + 4096)
        if limit <= spare + 1:
            break
        at = choice.randrange(spare, limit)
        match choice.randrange(6):
            case 0:
                changed[at] ^= 1 << choice.randrange(8)
            case 1:
                changed[at] = choice.randrange(256)
            case 2:
                value = choice.choice(_TELLING)
                changed[at : at + len(value)] = value
            case 3:
                del changed[at : at + choice.randrange(1, 64)]
            case 4:
                changed[at:at] = changed[at : at + choice.randrange(1, 64)]
            case 5:
                if choice.random() < 0.2:
                    del changed[at:]
    return bytes(changed)


def part_10(dataset: Dataset) -> bytes:
    """The dataset as a file in Explicit VR Little Endian."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def data_set_of(file: bytes) -> bytes:
    """What stands behind the File Meta Information."""
    return file[144 + int.from_bytes(file[140:144], "little") :]


def base(sop_class_uid: str, modality: str) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.Modality = "FUZZ", "Fuzz^Ed", modality
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    return dataset


def photograph() -> Dataset:
    dataset = base(PHOTOGRAPH, "XC")
    pixels = np.random.default_rng(1).integers(0, 255, (64, 48, 3), np.uint8)
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.PlanarConfiguration = 7, 0, 0
    dataset.PixelData = pixels.tobytes()
    return dataset


def magnetic_resonance() -> Dataset:
    dataset = base(MR, "MR")
    dataset.Rows = dataset.Columns = 32
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelSpacing, dataset.SliceThickness = [1, 1], 1
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    dataset.PixelData = bytes(2048)
    return dataset


def model(sop_class_uid: str, media_type: str, document: bytes) -> Dataset:
    dataset = base(sop_class_uid, "M3D")
    unit = Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "mm", "UCUM", "millimeter"
    dataset.MeasurementUnitsCodeSequence = Sequence([unit])
    dataset.FrameOfReferenceUID = generate_uid()
    dataset.MIMETypeOfEncapsulatedDocument = media_type
    dataset.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    dataset.EncapsulatedDocumentLength = len(document)
    return dataset


def stl() -> Dataset:
    triangles = np.random.default_rng(2).normal(0, 50, (60, 12)).astype("<f4")
    body = b"".join(row.tobytes() + b"\0\0" for row in triangles)
    return model(STL, "model/stl", bytes(80) + len(triangles).to_bytes(4, "little") + body)


def obj() -> Dataset:
    corners = np.random.default_rng(3).normal(0, 50, (30, 3))
    lines = [f"v {x:.3f} {y:.3f} {z:.3f}" for x, y, z in corners]
    lines += [f"f {number} {number + 1} {number + 2}" for number in range(1, 28)]
    return model(OBJ, "model/obj", "\n".join(lines).encode() + b"\n")


def surface_mesh() -> Dataset:
    """A Surface Scan Mesh of a few points and triangles (PS3.3, A.80.1)."""
    dataset = base(MESH, "OSS")
    points = np.random.default_rng(4).normal(0, 50, (30, 3)).astype("<f4")
    mesh, coordinates, primitives = Dataset(), Dataset(), Dataset()
    coordinates.NumberOfSurfacePoints = len(points)
    coordinates.PointCoordinatesData = points.tobytes()
    triangles = np.arange(1, 31, dtype="<u4")
    primitives.LongTrianglePointIndexList = triangles.tobytes()
    mesh.SurfaceNumber = 1
    mesh.SurfacePointsSequence = Sequence([coordinates])
    mesh.SurfaceMeshPrimitivesSequence = Sequence([primitives])
    dataset.NumberOfSurfaces = 1
    dataset.SurfaceSequence = Sequence([mesh])
    return dataset


def report() -> Dataset:
    """A Structured Report with nested containers, numbers and coordinates."""
    dataset = base(COMPREHENSIVE_3D_SR, "SR")
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "VERIFIED"
    dataset.ConceptNameCodeSequence = _code("126000", "DCM", "Imaging Measurement Report")
    number, value = _item("NUM", "M", "99HEMIFACE", "symmetry ratio"), Dataset()
    value.NumericValue, value.MeasurementUnitsCodeSequence = "0.97", _code("1", "UCUM", "1")
    number.MeasuredValueSequence = Sequence([value])
    place = _item("SCOORD", "111030", "DCM", "Image Region")
    place.GraphicType, place.GraphicData = "POINT", [12.0, 13.0]
    group = _item("CONTAINER", "125007", "DCM", "Measurement Group")
    group.ContentSequence = Sequence([number, place])
    groups = _item("CONTAINER", "126010", "DCM", "Imaging Measurements")
    groups.ContentSequence = Sequence([group, group])
    dataset.ContentSequence = Sequence([groups])
    return dataset


def _item(value_type: str, code: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", value_type
    item.ConceptNameCodeSequence = _code(code, scheme, meaning)
    return item


def _code(value: str, scheme: str, meaning: str) -> Sequence:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return Sequence([code])


CORPUS = {
    each.__name__: each for each in (photograph, magnetic_resonance, stl, obj, surface_mesh, report)
}
