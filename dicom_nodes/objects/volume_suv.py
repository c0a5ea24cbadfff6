"""The standardized uptake value of PET by body weight; refused where anything is unsaid.

SUVbw = activity concentration (Bq/mL) * body weight (g) / dose (Bq), the dose decayed
to the moment to which the image is decay corrected (QIBA profile FDG-PET/CT, appendix
on vendor-neutral computation). Nothing is guessed: a missing or contradicting attribute
gives a reason instead of a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pydicom.dataset import Dataset
from pydicom.valuerep import DT

from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.volume_values import BECQUEREL
from processing.measurement import RejectedInput

_SUV_UNIT: Final = "g/mL"
_WEIGHT_KG: Final = (0.3, 400.0)
_DOSE_BQ: Final = (1e5, 1e11)
_HALF_LIFE_SECONDS: Final = (10.0, 1e8)
_LONGEST_WAIT: Final = timedelta(days=3)


def suv_per_unit(datasets: Sequence[Dataset], unit: str) -> float:
    """What one `unit` of the values of a PET volume is in SUV by body weight.

    Parameters
    ----------
    datasets : sequence of Dataset
        Of all instances of the volume.
    unit : str
        Of its values.

    Raises
    ------
    RejectedInput
        If it cannot be known; the message names the attribute.
    """
    first = datasets[0]
    try:
        with foreign_values():
            if unit == _SUV_UNIT:
                return _already_suv(first)
            if unit != BECQUEREL:
                raise RejectedInput(
                    f"Units (0054,1001) is {first.get('Units') or 'missing'}; SUV needs BQML."
                )
            weight = _within(
                first.get("PatientWeight"), _WEIGHT_KG, "Patient's Weight (0010,1030)", "kg"
            )
            return weight * 1000 / _decayed_dose_bq(datasets)
    except FOREIGN_VALUE_FAULTS as fault:
        raise RejectedInput(f"An attribute that SUV needs cannot be read ({fault}).") from fault


def _already_suv(dataset: Dataset) -> float:
    kind = dataset.get("SUVType")
    if kind == "BW":
        return 1.0
    raise RejectedInput(
        f"The values are in g/mL with SUV Type (0054,1006) {kind or 'missing'}; only BW is by "
        "body weight."
    )


def _decayed_dose_bq(datasets: Sequence[Dataset]) -> float:
    first = datasets[0]
    items = list(first.get("RadiopharmaceuticalInformationSequence") or [])
    if len(items) != 1:
        raise RejectedInput(
            "Radiopharmaceutical Information Sequence (0054,0016) has "
            f"{len(items)} items; SUV needs one."
        )
    (item,) = items
    dose = _within(
        item.get("RadionuclideTotalDose"), _DOSE_BQ, "Radionuclide Total Dose (0018,1074)", "Bq"
    )
    half_life = _within(
        item.get("RadionuclideHalfLife"),
        _HALF_LIFE_SECONDS,
        "Radionuclide Half Life (0018,1075)",
        "s",
    )
    given_at, reference = _injection(item, datasets), _reference(datasets)
    if reference is None:  # corrected to the moment of administration
        return dose
    wait = reference - given_at
    if not timedelta(0) <= wait <= _LONGEST_WAIT:
        raise RejectedInput(
            f"The image is decay corrected to {reference:%Y-%m-%d %H:%M:%S}, which is not within "
            f"three days after the injection at {given_at:%Y-%m-%d %H:%M:%S}."
        )
    return dose * math.exp(-math.log(2) * wait.total_seconds() / half_life)


def _reference(datasets: Sequence[Dataset]) -> datetime | None:
    """To which moment the values are decay corrected; None for that of administration."""
    first = datasets[0]
    if first.get("DecayCorrected") is not None:  # of enhanced objects
        if first.DecayCorrected != "YES":
            raise RejectedInput("Decay Corrected (0018,9758) is not YES.")
        return _moment(
            first.get("DecayCorrectionDateTime"), "Decay Correction DateTime (0018,9701)"
        )
    _check_corrections(first)
    correction = first.get("DecayCorrection")
    if correction == "ADMIN":
        return None
    if correction != "START":
        raise RejectedInput(
            f"Decay Correction (0054,1102) is {correction or 'missing'}; SUV needs START or ADMIN."
        )
    start = _date_and_time(first, "Series")
    for each in datasets:
        if _date_and_time(each, "Acquisition") < start:
            raise RejectedInput(
                "Series Time (0008,0031) is later than an Acquisition Time (0008,0032), so it is "
                "not the start of the scan, to which the values are decay corrected."
            )
    return start


def _check_corrections(dataset: Dataset) -> None:
    made = dataset.get("CorrectedImage") or []
    missing = {"ATTN", "DECY"} - {str(each) for each in ([made] if isinstance(made, str) else made)}
    if missing:
        raise RejectedInput(
            f"Corrected Image (0028,0051) does not name {' and '.join(sorted(missing))}."
        )


def _injection(item: Dataset, datasets: Sequence[Dataset]) -> datetime:
    stated = item.get("RadiopharmaceuticalStartDateTime")
    if stated:
        return _moment(stated, "Radiopharmaceutical Start DateTime (0018,1078)")
    time = item.get("RadiopharmaceuticalStartTime")
    if not time:
        raise RejectedInput(
            "Radiopharmaceutical Start DateTime (0018,1078) and Start Time (0018,1072) are missing."
        )
    # Its day is not stated: a day on which it lies before the scan must be that of the scan.
    day = datasets[0].get("AcquisitionDate") or datasets[0].get("SeriesDate")
    return _moment(f"{day or ''}{time}", "Radiopharmaceutical Start Time (0018,1072)")


def _date_and_time(dataset: Dataset, of: str) -> datetime:
    date, time = dataset.get(f"{of}Date"), dataset.get(f"{of}Time")
    if not date or not time:
        raise RejectedInput(f"{of} Date or {of} Time is missing.")
    return _moment(f"{date}{time}", f"{of} Date and Time")


def _moment(value: object, what: str) -> datetime:
    """A moment without its zone: all are of one scanner."""
    text = str(value or "")
    if len(text) < len("YYYYMMDDHHMM"):
        raise RejectedInput(f"{what} is missing or not exact to the minute.")
    return datetime(*DT(text).timetuple()[:6])  # noqa: DTZ001 - of one clock, whose zone cancels


def _within(value: object, bounds: tuple[float, float], what: str, unit: str) -> float:
    if value is None or value == "":
        raise RejectedInput(f"{what} is missing.")
    number = float(str(value))
    least, most = bounds
    if not least <= number <= most:
        raise RejectedInput(
            f"{what} is {number:g} {unit}, which is not between {least:g} and {most:g}."
        )
    return number
