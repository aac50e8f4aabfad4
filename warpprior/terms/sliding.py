"""Sliding (the paper's III-C): what is in contact does not slide over the body it touches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from warpprior.support.limits import positive
from warpprior.terms.term import BoundTerm, Term

if TYPE_CHECKING:
    from warpprior.kernels.rows import System
    from warpprior.scene import SceneBody
    from warpprior.system.contacts import ContactPair
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage


@dataclass(frozen=True)
class Sliding(Term):
    """Slip of contacts between two frames, averaged over what is in contact; stages say what counts as contact.

    Attributes:
        width_sigmas: slip beyond so many sigmas counts less and less: points that pass by, as a hand does that comes
            to grasp, do not drag a body along.
        slide_m_s: contacts slide whose slip goes on faster over ``slide_s``, where most do: its mean is believed, and
            only what differs from it is slip, in stages in which contacts may slide [m/s].
        slide_s: time over which slips are compared, for noise goes to and fro and what slides goes on [s].
        sigma_drift_m_s: how much faster or slower than its mean what slides is, at least [m/s].
    """

    name: ClassVar[str] = "sliding"
    ties_frames: ClassVar[bool] = True

    width_sigmas: float = positive(3.0)
    slide_m_s: float = positive(0.045)
    slide_s: float = positive(0.17)
    sigma_drift_m_s: float = positive(0.04)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated rigid body and each other body, whose points touch it."""
        for body in problem.motion.estimated:
            if body.body.is_rigid:
                for pair in problem.contacts(body).pairs.values():
                    yield BoundSliding(self, body, pair, problem)


class BoundSliding(BoundTerm):
    """Slip of one body's points over a rigid one."""

    term: Sliding

    def __init__(self, term: Sliding, body: SceneBody, pair: ContactPair, problem: Problem):
        import warp as wp

        from warpprior.kernels.sliding import Slip

        super().__init__(term, body, problem)
        self._pair = pair
        device = problem.motion.device
        self._slip = wp.zeros(1, dtype=Slip, device=device)
        shape = pair.contacts.weights.shape
        self._found, self._drifts = (wp.zeros(shape, dtype=wp.vec4, device=device) for _ in range(2))
        self._shares = wp.zeros(problem.motion.frame_count, dtype=wp.float32, device=device)
        self._slides, self._free_normal = True, 0.0
        self._around = int(round(0.5 * (term.slide_s * problem.motion.scene.fps - 1.0)))

    def across(self, joined: Problem, clips: Sequence[BoundTerm]) -> BoundTerm:
        body = joined.motion.scene.body(self.body.name)
        return BoundSliding(self.term, body, joined.contacts(body).pairs[self._pair.partner.name], joined)

    def enter(self, stage: Stage) -> None:
        import warp as wp

        from warpprior.kernels.sliding import Slip

        sigma = stage.sigma_slip_m_s / self.problem.motion.scene.fps
        slip = Slip()
        slip.weight, slip.width = self.term.weight / sigma**2, self.term.width_sigmas * sigma
        slip.free_normal = self._free_normal = stage.free_normal
        slip.drifting = min(1.0, stage.sigma_slip_m_s / self.term.sigma_drift_m_s) ** 2
        slip.slide = self.term.slide_m_s / self.problem.motion.scene.fps
        slip.deepest = stage.contact_distance_m
        self._slides = stage.slides
        self._slip.assign([slip])
        self._drifts.fill_(wp.vec4(0.0, 0.0, 0.0, 1.0))

    def freeze(self) -> None:
        from warpprior.kernels.sticking import believe_sliding, find_sliding, share_sliding

        if not self._slides:
            return
        motion, contacts = self.problem.motion, self._pair.contacts
        find_sliding(contacts, motion.segments, motion.paces, self._slip, self._around, found_out=self._found)
        share_sliding(contacts.weights, self._found, shares_out=self._shares)
        believe_sliding(self._found, self._shares, self._slip, drifts_out=self._drifts)

    def add(self, system: System, *, alone: bool = False) -> None:
        from warpprior.kernels.sliding import add_sliding

        motion, pair = self.problem.motion, self._pair

        def launch() -> None:
            add_sliding(
                pair.held if alone else pair.contacts,
                self._drifts,
                motion.segments,
                motion.paces,
                self._slip,
                system,
                lanes=pair.lanes,
                cost_out=self.costs,
            )

        if alone or pair.links is None:
            launch()
        else:
            pair.links.gather(system, launch)

    def measurements(self, pixels: float) -> float:
        """Contacts between two frames count as one, along two axes and what is not free of the third."""
        both = self._pair.contacts.sums.numpy()[1:, 1].astype(np.float64)
        return float(np.sum(both / (both + 1e-3)) * (2.0 + (1.0 - self._free_normal) ** 2))
