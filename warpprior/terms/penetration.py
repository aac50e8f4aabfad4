"""Penetration (Eq. 3): points of one body stay out of another, from both sides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from warpprior.support.limits import positive, weight
from warpprior.system.allowances import overlap_name
from warpprior.terms.term import BoundTerm, Term

if TYPE_CHECKING:
    from warpprior.kernels.penetration import Push
    from warpprior.kernels.rows import System
    from warpprior.scene import SceneBody
    from warpprior.system.contacts import ContactPair
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage

SURFACE_REACH_M = 0.04  # how deep points are found in a surface that bends


@dataclass(frozen=True)
class Penetration(Term):
    """Depth of points inside another body, averaged over what is in contact.

    The distance to a rigid body comes from its baked grid, that to a body that bends from its posed triangles.

    Attributes:
        sigma_m: penetration beyond the allowance that counts one [m].
        allowance_m: penetration that soft contact excuses [m]; into what a known body touches more may be, if
            ``unknowns.estimate_allowance``.
    """

    name: ClassVar[str] = "penetration"

    sigma_m: float = positive(0.002)
    allowance_m: float = weight(0.001)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """For each estimated body the points of all others inside it; surfaces that bend must be closed."""
        for body in problem.motion.estimated:
            if body.body.is_rigid:
                for pair in problem.contacts(body).pairs.values():
                    yield BoundPenetration(self, body, pair, problem)
            elif body.body.closed:
                for partner in problem.partners(body):
                    yield BoundBentPenetration(self, body, partner, problem)
            elif problem.partners(body):
                problem.note(f"penetration: nothing is kept out of {body.name}, which bends and whose surface is open.")


def push_in(term: Penetration, stage: Stage, *, both_estimated: bool) -> Push:
    """What depth costs in a stage."""
    from warpprior.kernels.penetration import Push

    push = Push()
    hardness = stage.hardness if both_estimated else 1.0
    push.weight = term.weight * stage.penetration_share * hardness / term.sigma_m**2
    push.allowance, push.touching = term.allowance_m, stage.contact_distance_m
    return push


class BoundPenetration(BoundTerm):
    """One body's points in a rigid one."""

    term: Penetration

    def __init__(self, term: Penetration, body: SceneBody, pair: ContactPair, problem: Problem):
        import warp as wp

        from warpprior.kernels.penetration import Push

        super().__init__(term, body, problem)
        self._pair = pair
        self.observes = pair.partner.known  # a pose inside of what is known is none
        self._push = wp.zeros(1, dtype=Push, device=problem.motion.device)
        name = overlap_name(pair.partner, body)
        self._beyond = problem.shared.overlaps.get(name)
        self._column = problem.equations.shared.get(name, -1)

    def across(self, joined: Problem, clips: Sequence[BoundTerm]) -> BoundTerm:
        body = joined.motion.scene.body(self.body.name)
        return BoundPenetration(self.term, body, joined.contacts(body).pairs[self._pair.partner.name], joined)

    def enter(self, stage: Stage) -> None:
        push = push_in(self.term, stage, both_estimated=not self._pair.partner.known)
        push.estimated, push.column = int(self._beyond is not None), self._column
        self._push.assign([push])

    def add(self, system: System, *, alone: bool = False) -> None:
        from warpprior.kernels.penetration import add_penetration

        pair, segments = self._pair, self.problem.motion.segments
        given = pair.held if alone else pair.contacts, self._push, segments, system
        add_penetration(*given, lanes=pair.lanes, cost_out=self.costs, beyond=self._beyond)


class BoundBentPenetration(BoundTerm):
    """One body's points in a surface that bends."""

    asks_contacts = False
    term: Penetration

    def __init__(self, term: Penetration, body: SceneBody, partner: SceneBody, problem: Problem):
        import warp as wp

        from warpprior.kernels.penetration import BentSurface, Push
        from warpprior.system.contacts import point_body

        super().__init__(term, body, problem)
        motion, starts = problem.motion, problem.equations.starts
        self._partner = partner
        self._query = problem.surface_query(body, SURFACE_REACH_M)
        self._points = motion.points[partner.name]
        self._answers = self._query.answers(self._points.shape[1])
        self._waiting = self._query.waiting(motion.states[partner.name].poses, self._points.shape[1])
        bent = self._bent = BentSurface()
        bent.points, bent.areas = self._points, motion.point_areas[partner.name]
        bent.body = point_body(partner, motion, starts.get(partner.name, -1))
        bent.body_poses = motion.states[partner.name].poses
        bent.start, bent.first_vertex = starts[body.name], motion.first_vertex(body.name)
        bent.faces, bent.poses = motion.models[body.name].faces, motion.states[body.name].poses
        bent.distances, bent.normals = self._answers.distances, self._answers.normals
        bent.closest, bent.barycentrics = self._answers.faces, self._answers.barycentrics
        bent.shares = wp.zeros(motion.frame_count, dtype=wp.float32, device=motion.device)
        self._shares_held = False
        self._push = wp.zeros(1, dtype=Push, device=motion.device)
        self._active = True

    def enter(self, stage: Stage) -> None:
        push = push_in(self.term, stage, both_estimated=not self._partner.known)
        self._active = push.weight > 0.0
        # What lies between touches nothing and enters nothing, or it touches; how far it is does not matter.
        self._waiting.restart((-push.allowance, push.touching))
        self._push.assign([push])

    def freeze(self) -> None:
        """What touches is found where residuals are added next, for that takes the distances anyway."""
        self._shares_held = False

    def add(self, system: System, *, alone: bool = False) -> None:
        from warpprior.kernels.penetration import add_bent_penetration
        from warpprior.kernels.rows import GRADIENT

        if not self._active:
            return
        if system.mode != GRADIENT:  # that comes after the costs, at the same motion
            self._query.query(self._points, self._answers, self._waiting)
        held = int(self._shares_held)
        add_bent_penetration(self._bent, self._push, system, hold_shares=held, cost_out=self.costs)
        self._shares_held = True
