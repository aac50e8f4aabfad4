"""Keypoints of hands, detected in the picture."""

from __future__ import annotations

import numpy as np

from warpprior.observations import Observation, senses
from warpprior.support.missing_points import SAME_PLACE_PX, at_one_place, marked_missing
from warpprior.tracking.belief import Belief
from warpprior.tracking.sensors.base import NEAR, Sensor
from warpprior.tracking.sensors.keypoints3d import LEAST_CONFIDENCE
from warpprior.tracking.update import Rows


@senses("keypoints2d")
class Keypoints2D(Sensor):
    """Keypoints of hands where they are drawn; noise ``keypoint2d_px`` over the confidence.

    Points at (-1, -1) or (0, 0), and points that all lie at one place, were not found.
    """

    name = "keypoints2d"
    sees = "hands"

    def add(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        """One block of two rows for each keypoint that is seen, in front of the camera."""
        for hand, carrier in enumerate(self.context.hands):
            seen, slots = observation.keypoints2d.get(carrier.name), carrier.keypoint_slots
            if seen is None or not len(slots):
                continue
            seen = np.asarray(seen, dtype=float)
            points = carrier.slot_points[slots].astype(float)
            confidence = np.minimum(seen[:, 2:3], 1.0) if seen.shape[1] == 3 else np.ones((len(seen), 1))
            found = ~marked_missing(seen[:, :2]) & ~at_one_place(seen[None, :, :2], SAME_PLACE_PX)
            sure = confidence[:, 0] >= LEAST_CONFIDENCE
            chosen = np.flatnonzero(sure & found & (points[:, 2] >= NEAR))
            expected, slopes = self.context.project(points[chosen])
            rows.add_many(
                self.name,
                [(hand, keypoint) for keypoint in chosen.tolist()],
                seen[chosen, :2] - expected,
                (self.context.settings.noise_of("keypoints2d") / confidence[chosen]) ** 2,
                slopes @ carrier.jacobians[slots[chosen]],
                belief.hand(hand),
            )
