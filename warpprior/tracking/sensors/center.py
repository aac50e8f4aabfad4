"""The middle of objects, measured in space."""

from __future__ import annotations

import numpy as np

from warpprior.observations import Observation, senses
from warpprior.tracking.belief import Belief
from warpprior.tracking.sensors.base import Sensor
from warpprior.tracking.update import Rows


@senses("centers")
class Center(Sensor):
    """The middle of the box around an object at rest; noise ``center_m`` per axis."""

    name = "center"

    def add(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        """One block of three rows for each object."""
        variance = self.context.settings.noise_of("centers") ** 2
        for index, body in enumerate(self.context.objects):
            seen = observation.centers.get(body.name)
            if seen is None:
                continue
            seen = np.asarray(seen, dtype=float)
            place = belief.hand_count + index
            own = rows.add(self.name, (index,), seen - belief.position[place], variance)
            if own is not None:
                start = belief.object(index).start
                own[:, start : start + 3] = np.eye(3)
