"""Areas of a surface as files that the next step takes up again."""

from __future__ import annotations

import io

import numpy as np

from processing.measurement import SurfacePatch


def patch_as_bytes(patch: SurfacePatch) -> bytes:
    """The patch as an uncompressed NumPy archive."""
    stream = io.BytesIO()
    np.savez(
        stream,
        vertices_mm=np.asarray(patch.vertices_mm, np.float64),
        triangles=np.asarray(patch.triangles, np.int32),
    )
    return stream.getvalue()


def patch_from_bytes(data: bytes) -> SurfacePatch:
    """The patch that `patch_as_bytes` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return SurfacePatch(archive["vertices_mm"], archive["triangles"])
