"""The views of ANSI/ADA Standard No. 1100, by the code that begins Image Comments.

Writers of orthodontic photographs put ``EV19^Full Face - Full Smile`` there. The
codes EV01 to EV43 are extraoral, IV01 to IV30 intraoral; occlusion (centric
occlusion or relation), which they also tell apart, does not show on the face.
"""

from __future__ import annotations

import re
from typing import Final

from processing.inputs import Expression, View

_CODE: Final = re.compile(r"\s*([EI])V([0-4]\d)(?![0-9A-Za-z])")
_LAST: Final = {"E": 43, "I": 30}
_SERIES: Final = (
    # first and last code, view, expression
    (1, 4, View.RIGHT_PROFILE, Expression.REPOSE),
    (5, 6, View.RIGHT_PROFILE, Expression.SMILE),
    (7, 7, View.RIGHT_PROFILE, Expression.OTHER),  # mandible postured forward
    (8, 11, View.RIGHT_OBLIQUE, Expression.REPOSE),
    (12, 13, View.RIGHT_OBLIQUE, Expression.SMILE),
    (14, 14, View.RIGHT_OBLIQUE, Expression.OTHER),
    (15, 18, View.FRONTAL, Expression.REPOSE),
    (19, 20, View.FRONTAL, Expression.SMILE),
    (21, 21, View.FRONTAL, Expression.OTHER),
    (22, 25, View.LEFT_PROFILE, Expression.REPOSE),
    (26, 27, View.LEFT_PROFILE, Expression.SMILE),
    (28, 28, View.LEFT_PROFILE, Expression.OTHER),
    (29, 32, View.LEFT_OBLIQUE, Expression.REPOSE),
    (33, 34, View.LEFT_OBLIQUE, Expression.SMILE),
    (35, 35, View.LEFT_OBLIQUE, Expression.OTHER),
    (36, 37, View.OTHER, None),  # from below, from above
    (38, 38, View.OTHER, Expression.SMILE),  # close-up of the smile
    (39, 39, View.FRONTAL, Expression.OTHER),  # with a tongue depressor between the teeth
    (40, 41, View.OTHER, None),  # tattoos, scars; anomalies of ears and skin
    (42, 42, View.FRONTAL, Expression.OTHER),  # mouth open
    (43, 43, View.FRONTAL, Expression.OTHER),  # demonstrating a weakness of the nerve
)


def ada_view(image_comments: str) -> tuple[View, Expression | None] | None:
    """View and expression by the code at the beginning of Image Comments.

    Returns
    -------
    tuple of View and Expression, or None
        None where the comments do not begin with such a code. The expression is
        None where the code does not fix it.
    """
    found = _CODE.match(image_comments)
    if found is None:
        return None
    kind, number = found[1], int(found[2])
    if not 1 <= number <= _LAST[kind]:
        return None
    if kind == "I":
        return View.OTHER, None
    return next((view, shown) for first, last, view, shown in _SERIES if first <= number <= last)
