"""Fingertips, measured in space."""

from __future__ import annotations

import numpy as np

from warpprior.observations import senses
from warpprior.tracking.hands import TrackedHand
from warpprior.tracking.sensors.keypoints3d import Keypoints3D


@senses("keypoints3d")
class Fingertips(Keypoints3D):
    """Those of the keypoints in space that are on the skin, or whose name ends in ``tip``."""

    name = "fingertips"

    def counts(self, carrier: TrackedHand) -> np.ndarray:
        """The fingertips (keypoint,) bool."""
        return carrier.tips
