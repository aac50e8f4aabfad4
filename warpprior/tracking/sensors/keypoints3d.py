"""Keypoints of hands, measured in space."""

from __future__ import annotations

import numpy as np

from warpprior.observations import Observation, senses
from warpprior.support.missing_points import SAME_PLACE_M, at_one_place
from warpprior.tracking.belief import Belief
from warpprior.tracking.hands import TrackedHand
from warpprior.tracking.sensors.base import Sensor
from warpprior.tracking.update import Rows

LEAST_CONFIDENCE = 0.05


@senses("keypoints3d")
class Keypoints3D(Sensor):
    """All keypoints of hands in space; noise ``keypoint3d_m`` per axis."""

    name = "keypoints3d"
    sees = "hands"

    def counts(self, carrier: TrackedHand) -> np.ndarray | bool:
        """Which keypoints of a hand it looks at (keypoint,) bool, or True for all."""
        return True

    def add(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        """One block of three rows for each keypoint that is seen."""
        for hand, carrier in enumerate(self.context.hands):
            seen, slots = observation.keypoints3d.get(carrier.name), carrier.keypoint_slots
            if seen is None or not len(slots):
                continue
            seen = np.asarray(seen, dtype=float)
            sure = np.ones(len(seen), dtype=bool) if seen.shape[1] == 3 else seen[:, 3] >= LEAST_CONFIDENCE
            sure &= ~at_one_place(seen[None, :, :3], SAME_PLACE_M)  # none of them was found
            chosen = np.flatnonzero(sure & self.counts(carrier))
            rows.add_many(
                self.name,
                [(hand, keypoint) for keypoint in chosen.tolist()],
                seen[chosen, :3] - carrier.slot_points[slots[chosen]],
                self.context.settings.noise_of("keypoints3d") ** 2,
                carrier.jacobians[slots[chosen]],
                belief.hand(hand),
            )
