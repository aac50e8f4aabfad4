"""Colours in linear light, as glTF and CIE XYZ have them, and as pictures store them (sRGB, IEC 61966-2-1)."""

from __future__ import annotations

import numpy as np


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] of linear light, which is clipped to [0, 1]."""
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1.0 / 2.4) - 0.055)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """Linear light of sRGB in [0, 1]."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.0) + 0.055) / 1.055) ** 2.4)
