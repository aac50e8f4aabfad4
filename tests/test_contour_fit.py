"""Contour normal equations: residuals, gradient and curvature against a float64 twin built from convex hulls."""

import numpy as np
import pytest
import trimesh
import warp as wp
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

from tests.gradcheck import compare_gradients, finite_difference
from tests.reference.camera import carry
from tests.reference.contour_fit import Contour, robust_cost
from warpprior.bodies import rigid_body
from warpprior.bodies.assembly import assemble
from warpprior.bodies.primitives import make_box, make_cylinder
from warpprior.canvas import Canvas
from warpprior.kernels.camera import project_points
from warpprior.kernels.contour_fit import accumulate_contour
from warpprior.priors.label_fields import contour_fields
from warpprior.window import Window

FOCAL, CENTER = np.array([150.0, 140.0]), np.array([80.3, 60.1])
WIDTH, HEIGHT, ORIGIN = 96, 88, np.array([30, 14])
# The two distance pictures: inclined planes, on which bilinear sampling is exact.
PLANES = np.array([[-3.0, 0.11, 0.05], [2.0, -0.07, 0.09]])


def surfaces(name):
    """Vertices and faces of a convex solid."""
    if name == "sphere":
        ball = trimesh.creation.icosphere(subdivisions=3, radius=0.06)
        return np.asarray(ball.vertices), np.asarray(ball.faces)
    surface = make_box([0.12, 0.07, 0.05]) if name == "box" else make_cylinder(0.006, 0.16)
    return surface.vertices, surface.faces


BODIES = {name: rigid_body(name, *surfaces(name)) for name in ("sphere", "box", "thin cylinder")}
POSES = {
    "upright": [0.0, 0.0, 0.4, 0.3, 0.2, 0.1],
    "turned": [0.02, -0.01, 0.35, 1.5, -0.8, 0.6],
    "half outside": [0.13, 0.05, 0.4, 0.2, 0.9, -0.4],
    "in a corner": [-0.14, -0.11, 0.42, 0.4, 1.0, 0.3],
}


def plane(layer):
    """Distance picture of a layer as a function of places [px from the window's corner]."""
    return lambda places: PLANES[layer][0] + places @ PLANES[layer][1:]


def planes(frames=1):
    """Both distance pictures at the pixel centres (frame, 2, pixel)."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    both = [plane(layer)(np.stack([x, y], axis=-1).reshape(-1, 2)) for layer in range(2)]
    return np.tile(np.array(both, dtype=np.float32), (frames, 1, 1))


class Problem:
    """One convex body in some frames, drawn, and its normal equations."""

    def __init__(self, body, poses, device, *, fields=None, blockers=None, reach=1e4, clearance=0.004, scales=None):
        self.body = body
        self.poses = np.array([[*p[:3], *Rotation.from_rotvec(p[3:]).as_quat()] for p in poses], dtype=np.float32)
        self.reach, frames = reach, len(poses)
        self.scales = np.full(frames, 0.1) if scales is None else np.asarray(scales)
        rest = body.vertices.astype(float)
        self.vertices = np.stack([carry(pose.astype(float), rest) for pose in self.poses]).astype(np.float32)
        window = Window(np.tile(ORIGIN, (frames, 1)).astype(np.int32), WIDTH, HEIGHT)
        canvas = Canvas(assemble([body]), [0], [True], window, device)
        screen = wp.zeros(self.vertices.shape[:2], dtype=wp.vec3, device=device)
        given = wp.array(self.vertices, dtype=wp.vec3, device=device)
        project_points(given, wp.vec2(*FOCAL), wp.vec2(*CENTER), screen_out=screen)
        canvas.draw(screen)
        self.screen = screen.numpy().astype(float)
        fields = planes(frames) if fields is None else fields
        blockers = np.zeros((frames, WIDTH * HEIGHT), dtype=np.uint64) if blockers is None else blockers
        one = lambda value: wp.full(1, value, dtype=wp.float32, device=device)  # noqa: E731
        zeros = lambda shape: wp.zeros(shape, dtype=wp.float64, device=device)  # noqa: E731
        hessian, gradient, cost = zeros((frames, 3, 6, 6)), zeros((frames, 6)), zeros(frames)
        accumulate_contour(
            (
                screen, canvas.edges, canvas.counts, canvas.entries, canvas.owners, canvas.origins,
                canvas.crop, canvas.epoch,
            ),
            wp.array(fields, dtype=wp.float32, device=device),
            wp.array(blockers, dtype=wp.uint64, device=device),
            one(clearance),
            wp.array(self.poses, dtype=wp.transform, device=device),
            wp.vec2(*FOCAL),
            wp.vec2(*CENTER),
            wp.array(self.scales.astype(np.float32), dtype=wp.float32, device=device),
            one(reach),
            stride=canvas.stride,
            hessian_out=hessian,
            gradient_out=gradient,
            cost_out=cost,
        )  # fmt: skip
        self.hessian, self.gradient, self.cost = hessian.numpy(), gradient.numpy(), cost.numpy()

    def twin(self, frame, layer=0):
        """The outline of a frame, and its residuals and weights as functions of the increment."""
        contour = Contour(self.vertices[frame].astype(float), self.screen[frame], ORIGIN, WIDTH, HEIGHT)
        layers = np.broadcast_to(layer, len(contour.lengths)) if np.isscalar(layer) else layer[contour.pixels]

        def residuals(step):
            pose = self.poses[frame].astype(float)
            both = [contour.residuals(step, pose, plane(k), ORIGIN, FOCAL, CENTER) for k in range(2)]
            return np.where(layers == 0, both[0], both[1])

        return contour, residuals, self.scales[frame] * contour.lengths


def differentiate(residuals, step=1e-5):
    """Jacobian (crossing, 6) of residuals by fourth-order central differences."""
    columns = []
    for unit in step * np.eye(6):
        near, far = residuals(unit) - residuals(-unit), residuals(2 * unit) - residuals(-2 * unit)
        columns.append((8.0 * near - far) / (12.0 * step))
    return np.stack(columns, axis=1)


def check_against_twin(problem, frame, name, layer=0, worst=1e-4):
    """Cost, gradient and curvature of a frame equal the twin's; returns how many crossings there were."""
    contour, residuals, weights = problem.twin(frame, layer)
    cost = lambda step: robust_cost(residuals(step), weights, problem.reach)  # noqa: E731
    np.testing.assert_allclose(problem.cost[frame], cost(np.zeros(6)), rtol=1e-4)
    numeric = 0.5 * finite_difference(cost, np.zeros(6), 1e-5)
    compare_gradients(problem.gradient[frame], numeric, name=f"contour gradient {name}", worst=worst)
    jacobian = differentiate(residuals)
    trust = 1.0 / (1.0 + (residuals(np.zeros(6)) / problem.reach) ** 2)
    expected = (jacobian * (weights * trust**2)[:, None]).T @ jacobian
    root = np.sqrt(np.diag(expected).max() * 1e-12 + np.diag(expected))
    np.testing.assert_allclose(
        problem.hessian[frame, 0] / np.outer(root, root), expected / np.outer(root, root), atol=worst
    )
    assert not problem.hessian[frame, 1:].any()
    return len(contour.lengths)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("reach", [1e4, 3.0], ids=["squares", "robust"])
def test_gradient_and_curvature_match_the_twin(device, body, reach):
    """All six coordinates at four poses, some of them partly outside the window."""
    problem = Problem(BODIES[body], POSES.values(), device, reach=reach)
    kind = "squares" if reach > 100 else "robust"
    counts = [check_against_twin(problem, k, f"{body}, {name}, {kind}") for k, name in enumerate(POSES)]
    assert min(counts) >= 8
    whole = [
        len(Contour(vertices.astype(float), screen, np.array([-500, -500]), 2000, 2000).lengths)
        for vertices, screen in zip(problem.vertices, problem.screen, strict=True)
    ]
    assert counts[0] == whole[0] and counts[2] < whole[2] and counts[3] < whole[3]


def depth_keys(depth):
    """Keys of another body at the given depths (pixel,), none where infinite."""
    inverse = np.where(np.isfinite(depth), 1.0 / depth, 0.0).astype(np.float32)
    return inverse.view(np.uint32).astype(np.uint64) << np.uint64(32)


@pytest.mark.parametrize("body", BODIES)
def test_a_body_behind_chooses_the_second_picture(device, body):
    """Where another body is farther than the contour by more than the clearance; not in front, near or missing."""
    pose = [0.0, 0.0, 0.4, 0.3, 0.2, 0.1]
    probe = Problem(BODIES[body], [pose], device)
    low, high = probe.vertices[0, :, 2].min(), probe.vertices[0, :, 2].max()
    columns = np.tile(np.arange(WIDTH), HEIGHT)
    rows = np.repeat(np.arange(HEIGHT), WIDTH)
    depth = np.where(columns < WIDTH // 2, high + 0.05, low - 0.05)
    depth = np.where(rows % 5 == 0, np.inf, depth)
    problem = Problem(BODIES[body], [pose], device, blockers=depth_keys(depth)[None])
    layers = np.where(np.isfinite(depth) & (depth > high), 1, 0)
    assert check_against_twin(problem, 0, f"{body}, another body behind", layers) > 20
    assert abs(problem.cost[0] - probe.cost[0]) > 0.05 * probe.cost[0]
    near = Problem(BODIES[body], [pose], device, blockers=depth_keys(depth)[None], clearance=0.3)
    np.testing.assert_allclose(near.cost, probe.cost, rtol=1e-12)


def test_clearance_is_measured_from_the_contour(device):
    """A wall 2 mm behind the outline of a sphere counts with a clearance of 1 mm, and not with one of 15 mm."""
    problem = Problem(BODIES["sphere"], [POSES["upright"]], device)
    contour, _, _ = problem.twin(0)
    depth = contour.points[:, 2]
    assert np.ptp(depth) < 0.012
    keys = depth_keys(np.full(WIDTH * HEIGHT, depth.max() + 0.002))[None]
    for clearance, layer in ((0.001, 1), (0.015, 0)):
        fitted = Problem(BODIES["sphere"], [POSES["upright"]], device, blockers=keys, clearance=clearance)
        check_against_twin(fitted, 0, f"sphere, wall, clearance {clearance}", layer)


@pytest.mark.parametrize("body", BODIES)
def test_gradient_follows_the_cost_of_redrawn_outlines(device, body):
    """Against a label's own distance picture, the gradient points where redrawing says that the cost rises."""
    truth = Problem(BODIES[body], [POSES["turned"]], device)
    mask = hull_mask(truth.screen[0][:, :2] - ORIGIN)
    fields = contour_fields(mask[None], 1).reshape(1, 2, -1)
    unit = np.array([0.01, 0.01, 0.02, 0.05, 0.05, 0.05])
    start = np.array(POSES["turned"])
    offset = np.array([0.008, -0.006, 0.012, 0.03, -0.03, 0.02])
    steps = np.concatenate([np.zeros((1, 6)), 0.5 * np.diag(unit), -0.5 * np.diag(unit)]) + offset
    poses = [advance(start, step) for step in steps]
    problem = Problem(BODIES[body], poses, device, fields=np.repeat(fields, len(poses), axis=0))
    numeric = 0.5 * (problem.cost[1:7] - problem.cost[7:13])
    analytic = problem.gradient[0] * unit
    cosine = analytic @ numeric / np.linalg.norm(analytic) / np.linalg.norm(numeric)
    assert cosine > 0.98, (analytic, numeric)
    assert 0.8 < np.linalg.norm(analytic) / np.linalg.norm(numeric) < 1.25
    step = np.linalg.solve(problem.hessian[0, 0] + np.diag(1e-6 / unit**2), -problem.gradient[0])
    ends = [poses[0], advance(poses[0], step)]
    best = Problem(BODIES[body], ends, device, fields=np.repeat(fields, 2, axis=0))
    assert best.cost[1] < 0.35 * best.cost[0]


def advance(pose, step):
    """Position and rotation vector after an increment."""
    depth = pose[2] * np.exp(step[2])
    turn = Rotation.from_rotvec(pose[3:]) * Rotation.from_rotvec(step[3:])
    return np.array([*((pose[:2] / pose[2] + step[:2]) * depth), depth, *turn.as_rotvec()])


def hull_mask(points):
    """Label image (height, width) uint8 of the convex hull of points (n, 2) [px from the window's corner]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    return (Delaunay(points).find_simplex(np.stack([x, y], axis=-1)) >= 0).astype(np.uint8)


def test_frames_without_weight_or_contour_stay_zero(device):
    """A frame of weight zero, one out of the window and one behind the camera add nothing and are not NaN."""
    poses = [POSES["upright"], POSES["upright"], [2.0, 0.0, 0.4, 0, 0, 0], [0.0, 0.0, -0.4, 0, 0, 0]]
    problem = Problem(BODIES["box"], poses, device, scales=[0.1, 0.0, 0.1, 0.1])
    assert problem.cost[0] > 0.0 and problem.hessian[0].any()
    for values in (problem.cost, problem.gradient, problem.hessian):
        np.testing.assert_array_equal(values[1:], 0.0)


def test_distances_far_beyond_the_reach_hardly_pull(device):
    """Residuals of a hundred reaches weigh less than a millionth of what squares would, and stay finite."""
    far = np.full((1, 2, WIDTH * HEIGHT), 300.0, dtype=np.float32) + planes() * 0.1
    squares = Problem(BODIES["sphere"], [POSES["upright"]], device, fields=far)
    robust = Problem(BODIES["sphere"], [POSES["upright"]], device, fields=far, reach=3.0)
    assert np.isfinite(robust.hessian).all()
    assert np.linalg.norm(robust.gradient) < 1e-6 * np.linalg.norm(squares.gradient)
