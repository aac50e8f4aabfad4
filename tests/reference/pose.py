"""Float64 twin of what joint coordinates cost without looking: limits, likely poses, the first guess."""

import numpy as np


class JointCosts:
    """Costs of joint coordinates as functions of steps (frame, column).

    Args:
        joints: (frame, coordinate) at the start.
        lower, upper: limits (coordinate,).
        mean, precision: of the likely poses, or None.
        guess: (frame, coordinate).
        stiffness: of limits, likely poses and the guess.
        start: column of the first coordinate.
    """

    def __init__(self, joints, lower, upper, mean, precision, guess, stiffness, start):
        self.joints, self.lower, self.upper, self.guess = joints, lower, upper, guess
        self.mean, self.precision, self.stiffness = mean, precision, stiffness
        self.columns = slice(start, start + joints.shape[1])

    def parts(self, steps):
        """Joints beyond their limits, away from the likely and from the guess."""
        q = self.joints + steps[:, self.columns]
        beyond = q - np.clip(q, self.lower, self.upper)
        unlikely = np.zeros((len(q), 0)) if self.mean is None else q - self.mean
        return beyond, unlikely, q - self.guess

    def cost(self, steps):
        """Squares."""
        (limit, prior, guess), (beyond, unlikely, strayed) = self.stiffness, self.parts(steps)
        total = limit * (beyond**2).sum() + guess * (strayed**2).sum()
        if self.mean is not None:
            total += prior * np.einsum("fi,ij,fj", unlikely, self.precision, unlikely)
        return total

    def residuals(self, steps):
        """Residuals whose squares are the cost."""
        (limit, prior, guess), (beyond, unlikely, strayed) = self.stiffness, self.parts(steps)
        found = [np.sqrt(limit) * beyond, np.sqrt(guess) * strayed]
        if self.mean is not None:
            values, vectors = np.linalg.eigh(self.precision)
            found.append(np.sqrt(prior) * (unlikely @ vectors) * np.sqrt(np.maximum(values, 0.0)))
        return np.concatenate([part.ravel() for part in found])
