"""Float64 twin of what smoothness and rest of a body's root cost, as a function of all frames' increments."""

import numpy as np
from scipy.spatial.transform import Rotation

from tests.reference.camera import advance_pose

TOUCH = 0.002  # share of the surface in contact from which a body no longer rests
SMOOTH_SIGMAS = 3.0


def advance_all(poses, steps):
    """Poses (frame, 7) after increments (frame, 6); frames without one stay as they are."""
    moved = np.array(poses, dtype=np.float64)
    for frame in np.flatnonzero(steps.any(axis=1)):
        moved[frame] = advance_pose(poses[frame], steps[frame])
    return moved


def joined(segments, frame, back):
    """Whether a frame and the ones up to ``back`` before it are of one sequence."""
    return frame >= back and (segments[frame - back : frame + 1] == segments[frame]).all()


class Smoothness:
    """Accelerations and velocities of positions and rotations.

    Args:
        poses: (frame, 7) at the start.
        segments: (frame,).
        stiffness: of acceleration, velocity and rest, each [1/m^2], [1/rad^2].
        touch: contact weight each frame shares with the one before (frame,).
        resting: 1 where the body seems to rest (frame,).
        start: column of the root.
    """

    def __init__(self, poses, segments, stiffness, touch, resting, start):
        self.poses, self.segments, self.stiffness = poses, segments, np.asarray(stiffness)
        self.columns = slice(start, start + 6)
        pairs = [frame for frame in range(len(poses)) if joined(segments, frame, 1)]
        self.untouched = np.asarray(resting)[pairs] / (1.0 + (np.asarray(touch)[pairs] / TOUCH) ** 2)

    def vectors(self, steps):
        """Acceleration, angular acceleration, velocity, spin, and the last two again for rest: vectors by term."""
        poses = advance_all(self.poses, steps[:, self.columns])
        turns, frames = Rotation.from_quat(poses[:, 3:]), np.arange(len(poses))
        pairs = frames[[joined(self.segments, frame, 1) for frame in frames]]
        triples = frames[[joined(self.segments, frame, 2) for frame in frames]]
        velocity = poses[pairs, :3] - poses[pairs - 1, :3]
        acceleration = poses[triples, :3] - 2.0 * poses[triples - 1, :3] + poses[triples - 2, :3]
        spin, change = np.zeros((len(pairs), 3)), np.zeros((len(triples), 3))
        if len(pairs):
            spin = (turns[pairs - 1].inv() * turns[pairs]).as_rotvec()
        if len(triples):
            middle = turns[triples - 1].inv()
            change = (middle * turns[triples]).as_rotvec() + (middle * turns[triples - 2]).as_rotvec()
        return [acceleration, change, velocity, spin, velocity, spin]

    def cost(self, steps):
        """Pseudo-Huber cost of accelerations and velocities, Cauchy cost of rest."""
        total = 0.0
        for term, (vectors, stiffness) in enumerate(zip(self.vectors(steps), self.stiffness, strict=True)):
            square = stiffness * np.sum(vectors**2, axis=1) / SMOOTH_SIGMAS**2
            if term < 4:
                total += (2.0 * SMOOTH_SIGMAS**2 * (np.sqrt(1.0 + square) - 1.0)).sum()
            else:
                total += (self.untouched * SMOOTH_SIGMAS**2 * np.log1p(square)).sum()
        return total

    def residuals(self, steps):
        """Residuals whose squares, weighted as at the start, Gauss-Newton takes for the cost."""
        parts = []
        start = self.vectors(0.0 * steps)
        for term, (vectors, first, stiffness) in enumerate(
            zip(self.vectors(steps), start, self.stiffness, strict=True)
        ):
            square = stiffness * np.sum(first**2, axis=1, keepdims=True) / SMOOTH_SIGMAS**2
            trust = 1.0 / np.sqrt(1.0 + square) if term < 4 else self.untouched[:, None] / (1.0 + square)
            parts.append((np.sqrt(stiffness * trust) * vectors).ravel())
        return np.concatenate(parts)
