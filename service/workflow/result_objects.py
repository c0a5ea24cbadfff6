"""The DICOM objects of a result: which there are, and under which keys they are stored.

A further kind of object is one line in `_written`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from PIL import Image

from dicom_nodes.objects.measurement_report import Predecessor, write_measurement_report
from dicom_nodes.objects.secondary_capture import write_secondary_capture
from dicom_nodes.objects.surface_segmentation import write_surface_segmentation
from dicom_nodes.objects.written_object import WrittenObject
from processing.measurement import Analysis, Picture, SurfacePatch
from service.catalogue.results import MadeObject, MadeResult
from service.catalogue.stored_bytes import StoredBytes
from service.result_pages.words import Language
