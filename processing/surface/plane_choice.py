"""Which of several planes explains a face best, and which of the others stays as a rival.

One plane is that which all of a face shares; beside the others one hemiface may
lack as much as it wants. What tells them apart is how much of the face is
symmetric to within the noise of the scan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.surface.plane import MirrorPlane
from processing.surface.plane_fit import (
    SYMMETRIC,
    FittedPlane,
    apart,
    beside_deficit,
    differ,
    refined,
)
from processing.surface.registration import Registration

# Naturally asymmetric faces stay below this exactness; scans of symmetric ones lie above.
EXACT: Final = 0.75
# Planes that differ less are the same plane, found twice.
_OTHER_DEG: Final = 0.25
_OTHER_MM: Final = 0.25
_CLEARLY_OTHER_DEG: Final = 0.3
_CLEARLY_OTHER_MM: Final = 0.4
# By so much more of the area must be exactly symmetric before a deficit over most of a
# hemiface is believed; natural asymmetry alone reaches less. It does not pull planes
# apart by a degree, either, so that less evidence is enough then.
_MORE_EXACT: Final = 0.05
_ABOUT_AS_EXACT: Final = -0.05
_FAR_APART_DEG: Final = 1.0
# A plane under which so much less of the face is roughly symmetric explains it worse.
_LEAST_SUPPORT: Final = 0.5
# With more than a quarter of the face affected its edges pull a plane that all share.
_MOSTLY_SYMMETRIC: Final = 0.75
# With more than this symmetric no deficit covers most of a naturally asymmetric hemiface.
_WIDELY_AFFECTED: Final = 0.7
# By so much more exactly symmetric beside a deficit a plane is told as a rival all the same.
_DOUBTFUL: Final = 0.03
# So much of the face within the noise of its scan, by so much more sharply, and so little
# of it standing out on the side that lacks, tell a plane as a rival too.
_CLOSELY_SYMMETRIC: Final = 0.16
_SHARPER: Final = 0.02
_ON_THE_LACKING_SIDE: Final = 0.01


@dataclass(frozen=True, slots=True)
class PlaneChoice:
    """The plane that explains a face best.

    Parameters
    ----------
    fitted : FittedPlane
    rival : FittedPlane, optional
        The clearly different one that explains it next best.
    rival_ratio : float
        Evidence for the rival relative to that for the plane, at most 1.
    share : float
        Of the facial region, that no person outlined.
    left : (k,) int array, optional
        The points that were not outlined, where a person did.
    """

    fitted: FittedPlane
    rival: FittedPlane | None = None
    rival_ratio: float = 0.0
    share: float = 1.0
    left: NDArray[np.intp] | None = field(default=None, repr=False)


def chosen_plane(
    registration: Registration,
    landmarks: MirrorPlane,
    ordered: NDArray[np.intp],
) -> PlaneChoice | None:
    """The plane that all of a face shares, or one beside a deficit, by their evidence.

    Parameters
    ----------
    registration : Registration
    landmarks : MirrorPlane
        Where the search begins.
    ordered : (k,) int array
        Points of the facial region, from `Registration.ordered`.

    Returns
    -------
    PlaneChoice or None
        None when the two sides cannot be laid over each other.
    """
    rough = registration.annealed(landmarks, ordered)
    shared = None if rough is None else refined(registration, rough, ordered, SYMMETRIC)
    if shared is None:
        return None
    others = beside_deficit(
        registration,
        shared,
        landmarks,
        ordered,
        everywhere=shared.symmetric_fraction < _MOSTLY_SYMMETRIC,
    )
    believable = [each for each in others if _may_explain(each, shared)]
    chosen = max([shared, *believable], key=lambda each: _evidence(each, shared))
    exactness = shared.difference.exactness()
    doubtful = [
        each
        for each in others
        if each.difference.exactness() > exactness + _DOUBTFUL or _sharper(each, shared)
    ]
    return _against_rivals(chosen, [shared, *believable, *doubtful])


def _evidence(fitted: FittedPlane, shared: FittedPlane) -> float:
    """Exactness, less what a plane beside a deficit must have more of."""
    exactness = fitted.difference.exactness()
    if fitted is shared:
        return exactness
    if not differ(fitted.plane, shared.plane, _OTHER_DEG, _OTHER_MM):
        # The same plane, but not pulled by the edges of a large deficit; only where
        # something is exactly symmetric is that better than what all of the face says.
        return 1.0 + exactness if exactness > EXACT else -1.0
    far = apart(fitted.plane, shared.plane)[0] > _FAR_APART_DEG and _supported(fitted, shared)
    return exactness - (_ABOUT_AS_EXACT if far else _MORE_EXACT)


def _may_explain(fitted: FittedPlane, shared: FittedPlane) -> bool:
    """Whether a plane beside a deficit is to be believed at all.

    Where most of a face is about symmetric on one plane, only exact symmetry beside a
    deficit speaks for another: natural asymmetry lets some other plane look as well.
    """
    return (
        shared.symmetric_fraction < _WIDELY_AFFECTED
        or fitted.difference.exactness() > EXACT
        or not differ(fitted.plane, shared.plane, _OTHER_DEG, _OTHER_MM)
    )


def _sharper(fitted: FittedPlane, shared: FittedPlane) -> bool:
    """Whether a plane beside a deficit might be right though the face is about symmetric.

    Beside a shallow deficit over most of a hemiface a good part of the face is symmetric to
    well within the noise of its scan, more sharply than on the plane that all of the face
    shares, and nothing stands out on the side that lacks.
    """
    difference = fitted.difference
    return (
        difference.closely_symmetric() > _CLOSELY_SYMMETRIC
        and difference.sharpness() > shared.difference.sharpness() + _SHARPER
        and difference.standing_out(-fitted.loss.lacking) < _ON_THE_LACKING_SIDE
    )


def _supported(fitted: FittedPlane, other: FittedPlane) -> bool:
    """Whether about as much of the face is roughly symmetric as on another plane."""
    return fitted.difference.rough_support() > _LEAST_SUPPORT * other.difference.rough_support()


def _against_rivals(chosen: FittedPlane, candidates: list[FittedPlane]) -> PlaneChoice:
    rivals = [
        each
        for each in candidates
        if each is not chosen
        and _supported(each, chosen)
        and differ(each.plane, chosen.plane, _CLEARLY_OTHER_DEG, _CLEARLY_OTHER_MM)
    ]
    if not rivals:
        return PlaneChoice(chosen)
    rival = max(rivals, key=lambda each: each.difference.exactness())
    ratio = rival.difference.exactness() / max(chosen.difference.exactness(), 1e-9)
    return PlaneChoice(chosen, rival, min(ratio, 1.0))
