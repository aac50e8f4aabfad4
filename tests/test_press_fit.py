"""Normal equations of points inside a surface that bends: both bodies' columns against a float64 twin."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from tests.body_samples import make_tree_body
from tests.fit_samples import Sample, check_equations, wander
from tests.reference.press_fit import Presses
from warpprior.bodies import rigid_body
from warpprior.kernels.press_fit import accumulate_presses
from warpprior.kernels.rows import PointBody

HAND = replace(make_tree_body(vertices=24, influences=2, pose_blend=False, shapes=0), name="hand")
TWIN = replace(HAND, name="twin")
STONE = rigid_body("stone", HAND.vertices, HAND.faces)
COUNT = 14
PRESS = (2.5e5, 0.001)
TOUCHING = 0.002
# Whose points press into the hand, and who is known.
PAIRS = {
    "bending": (TWIN, ()),
    "rigid": (STONE, ()),
    "known": (STONE, ("stone",)),
    "into what is known": (TWIN, ("hand",)),
}


class Pressing:
    """A body some millimetres off a hand of the same form, so that every point has a place beside it on the hand."""

    def __init__(self, device, kind="bending", *, frames=2, bend=0.02):
        self.partner, known = PAIRS[kind]
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

    def add(self, *, press=PRESS):
        """Launch the accumulation."""
        sample, state = self.sample, self.sample.state
        starts = sample.equations.starts
        body = PointBody()
        body.start = starts.get(self.partner.name, -1)
        first = 0 if body.start < 0 else state.first_vertex(self.partner.name)
        body.corners = sample.constants(self.corners + first, wp.vec3i)
        body.barycentrics = sample.constants(self.shares, wp.vec3)
        accumulate_presses(
            state.points[self.partner.name],
            body,
            state.states[self.partner.name].poses,
            starts.get("hand", -1),
            state.first_vertex("hand") if "hand" in starts else 0,
            state.models["hand"].faces,
            state.states["hand"].poses,
            sample.constants(self.distances),
            sample.constants(self.normals, wp.vec3),
            sample.constants(self.closest, wp.int32),
            sample.constants(np.tile(self.shares, (sample.frames, 1, 1)), wp.vec3),
            state.point_areas[self.partner.name],
            sample.constants(press),
            sample.constants([TOUCHING]),
            sample.surfaces.chains,
            sample.equations.rows,
            **sample.outputs,
        )

    def twin(self, press=PRESS):
        """The float64 twin of :meth:`add`."""
        touching = np.where(self.distances < TOUCHING, self.areas, 0.0).sum(axis=1, keepdims=True)
        weights = np.where(self.closest >= 0, press[0] * self.areas / (touching + 1e-4), 0.0)
        frames = self.sample.frames
        nearest, shares = np.tile(self.corners, (frames, 1, 1)), np.tile(self.shares, (frames, 1, 1))
        return Presses(
            self.sample.twin, self.partner.name, "hand", self.corners, self.shares, nearest, shares, self.normals,
            self.distances, weights, press[1],
        )  # fmt: skip


@pytest.mark.parametrize("kind", PAIRS)
def test_gradient_and_curvature_match_the_twin(device, kind):
    """Points of a body that bends, of a rigid and of a known one; points outside, shallow, and of nothing near."""
    pressing = Pressing(device, kind)
    pressing.add()
    check_equations(pressing.sample, pressing.twin(), f"press {kind}")


def test_deep_points_are_pushed_no_harder(device):
    """Two centimetres in and more, the far side may be nearer: the push is that of two."""
    pressing = Pressing(device, "rigid", frames=1, bend=0.4)
    assert (pressing.distances < -0.021).any()
    pressing.add()
    check_equations(pressing.sample, pressing.twin(), "press deep")


@pytest.mark.parametrize("bend", ["zero", "pi"])
def test_hard_joint_angles(device, bend):
    """Joints at zero and at half a turn."""
    pressing = Pressing(device, frames=1, bend=bend)
    pressing.add()
    check_equations(pressing.sample, pressing.twin(), f"press joints at {bend}")


def test_within_the_allowance_nothing_is_added(device):
    """Exact zeros for what soft contact excuses, without weight, and with nothing near."""
    pressing = Pressing(device)
    pressing.add(press=(2.5e5, 0.5))
    pressing.add(press=(0.0, 0.001))
    pressing.closest[:] = -1
    pressing.add()
    pressing.sample.read()
    for values in pressing.sample.bits():
        np.testing.assert_array_equal(values, 0.0)


def test_threads_give_the_same_bits(monkeypatch):
    """Nine frames on one thread and on two; a second launch adds the same again."""
    pressing, found = Pressing("cpu", frames=9), []
    for threads in ("1", "2"):
        monkeypatch.setenv("WARPPRIOR_THREADS", threads)
        pressing.sample.clear()
        pressing.add()
        found.append(pressing.sample.bits())
    pressing.add()
    for one, two, twice in zip(*found, pressing.sample.bits(), strict=True):
        np.testing.assert_array_equal(two, one)
        np.testing.assert_allclose(twice, 2.0 * one, rtol=1e-12, atol=1e-12 * np.abs(one).max())
