"""Penetration: points inside a rigid body and inside a surface that bends, for rows and energy, against twins."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from tests.body_samples import make_tree_body
from tests.contact_samples import NO_SLIP, PAIRS, PUSH, TREE, Pair
from tests.estimator_scenes import (
    enter,
    frame_costs,
    linearise,
    make_arm,
    make_block,
    make_motion,
    make_problem,
    make_scene,
    make_solver,
)
from tests.fit_samples import Sample, Spread, check_equations, wander
from tests.gradcheck import POISON
from tests.reference.penetration import BentPenetration
from warpprior.bodies import rigid_body
from warpprior.kernels.penetration import BentSurface, Push, add_bent_penetration
from warpprior.terms import Penetration

HAND = replace(make_tree_body(vertices=24, influences=2, pose_blend=False, shapes=0), name="hand")
TWIN = replace(HAND, name="twin")
STONE = rigid_body("stone", HAND.vertices, HAND.faces)
COUNT = 14
TOUCHING = 0.002
# Whose points are in the hand, and who is known.
BENT = {
    "bending": (TWIN, ()),
    "rigid": (STONE, ()),
    "known": (STONE, ("stone",)),
    "into what is known": (TWIN, ("hand",)),
}


class Entered:
    """A body some millimetres off a hand of the same form, so that every point has a place beside it on the hand."""

    def __init__(self, device, kind="bending", *, frames=2, bend=0.02):
        self.partner, known = BENT[kind]
        motion = wander(HAND, frames, bend=bend, wag=0.01)
        random = np.random.default_rng(4)
        moved = motion.position + 0.004 * random.normal(size=(frames, 3))
        joints = motion.joints if self.partner is TWIN else np.zeros((frames, 0))
        joints = joints + 0.01 * random.normal(size=joints.shape)
        exact = [values.astype(np.float32).astype(float) for values in (moved, joints)]
        other = replace(motion, position=exact[0], joints=exact[1])
        bodies = [self.partner, HAND]
        self.sample = Sample(bodies, [other, motion], device, known=known, points=COUNT)
        state, twin = self.sample.state, self.sample.twin
        found, shares = state.point_places(self.partner.name)
        self.faces, self.shares = found.numpy(), shares.numpy().astype(float)
        self.corners = HAND.faces[self.faces]
        row = np.zeros(self.sample.width)
        offsets = np.stack(
            [
                np.einsum(
                    "pcx,pc->px",
                    (twin.vertices(self.partner.name, f, row) - twin.vertices("hand", f, row))[self.corners],
                    self.shares,
                )
                for f in range(frames)
            ]
        )
        signs = np.where(np.arange(COUNT) % 4 == 0, 1.0, -1.0)  # every fourth point is outside
        lengths = np.linalg.norm(offsets, axis=2)
        self.distances = (signs * lengths).astype(np.float32).astype(float)
        self.normals = (signs[:, None] * offsets / lengths[..., None]).astype(np.float32).astype(float)
        self.closest = np.tile(self.faces, (frames, 1))
        self.closest[0, 1] = -1  # of one point nothing is near
        self.areas = state.point_areas[self.partner.name].numpy().astype(float)

    def add(self, *, push=PUSH, shares=None):
        """Add the term's residuals; ``shares`` (frame,) of what touches are held where given."""
        sample, state = self.sample, self.sample.state
        starts, bent = sample.equations.starts, BentSurface()
        bent.points, bent.areas = state.points[self.partner.name], state.point_areas[self.partner.name]
        bent.body, bent.body_poses = sample.points_of(self.partner.name), state.states[self.partner.name].poses
        bent.start = starts.get("hand", -1)
        bent.first_vertex = state.first_vertex("hand") if "hand" in starts else 0
        bent.faces, bent.poses = state.models["hand"].faces, state.states["hand"].poses
        bent.distances, bent.normals = sample.constants(self.distances), sample.constants(self.normals, wp.vec3)
        bent.closest = sample.constants(self.closest, wp.int32)
        bent.barycentrics = sample.constants(np.tile(self.shares, (sample.frames, 1, 1)), wp.vec3)
        bent.shares = sample.constants(np.full(sample.frames, POISON) if shares is None else shares)
        pushes = sample.one(Push, weight=push[0], allowance=push[1], touching=TOUCHING)
        sample.add(add_bent_penetration, bent, pushes, hold_shares=int(shares is not None))
        return bent.shares.numpy()

    def twin(self, push=PUSH):
        """The float64 twin of :meth:`add`."""
        touching = np.where(self.distances < TOUCHING, self.areas, 0.0).sum(axis=1, keepdims=True)
        weights = np.where(self.closest >= 0, push[0] * self.areas / (touching + 1e-4), 0.0)
        frames = self.sample.frames
        nearest, shares = np.tile(self.corners, (frames, 1, 1)), np.tile(self.shares, (frames, 1, 1))
        return BentPenetration(
            self.sample.twin, self.partner.name, "hand", self.corners, self.shares, nearest, shares, self.normals,
            self.distances, weights, push[1],
        )  # fmt: skip


@pytest.mark.parametrize("kind", PAIRS)
def test_points_in_a_rigid_body_match_the_twin(device, kind):
    """A body of all joint types and a rigid one in another; either may be known: six frames in three sequences."""
    pair = Pair(device, kind)
    pair.add(slip=NO_SLIP)
    check_equations(pair.sample, pair.twin(slip=NO_SLIP), f"penetration {kind}")


def test_deep_penetration_pushes_no_harder(device):
    """Points two centimetres and more inside are pushed as hard as at two, for the far side may be nearer."""
    pair = Pair(device, "two rigid bodies", segments=[0], depth=0.03)
    pair.add(slip=NO_SLIP)
    assert (pair.samples[..., 3] < -0.021).any() and (pair.samples[..., 3] < -0.001).sum() > 3
    check_equations(pair.sample, pair.twin(slip=NO_SLIP), "penetration deep")


def test_frames_are_pushed_one_by_one(device):
    """What is inside in one frame says nothing about another."""
    pair = Pair(device)
    pair.add(slip=NO_SLIP)
    blocks = pair.sample.system.hessian.numpy()
    assert blocks[:, 0].any() and not blocks[:, 1:].any()


def test_a_shape_that_is_estimated_moves_the_points(device):
    """Penetration depends on the shape of the body that the points are of."""
    pair = Pair(device, shapes=(TREE.name,))
    pair.add(slip=NO_SLIP)
    check_equations(pair.sample, Spread(pair.twin(slip=NO_SLIP), pair.sample.inner), "penetration and shape")


@pytest.mark.parametrize("overlap_m", [0.0, 0.0015])
def test_how_much_may_overlap_is_an_unknown_like_others(device, overlap_m):
    """Its column, and how it acts on costs, of a known body of joints in a rigid one that is estimated."""
    pair = Pair(device, "touching is known", overlap_m=overlap_m)
    pair.add(slip=NO_SLIP)
    column = pair.sample.equations.shared["overlap"]
    assert pair.sample.system.gradient.numpy()[:, 0, column].min() < 0.0  # deeper costs less
    check_equations(pair.sample, Spread(pair.twin(slip=NO_SLIP), pair.sample.inner), f"overlap {overlap_m}")


@pytest.mark.parametrize("kind", BENT)
def test_points_in_a_bent_surface_match_the_twin(device, kind):
    """Points of a body that bends, of a rigid and of a known one; points outside, shallow, and of nothing near."""
    entered = Entered(device, kind)
    entered.add()
    check_equations(entered.sample, entered.twin(), f"penetration of a bent surface, {kind}")


def test_what_touches_may_be_held(device):
    """Costs are divided by the share of the surface that touched when that was last taken, here half of it."""
    entered = Entered(device)
    shares = entered.add()
    touching = np.where(entered.distances < TOUCHING, entered.areas, 0.0).sum(axis=1)
    np.testing.assert_allclose(shares, touching, rtol=1e-5)
    free = entered.sample.cost.numpy().copy()
    entered.sample.clear()
    held = np.full(2, 0.5, dtype=np.float32)
    np.testing.assert_array_equal(entered.add(shares=held), held)
    expected = free * (touching + 1e-4) / (0.5 + 1e-4)
    np.testing.assert_allclose(entered.sample.cost.numpy(), expected, rtol=1e-5)


def test_deep_points_are_pushed_no_harder(device):
    """Two centimetres in and more, the far side may be nearer: the push is that of two."""
    entered = Entered(device, "rigid", frames=1, bend=0.4)
    assert (entered.distances < -0.021).any()
    entered.add()
    check_equations(entered.sample, entered.twin(), "penetration of a bent surface, deep")


@pytest.mark.parametrize("bend", ["zero", "pi"])
def test_hard_joint_angles(device, bend):
    """Joints at zero and at half a turn."""
    entered = Entered(device, frames=1, bend=bend)
    entered.add()
    check_equations(entered.sample, entered.twin(), f"penetration of a bent surface, joints at {bend}")


def test_within_the_allowance_nothing_is_added(device):
    """Exact zeros for what soft contact excuses, without weight, and with nothing near."""
    entered = Entered(device)
    entered.add(push=(2.5e5, 0.5))
    entered.add(push=(0.0, 0.001))
    entered.closest[:] = -1
    entered.add()
    entered.sample.read()
    for values in entered.sample.bits():
        np.testing.assert_array_equal(values, 0.0)


def test_threads_give_the_same_bits(monkeypatch):
    """Nine frames on one thread and on two; a second launch adds the same again."""
    entered, found = Entered("cpu", frames=9), []
    for threads in ("1", "2"):
        monkeypatch.setenv("WARPPRIOR_THREADS", threads)
        entered.sample.clear()
        entered.add()
        found.append(entered.sample.bits())
    entered.add()
    for one, two, twice in zip(*found, entered.sample.bits(), strict=True):
        np.testing.assert_array_equal(two, one)
        np.testing.assert_allclose(twice, 2.0 * one, rtol=1e-12, atol=1e-12 * np.abs(one).max())


def overlapping_blocks(known=()):
    """Two blocks, a few millimetres one in the other."""
    motions = [make_motion((side * 0.027, 0.0, 0.5), (0.0, 0.0, 0.0), frames=2) for side in (-1.0, 1.0)]
    return make_scene((make_block("left"), make_block("right")), motions, motions, known=known)


def penetration_costs(scene, device, **stage):
    """Cost of penetration of each body in a stage."""
    solver = make_solver(scene, device)
    enter(solver, replace(solver.stages[2], **stage))
    linearise(solver)
    return {body.name: frame_costs(solver, "penetration", body.name).sum() for body in solver.problem.motion.estimated}


@pytest.mark.parametrize(("known", "factor"), [((), 20.0), (("left",), 1.0)], ids=["both estimated", "one known"])
def test_what_is_estimated_is_harder_than_what_is_known(device, known, factor):
    """The surface of a known body may be a shell around what really touches: hardness is between estimated ones."""
    scene = overlapping_blocks(known)
    soft, hard = (penetration_costs(scene, device, hardness=hardness) for hardness in (1.0, 20.0))
    assert set(soft) == {"left", "right"} - set(known) and all(cost > 0.0 for cost in soft.values())
    for name, cost in soft.items():
        assert hard[name] == pytest.approx(factor * cost, rel=1e-5)


def test_stages_let_a_share_of_penetration_act(device):
    """None, a tenth, all of it."""
    none, tenth, whole = (
        penetration_costs(overlapping_blocks(), device, penetration_share=share)["left"] for share in (0.0, 0.1, 1.0)
    )
    assert none == 0.0 and tenth == pytest.approx(0.1 * whole, rel=1e-5)


def test_penetration_is_felt_from_both_sides(device):
    """A rigid body feels every other body's points, one that bends does where its surface is closed."""
    arm, block = make_arm(influences=2), make_block()
    motions = (wander(arm, 2, bend=0.3), wander(block, 2, seed=1))
    for closed, expected in ((True, {"arm", "box"}), (False, {"box"})):
        scene = make_scene((replace(arm, closed=closed), block), motions, motions)
        bound = list(Penetration().bind(make_problem(scene, device, points=8)))
        assert {term.body.name for term in bound} == expected and len(bound) == len(expected)
