"""Contour: residuals, gradient and curvature, for rows and energy, against a float64 twin built from convex hulls."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
import warp as wp
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

from tests.fit_samples import CAMERA, Sample, check_equations
from tests.reference.contour import LOOSE, Contour, robust_cost
from warpprior.bodies import JointType, rigid_body
from warpprior.bodies.primitives import make_box, make_cylinder
from warpprior.kernels.contour import Borders, add_contour
from warpprior.kernels.robust import Scale
from warpprior.render.canvas import Canvas
from warpprior.render.window import Window
from warpprior.scene import Poses
from warpprior.system.label_fields import contour_fields
from warpprior.system.link_blocks import LinkSamples, LinkSums

FOCAL, CENTER = np.array([CAMERA.fx, CAMERA.fy]), np.array([CAMERA.cx, CAMERA.cy])
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


def bending_ball():
    """A ball whose one half turns about a joint off its middle and slides out: a little of both leaves it convex."""
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=0.06)
    body = rigid_body("bending ball", mesh.vertices, np.asarray(mesh.faces))
    share = 0.5 + 0.5 * np.clip(mesh.vertices[:, 0] / 0.06, -1.0, 1.0)
    half, straight = 0.5 * share, [0.0, 0.0, 0.0, 1.0]
    return replace(
        body,
        kind="skin",
        link_names=("root", "turning", "sliding"),
        parents=np.array([-1, 0, 1], dtype=np.int32),
        joint_types=np.array([JointType.FREE, JointType.BALL, JointType.SLIDE], dtype=np.int32),
        joint_offsets=np.array(
            [[0, 0, 0, *straight], [0.02, -0.03, 0.01, *straight], [0, 0, 0, *straight]], np.float32
        ),
        joint_axes=np.array([[0, 0, 0], [0, 0, 0], [0.6, 0.0, 0.8]], dtype=np.float32),
        coordinate_starts=np.array([-1, 0, 3], dtype=np.int32),
        coordinate_gains=np.ones(3, dtype=np.float32),
        coordinate_biases=np.zeros(3, dtype=np.float32),
        coordinate_names=("turning.x", "turning.y", "turning.z", "sliding"),
        lower=np.full(4, -1.0, dtype=np.float32),
        upper=np.full(4, 1.0, dtype=np.float32),
        skin_links=np.tile(np.arange(3, dtype=np.int32), (len(share), 1)),
        skin_weights=np.column_stack([1.0 - share, half, half]).astype(np.float32),
        joint_shape_directions=np.zeros((3, 3, 0), dtype=np.float32),
    )


BODIES = {name: rigid_body(name, *surfaces(name)) for name in ("sphere", "box", "thin cylinder")}
BENDING = bending_ball()
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

    def __init__(self, body, poses, device, *, fields=None, blockers=None, reach=1e4, clearance=0.004, scales=None,
                 joints=None, shared=(), bias=0.0, misfit=0.0, add=True, by_links=True, others=()):  # fmt: skip
        self.body = body
        poses = np.asarray(poses, dtype=float)
        self.reach, frames = reach, len(poses)
        self.scales = np.full(frames, 0.1) if scales is None else np.asarray(scales)
        joints = np.zeros((frames, body.coordinate_count)) if joints is None else np.asarray(joints)
        rotation = Rotation.from_rotvec(poses[:, 3:]).as_quat()
        exact = [values.astype(np.float32).astype(float) for values in (poses[:, :3], rotation, joints)]
        self.sample = Sample([body], [Poses(*exact)], device, shared=shared, lanes=64, points=4)
        self.bias, self.misfit, self.columns = bias, misfit, self.sample.equations.shared
        state = self.sample.state
        window = Window(np.tile(ORIGIN, (frames, 1)).astype(np.int32), WIDTH, HEIGHT)
        self.canvas = Canvas(state.assembly, [0], [True], window, device)
        self.canvas.draw(state.screen)
        self.vertices, self.screen = state.vertices.numpy().astype(float), state.screen.numpy().astype(float)
        self.fields = planes(frames) if fields is None else fields
        self.links = None
        if by_links:
            sums = LinkSums(self.sample.scene.body(body.name), state)
            sums.update()
            edges = self.canvas.edges.numpy()[:, :2]
            self.links = LinkSamples(sums, edges, state, self.sample.equations.starts)
        empty = np.zeros((frames, WIDTH * HEIGHT), dtype=np.uint64)
        self.blockers, self.clearance, self.others = empty if blockers is None else blockers, clearance, others
        if add:
            self.add()
        self.blocks, self.gradients, self.cost = self.sample.bits()
        self.hessian, self.gradient = self.blocks[:, 0], self.gradients[:, 0]

    def add(self):
        """Add the term's residuals."""
        sample, state, borders = self.sample, self.sample.state, Borders()
        borders.fields = sample.constants(self.fields)
        borders.blockers = wp.array(self.blockers, dtype=wp.uint64, device=sample.device)
        if len(self.others):  # itself between them
            own = [self.others[0], self.canvas.keys.numpy(), *self.others[1:]]
            keys = np.stack(own).reshape(len(own), -1)
            borders.bodies, borders.number = wp.array(keys, dtype=wp.uint64, device=sample.device), 1
            views = np.tile(self.canvas.window.views("cpu").numpy(), (len(own), 1, 1))
            borders.views = wp.array(views, dtype=wp.vec4i, device=sample.device)
            borders.sizes = wp.full(len(own), WIDTH * HEIGHT, dtype=wp.int32, device=sample.device)
        borders.clearance, borders.shares = self.clearance, sample.constants(self.scales)
        borders.bias, borders.focal, borders.center = sample.constants([self.bias]), state.focal, state.center
        if "misfit" in self.columns:
            borders.misfit, borders.misfit_column = sample.constants([self.misfit]), self.columns["misfit"]
        if self.links is not None:
            borders.carriers = self.links.carriers
        sample.add(
            self.add_contour,
            self.canvas.outline(state.screen),
            borders,
            sample.one(Scale, weight=1.0, reach=self.reach),
            state.states[self.body.name].poses,
            0,
            stride=self.canvas.stride,
        )
        assert not sample.equations.row_marks.numpy().any(), "a row was not cleared"

    def add_contour(self, *inputs, **options):
        """Launch the kernel, and let links be followed."""
        if self.links is None:
            add_contour(*inputs, **options)
        else:
            shared = tuple(self.columns.get(name, -1) for name in ("bias", "misfit", "focal"))
            self.links.gather(inputs[-1], lambda: add_contour(*inputs, **options), shared)

    def twin(self, layer=0):
        """Cost and residuals of all frames as functions of steps; layers of pixels where there are two."""
        return Twin(self, layer)


class Twin:
    """The contours of a problem's frames, moved by steps (frame, column)."""

    def __init__(self, problem, layer):
        self.problem, self.columns = problem, problem.columns
        self.contours, self.layers, self.biased, self.misfits = [], [], [], []
        for frame in range(problem.sample.frames):
            row = np.zeros(problem.sample.width)
            surface = problem.sample.twin.vertices(problem.body.name, frame, row)
            contour = Contour(surface, problem.screen[frame], ORIGIN, WIDTH, HEIGHT)
            layers = np.broadcast_to(layer, len(contour.lengths)) if np.isscalar(layer) else layer[contour.pixels]
            plain = contour.residuals(surface, [plane(0), plane(1)], layers, ORIGIN, FOCAL, CENTER)
            self.contours.append(contour)
            self.layers.append(layers)
            self.biased.append(("bias" in self.columns) & (layers == 0) & (np.abs(plain) > LOOSE))
            self.misfits.append(("misfit" in self.columns) & (np.abs(plain) > LOOSE))

    def distances(self, steps):
        """Residuals (crossing,) of each frame."""
        problem = self.problem
        bias = problem.bias + (steps[0, self.columns["bias"]] if "bias" in self.columns else 0.0)
        misfit = problem.misfit + (steps[0, self.columns["misfit"]] if "misfit" in self.columns else 0.0)
        focal = FOCAL * np.exp(steps[0, self.columns["focal"]]) if "focal" in self.columns else FOCAL
        for frame, contour in enumerate(self.contours):
            surface = problem.sample.twin.vertices(problem.body.name, frame, steps[frame])
            fields = [plane(0), plane(1)]
            found = contour.residuals(
                surface, fields, self.layers[frame], ORIGIN, focal, CENTER, bias, self.biased[frame]
            )
            yield found + np.where(self.misfits[frame], misfit * focal[0] / contour.depths(surface), 0.0)

    def cost(self, steps):
        """Robust sum of squares over all frames."""
        parts = zip(self.distances(steps), self.contours, self.problem.scales, strict=True)
        return sum(robust_cost(found, scale * own.lengths, self.problem.reach) for found, own, scale in parts)

    def residuals(self, steps):
        """Residuals whose squares, weighted as at the start, Gauss-Newton takes for the cost."""
        parts = zip(self.distances(steps), self.distances(0.0 * steps), self.contours, self.problem.scales, strict=True)
        found = []
        for moved, first, contour, scale in parts:
            trust = 1.0 / (1.0 + (first / self.problem.reach) ** 2)
            found.append(np.sqrt(scale * contour.lengths) * trust * moved)
        return np.concatenate(found)


def check_against_twin(problem, name, layer=0, worst=2e-4):
    """Cost, gradient and curvature of all frames equal the twin's; returns how many crossings each frame has."""
    twin = problem.twin(layer)
    check_equations(problem.sample, twin, f"contour {name}", worst=worst, curvature=worst)
    assert not problem.blocks[:, 1:].any() and not problem.gradients[:, 1].any()
    return [len(contour.lengths) for contour in twin.contours]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("reach", [1e4, 3.0], ids=["squares", "robust"])
def test_gradient_and_curvature_match_the_twin(device, body, reach):
    """All six coordinates at four poses, some of them partly outside the window."""
    problem = Problem(BODIES[body], list(POSES.values()), device, reach=reach)
    kind = "squares" if reach > 100 else "robust"
    counts = check_against_twin(problem, f"{body}, {kind}")
    assert min(counts) >= 8
    whole = [
        len(Contour(vertices, screen, np.array([-500, -500]), 2000, 2000).lengths)
        for vertices, screen in zip(problem.vertices, problem.screen, strict=True)
    ]
    assert counts[0] == whole[0] and counts[2] < whole[2] and counts[3] < whole[3]


@pytest.mark.parametrize("shared", [(), ("bias",), ("focal",), ("bias", "misfit", "focal")], ids=str)
def test_joints_bias_misfit_and_focal_length_match_the_twin(device, shared):
    """A body that bends: root, ball joint and slide, bias, misfit, and the focal length, all at once."""
    joints = [[0.0, 0.0, 0.0, 0.0], [0.1, -0.15, 0.08, 0.004], [-0.12, 0.1, -0.1, -0.003]]
    poses = [POSES["upright"], POSES["turned"], POSES["half outside"]]
    problem = Problem(BENDING, poses, device, joints=joints, shared=shared, bias=0.7 if "bias" in shared else 0.0,
                      misfit=0.004)  # fmt: skip
    counts = check_against_twin(problem, f"bending ball {', '.join(shared)}", worst=1e-3)
    assert min(counts) > 30
    for name, column in problem.columns.items():
        assert problem.hessian[:, column, column].all(), name


def test_rows_and_sums_by_links_are_the_same(device):
    """Unknowns reached by each residual itself, and by the sums of what links carry: to rounding of float32."""
    joints, poses = [[0.1, -0.15, 0.08, 0.004]], [POSES["turned"]]
    given = {"joints": joints, "shared": ("bias", "misfit", "focal"), "bias": 0.7, "misfit": 0.004}
    sums, rows = (Problem(BENDING, poses, device, by_links=by_links, **given) for by_links in (True, False))
    np.testing.assert_array_equal(sums.cost, rows.cost)
    for one, other in ((sums.blocks, rows.blocks), (sums.gradients, rows.gradients)):
        assert other.any()
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6 * np.abs(other).max())


def test_bias_is_not_felt_where_contours_may_hide(device):
    """In a picture that is zero all over the bias neither costs nor is pulled."""
    zero = np.zeros((1, 2, WIDTH * HEIGHT), dtype=np.float32)
    problem = Problem(BODIES["sphere"], [POSES["upright"]], device, fields=zero, shared=("bias",), bias=2.0)
    assert problem.cost[0] == 0.0 and not problem.gradient.any()


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
    keys = depth_keys(depth)[None]
    problem = Problem(BODIES[body], [pose], device, blockers=keys, shared=("bias",), bias=0.5)
    layers = np.where(np.isfinite(depth) & (depth > high), 1, 0)
    assert check_against_twin(problem, f"{body}, another body behind", layers)[0] > 20
    assert abs(problem.cost[0] - probe.cost[0]) > 0.02 * probe.cost[0]
    near = Problem(BODIES[body], [pose], device, blockers=keys, clearance=0.3)
    np.testing.assert_allclose(near.cost, probe.cost, rtol=1e-12)


def test_the_nearest_of_all_others_counts(device):
    """Several bodies behind, each seen elsewhere and some behind others, are as all of them in one picture."""
    pose, random = [0.0, 0.0, 0.4, 0.3, 0.2, 0.1], np.random.default_rng(4)
    single = [depth_keys(random.choice([0.3, 0.5, 0.7, np.inf], WIDTH * HEIGHT))[None] for _ in range(3)]
    empty = np.zeros((1, 0), dtype=np.uint64)
    merged = Problem(BODIES["sphere"], [pose], device, blockers=np.max(single, axis=0))
    for wall, bodies in ((single[0], single[1:]), (empty[:0], single)):
        apart = Problem(BODIES["sphere"], [pose], device, blockers=wall, others=bodies)
        np.testing.assert_array_equal(apart.gradient, merged.gradient)
    alone = Problem(BODIES["sphere"], [pose], device, blockers=single[0])
    assert np.abs(alone.gradient - merged.gradient).max() > 0.02 * np.abs(merged.gradient).max()


def test_clearance_is_measured_from_the_contour(device):
    """A wall 2 mm behind the outline of a sphere counts with a clearance of 1 mm, and not with one of 15 mm."""
    problem = Problem(BODIES["sphere"], [POSES["upright"]], device)
    depth = problem.twin().contours[0].points[:, 2]
    assert np.ptp(depth) < 0.012
    keys = depth_keys(np.full(WIDTH * HEIGHT, depth.max() + 0.002))[None]
    for clearance, layer in ((0.001, 1), (0.015, 0)):
        fitted = Problem(BODIES["sphere"], [POSES["upright"]], device, blockers=keys, clearance=clearance)
        check_against_twin(fitted, f"sphere, wall, clearance {clearance}", layer)


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
    matrix = np.tril(problem.hessian[0]) + np.tril(problem.hessian[0], -1).T
    step = np.linalg.solve(matrix + np.diag(1e-6 / unit**2), -problem.gradient[0])
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
    for values in problem.sample.bits():
        np.testing.assert_array_equal(values[1:], 0.0)


def test_distances_far_beyond_the_reach_hardly_pull(device):
    """Residuals of a hundred reaches weigh less than a millionth of what squares would, and stay finite."""
    far = np.full((1, 2, WIDTH * HEIGHT), 300.0, dtype=np.float32) + planes() * 0.1
    squares = Problem(BODIES["sphere"], [POSES["upright"]], device, fields=far)
    robust = Problem(BODIES["sphere"], [POSES["upright"]], device, fields=far, reach=3.0)
    assert np.isfinite(robust.hessian).all()
    assert np.linalg.norm(robust.gradient) < 1e-6 * np.linalg.norm(squares.gradient)


def test_threads_give_the_same_bits(monkeypatch):
    """Nine frames on one thread and on two; a second launch adds the same again."""
    poses = np.array(POSES["upright"]) + np.arange(9)[:, None] * np.array([0.002, 0.0, 0.0, 0.0, 0.1, 0.0])
    problem, found = Problem(BENDING, poses, "cpu", shared=("bias", "focal"), bias=0.3), []
    for threads in ("1", "2"):
        monkeypatch.setenv("WARPPRIOR_THREADS", threads)
        problem.sample.clear()
        problem.add()
        found.append(problem.sample.bits())
    problem.add()
    for one, two, twice in zip(*found, problem.sample.bits(), strict=True):
        assert one.any()
        np.testing.assert_array_equal(two, one)
        np.testing.assert_allclose(twice, 2.0 * one, rtol=1e-12, atol=1e-12 * np.abs(one).max())
