"""Two bodies in contact for tests of terms: the sample, what kernels are given of the contact, and its twin."""

from dataclasses import replace

import numpy as np
import warp as wp

from tests.body_samples import make_rigid_body, make_tree_body
from tests.fit_samples import Sample, wander
from tests.reference.contacts import ContactPair, places_on
from tests.reference.motion_terms import Sum
from tests.reference.penetration import Penetration
from tests.reference.sliding import Sliding
from warpprior.kernels.contacts import Contacts, sum_weights
from warpprior.kernels.penetration import Push, add_penetration
from warpprior.kernels.sliding import Slip, add_sliding
from warpprior.system.contacts import point_corners
from warpprior.system.link_blocks import LinkSamples, LinkSums

SLIP, PUSH = (4.0e4, 0.03, 0.0), (2.5e5, 0.001)
NO_SLIP, NO_PUSH = (0.0, 0.03, 0.0), (0.0, 0.001)
SEGMENTS = np.array([0, 0, 0, 1, 1, 2])
PACES = np.array([1.0, 0.5, 1.25, 0.1, 2.0, 0.5])  # of frames that come late and early
TREE = make_tree_body(vertices=24, influences=2, pose_blend=False)
BLOCK, STONE = (replace(make_rigid_body(24, seed=k), name=name) for k, name in enumerate(("block", "stone")))
# Who touches whom, and who is known: joints and a rigid body, both estimated; either known; two rigid bodies.
PAIRS = {
    "both move": (TREE, BLOCK, ()),
    "touching is known": (TREE, BLOCK, (TREE.name,)),
    "touched is known": (TREE, BLOCK, (BLOCK.name,)),
    "two rigid bodies": (STONE, BLOCK, ()),
}


class Pair:
    """Two bodies in contact."""

    def __init__(
        self,
        device,
        kind="both move",
        *,
        segments=SEGMENTS,
        count=12,
        depth=0.004,
        still=False,
        bend=1.0,
        shapes=(),
        overlap_m=None,
        by_links=True,
    ):
        self.overlap_m = overlap_m  # how much deeper than usual may cost nothing, where that is an unknown
        self.touching, self.touched, known = PAIRS[kind]
        frames, self.segments = len(segments), np.asarray(segments)
        bodies = [self.touching, self.touched]
        motions = [wander(body, 1 if still else frames, seed=k, bend=bend) for k, body in enumerate(bodies)]
        if still:
            motions = [motion.frames(np.zeros(frames, dtype=int)) for motion in motions]
        self.sample = Sample(
            bodies,
            motions,
            device,
            known=known,
            shared=() if overlap_m is None else ("overlap",),
            shapes=shapes,
            segments=segments,
            points=count,
            lanes=14,
        )
        state, twin = self.sample.state, self.sample.twin
        # Where a shape is unknown, links do not say how points move.
        self.links = self._links() if by_links and not shapes else None
        random = np.random.default_rng(1)
        faces, barycentrics = state.point_places(self.touching.name)
        self.corners, self.barycentrics = self.touching.faces[faces.numpy()], barycentrics.numpy().astype(float)
        normals = random.normal(size=(frames, count, 3))
        normals /= np.linalg.norm(normals, axis=2, keepdims=True)
        distances = depth * random.normal(size=(frames, count, 1))
        self.samples = np.concatenate([normals, distances], axis=2).astype(np.float32).astype(float)
        areas = random.uniform(0.5, 1.5, count)
        self.areas = (areas / areas.sum()).astype(np.float32).astype(float)
        weights = self.areas / (1.0 + np.exp((distances[..., 0] - 0.004) / 0.002))
        self.weights = weights.astype(np.float32).astype(float)
        row = np.zeros(self.sample.width)
        points = np.einsum(
            "fpcx,pc->fpx",
            np.stack([twin.vertices(self.touching.name, frame, row) for frame in range(frames)])[:, self.corners],
            self.barycentrics,
        )
        poses = [twin.pose(self.touched.name, frame, row) for frame in range(frames)]
        self.places = np.stack([places_on(pose, own) for pose, own in zip(poses, points, strict=True)])

    def _links(self):
        touching, touched = (self.sample.scene.body(body.name) for body in (self.touching, self.touched))
        state, starts = self.sample.state, self.sample.equations.starts
        sums = LinkSums(touching, state)
        sums.update()
        return LinkSamples(sums, point_corners(touching, state), state, starts, against=touched)

    def add_sliding(self, *inputs, **options):
        """Launch the kernel, and let links be followed."""
        if self.links is None:
            add_sliding(*inputs, **options)
        else:
            self.links.gather(inputs[-1], lambda: add_sliding(*inputs, **options))

    def contacts(self, weights):
        """What kernels take, sums of weights included, and what touches."""
        sample, state = self.sample, self.sample.state
        found = Contacts()
        found.points, found.areas = state.points[self.touching.name], sample.constants(self.areas)
        found.body = sample.points_of(self.touching.name)
        found.body_poses = state.states[self.touching.name].poses
        found.start = sample.equations.starts.get(self.touched.name, -1)
        found.poses = state.states[self.touched.name].poses
        found.places, found.samples = sample.constants(self.places, wp.vec3), sample.constants(self.samples, wp.vec4)
        found.frozen = found.samples
        found.weights = sample.constants(weights)
        if self.links is not None:
            found.carriers = self.links.carriers
        found.sums = wp.full((sample.frames, 2), 1e9, dtype=wp.float32, device=sample.device)
        touch = wp.full(sample.frames, 0.25, dtype=wp.float32, device=sample.device)
        sum_weights(found.weights, sums_out=found.sums, touch_out=touch)
        return found, touch

    def drifts(self, size=0.0, weight=1.0):
        """Slip that is believed, of a size [m], and weights of the rest from ``weight`` to one (frame, point, 4)."""
        random = np.random.default_rng(5)
        shape = self.weights.shape
        moves, weights = size * random.normal(size=(*shape, 3)), random.uniform(weight, 1.0, size=(*shape, 1))
        return np.concatenate([moves, weights], axis=2).astype(np.float32)

    def add(self, *, slip=SLIP, push=PUSH, lanes=1, weights=None, paces=None, drifts=None):
        """Add sliding and penetration."""
        sample = self.sample
        contacts, _ = self.contacts(np.broadcast_to(self.weights if weights is None else weights, self.weights.shape))
        paces = sample.constants(np.ones(sample.frames) if paces is None else paces)
        slips = sample.one(Slip, weight=slip[0], width=slip[1], free_normal=slip[2])
        held = sample.constants(self.drifts(**(drifts or {})), wp.vec4)
        sample.add(self.add_sliding, contacts, held, sample.state.segments, paces, slips, lanes=lanes)
        column, beyond = sample.equations.shared.get("overlap", -1), None
        if column >= 0:
            beyond = sample.constants(np.full(1 + self.segments.max(), self.overlap_m))
        pushes = sample.one(Push, weight=push[0], allowance=push[1], estimated=int(column >= 0), column=column)
        sample.add(add_penetration, contacts, pushes, sample.state.segments, lanes=lanes, beyond=beyond)

    def twin(self, slip=SLIP, push=PUSH, paces=None, drifts=None):
        """The float64 twin of :meth:`add`."""
        pair = ContactPair(
            self.sample.twin, self.touching.name, self.touched.name, self.corners, self.barycentrics, self.samples,
            self.weights, self.areas,
        )  # fmt: skip
        paces = np.ones(len(self.segments)) if paces is None else np.asarray(paces, dtype=np.float32).astype(float)
        believed = self.drifts(**(drifts or {})).astype(float)
        column = self.sample.equations.shared.get("overlap")
        if column is not None:
            push = (push[0], push[1] + float(np.float32(self.overlap_m)))
        return Sum(Sliding(pair, self.segments, paces, slip, believed), Penetration(pair, push, column))
