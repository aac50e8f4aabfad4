"""Distances that are kept while nothing that matters can have changed: the same decisions as asking always."""

import numpy as np
import trimesh
import warp as wp

from tests.fit_samples import as_device
from warpprior.bodies import rigid_body
from warpprior.geometry.bending_surface import SurfaceQuery
from warpprior.kernels.kept_distance import measure_moves, spend_waits

FRAMES, POINTS, REACH, BOUNDS = 3, 200, 0.04, (-0.001, 0.006)
BALL = trimesh.creation.icosphere(subdivisions=3, radius=0.05)


class Scene:
    """A ball that moves and swells a little, and points around it that move with a body of their own."""

    def __init__(self, device):
        self.device = device
        body = rigid_body("ball", np.asarray(BALL.vertices), np.asarray(BALL.faces))
        self.query = SurfaceQuery(body, FRAMES, device, REACH, scale=1.5)
        random = np.random.default_rng(0)
        rays = random.normal(size=(FRAMES, POINTS, 3))
        rays /= np.linalg.norm(rays, axis=2, keepdims=True)
        self.rays = rays * random.uniform(0.03, 0.12, (FRAMES, POINTS, 1))
        self.shifts = np.zeros((FRAMES, 3))
        self.poses = wp.zeros(FRAMES, dtype=wp.transform, device=device)
        self.waiting = self.query.waiting(self.poses, POINTS)
        self.kept, self.fresh = (self.query.answers(POINTS) for _ in range(2))

    def ask(self, shift, swell, drift=(0.0, 0.0, 0.0)):
        """Answers kept and fresh after the ball moved by ``shift``, both by ``drift``; how many were asked about."""
        self.shifts = self.shifts + np.asarray(drift)
        straight = np.tile([0.0, 0.0, 0.0, 1.0], (FRAMES, 1))
        self.poses.assign(np.concatenate([self.shifts, straight], axis=1).astype(np.float32))
        vertices = (np.asarray(BALL.vertices) * swell)[None] + (self.shifts + shift)[:, None]
        self.query.refit(as_device(vertices.astype(np.float32), wp.vec3, self.device))
        points = as_device((self.rays + self.shifts[:, None]).astype(np.float32), wp.vec3, self.device)
        self.kept.faces.fill_(-7)
        self.query.query(points, self.kept, self.waiting)
        self.query.query(points, self.fresh)
        return self.kept.distances.numpy(), self.fresh.distances.numpy(), int((self.kept.faces.numpy() != -7).sum())


def decisions(distances):
    """What is inside, and what touches."""
    return np.stack([distances < BOUNDS[0], distances < BOUNDS[1]])


def test_decisions_are_those_of_asking_always(device):
    """Steps of some millimetres, then of less: the same points are inside and touch, what is inside to the bit."""
    scene, asked = Scene(device), []
    scene.waiting.restart(BOUNDS)
    for step in range(12):
        size = 0.005 * 0.6**step
        shift = np.array([size, -0.5 * size, 0.3 * size]) * (-1.0) ** step
        kept, fresh, count = scene.ask(shift, 1.0 + size)
        np.testing.assert_array_equal(decisions(kept), decisions(fresh))
        inside = fresh < BOUNDS[0]
        assert inside.any()
        np.testing.assert_array_equal(kept[inside], fresh[inside])
        asked.append(count)
    assert asked[0] == FRAMES * POINTS and asked[-1] < 0.6 * asked[0]


def test_motion_that_all_share_asks_nobody_again(device):
    """Ball and points drift together by a centimetre: only what was a miss or inside is asked about."""
    scene = Scene(device)
    scene.waiting.restart(BOUNDS)
    _, first, _ = scene.ask(np.zeros(3), 1.0)
    kept, fresh, count = scene.ask(np.zeros(3), 1.0, drift=(0.01, 0.0, 0.02))
    near = np.abs(np.array(BOUNDS)[:, None, None] - first).min(axis=0) < 1e-4
    assert count <= ((first >= REACH) | (first < BOUNDS[0]) | near).sum()
    np.testing.assert_array_equal(decisions(kept), decisions(fresh))


def test_other_bounds_ask_all_again(device):
    """What waited for one bound does not for another."""
    scene = Scene(device)
    for bounds in (BOUNDS, (-0.001, 0.02)):
        scene.waiting.restart(bounds)
        assert scene.ask(np.zeros(3), 1.0)[2] == FRAMES * POINTS


def test_what_is_not_finite_waits_for_nothing(device):
    """A point at no place uses up its wait; the others only what they and the surface have moved."""
    places = np.zeros((1, 3, 3), dtype=np.float32)
    poses = wp.array([wp.transform_identity()], dtype=wp.transform, device=device)
    before, moves = as_device(places, wp.vec3, device), wp.full(1, 9.0, dtype=wp.float32, device=device)
    moved = places.copy()
    moved[0, 1] = [0.003, 0.0, 0.004]
    measure_moves(as_device(moved, wp.vec3, device), 0, poses, lanes=2, before_out=before, moves_out=moves)
    np.testing.assert_allclose(moves.numpy(), 0.005, rtol=1e-6)
    np.testing.assert_array_equal(before.numpy(), moved)
    waits = wp.full((1, 3), 0.02, dtype=wp.float32, device=device)
    moved[0, 0], moved[0, 2] = np.nan, [0.0, 0.1, 0.0]
    spend_waits(as_device(moved, wp.vec3, device), poses, moves, before_out=before, waits_out=waits)
    np.testing.assert_allclose(waits.numpy(), [[0.0, 0.015, 0.0]], rtol=1e-5)
