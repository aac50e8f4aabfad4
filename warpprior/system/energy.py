"""Energy: the terms' costs per frame and their gradient by the increments of the estimated bodies, on a tape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import warp as wp

from warpprior.kernels.energy import spread_origins, spread_surface, spread_unknowns
from warpprior.support.tape import record_adjoint
from warpprior.system.problem import Problem
from warpprior.system.stage import Stage


class EnergyTerm(Protocol):
    """What the energy asks of a term that is bound to a problem."""

    name: str
    factor: float

    def enter(self, stage: Stage) -> None: ...

    def freeze(self) -> None: ...

    def evaluate(self, rows: wp.array, row: int) -> None: ...


class Energy:
    """Rows of values, one per term and frame, and their gradient.

    There is no scalar loss: the backward pass is seeded with weights, so no sum over many frames loses digits.

    Args:
        problem: the motion, and what terms share.
        terms: bound terms; those of one name share a row.

    Attributes:
        names: of the rows.
        rows: values [term, frame] float32, not yet times ``factors``.
        factors: of each term (term,) float64; with them rows are costs.
        weights: seeds of the backward pass [term, frame] float32; frames may be switched off.
    """

    def __init__(self, problem: Problem, terms: Sequence[EnergyTerm]):
        self.problem, self.terms = problem, tuple(terms)
        motion = problem.motion
        self.names = tuple(dict.fromkeys(term.name for term in self.terms))
        factors = {term.name: term.factor for term in self.terms}
        self.factors = np.array([factors[name] for name in self.names])
        shape = (len(self.names), motion.frame_count)
        self.rows = wp.zeros(shape, dtype=wp.float32, device=motion.device, requires_grad=True)
        weights = np.outer(self.factors, np.ones(shape[1])).astype(np.float32)
        self.weights = wp.array(weights, dtype=wp.float32, device=motion.device)
        self._origins = {
            name: wp.array(places, dtype=wp.vec2i, device=motion.device)
            for name, places in problem.surfaces.origin_places.items()
        }
        self._tape = wp.Tape()

    def freeze(self) -> None:
        """Refresh what gradients do not flow through, at the current motion."""
        self.problem.refresh(chains=False)
        for term in self.terms:
            term.freeze()

    def evaluate(self) -> None:
        """Pose the bodies and fill :attr:`rows`, what was frozen being held; launches only."""
        self.rows.zero_()
        self.problem.motion.pose()
        self._evaluate_terms()

    def record(self) -> None:
        """The same on the tape that is recording: its backward pass leaves the gradient in the increments' ``grad``."""
        self.rows.zero_()
        motion, system = self.problem.motion, self.problem.gradient_system
        system.place_gradients.zero_()
        system.unknown_gradients.zero_()
        motion.pose()
        reached = [motion.vertices, *(motion.states[name].links for name in self._origins)]
        record_adjoint(self._spread, [*reached, *motion.increments.values()])
        self._evaluate_terms()

    def differentiate(self) -> None:
        """Evaluate, and leave the gradient in the increments' ``grad``; launches only."""
        self._tape.reset()
        with self._tape:
            self.record()
        self._tape.backward(grads={self.rows: self.weights})

    def clear(self) -> None:
        """Zero all gradients, once they were used, and forget the tape: its functions hold this energy in a circle."""
        self._tape.reset()

    def _evaluate_terms(self) -> None:
        self.problem.look()
        for term in self.terms:
            term.evaluate(self.rows, self.names.index(term.name))

    def _spread(self) -> None:
        """Hand the gradients that terms left with places and unknowns to surfaces, links and increments."""
        motion, system = self.problem.motion, self.problem.gradient_system
        spread_surface(system.place_gradients, vertex_gradients_out=motion.vertices.grad)
        for name, origins in self._origins.items():
            spread_origins(system.place_gradients, origins, link_gradients_out=motion.states[name].links.grad)
        for name, increments in motion.increments.items():
            start = self.problem.equations.starts[name]
            spread_unknowns(system.unknown_gradients, start, increment_gradients_out=increments.grad)
