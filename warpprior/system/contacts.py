"""Where bodies touch: points of others at the surface of a rigid one, looked up once for all terms that ask."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.geometry.signed_distance import DistanceField, shared_field
from warpprior.kernels.contacts import Contacts, Reach, sum_weights, weigh_contacts
from warpprior.kernels.rows import PointBody
from warpprior.scene import SceneBody
from warpprior.system.link_blocks import LinkSamples, LinkSums
from warpprior.system.motion import MotionState
from warpprior.system.stage import Stage


def point_corners(body: SceneBody, motion: MotionState) -> np.ndarray:
    """Vertices of the body that each of its contact points lies between (point, 3)."""
    faces, _ = motion.point_places(body.name)
    chosen: np.ndarray = faces.numpy()
    return body.body.faces[chosen].astype(np.int32)


def point_body(body: SceneBody, motion: MotionState, start: int) -> PointBody:
    """Where the contact points of a body lie on its surface, and the column of its root, -1 to hold it."""
    _, barycentrics = motion.point_places(body.name)
    first = 0 if body.known else motion.first_vertex(body.name)
    points = PointBody()
    points.start = start
    points.corners = wp.array(point_corners(body, motion) + first, dtype=wp.vec3i, device=motion.device)
    points.barycentrics = barycentrics
    return points


class ContactPair:
    """Points of ``partner`` at the surface of the rigid ``body``; each is estimated unless it is known.

    Args:
        body: the rigid body.
        partner: the body whose points touch it; it may bend.
        field: signed distance to ``body``.
        motion: of all bodies.
        starts: column of each estimated body's root, by name.
        link_sums: of the partner; None where they do not say how its points move.
        size_column: of the size of ``body``, -1 where it is not estimated.

    Attributes:
        contacts: what the kernels take.
        held: the same with the partner's unknowns held.
        links: how points that slip add up by links, None where they do not.
    """

    def __init__(
        self,
        body: SceneBody,
        partner: SceneBody,
        field: DistanceField,
        motion: MotionState,
        starts: dict[str, int],
        link_sums: LinkSums | None = None,
        size_column: int = -1,
    ):
        self.body, self.partner, self._field = body, partner, field
        self._factor = motion.factors[body.name]
        shape = motion.points[partner.name].shape
        places, samples, frozen, weights = (
            wp.zeros(shape, dtype=dtype, device=motion.device) for dtype in (wp.vec3, wp.vec4, wp.vec4, wp.float32)
        )
        sums = wp.zeros((shape[0], 2), dtype=wp.float32, device=motion.device)

        def pair(start: int) -> Contacts:
            found = Contacts()
            found.points, found.areas = motion.points[partner.name], motion.point_areas[partner.name]
            found.body = point_body(partner, motion, start)
            found.body_poses = motion.states[partner.name].poses
            found.start, found.poses = starts.get(body.name, -1), motion.states[body.name].poses
            found.places, found.samples, found.frozen = places, samples, frozen
            found.weights, found.sums = weights, sums
            found.sized, found.size_column = int(size_column >= 0), size_column
            return found

        self.contacts, self.held = pair(starts.get(partner.name, -1)), pair(-1)
        self.links: LinkSamples | None = None
        if link_sums is not None:
            corners = point_corners(partner, motion)
            self.links = LinkSamples(link_sums, corners, motion, starts, against=body)
            self.contacts.carriers = self.links.carriers
        self.lanes = 1 if motion.device.is_cpu else 32

    def look(self, reach: wp.array, *, hold_weights: bool) -> None:
        """Where the points are now, and unless weights are held, which touch and along which normals; launches only."""
        found = self.contacts
        weigh_contacts(
            found.points,
            found.areas,
            found.poses,
            self._field.grid,
            self._field.origin,
            self._field.inverse_spacing,
            self._factor,
            reach,
            int(hold_weights),
            places_out=found.places,
            samples_out=found.samples,
            weights_out=found.weights,
        )
        if not hold_weights:
            wp.copy(found.frozen, found.samples)


class BodyContacts:
    """Everything that may touch one rigid body.

    Args:
        body: an estimated rigid body.
        motion: of all bodies.
        starts: column of each estimated body's root, by name.
        link_sums: of each other body, by its name, None as above.
        size_columns: of the size of each body whose size is estimated, by name.

    Attributes:
        pairs: with every other body, by its name.
        touch: contact weight shared with the frame before, over all pairs [frame].
    """

    def __init__(
        self,
        body: SceneBody,
        motion: MotionState,
        starts: dict[str, int],
        link_sums: dict[str, LinkSums | None] | None = None,
        size_columns: dict[str, int] | None = None,
    ):
        field = shared_field(body.body, motion.device, scale=body.initial.scale)
        others = [other for other in motion.scene.bodies if other.name != body.name]
        link_sums, size_columns = link_sums or {}, size_columns or {}
        column = size_columns.get(body.name, -1)
        if column >= 0:  # links say how points move, not what grows
            link_sums = {}
        sums = {name: found for name, found in link_sums.items() if name not in size_columns}
        self.pairs = {
            other.name: ContactPair(body, other, field, motion, starts, sums.get(other.name), column)
            for other in others
        }
        self.touch = wp.zeros(motion.frame_count, dtype=wp.float32, device=motion.device)
        self._reach = wp.zeros(1, dtype=Reach, device=motion.device)

    def enter(self, stage: Stage) -> None:
        """Take the scales of a stage."""
        reach = Reach()
        reach.distance, reach.softness = stage.contact_distance_m, stage.contact_softness_m
        self._reach.assign([reach])

    def update(self) -> None:
        """Find what touches now; launches only."""
        self.touch.zero_()
        for pair in self.pairs.values():
            pair.look(self._reach, hold_weights=False)
            sum_weights(pair.contacts.weights, sums_out=pair.contacts.sums, touch_out=self.touch)

    def look(self) -> None:
        """Where the points are now, contact weights being held; launches only."""
        for pair in self.pairs.values():
            pair.look(self._reach, hold_weights=True)
