"""Joint coordinates of hands, as encoders measure them."""

from __future__ import annotations

import numpy as np

from warpprior.observations import Observation, senses
from warpprior.tracking.belief import Belief
from warpprior.tracking.sensors.base import Sensor
from warpprior.tracking.update import Rows


@senses("joints")
class Joints(Sensor):
    """Each measured joint coordinate on its own; noise ``joint_rad``."""

    name = "joints"
    sees = "hands"

    def add(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        """One block of one row for each coordinate."""
        for hand, carrier in enumerate(self.context.hands):
            seen = observation.joints.get(carrier.name)
            if seen is None or carrier.width == 6:
                continue
            wanted = carrier.width - 6
            rows.add_many(
                self.name,
                [(hand, joint) for joint in range(wanted)],
                (np.asarray(seen, dtype=float) - belief.joints[hand])[:, None],
                self.context.settings.noise_of("joints") ** 2,
                np.eye(wanted, carrier.width, 6)[:, None],
                belief.hand(hand),
            )
