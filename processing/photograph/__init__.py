"""Facial symmetry on a frontal photograph."""

from processing.photograph.analysis import ANALYSIS, VERSION, measure
from processing.photograph.quality import PhotographLimits

__all__ = ["ANALYSIS", "VERSION", "PhotographLimits", "measure"]
