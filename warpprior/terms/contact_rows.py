"""Contact of the points of one body with a rigid one: sticking and penetration as normal equations."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.geometry.signed_distance import DistanceField
from warpprior.kernels.contact_fit import accumulate_contacts, sum_weights, weigh_contacts
from warpprior.kernels.rows import PointBody
from warpprior.scene import SceneBody
from warpprior.settings import AlignStage
from warpprior.system.problem import Problem


def point_body(body: SceneBody, problem: Problem) -> PointBody:
    """Where the contact points of a body lie on its surface, and which unknowns move them."""
    state = problem.state
    faces, barycentrics = state.point_places(body.name)
    first = 0 if body.known else state.first_vertex(body.name)
    corners = (body.body.faces[faces.numpy()] + first).astype(np.int32)
    points = PointBody()
    points.start = problem.equations.starts.get(body.name, -1)
    points.corners = wp.array(corners, dtype=wp.vec3i, device=state.device)
    points.barycentrics = barycentrics
    return points


class Contacts:
    """Points of ``partner`` on the surface of the rigid ``body``; each moves unless it is known.

    Args:
        body: the rigid body.
        partner: the body whose points touch it; it may bend.
        field: signed distance to ``body``.
        problem: the sequence's.

    Attributes:
        weights: how much each point counts as a contact [frame, point].
        sums: their sum in a frame, and of it together with the frame before [frame, 2].
    """

    def __init__(self, body: SceneBody, partner: SceneBody, field: DistanceField, problem: Problem):
        self.body, self.partner, self.field, self.problem = body, partner, field, problem
        state, starts = problem.state, problem.equations.starts
        device, frame_count = state.device, state.frame_count
        count = state.points[partner.name].shape[1]

        def zeros(shape, dtype=wp.float32):
            return wp.zeros(shape, dtype=dtype, device=device)

        self.places = zeros((frame_count, count), wp.vec3)
        self.samples = zeros((frame_count, count), wp.vec4)
        self.weights = zeros((frame_count, count))
        self.sums = zeros((frame_count, 2))
        self.distance, self.softness = zeros(1), zeros(1)
        self.slip, self.press = zeros(3), zeros(2)
        self.points = point_body(partner, problem)
        self.held_points = point_body(partner, problem)
        self.held_points.start = -1
        self.start = starts.get(body.name, -1)
        self.lanes = 1 if device.is_cpu else 32

    def enter(self, stage: AlignStage) -> None:
        """Take the scales of a stage."""
        s = self.problem.settings
        self.distance.fill_(stage.contact_distance_m)
        self.softness.fill_(stage.contact_softness_m)
        sigma_slip = stage.sigma_slip_m_s / self.problem.state.scene.fps
        slip = s.sliding_weight / sigma_slip**2
        self.slip.assign(np.array([slip, 3.0 * sigma_slip, stage.free_normal], dtype=np.float32))
        hardness = 1.0 if self.partner.known or self.body.known else stage.hardness
        press = s.penetration_weight * stage.penetration_share * hardness / s.sigma_penetration_m**2
        self.press.assign(np.array([press, s.allowance_m], dtype=np.float32))

    def add(self, touch: wp.array, cost: wp.array, *, hold_partner: bool = False) -> None:
        """Add to the equations; ``touch`` gathers contact weight and ``cost`` the cost [frame]; launches only.

        With ``hold_partner`` the partner's unknowns are left out, which is quicker.
        """
        state, equations = self.problem.state, self.problem.equations
        points, areas = state.points[self.partner.name], state.point_areas[self.partner.name]
        poses = state.states[self.body.name].poses
        weigh_contacts(
            points,
            areas,
            poses,
            self.field.grid,
            self.field.origin,
            self.field.inverse_spacing,
            self.distance,
            self.softness,
            places_out=self.places,
            samples_out=self.samples,
            weights_out=self.weights,
        )
        sum_weights(self.weights, sums_out=self.sums, touch_out=touch)
        accumulate_contacts(
            points,
            self.held_points if hold_partner else self.points,
            state.states[self.partner.name].poses,
            self.start,
            poses,
            self.places,
            self.samples,
            self.weights,
            self.sums,
            areas,
            state.segments,
            self.slip,
            self.press,
            self.problem.surfaces.chains,
            equations.rows,
            lanes=self.lanes,
            hessian_out=equations.hessian,
            gradient_out=equations.gradient,
            cost_out=cost,
        )

    def let_go(self) -> None:
        """Switch off sticking."""
        self.slip.zero_()
