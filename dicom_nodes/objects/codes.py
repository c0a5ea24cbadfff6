"""The coded concepts of the results: what a name of an analysis is in DICOM.

SNOMED CT, DCM, LOINC and UCUM where a code exists, the private scheme 99HEMIFACE
elsewhere. A new analysis adds its quantities, structures and landmarks here. The
concepts of a report itself are in `report_codes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeVar

from dicom_nodes.objects import report_codes, views
from dicom_nodes.objects.coded_entries import PRIVATE_SCHEME, Code, private_code
from processing.measurement import Measurement, PermanentFault, Side, Status

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Concept:
    """What a NUM content item is named, and how its value was derived."""

    name: Code
    derivation: Code | None = None


@dataclass(frozen=True, slots=True)
class AreaConcept:
    """What an area of a surface is as a segment (PS3.3 C.8.23.1).

    `label` is its Content Label, a code string of at most 16 characters.
    """

    label: str
    type: Code
    algorithm_family: Code
    is_manual: bool


FACE: Final = Code("89545001", "SCT", "Face")
UNSPECIFIED_SITE: Final = Code("774007", "SCT", "Head and Neck")
"""The site of what has no structure: the anatomic region of the object."""

DISTANCE: Final = Code("121206", "DCM", "Distance")
ROOT_MEAN_SQUARE: Final = Code("C2347976", "UMLS", "Root Mean Square")
MEAN: Final = Code("373098007", "SCT", "Mean")
NINETY_FIFTH_PERCENTILE: Final = Code("371889001", "SCT", "95th Percentile Value of population")

QUANTITIES: Final[Mapping[str, Concept]] = MappingProxyType(
    {
        # photograph-symmetry
        "symmetry_ratio": Concept(private_code("SYMMETRY_RATIO", "Facial symmetry ratio")),
        "alternative_symmetry_ratio": Concept(
            private_code("ALT_SYMM_RATIO", "Facial symmetry ratio by another definition")
        ),
        "pair_ratio": Concept(private_code("PAIR_RATIO", "Ratio of smaller to larger side")),
        "area_ratio": Concept(private_code("AREA_RATIO", "Ratio of hemiface areas")),
        "log_ratio": Concept(private_code("LOG_RATIO", "Natural logarithm of left to right ratio")),
        "asymmetry_index": Concept(private_code("ASYMMETRY_INDEX", "Asymmetry index")),
        "midline_distance": Concept(private_code("MIDLINE_DISTANCE", "Distance to facial midline")),
        "commissure_height": Concept(
            private_code("COMMISSURE_HGT", "Height of oral commissure above the pupils")
        ),
        "commissure_excursion": Concept(
            private_code("COMMISSURE_EXC", "Distance of oral commissure to midline of lower lip")
        ),
        "commissure_excursion_difference": Concept(
            private_code("COMMISSURE_EXC_D", "Excursion of oral commissures, left minus right")
        ),
        "smile_angle": Concept(
            private_code("SMILE_ANGLE", "Angle of oral commissure at midline of lower lip")
        ),
        "commissure_height_difference": Concept(
            private_code("COMMISSURE_DIFF", "Height of oral commissures, left minus right")
        ),
        "brow_height": Concept(private_code("BROW_HEIGHT", "Height of eyebrow above the pupils")),
        "brow_height_difference": Concept(
            private_code("BROW_DIFF", "Height of eyebrows, left minus right")
        ),
        "chin_deviation": Concept(
            private_code("CHIN_DEVIATION", "Deviation of chin to the left of the midline")
        ),
        "palpebral_fissure_height": Concept(
            private_code("PALPEBRAL_HEIGHT", "Height of palpebral fissure")
        ),
        "palpebral_fissure_height_difference": Concept(
            private_code("PALPEBRAL_H_DIFF", "Height of palpebral fissure, left minus right")
        ),
        "margin_reflex_distance_1_difference": Concept(
            private_code("MRD1_DIFF", "Margin reflex distance 1, left minus right")
        ),
        "margin_reflex_distance_2_difference": Concept(
            private_code("MRD2_DIFF", "Margin reflex distance 2, left minus right")
        ),
        "margin_reflex_distance_1": Concept(private_code("MRD1", "Margin reflex distance 1")),
        "margin_reflex_distance_2": Concept(private_code("MRD2", "Margin reflex distance 2")),
        "ocular_cant": Concept(private_code("OCULAR_CANT", "Cant of the eyes")),
        "oral_cant": Concept(private_code("ORAL_CANT", "Cant of the mouth")),
        "midline_angle": Concept(private_code("MIDLINE_ANGLE", "Angle of the facial midline")),
        "landmark_edit_distance": Concept(
            private_code("EDIT_DISTANCE", "Distance from detected to reviewer's landmark")
        ),
        "yaw": Concept(private_code("HEAD_YAW", "Yaw of the head")),
        "pitch": Concept(private_code("HEAD_PITCH", "Pitch of the head")),
        "roll": Concept(private_code("HEAD_ROLL", "Roll of the head")),
        "scale": Concept(private_code("PIXEL_SCALE", "Size of a pixel at the face")),
        # surface-symmetry
        "volume_discrepancy": Concept(
            private_code("VOLUME_DISCREP", "Volume of left minus right hemiface")
        ),
        "rms_asymmetry": Concept(DISTANCE, ROOT_MEAN_SQUARE),
        "mean_absolute_asymmetry": Concept(DISTANCE, MEAN),
        "p95_asymmetry": Concept(DISTANCE, NINETY_FIFTH_PERCENTILE),
        "fraction_within_1mm": Concept(
            private_code("WITHIN_1MM", "Fraction of surface within 1 mm of its mirror image")
        ),
        "fraction_within_2mm": Concept(
            private_code("WITHIN_2MM", "Fraction of surface within 2 mm of its mirror image")
        ),
        "landmark_asymmetry": Concept(
            private_code("LANDMARK_ASYMM", "Distance of landmark to its mirrored partner")
        ),
        "plane_choice_volume_change": Concept(
            private_code("PLANE_CHOICE_VOL", "Change of volume difference with another plane")
        ),
    }
)

DISPLAYED: Final[Mapping[tuple[str, str | None], Code]] = MappingProxyType(
    {
        ("midline_distance", "left"): private_code("MIDLINE_DIST_L", "Left to midline"),
        ("midline_distance", "right"): private_code("MIDLINE_DIST_R", "Right to midline"),
        ("rms_asymmetry", None): private_code("RMS_ASYMMETRY", "RMS asymmetry"),
        ("mean_absolute_asymmetry", None): private_code("MEAN_ASYMMETRY", "Mean asymmetry"),
        ("p95_asymmetry", None): private_code("P95_ASYMMETRY", "95th percentile of asymmetry"),
        **dict.fromkeys(
            (
                ("volume_discrepancy", "affected area"),
                ("volume_discrepancy", "affected area, given"),
            ),
            private_code("AREA_VOLUME", "Volume of affected area, left minus right"),
        ),
    }
)
"""Names on pictures, by quantity and its side or region.

Viewers show the name of a number without its modifiers and derivation. Where several
numbers would read alike, the name on a picture says in one code what the report says
in several.
"""

_PARTS: Final[Mapping[str, Code]] = MappingProxyType(
    {
        "face": FACE,
        "hemiface": Code("422624005", "SCT", "Half of face lateral to midsagittal plane"),
        "head": Code("69536005", "SCT", "Head"),
        "face_contour": private_code("FACE_CONTOUR", "Contour of face"),
        "palpebral_fissure": private_code("PALPEBR_FISSURE", "Palpebral fissure"),
        "midline": private_code("FACIAL_MIDLINE", "Midline of the face"),
        # What an alternative symmetry ratio compares
        "landmark_pairs": private_code("LANDMARK_PAIRS", "Pairs of facial landmarks"),
        "hemiface_area": private_code("HEMIFACE_AREA", "Areas of both halves of the face"),
        "denadai": private_code("CONTOUR_WIDTHS", "Widths from midline to contour of the face"),
        "eye": Code("81745001", "SCT", "Eye"),
        "eyes": Code("40638003", "SCT", "Both eyes"),
        "brow": Code("367577003", "SCT", "Skin of eyebrow"),
        "mouth": Code("123851003", "SCT", "Mouth"),
        "lips": Code("48477009", "SCT", "Lip"),
        "nose": Code("45206002", "SCT", "Nose"),
        "chin": Code("23747009", "SCT", "Skin of chin"),
        "iris": Code("41296002", "SCT", "Iris"),
        "pupil": private_code("PUPIL", "Pupil"),
        "mandible": Code("91609006", "SCT", "Mandible"),
    }
)

LANDMARKS: Final[Mapping[str, Code]] = MappingProxyType(
    {
        "trichion": private_code("TRICHION", "Trichion"),
        "glabella": private_code("GLABELLA", "Glabella"),
        "nasion": Code("264779", "FMA", "Nasion"),
        "sellion": private_code("SELLION", "Sellion"),
        "pronasale": Code("79283007", "SCT", "Skin of tip of nose"),
        "subnasale": private_code("SUBNASALE", "Subnasale"),
        "labiale_superius": private_code("LABIALE_SUP", "Labiale superius"),
        "stomion": private_code("STOMION", "Stomion"),
        "labiale_inferius": private_code("LABIALE_INF", "Labiale inferius"),
        "sublabiale": private_code("SUBLABIALE", "Sublabiale"),
        "pogonion": private_code("POGONION", "Pogonion"),
        "gnathion": private_code("GNATHION", "Gnathion"),
        "menton": private_code("MENTON", "Menton"),
        "exocanthion": Code("37671003", "SCT", "Skin of lateral canthus"),
        "endocanthion": Code("27887005", "SCT", "Skin of medial canthus"),
        "palpebrale_superius": private_code("PALPEBRALE_SUP", "Palpebrale superius"),
        "palpebrale_inferius": private_code("PALPEBRALE_INF", "Palpebrale inferius"),
        "iris_centre": private_code("IRIS_CENTRE", "Centre of iris"),
        "iris_superius": private_code("IRIS_SUPERIOR", "Uppermost point of iris"),
        "iris_inferius": private_code("IRIS_INFERIOR", "Lowermost point of iris"),
        "iris_temporal": private_code("IRIS_TEMPORAL", "Temporal point of iris"),
        "iris_nasal": private_code("IRIS_NASAL", "Nasal point of iris"),
        "brow_medial": private_code("BROW_MEDIAL", "Medial end of eyebrow"),
        "brow_peak": private_code("BROW_PEAK", "Peak of eyebrow"),
        "brow_lateral": private_code("BROW_LATERAL", "Lateral end of eyebrow"),
        "alare": Code("68598004", "SCT", "Skin of ala nasi"),
        "subalare": Code("130312", "DCM", "Skin of infraalar groove"),
        "crista_philtri": Code("84365009", "SCT", "Skin of philtrum"),
        "cheilion": private_code("CHEILION", "Cheilion"),
        "frontotemporale": private_code("FRONTOTEMPORALE", "Frontotemporale"),
        "zygion": private_code("ZYGION", "Zygion"),
        "gonion": private_code("GONION", "Gonion"),
        "tragion": Code("79502000", "SCT", "Skin of tragus"),
        "orbitale": private_code("ORBITALE", "Orbitale"),
        "otobasion_inferius": private_code("OTOBASION_INF", "Otobasion inferius"),
    }
)
"""Anthropometric landmarks, without their side."""

STRUCTURES: Final[Mapping[str, Code]] = MappingProxyType({**_PARTS, **LANDMARKS})
"""Finding sites."""

REGIONS: Final[Mapping[str, Code]] = MappingProxyType(
    {
        "whole": private_code("REGION_WHOLE", "Whole face"),
        "upper": private_code("REGION_UPPER", "Upper third of face"),
        "middle": private_code("REGION_MIDDLE", "Middle third of face"),
        "lower": private_code("REGION_LOWER", "Lower third of face"),
        "forehead": Code("68698007", "SCT", "Skin of forehead"),
        "temple": Code("16621002", "SCT", "Skin of temporal region"),
        "periorbital": Code("362916000", "SCT", "Skin of eye region"),
        "brow": Code("367577003", "SCT", "Skin of eyebrow"),
        "orbit": Code("363654007", "SCT", "Orbit"),
        "orbital": Code("371398005", "SCT", "Eye region"),
        "eye": Code("81745001", "SCT", "Eye"),
        "nose": Code("45206002", "SCT", "Nose"),
        "cheek": Code("36141000", "SCT", "Skin of cheek"),
        "paranasal": Code("130314", "DCM", "Skin of paranasal cheek"),
        "mouth": Code("123851003", "SCT", "Mouth"),
        "perioral": Code("110488009", "SCT", "Skin of perioral region"),
        "upper lip": Code("16251004", "SCT", "Skin of upper lip"),
        "lower lip": Code("66934001", "SCT", "Skin of lower lip"),
        "chin": Code("23747009", "SCT", "Skin of chin"),
        "jaw": Code("661005", "SCT", "Jaw region"),
        "jawline": Code("244097004", "SCT", "Skin of jawline"),
        "mandible": Code("91609006", "SCT", "Mandible"),
        "neck": Code("45048000", "SCT", "Neck"),
        "V1": private_code("REGION_V1", "Skin supplied by the ophthalmic nerve"),
        "V2": private_code("REGION_V2", "Skin supplied by the maxillary nerve"),
        "V3": private_code("REGION_V3", "Skin supplied by the mandibular nerve"),
        # With which other midsagittal plane a volume was taken
        "landmarks": private_code("PLANE_LANDMARKS", "By the plane of the landmarks"),
        "upper face": private_code("PLANE_UPPER_FACE", "By the plane of the upper face"),
        "rival": private_code("PLANE_RIVAL", "By the plane that explains the face next best"),
        "affected area": private_code("AFFECTED_AREA", "Affected area, found automatically"),
        "affected area, levelled": private_code(
            "AFFECTED_LEVEL", "Affected area, found automatically, levelled on its rim"
        ),
        "affected area, given": private_code(
            "AFFECTED_GIVEN", "Affected area, outlined by a reviewer"
        ),
        "affected area, given, levelled": private_code(
            "AFFECTED_GIV_LEV", "Affected area, outlined by a reviewer, levelled on its rim"
        ),
    }
)
"""Parts of the face, written as modifiers of the finding site."""

UNITS: Final[Mapping[str, Code]] = MappingProxyType(
    {
        "mm": Code("mm", "UCUM", "millimeter"),
        "mm2": Code("mm2", "UCUM", "square millimeter"),
        "mm3": Code("mm3", "UCUM", "cubic millimeter"),
        "mL": Code("mL", "UCUM", "milliliter"),
        "um": Code("um", "UCUM", "micrometer"),
        "dm": Code("dm", "UCUM", "decimeter"),
        "[ft_i]": Code("[ft_i]", "UCUM", "foot"),
        "cm": Code("cm", "UCUM", "centimeter"),
        "m": Code("m", "UCUM", "meter"),
        "[in_i]": Code("[in_i]", "UCUM", "inch"),
        "deg": Code("deg", "UCUM", "degree"),
        "1": Code("1", "UCUM", "no units"),
        "%": Code("%", "UCUM", "percent"),
        "s": Code("s", "UCUM", "second"),
        "{pixels}": Code("{pixels}", "UCUM", "pixels"),
        "mm/{pixel}": Code("mm/{pixel}", "UCUM", "millimeter per pixel"),
    }
)

PLANES: Final[Mapping[str, Code]] = MappingProxyType(
    {"midsagittal": private_code("MIDSAGITTAL", "Midsagittal plane of the face")}
)

AREAS: Final[Mapping[str, AreaConcept]] = MappingProxyType(
    {
        "affected-area": AreaConcept(
            label="AFFECTED_AREA",
            type=private_code("AFFECTED_AREA", "Affected area, found automatically"),
            algorithm_family=Code("123101", "DCM", "Neighborhood Analysis"),
            is_manual=False,
        ),
        "affected-area-given": AreaConcept(
            label="AFFECTED_GIVEN",
            type=private_code("AFFECTED_GIVEN", "Affected area, outlined by a reviewer"),
            algorithm_family=Code("123109", "DCM", "Manual Processing"),
            is_manual=True,
        ),
    }
)
"""Areas of a surface that are written as objects; algorithm families of CID 7162."""

PROCEDURES: Final[Mapping[str, Code]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "photograph-symmetry",
                "photograph-smile",
                "photograph-brow-raise",
                "photograph-eye-closure",
            ),
            Code("197157006", "SCT", "Photography of patient"),
        ),
        "surface-symmetry": private_code("FACE_SCAN", "Three-dimensional surface scan of face"),
    }
)

SIDES: Final[Mapping[Side, Code]] = MappingProxyType(
    {
        Side.LEFT: Code("7771000", "SCT", "Left"),
        Side.RIGHT: Code("24028007", "SCT", "Right"),
    }
)

STATUSES: Final[Mapping[Status, Code]] = MappingProxyType(
    {
        Status.MEASURED: Code("111222", "DCM", "Succeeded"),
        Status.REFUSED: Code("111225", "DCM", "Not Attempted"),
        Status.FAILED: Code("111224", "DCM", "Failed"),
    }
)
"""CID 6042, status of results."""


def quantity_concept(quantity: str) -> Concept:
    """The concept of a quantity.

    Raises
    ------
    PermanentFault
        If it has none; the message says what to add.
    """
    return _look_up(QUANTITIES, quantity, "QUANTITIES")


def displayed_name(measured: Measurement) -> Code:
    """The name of a measurement on a picture; raises PermanentFault where it has none."""
    modifier = measured.region or (measured.side.value if measured.side else None)
    own = DISPLAYED.get((measured.quantity, modifier))
    return own or quantity_concept(measured.quantity).name


def structure_code(structure: str) -> Code:
    """The code of a structure or landmark (without its side); raises PermanentFault."""
    return _look_up(STRUCTURES, structure, "STRUCTURES")


def region_code(region: str) -> Code:
    """The code of a region; raises PermanentFault."""
    return _look_up(REGIONS, region, "REGIONS")


def unit_code(unit: str) -> Code:
    """The code of a UCUM unit; raises PermanentFault."""
    return _look_up(UNITS, unit, "UNITS")


def plane_code(plane: str) -> Code:
    """The code of a plane; raises PermanentFault."""
    return _look_up(PLANES, plane, "PLANES")


def area_concept(area: str) -> AreaConcept:
    """What an area is as a segment; raises PermanentFault."""
    return _look_up(AREAS, area, "AREAS")


def procedure_code(analysis: str) -> Code:
    """The code of the procedure that an analysis reports on; raises PermanentFault."""
    return _look_up(PROCEDURES, analysis, "PROCEDURES")


def landmark_site(landmark: str) -> tuple[Code, Side | None]:
    """The code of a landmark, and its side by the ending of its name.

    Raises
    ------
    PermanentFault
        If its structure has no code.
    """
    for side in Side:
        if landmark.endswith(f"_{side.value}"):
            return structure_code(landmark.removesuffix(f"_{side.value}")), side
    return structure_code(landmark), None


def name_of(code: Code, names: Mapping[_T, Code]) -> _T | None:
    """The first name that has this code, None where there is none."""
    return next((name for name, each in names.items() if each == code), None)


def quantity_of(name: Code, derivation: Code | None) -> str | None:
    """The quantity that is written with this name and derivation."""
    wanted = Concept(name, derivation)
    return next((each for each, concept in QUANTITIES.items() if concept == wanted), None)


def written_codes() -> tuple[Code, ...]:
    """Every concept that is written, by scheme and value; methods are coded by their texts."""
    tables: tuple[Iterable[Code], ...] = (
        (concept.name for concept in QUANTITIES.values()),
        (each.derivation for each in QUANTITIES.values() if each.derivation is not None),
        DISPLAYED.values(),
        STRUCTURES.values(),
        REGIONS.values(),
        UNITS.values(),
        PLANES.values(),
        (area.type for area in AREAS.values()),
        (area.algorithm_family for area in AREAS.values()),
        PROCEDURES.values(),
        SIDES.values(),
        STATUSES.values(),
        report_codes.REPORT_CODES,
        views.VIEW_CODES,
    )
    found = {each for table in tables for each in table}
    return tuple(sorted(found, key=lambda each: (each.scheme, each.value)))


def private_codes() -> tuple[Code, ...]:
    """Every concept of the private scheme."""
    return tuple(each for each in written_codes() if each.scheme == PRIVATE_SCHEME)


def _look_up(table: Mapping[str, _T], name: str, table_name: str) -> _T:
    try:
        return table[name]
    except KeyError:
        raise PermanentFault(
            f"'{name}' has no code: add it to {table_name} in dicom_nodes/objects/codes.py."
        ) from None
