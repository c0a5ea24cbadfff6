"""By what the node is known in associations and files (PS3.7, D.3.3.2; PS3.10, section 7.1)."""

from __future__ import annotations

from typing import Final

from pydicom.uid import UID
from pynetdicom import AE

IMPLEMENTATION_CLASS_UID: Final = "2.25.276833938009146332040527598274645622680"
IMPLEMENTATION_VERSION_NAME: Final = "HEMIFACE"


def say_who_we_are(entity: AE) -> None:
    """Have an application entity name hemiface, and not the library, in its associations."""
    entity.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
