"""Noise of the camera's pictures: a little blur, grain, and automatic exposure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpprior.scenes.noise.correlated import correlated


@dataclass(frozen=True)
class PictureNoise:
    """How a camera's pictures differ from exact colours.

    Attributes:
        grain: standard deviation of each pixel's noise, 1 is full scale.
        gain: standard deviation of the logarithm of each frame's brightness, as automatic exposure leaves it.
        tint: standard deviation of the logarithm of each channel's gain, as automatic white balance leaves it.
        correlation: of gain and tint of one frame with the next.
    """

    grain: float = 0.010
    gain: float = 0.0
    tint: float = 0.0
    correlation: float = 0.9

    @staticmethod
    def automatic() -> PictureNoise:
        """A camera left on automatic: brightness wanders by 8 %, colours by 2 %."""
        return PictureNoise(gain=0.08, tint=0.02)


def draw_gains(frame_count: int, noise: PictureNoise, random: np.random.Generator) -> np.ndarray:
    """The factor of each frame's red, green and blue (frame, 3)."""
    brightness = noise.gain * correlated(random, frame_count, 1, noise.correlation)
    return np.exp(brightness + noise.tint * correlated(random, frame_count, 3, noise.correlation))


def sensor_picture(
    colors: np.ndarray, random: np.random.Generator, *, sigma: float = 0.010, gain: np.ndarray | float = 1.0
) -> np.ndarray:
    """A camera's picture (height, width, 3) uint8 of exact colours in [0, 1]: a little blur, a gain, and noise.

    ``gain`` is one number or three; see :func:`draw_gains`.
    """
    blurred = colors.astype(np.float32)
    for axis in (0, 1):
        before, after = np.roll(blurred, 1, axis), np.roll(blurred, -1, axis)
        edges = [slice(None)] * 3
        edges[axis] = slice(1, -1)
        mixed = 0.5 * blurred + 0.25 * (before + after)
        blurred[tuple(edges)] = mixed[tuple(edges)]
    blurred = blurred * np.asarray(gain, dtype=np.float32)
    noisy = blurred + sigma * random.standard_normal(blurred.shape, dtype=np.float32)
    return (np.clip(noisy, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
