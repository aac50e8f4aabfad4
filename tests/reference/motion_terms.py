"""Float64 twins of smoothness, consistency and rest, as functions of all frames' increments, by frames' true times.

``paces`` are nominal times between frames over true ones; they become times here, and differences what they are
physically: velocities and accelerations, in nominal frames as the unit of time.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from tests.reference.camera import advance_pose

TOUCH = 0.002  # share of the surface in contact from which a body no longer rests
JUMP_SIGMAS = 3.0


def advance_all(poses, steps):
    """Poses (frame, 7) after increments (frame, 6); frames without one stay as they are."""
    moved = np.array(poses, dtype=np.float64)
    for frame in np.flatnonzero(steps.any(axis=1)):
        moved[frame] = advance_pose(poses[frame], steps[frame])
    return moved


def joined(segments, frame, back):
    """Whether a frame and the ones up to ``back`` before it are of one sequence."""
    return frame >= back and (segments[frame - back : frame + 1] == segments[frame]).all()


def groups(segments, back):
    """Frames that have so many frames of their sequence before them."""
    return np.array([frame for frame in range(len(segments)) if joined(segments, frame, back)], dtype=int)


def spans(paces, frames):
    """Time since the frame before (frame, 1) [nominal frames]."""
    return 1.0 / np.asarray(paces, dtype=float)[frames, None]


class MotionTerm:
    """A robust cost of vectors (row, 3), one list of them per stiffness.

    Args:
        poses: (frame, 7) at the start.
        segments: (frame,).
        paces: (frame,).
        stiffness: of positions [1/m^2] and rotations [1/rad^2].
        start: column of the root.
    """

    def __init__(self, poses, segments, paces, stiffness, start):
        self.poses, self.segments, self.paces = poses, np.asarray(segments), paces
        self.stiffness, self.columns = stiffness, slice(start, start + 6)

    def placed(self, steps):
        """Positions (frame, 3) and rotations after steps (frame, column)."""
        poses = advance_all(self.poses, steps[:, self.columns])
        return poses[:, :3], Rotation.from_quat(poses[:, 3:])

    def velocities(self, steps):
        """Of position and rotation, since the frame before (pair, 3) each."""
        positions, turns = self.placed(steps)
        pairs = groups(self.segments, 1)
        if not len(pairs):
            return [np.zeros((0, 3))] * 2
        times = spans(self.paces, pairs)
        spin = (turns[pairs - 1].inv() * turns[pairs]).as_rotvec()
        return [(positions[pairs] - positions[pairs - 1]) / times, spin / times]

    def loss(self, square):
        """Pseudo-Huber: of squares in sigmas."""
        return 2.0 * JUMP_SIGMAS**2 * (np.sqrt(1.0 + square / JUMP_SIGMAS**2) - 1.0)

    def trust(self, square):
        """Derivative of the loss by the square."""
        return 1.0 / np.sqrt(1.0 + square / JUMP_SIGMAS**2)

    def cost(self, steps):
        """Robust cost of all vectors."""
        parts = zip(self.vectors(steps), self.stiffness, strict=True)
        return sum(self.loss(stiffness * np.sum(vectors**2, axis=1)).sum() for vectors, stiffness in parts)

    def residuals(self, steps):
        """Residuals whose squares, weighted as at the start, Gauss-Newton takes for the cost."""
        found = []
        parts = zip(self.vectors(steps), self.vectors(0.0 * steps), self.stiffness, strict=True)
        for vectors, first, stiffness in parts:
            trust = self.trust(stiffness * np.sum(first**2, axis=1))
            found.append((np.sqrt(stiffness * trust)[:, None] * vectors).ravel())
        return np.concatenate(found)


class Consistency(MotionTerm):
    """Velocities."""

    def vectors(self, steps):
        """Of position and rotation."""
        return self.velocities(steps)


class Smoothness(MotionTerm):
    """Accelerations: changes of velocity over the mean of both times."""

    def vectors(self, steps):
        """Of position and rotation."""
        positions, turns = self.placed(steps)
        triples = groups(self.segments, 2)
        if not len(triples):
            return [np.zeros((0, 3))] * 2
        after, before = spans(self.paces, triples), spans(self.paces, triples - 1)
        both = 0.5 * (after + before)
        velocity = (positions[triples] - positions[triples - 1]) / after
        velocity -= (positions[triples - 1] - positions[triples - 2]) / before
        middle = turns[triples - 1].inv()
        spin = (middle * turns[triples]).as_rotvec() / after + (middle * turns[triples - 2]).as_rotvec() / before
        return [velocity / both, spin / both]


class Rest(MotionTerm):
    """Velocities of what rests, whose cost is Cauchy's.

    Args:
        touch: contact weight each frame shares with the one before (frame,).
        resting: 1 where the body seems to rest (frame,).
    """

    def __init__(self, *arguments, touch, resting):
        super().__init__(*arguments)
        pairs = groups(self.segments, 1)
        self.untouched = np.asarray(resting)[pairs] / (1.0 + (np.asarray(touch)[pairs] / TOUCH) ** 2)

    def vectors(self, steps):
        """Of position and rotation."""
        return self.velocities(steps)

    def loss(self, square):
        """Of squares in sigmas."""
        return self.untouched * JUMP_SIGMAS**2 * np.log1p(square / JUMP_SIGMAS**2)

    def trust(self, square):
        """Derivative of the loss by the square."""
        return self.untouched / (1.0 + square / JUMP_SIGMAS**2)


class JointMotion:
    """Velocities, squared, and accelerations, robust, of joint coordinates.

    Args:
        joints: (frame, coordinate) at the start.
        segments: (frame,).
        paces: (frame,).
        stiffness: of accelerations and velocities.
        start: column of the first coordinate.
    """

    def __init__(self, joints, segments, paces, stiffness, start):
        self.joints, self.stiffness = joints, stiffness
        self.columns = slice(start, start + joints.shape[1])
        self.pairs, self.triples = (groups(np.asarray(segments), back) for back in (1, 2))
        self.times = spans(paces, self.pairs)
        self.after, self.before = spans(paces, self.triples), spans(paces, self.triples - 1)

    def parts(self, steps):
        """Accelerations (triple, coordinate) and velocities (pair, coordinate)."""
        q = self.joints + steps[:, self.columns]
        middle = q[self.triples - 1]
        change = (q[self.triples] - middle) / self.after - (middle - q[self.triples - 2]) / self.before
        return 2.0 * change / (self.after + self.before), (q[self.pairs] - q[self.pairs - 1]) / self.times

    def cost(self, steps):
        """Squares of velocities; accelerations cost in proportion beyond a few sigmas."""
        (bends, changes), (acceleration, velocity) = self.parts(steps), self.stiffness
        square = acceleration * bends**2 / JUMP_SIGMAS**2
        return velocity * (changes**2).sum() + (2.0 * JUMP_SIGMAS**2 * (np.sqrt(1.0 + square) - 1.0)).sum()

    def residuals(self, steps):
        """Residuals whose squares, weighted as at the start, Gauss-Newton takes for the cost."""
        (bends, changes), (acceleration, velocity) = self.parts(steps), self.stiffness
        trust = 1.0 / np.sqrt(1.0 + acceleration * self.parts(0.0 * steps)[0] ** 2 / JUMP_SIGMAS**2)
        found = [np.sqrt(velocity) * changes, np.sqrt(acceleration * trust) * bends]
        return np.concatenate([part.ravel() for part in found])


class Sum:
    """Several twins added up."""

    def __init__(self, *twins):
        self.twins = twins

    def cost(self, steps):
        """Of all."""
        return sum(twin.cost(steps) for twin in self.twins)

    def residuals(self, steps):
        """Of all."""
        return np.concatenate([twin.residuals(steps) for twin in self.twins])
