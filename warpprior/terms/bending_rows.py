"""Points of one body kept out of another that bends: the second side of penetration."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.geometry.bending_surface import SurfaceQuery
from warpprior.kernels.press_fit import accumulate_presses
from warpprior.scene import SceneBody
from warpprior.settings import AlignStage
from warpprior.system.problem import Problem
from warpprior.terms.contact_rows import point_body

REACH_M = 0.04  # how deep points are found


class Presses:
    """Points of other bodies in the surface of an articulated ``body``.

    Args:
        body: a closed articulated body that moves.
        partners: the bodies whose points stay out of it.
        problem: the sequence's.
    """

    def __init__(self, body: SceneBody, partners: list[SceneBody], problem: Problem):
        self.body, self.partners, self.problem = body, partners, problem
        state = problem.state
        self.query = SurfaceQuery(
            body.body, state.frame_count, state.device, REACH_M, scale=float(np.max(body.initial.scale))
        )
        self.start = problem.equations.starts[body.name]
        self.first = state.first_vertex(body.name)
        self.points = {partner.name: point_body(partner, problem) for partner in partners}
        counts = {partner.name: state.points[partner.name].shape[1] for partner in partners}
        self.answers = {name: self.query.answers(count) for name, count in counts.items()}
        self.press = {name: wp.zeros(2, dtype=wp.float32, device=state.device) for name in counts}
        self.touching = wp.zeros(1, dtype=wp.float32, device=state.device)

    def enter(self, stage: AlignStage) -> None:
        """Take the scales of a stage."""
        s = self.problem.settings
        self.active = s.penetration_weight * stage.penetration_share > 0.0
        press = s.penetration_weight * stage.penetration_share / s.sigma_penetration_m**2
        for partner in self.partners:
            hardness = 1.0 if partner.known else stage.hardness
            self.press[partner.name].assign(np.array([press * hardness, s.allowance_m], dtype=np.float32))
        self.touching.fill_(stage.contact_distance_m)

    def add(self, cost: wp.array) -> None:
        """Add to the equations and to ``cost`` [frame]; launches only."""
        if not self.active:
            return
        state, equations = self.problem.state, self.problem.equations
        self.query.refit(state.vertices, self.first)
        for partner in self.partners:
            answers = self.answers[partner.name]
            points = state.points[partner.name]
            self.query.query(points, answers)
            accumulate_presses(
                points,
                self.points[partner.name],
                state.states[partner.name].poses,
                self.start,
                self.first,
                state.models[self.body.name].faces,
                state.states[self.body.name].poses,
                answers.distances,
                answers.normals,
                answers.faces,
                answers.barycentrics,
                state.point_areas[partner.name],
                self.press[partner.name],
                self.touching,
                self.problem.surfaces.chains,
                equations.rows,
                hessian_out=equations.hessian,
                gradient_out=equations.gradient,
                cost_out=cost,
            )
