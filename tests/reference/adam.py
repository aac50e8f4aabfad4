"""Float64 twin of Adam, frame by frame in plain Python."""

import numpy as np

EPSILON = 1e-12
LARGEST = 1e18


class Adam:
    """Moments and step counts of [frame, coordinate] increments."""

    def __init__(self, shape):
        self.first, self.second = np.zeros(shape), np.zeros(shape)
        self.steps, self.skipped = np.zeros(shape[0], dtype=int), np.zeros(shape[0], dtype=int)

    def step(self, gradients, scales, rate, decays, clip=0.0, active=None):
        """The next increments [frame, coordinate]."""
        increments = np.zeros(self.first.shape)
        for frame in range(len(increments)):
            if active is not None and not active[frame]:
                continue
            with np.errstate(over="ignore", invalid="ignore"):
                gradient = gradients[frame].astype(np.float64) * scales
            if not (np.abs(gradient) <= LARGEST).all():
                self.skipped[frame] += 1
                continue
            norm = np.linalg.norm(gradient)
            if clip and norm > clip:
                gradient = gradient * clip / norm
            self.steps[frame] += 1
            self.first[frame] += (1 - decays[0]) * (gradient - self.first[frame])
            self.second[frame] += (1 - decays[1]) * (gradient**2 - self.second[frame])
            mean = self.first[frame] / (1 - decays[0] ** self.steps[frame])
            spread = np.sqrt(self.second[frame] / (1 - decays[1] ** self.steps[frame]))
            increments[frame] = -rate * scales * mean / (spread + EPSILON)
        return increments
