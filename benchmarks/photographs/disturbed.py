"""The same picture, compressed, scaled, exposed, noisy and blurred."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


class Disturbance(NamedTuple):
    """A change of a picture; `scale` is by how much it gets larger."""

    label: str
    apply: Callable[[Pixels], Pixels]
    scale: float = 1.0


def compressed(pixels: Pixels, quality: int) -> Pixels:
    """Through JPEG with 4:2:0 subsampling."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def scaled(pixels: Pixels, factor: float) -> Pixels:
    """Resampled to `factor` times the size, without aliasing."""
    rows, columns = pixels.shape[:2]
    size = (round(columns * factor), round(rows * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def exposed(pixels: Pixels, stops: float, gamma: float = 1.0) -> Pixels:
    """Brighter by so many stops in linear light, then with another gamma."""
    linear = (pixels / 255.0) ** 2.2 * 2.0**stops
    shown = 255 * np.clip(linear, 0, 1) ** (gamma / 2.2)
    return np.asarray(shown.round(), dtype=np.uint8)


def noisy(pixels: Pixels, deviation: float) -> Pixels:
    """With Gaussian noise of so many grey levels, always the same."""
    noise = np.random.default_rng(5).standard_normal(pixels.shape) * deviation
    return np.asarray(np.clip(pixels + noise, 0, 255).round(), dtype=np.uint8)


def blurred(pixels: Pixels, sigma_px: float) -> Pixels:
    """Out of focus, as a Gaussian."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma_px), dtype=np.uint8)


def _jpeg(quality: int) -> Disturbance:
    return Disturbance(f"quality {quality}", lambda pixels: compressed(pixels, quality))


def _scale(factor: float) -> Disturbance:
    return Disturbance(f"x {factor:g}", lambda pixels: scaled(pixels, factor), factor)


def _exposure(stops: float, gamma: float) -> Disturbance:
    return Disturbance(
        f"{stops:+g} EV, gamma {gamma:g}", lambda pixels: exposed(pixels, stops, gamma)
    )


def _noise(deviation: float) -> Disturbance:
    return Disturbance(f"{deviation:g} grey levels", lambda pixels: noisy(pixels, deviation))


def _blur(sigma: float) -> Disturbance:
    return Disturbance(f"sigma {sigma:g} px", lambda pixels: blurred(pixels, sigma))


DISTURBANCES: Final[Mapping[str, tuple[Disturbance, ...]]] = MappingProxyType(
    {
        "JPEG quality 30 to 95": tuple(_jpeg(each) for each in (30, 50, 70, 85, 95)),
        "scale 0.5 to 2": tuple(_scale(each) for each in (0.5, 0.71, 1.41, 2.0)),
        "exposure -1 to +0.7 EV, gamma 0.7 to 1.4": (
            *(_exposure(stops, 1.0) for stops in (-1.0, -0.5, 0.35, 0.7)),
            *(_exposure(0.0, gamma) for gamma in (0.7, 1.4)),
        ),
        "noise of 4 to 12 grey levels": tuple(_noise(each) for each in (4.0, 8.0, 12.0)),
        "blur of 0.7 to 2 px": tuple(_blur(each) for each in (0.7, 1.4, 2.0)),
    }
)
"""Disturbances by kind."""
