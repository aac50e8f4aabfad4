"""What a scene needs to know of an object besides its surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpprior.bodies.body import Body


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Hold:
    """Where a hand may take hold, in the object's frame.

    Attributes:
        name: ``body``, ``handle``, ``rim``, ...
        center: middle of what the fingers close around (3,) [m].
        axis: unit vector along it (3,): fingers bend around this axis.
        length: how far it reaches along the axis [m]; the hand may sit anywhere on it.
        width: its least thickness across the axis, which the hand spans [m].
        palm: unit vector (3,) from the palm to the centre: where the palm comes from; None for any direction across
            the axis.
    """

    name: str
    center: np.ndarray
    axis: np.ndarray
    length: float
    width: float
    palm: np.ndarray | None = None

    @property
    def heights(self) -> tuple[float, float]:
        """Lowest and highest z of the middle line [m]."""
        reach = 0.5 * self.length * abs(float(self.axis[2]))
        return float(self.center[2]) - reach, float(self.center[2]) + reach


@dataclass(frozen=True, eq=False)
class ObjectSpec:
    """An object of ours: it stands on the plane of its lowest z, as it would on a table.

    Attributes:
        body: its surface: closed, metres, z up, with vertex colours.
        symmetry: ``z`` where no silhouette shows how it is turned about z, else ``none``.
        holds: where a hand may take hold, the most natural first.
    """

    body: Body
    symmetry: str
    holds: tuple[Hold, ...]

    @property
    def grasp_height(self) -> tuple[float, float]:
        """Between which z a hand takes hold at its most natural place [m]."""
        return self.holds[0].heights

    @property
    def standing_height(self) -> float:
        """Of the origin above the table [m]."""
        return -float(self.body.vertices[:, 2].min())
