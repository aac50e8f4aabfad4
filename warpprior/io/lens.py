"""Lenses: where they show a ray, and which ray a point in the picture comes from.

Rays are (x/z, y/z); what a lens shows is in focal lengths from the principal point.  The formulas are OpenCV's (calib3d
and ``fisheye``) and projectaria_tools' (FISHEYE624).  The first four radial numbers of FISHEYE624 alone are OpenCV's
fisheye lens, the one of Kannala and Brandt 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from warpprior.support.errors import InputError

_STEPS = 20
_NEAR = 1e-9  # [focal lengths], within which an inverse has converged
_SAMPLES = 400


@dataclass(frozen=True)
class BrownLens:
    """OpenCV's lens: radial k1, k2, k3 over k4, k5, k6, and tangential p1, p2 (Brown 1966, rational).

    Attributes:
        numbers: k1, k2, p1, p2, k3, k4, k5, k6.
    """

    numbers: tuple[float, ...]
    name: ClassVar[str] = "opencv"
    order: ClassVar[str] = "k1, k2, p1, p2[, k3[, k4, k5, k6]]"
    counts: ClassVar[tuple[int, ...]] = (4, 5, 8)

    def shown(self, ray: np.ndarray) -> np.ndarray:
        """Where it shows rays (..., 2)."""
        return self._shown_with_slope(ray)[0]

    def rays(self, seen: np.ndarray) -> np.ndarray:
        """Rays of places in the picture (..., 2), by Newton's method; NaN where no ray comes from."""
        seen = np.asarray(seen, dtype=np.float64)
        ray = seen.copy()
        with np.errstate(all="ignore"):
            for _ in range(_STEPS):
                error, slope = self._shown_with_slope(ray)
                error = error - seen
                determinant = slope[..., 0, 0] * slope[..., 1, 1] - slope[..., 0, 1] * slope[..., 1, 0]
                inverse = np.stack([slope[..., 1, 1], -slope[..., 0, 1], -slope[..., 1, 0], slope[..., 0, 0]], axis=-1)
                inverse = inverse.reshape(slope.shape) / determinant[..., None, None]
                ray = ray - np.einsum("...ij,...j->...i", inverse, error)
            missed = np.abs(self.shown(ray) - seen).max(axis=-1)
            lost = ~(missed < _NEAR) | (determinant <= 0.0)
        return np.where(lost[..., None], np.nan, ray)

    def fold(self, reach: float) -> float:
        """How far from the middle its image turns back, as a length of rays; infinite where not up to ``reach``."""
        k1, k2, _, _, k3, k4, k5, k6 = self.numbers
        square = np.linspace(0.0, reach, _SAMPLES) ** 2
        over = 1 + square * (k1 + square * (k2 + square * k3))
        under = 1 + square * (k4 + square * (k5 + square * k6))
        d_over, d_under = (a + square * (2 * b + square * 3 * c) for a, b, c in ((k1, k2, k3), (k4, k5, k6)))
        rises = over * under + 2.0 * square * (d_over * under - over * d_under)
        return _first(np.sqrt(square), (rises > 0.0) & (under > 0.0))

    def _shown_with_slope(self, ray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where it shows rays (..., 2), and the derivative of that (..., 2, 2)."""
        k1, k2, p1, p2, k3, k4, k5, k6 = self.numbers
        x, y = ray[..., 0], ray[..., 1]
        square = x * x + y * y
        radial = 1.0 + square * (k1 + square * (k2 + square * k3))
        steep = 2.0 * (k1 + square * (2.0 * k2 + square * 3.0 * k3))  # d radial / dx = steep x
        if k4 or k5 or k6:
            under = 1.0 + square * (k4 + square * (k5 + square * k6))
            steep_under = 2.0 * (k4 + square * (2.0 * k5 + square * 3.0 * k6))
            radial = radial / under
            steep = (steep - radial * steep_under) / under
        shown = np.stack(
            [
                x * radial + 2.0 * p1 * x * y + p2 * (square + 2.0 * x * x),
                y * radial + p1 * (square + 2.0 * y * y) + 2.0 * p2 * x * y,
            ],
            axis=-1,
        )
        cross = steep * x * y + 2.0 * p1 * x + 2.0 * p2 * y
        slope = np.stack(
            [
                radial + steep * x * x + 2.0 * p1 * y + 6.0 * p2 * x,
                cross,
                cross,
                radial + steep * y * y + 6.0 * p1 * y + 2.0 * p2 * x,
            ],
            axis=-1,
        )
        return shown, slope.reshape(*ray.shape[:-1], 2, 2)


@dataclass(frozen=True)
class FisheyeLens:
    """A fisheye lens: a polynomial of the angle, then two tangential numbers and a thin prism.

    Attributes:
        radial: k0 to k5, of the angle's odd powers from the third on.
        tangential: p0, p1; prism: s0 to s3; zeros for OpenCV's fisheye lens.
    """

    radial: tuple[float, ...]
    tangential: tuple[float, ...] = (0.0, 0.0)
    prism: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    name: ClassVar[str] = "fisheye"
    order: ClassVar[str] = "k1, k2, k3, k4; or k0 to k5, p0, p1, s0 to s3 of FISHEYE624"
    counts: ClassVar[tuple[int, ...]] = (4, 12)

    def shown(self, ray: np.ndarray) -> np.ndarray:
        """Where it shows rays (..., 2)."""
        far = np.linalg.norm(ray, axis=-1)
        angle = np.arctan(far)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(far > 1e-12, self._bent(angle) / far, 1.0)
        return self._shifted(ratio * ray[..., 0], ratio * ray[..., 1])

    def rays(self, seen: np.ndarray) -> np.ndarray:
        """Rays of places in the picture (..., 2); NaN where none comes from, or one that no pinhole camera sees."""
        seen = np.asarray(seen, dtype=np.float64)
        bent = seen.copy()
        with np.errstate(all="ignore"):
            for _ in range(_STEPS):  # the prism's part is small: it converges as it stands
                bent = bent - (self._shifted(bent[..., 0], bent[..., 1]) - seen)
            far = np.linalg.norm(bent, axis=-1)
            angle = np.minimum(far, 0.45 * np.pi)
            for _ in range(_STEPS):
                angle = np.clip(angle - (self._bent(angle) - far) / self._slope(angle), 0.0, 0.5 * np.pi)
            ray = bent * np.where(far > 1e-12, np.tan(angle) / far, 1.0)[..., None]
            missed = np.abs(self.shown(ray) - seen).max(axis=-1)
            limit = self.fold(1e6)
            lost = ~(missed < _NEAR) | (angle >= 0.5 * np.pi - 1e-6) | (np.tan(angle) >= limit)
        return np.where(lost[..., None], np.nan, ray)

    def fold(self, reach: float) -> float:
        """How far from the middle its image turns back, as a length of rays; infinite where not up to ``reach``."""
        angle = np.linspace(0.0, np.arctan(reach), _SAMPLES)
        return _first(np.tan(angle), self._slope(angle) > 0.0)

    def _bent(self, angle: np.ndarray) -> np.ndarray:
        factor = np.ones_like(angle)
        for power, value in enumerate(self.radial, start=1):
            factor = factor + value * angle ** (2 * power)
        return angle * factor

    def _slope(self, angle: np.ndarray) -> np.ndarray:
        slope = np.ones_like(angle)
        for power, value in enumerate(self.radial, start=1):
            slope = slope + (2 * power + 1) * value * angle ** (2 * power)
        return slope

    def _shifted(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Tangential distortion and the prism."""
        p0, p1 = self.tangential
        s0, s1, s2, s3 = self.prism
        square, along = a * a + b * b, 2.0 * (a * p0 + b * p1)
        u = a + a * along + square * p0 + s0 * square + s1 * square * square
        v = b + b * along + square * p1 + s2 * square + s3 * square * square
        return np.stack([u, v], axis=-1)


Lens = BrownLens | FisheyeLens
LENSES: dict[str, type[BrownLens] | type[FisheyeLens]] = {lens.name: lens for lens in (BrownLens, FisheyeLens)}
"""Kinds by name."""


def make_lens(kind: str, numbers: Sequence[float], where: str) -> Lens | None:
    """A lens of the numbers that files state; None for a pinhole: OpenCV's lens of zeros, or no number.

    Args:
        kind: ``opencv``: 4, 5 or 8 numbers, or ``fisheye``: 4 numbers, or 12 of FISHEYE624.
        numbers: finite.
        where: names them in messages.

    Raises:
        InputError: another count or kind.
    """
    if kind not in LENSES:
        raise InputError(where, f"a lens of kind {kind[:30]!r}", f"one of {', '.join(LENSES)}")
    lens, given = LENSES[kind], tuple(float(number) for number in numbers)
    if not given:
        return None
    if len(given) not in lens.counts:
        counts = ", ".join(map(str, lens.counts[:-1])) + f" or {lens.counts[-1]}"
        raise InputError(where, f"has {len(given)} numbers", f"needs {counts} of a lens of kind {kind}: {lens.order}")
    if not np.isfinite(given).all():
        raise InputError(where, "is not finite", f"needs finite numbers: {lens.order}")
    if lens is BrownLens:
        return BrownLens((*given, *(0.0,) * 8)[:8]) if any(given) else None
    return FisheyeLens((*given[:6], 0.0, 0.0)[:6], given[6:8] or (0.0, 0.0), given[8:] or (0.0, 0.0, 0.0, 0.0))


def _first(radius: np.ndarray, good: np.ndarray) -> float:
    """The first radius that is not good, or infinity."""
    return np.inf if good.all() else float(radius[np.argmin(good)])
