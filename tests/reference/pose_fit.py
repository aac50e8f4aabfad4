"""Float64 twin of what joint coordinates cost without looking: limits, likely poses, the first guess, smoothness."""

import numpy as np

from tests.reference.motion_fit import joined

ROBUST_SIGMAS = 3.0


class JointCosts:
    """Costs of joint coordinates as functions of steps (frame, column).

    Args:
        joints: (frame, coordinate) at the start.
        lower, upper: limits (coordinate,).
        mean, precision: of the likely poses, or None.
        guess: (frame, coordinate).
        segments: (frame,).
        stiffness: of limits, likely poses, the guess, acceleration and velocity.
        start: column of the first coordinate.
    """

    def __init__(self, joints, lower, upper, mean, precision, guess, segments, stiffness, start):
        self.joints, self.lower, self.upper, self.guess = joints, lower, upper, guess
        self.mean, self.precision, self.stiffness = mean, precision, stiffness
        self.columns = slice(start, start + joints.shape[1])
        frames = np.arange(len(joints))
        self.pairs = frames[[joined(segments, frame, 1) for frame in frames]]
        self.triples = frames[[joined(segments, frame, 2) for frame in frames]]

    def parts(self, steps):
        """Joints beyond their limits, away from the likely and from the guess, their changes and changes of those."""
        q = self.joints + steps[:, self.columns]
        beyond = q - np.clip(q, self.lower, self.upper)
        unlikely = np.zeros((len(q), 0)) if self.mean is None else q - self.mean
        bends = q[self.triples] - 2.0 * q[self.triples - 1] + q[self.triples - 2]
        return beyond, unlikely, q - self.guess, bends, q[self.pairs] - q[self.pairs - 1]

    def cost(self, steps):
        """Squares, but for changes of changes, which cost in proportion beyond a few sigmas."""
        limit, prior, guess, acceleration, velocity = self.stiffness
        beyond, unlikely, strayed, bends, changes = self.parts(steps)
        total = limit * (beyond**2).sum() + guess * (strayed**2).sum() + velocity * (changes**2).sum()
        if self.mean is not None:
            total += prior * np.einsum("fi,ij,fj", unlikely, self.precision, unlikely)
        square = acceleration * bends**2 / ROBUST_SIGMAS**2
        return total + (2.0 * ROBUST_SIGMAS**2 * (np.sqrt(1.0 + square) - 1.0)).sum()

    def residuals(self, steps):
        """Residuals whose squares, weighted as at the start, Gauss-Newton takes for the cost."""
        limit, prior, guess, acceleration, velocity = self.stiffness
        beyond, unlikely, strayed, bends, changes = self.parts(steps)
        first = self.parts(0.0 * steps)[3]
        trust = 1.0 / np.sqrt(1.0 + acceleration * first**2 / ROBUST_SIGMAS**2)
        found = [
            np.sqrt(limit) * beyond,
            np.sqrt(guess) * strayed,
            np.sqrt(velocity) * changes,
            np.sqrt(acceleration * trust) * bends,
        ]
        if self.mean is not None:
            values, vectors = np.linalg.eigh(self.precision)
            found.append(np.sqrt(prior) * (unlikely @ vectors) * np.sqrt(np.maximum(values, 0.0)))
        return np.concatenate([part.ravel() for part in found])
