"""Energy: a weighted sum of priors, evaluated and differentiated for all frames at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import warp as wp

from warpprior.system.motion import MotionState
from warpprior.terms.prior import Prior


@dataclass(frozen=True)
class Term:
    """A prior and the factor of its value in the energy."""

    prior: Prior
    weight: float


class Energy:
    """Rows of values, one per term and frame, and their gradient by the increments of the moving bodies.

    There is no scalar loss: the backward pass is seeded with the weights, so no sum over many frames loses digits.

    Args:
        state: the motion.
        terms: what is summed; terms of weight zero are evaluated for the record but not differentiated.

    Attributes:
        rows: values [term, frame] float32, not weighted.
        weights: [term, frame] float32 on the device; frames may be switched off.
    """

    def __init__(self, state: MotionState, terms: Sequence[Term]):
        self.state, self.terms = state, tuple(terms)
        shape = (len(self.terms), state.frame_count)
        self.rows = wp.zeros(shape, dtype=wp.float32, device=state.device, requires_grad=True)
        weights = np.outer([term.weight for term in self.terms], np.ones(shape[1])).astype(np.float32)
        self.weights = wp.array(weights, dtype=wp.float32, device=state.device)
        self._tape = wp.Tape()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(term.prior.name for term in self.terms)

    def freeze(self) -> None:
        """Refresh what gradients do not flow through, at the current motion."""
        for term in self.terms:
            term.prior.freeze(self.state)

    def evaluate(self) -> None:
        """Pose the bodies and fill :attr:`rows`; launches only."""
        self.rows.zero_()
        self.state.pose()
        for row, term in enumerate(self.terms):
            term.prior.evaluate(self.state, self.rows, row)

    def differentiate(self) -> None:
        """Evaluate, and leave the gradient in the increments' ``grad``; launches only."""
        self._tape.reset()
        self.rows.zero_()
        with self._tape:
            self.state.pose()
            for row, term in enumerate(self.terms):
                term.prior.evaluate(self.state, self.rows, row)
        self._tape.backward(grads={self.rows: self.weights})

    def clear(self) -> None:
        """Zero all gradients, once they were used."""
        self._tape.zero()
