"""Colours: rows and energy against a float64 twin, what samples see, and blurred pictures."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
import warp as wp
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from tests.body_samples import make_tree_body
from tests.fit_samples import CAMERA, Sample, check_equations, wander
from tests.gradcheck import POISON
from tests.reference import image as reference
from warpprior.bodies import rigid_body
from warpprior.kernels import blur
from warpprior.kernels import image as image_kernels
from warpprior.kernels.rows import PointBody
from warpprior.render.canvas import Canvas
from warpprior.render.window import Window
from warpprior.scene import Poses

FOCAL, CENTER = np.array([CAMERA.fx, CAMERA.fy]), np.array([CAMERA.cx, CAMERA.cy])
ORIGIN, SMALL = np.array([5, 3]), (52, 72)  # corner [px] and size of the blurred pictures: twice as coarse as pixels
SHRINK = 2
BALL = trimesh.creation.icosphere(subdivisions=3, radius=0.06)
BODIES = {
    "ball": rigid_body("ball", np.asarray(BALL.vertices), np.asarray(BALL.faces)),
    "tree": make_tree_body(vertices=24, pose_blend=False),
}
SIGMAS = (0.05, 0.2)


def smooth_pictures(frames, seed=0, spread=5.0, contrast=3.0):
    """Blurred pictures (frame, height, width, 4) of wandering colours, all of them of the body."""
    random = np.random.default_rng(seed)
    waves = gaussian_filter(random.normal(size=(frames, *SMALL, 3)), (0, spread, spread, 0))
    colors = np.clip(0.5 + contrast * waves, 0.05, 0.95)
    return np.concatenate([colors, np.ones((frames, *SMALL, 1))], axis=3).astype(np.float32).astype(float)


class Fit:
    """One body's samples on given pictures, on the device and as a twin; the light is given, too."""

    def __init__(self, body, motion, device, *, pictures=None, shared=(), scales=None, count=60, least_cosine=0.2,
                 sigma=0.0, marked=None, beyond=0, backdrop=None, sigmas=SIGMAS, seed=0):  # fmt: skip
        random = np.random.default_rng(seed)
        self.body, self.sigmas, self.sigma, self.least_cosine = body, sigmas, sigma, least_cosine
        self.sample = Sample([body], [motion], device, shared=shared, lanes=8, points=4)
        frames = self.sample.frames
        self.pictures = smooth_pictures(frames) if pictures is None else pictures
        self.scales = np.full(frames, 0.01, dtype=np.float32) if scales is None else np.asarray(scales, np.float32)
        self.corners = body.faces[random.integers(0, body.face_count, count)]
        self.shares = random.dirichlet([1.0, 1.0, 1.0], count).astype(np.float32)
        self.areas = random.uniform(1e-5, 1e-4, count).astype(np.float32)
        self.own = random.uniform(0.05, 0.95, (body.vertex_count, 3)).astype(np.float32)
        if body.colors is not None:
            self.own = body.colors
        self.gains = random.uniform(0.7, 1.2, (frames, count, 3)).astype(np.float32)
        self.offsets = random.uniform(-0.05, 0.05, (frames, 3)).astype(np.float32)
        self.crop = np.array(SMALL) * SHRINK + beyond  # height and width [px]
        self.marked = np.ones((frames, *self.crop), dtype=bool) if marked is None else marked
        window = Window(np.zeros((frames, 2), dtype=np.int32), CAMERA.width, CAMERA.height)
        if backdrop is not None:
            backdrop = wp.array(backdrop, dtype=wp.uint64, device=device)
        self.canvas = Canvas(self.sample.state.assembly, [0], [False], window, device, backdrop=backdrop)
        self.canvas.draw_faces(self.sample.state.screen)
        self._see()

    def _see(self):
        """Launch what looks at the pictures, outputs poisoned."""
        sample, device = self.sample, self.sample.device
        self.places = PointBody()
        self.places.start = 0
        self.places.corners = sample.constants(self.corners, wp.vec3i)
        self.places.barycentrics = sample.constants(self.shares, wp.vec3)
        blurred = image_kernels.Blurred()
        blurred.values = sample.constants(self.pictures.reshape(len(self.pictures), -1, 4), wp.vec4)
        blurred.origins = sample.constants(np.tile(ORIGIN, (sample.frames, 1)), wp.vec2i)
        blurred.height, blurred.width, blurred.shrink = *map(int, self.crop), SHRINK
        blurred.sigma = self.sigma
        view = image_kernels.View()
        view.keys, view.origins, view.faces = self.canvas.keys, self.canvas.origins, self.canvas.faces
        view.width, view.height, view.channel = CAMERA.width, CAMERA.height, 0
        view.colors = sample.constants(self.own, wp.vec3)
        view.focal, view.center = sample.state.focal, sample.state.center
        view.clearance, view.least_cosine = 0.004, self.least_cosine
        marks = np.where(self.marked.reshape(sample.frames, -1, 1), 255, 0).repeat(4, axis=2).astype(np.uint8)
        shape = self.gains.shape[:2]
        fill = lambda inner, dtype: wp.full((*shape, *inner), dtype(POISON), dtype=dtype, device=device)  # noqa: E731
        self.points, self.normals, self.albedo, self.colors = (fill((), wp.vec3) for _ in range(4))
        self.slopes, self.pixels = fill((2,), wp.vec3), fill((), wp.float32)
        self.seen = wp.full(shape, 7, dtype=wp.int32, device=device)
        image_kernels.see_samples(
            sample.state.vertices,
            self.places,
            sample.constants(self.areas),
            view,
            wp.array(marks, dtype=wp.uint8, device=device),
            blurred,
            points_out=self.points,
            normals_out=self.normals,
            seen_out=self.seen,
            pixels_out=self.pixels,
            albedo_out=self.albedo,
            colors_out=self.colors,
            slopes_out=self.slopes,
        )

    @property
    def seen_samples(self):
        """(frame, sample) bool."""
        return self.seen.numpy() >= 0

    def add(self):
        """Add the term's residuals, and return its twin."""
        sample, samples, trust = self.sample, image_kernels.Samples(), image_kernels.Trust()
        samples.body, samples.points, samples.seen, samples.pixels = self.places, self.points, self.seen, self.pixels
        samples.albedo, samples.colors, samples.slopes = self.albedo, self.colors, self.slopes
        samples.gains, samples.offsets = sample.constants(self.gains), sample.constants(self.offsets)
        trust.shares = sample.constants(self.scales)
        trust.sigmas = sample.constants(np.full(sample.frames, self.sigmas[0]))
        trust.shade = self.sigmas[1]
        poses = sample.state.states[self.body.name].poses
        sample.add(image_kernels.add_image, samples, trust, poses, sample.state.focal, lanes=3)
        expected = self.albedo.numpy().astype(float) * self.gains + self.offsets[:, None]
        return reference.Colors(
            sample.twin, self.body.name, self.corners, self.shares.astype(float), FOCAL, CENTER, self.pictures,
            np.tile(ORIGIN, (sample.frames, 1)), SHRINK, self.seen_samples, self.pixels.numpy().astype(float), expected,
            self.scales.astype(float), self.sigmas, sample.system.focal_column,
        )  # fmt: skip


MOTIONS = {
    "ordinary": {},
    "near": {"middle": (0.01, 0.0, 0.25)},
    "half outside": {"middle": (-0.22, 0.02, 0.5)},
    "in a corner": {"middle": (0.14, 0.1, 0.5)},
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("place", MOTIONS)
def test_equations_match_the_twin(device, name, place):
    """Cost, gradient and curvature by roots and joints, in the middle of the picture and at its borders."""
    body = BODIES[name]
    fit = Fit(body, wander(body, 2, seed=3, **MOTIONS[place]), device, least_cosine=0.0, count=150)
    twin = fit.add()
    assert fit.seen_samples.sum() > 8
    whole = Fit(body, wander(body, 2, seed=3), device, least_cosine=0.0, count=150)
    assert (fit.seen_samples.sum() < whole.seen_samples.sum()) == (place != "ordinary")
    # Shorter steps than elsewhere: hardly a sample passes from one pixel to the next.
    check_equations(fit.sample, twin, f"image {name}, {place}", step=1e-7)


@pytest.mark.parametrize("sigmas", [(10.0, 0.0), (0.01, 0.0), (0.02, 3.0)], ids=["squares", "robust", "hue"])
def test_equations_at_all_sigmas(device, sigmas):
    """Nearly least squares, residuals of tens of sigmas, and brightness that hardly counts; focal length, too."""
    body = BODIES["tree"]
    fit = Fit(body, wander(body, 3, seed=3), device, sigmas=sigmas, shared=("focal",), scales=[0.01, 0.0, 0.03])
    twin = fit.add()
    costs = check_equations(fit.sample, twin, f"image tree, sigmas {sigmas}", step=1e-7)
    assert costs[1] == 0.0 and costs[0] > 0.0 and costs[2] > 0.0


def test_samples_that_see_nothing_add_nothing(device):
    """Behind the camera, before the near plane, out of the picture; and a picture without colours has no slope."""
    ball = BODIES["ball"]
    turned = Rotation.from_rotvec([[0.3, 0.2, 0.1]] * 4).as_quat()
    positions = np.array([[0.0, 0.0, -0.5], [0.0, 0.0, 0.03], [3.0, 0.0, 0.5], [0.0, 0.0, 0.5]])
    pictures = smooth_pictures(4)
    pictures[3] = 0.5, 0.4, 0.3, 1.0
    fit = Fit(ball, Poses(positions, turned, np.zeros((4, 0))), device, pictures=pictures)
    fit.add()
    assert not fit.seen_samples[:3].any() and fit.seen_samples[3].any()
    hessian, gradient, cost = fit.sample.bits()
    assert not hessian.any() and not gradient.any() and not cost[:3].any() and cost[3] > 0.0
    for array in (fit.normals, fit.pixels, fit.albedo, fit.colors, fit.slopes):
        np.testing.assert_array_equal(array.numpy()[:3], 0.0)


def test_what_is_seen(device):
    """Faces towards the camera and within the picture, whose colours, slopes and pixels are those of the twin."""
    ball = BODIES["ball"]
    motion = wander(ball, 2, seed=8, middle=(0.03, -0.02, 0.4))
    fit = Fit(ball, motion, device, count=300, least_cosine=0.4)
    twin = fit.add()
    steps = np.zeros((2, fit.sample.width))
    for frame in range(2):
        places, points = twin.places(frame, steps)
        surface = fit.sample.twin.vertices("ball", frame, steps[frame])
        a, b, c = np.moveaxis(surface[fit.corners], 1, 0)
        normals = np.cross(b - a, c - a)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        cosines = -np.sum(normals * points, axis=1) / np.linalg.norm(points, axis=1)
        inside = (places > ORIGIN + 2).all(axis=1) & (places < ORIGIN + 2.0 * np.array(SMALL)[::-1] - 2).all(axis=1)
        seen = fit.seen_samples[frame]
        np.testing.assert_array_equal(seen[inside], (cosines > 0.4)[inside])
        assert 60 < seen.sum() < 200
        np.testing.assert_allclose(fit.points.numpy()[frame], points, atol=1e-6)
        np.testing.assert_allclose(fit.normals.numpy()[frame][seen], normals[seen], atol=1e-4)
        # The solid angle of a small patch, on a picture whose pixels all lie in a plane.
        distances = np.linalg.norm(points, axis=1)
        pixels = fit.areas * cosines / distances**2 * (distances / points[:, 2]) ** 3 * FOCAL.prod()
        np.testing.assert_allclose(fit.pixels.numpy()[frame][seen], pixels[seen], rtol=1e-4)
        crops = (places[seen] - ORIGIN) / SHRINK
        picture = twin.pictures[frame][..., :3]
        np.testing.assert_allclose(fit.colors.numpy()[frame][seen], reference.bilinear(picture, crops), atol=1e-5)
        for axis, step in enumerate(1e-4 * np.eye(2)):
            slope = (
                (reference.bilinear(picture, crops + step) - reference.bilinear(picture, crops - step)) / 2e-4 / SHRINK
            )
            off = np.abs(fit.slopes.numpy()[frame][seen][:, axis] - slope).max(axis=1)
            assert (off < 1e-4).mean() > 0.98  # but for those whose steps end in the next pixel


def test_what_hides_samples(device):
    """Another body in front, pixels that are not of the body, and none of what lies behind."""
    ball = BODIES["ball"]
    motion = wander(ball, 1, seed=8, middle=(0.0, 0.0, 0.4), speed=0.0)
    free = Fit(ball, motion, device, count=300)
    places = free.points.numpy()[0, :, 0] / free.points.numpy()[0, :, 2] * FOCAL[0] + CENTER[0]
    left = places < 80.0
    wall = np.zeros((1, CAMERA.height, CAMERA.width), dtype=np.uint64)
    for depth, hidden in ((0.2, True), (0.5, False)):
        wall[:, :, :80] = (np.uint64(np.float32(1.0 / depth).view(np.uint32)) << np.uint64(32)) | np.uint64(3 << 28)
        fit = Fit(ball, motion, device, count=300, backdrop=wall.reshape(1, -1))
        np.testing.assert_array_equal(fit.seen_samples[0][left], free.seen_samples[0][left] & (not hidden))
        np.testing.assert_array_equal(fit.seen_samples[0][~left], free.seen_samples[0][~left])
    pictures = smooth_pictures(1)
    pictures[0, :, :30, 3] = 0.4
    fit = Fit(ball, motion, device, count=300, pictures=pictures)
    known = (places - ORIGIN[0]) / SHRINK - 0.5 >= 30.0
    np.testing.assert_array_equal(fit.seen_samples[0], free.seen_samples[0] & known)


def test_folds_are_left_out(device):
    """Close to where a nearer part of the body begins, neither part is compared; a slanted plane is no fold."""
    square = np.array([[-1, -1, 0], [-1, 1, 0], [1, 1, 0], [1, -1, 0]], dtype=float)
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    steps = rigid_body("steps", np.concatenate([0.15 * square, 0.05 * square - [0, 0, 0.03]]), faces, closed=False)
    motion = Poses(np.array([[0.0, 0.0, 0.5]]), np.array([[0.0, 0.0, 0.0, 1.0]]), np.zeros((1, 0)))
    fit, free = (Fit(steps, motion, device, count=400, sigma=sigma) for sigma in (2.0, 0.0))
    points = fit.points.numpy()[0]
    beside = np.abs(points[:, :2] / points[:, 2:] * FOCAL).max(axis=1) - 0.05 / 0.47 * FOCAL[0]
    seen, all_seen = fit.seen_samples[0], free.seen_samples[0]
    assert all_seen[np.abs(beside) > 1.0].sum() > 200
    assert not seen[np.abs(beside) < 2.0].any() and all_seen[np.abs(beside) < 2.0].any()
    np.testing.assert_array_equal(seen[np.abs(beside) > 6.0], all_seen[np.abs(beside) > 6.0])
    plane = rigid_body("plane", 0.15 * square, faces[:2], closed=False)
    slanted = replace(motion, rotation=Rotation.from_rotvec([[0.9, 0.3, 0.2]]).as_quat())
    fit, free = (Fit(plane, slanted, device, count=400, sigma=sigma) for sigma in (2.0, 0.0))
    np.testing.assert_array_equal(fit.seen_samples, free.seen_samples)
    assert fit.seen_samples.sum() > 100


def test_own_colors_are_blurred_as_the_picture_is(device):
    """On a slanted plane a square of a coordinate gains the variance of the blur; unmarked pixels do not count."""
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 41), np.linspace(-1, 1, 41)), axis=-1).reshape(-1, 2)
    quads = (np.arange(40)[:, None] * 41 + np.arange(40)).ravel()
    quads = np.stack([quads, quads + 41, quads + 42, quads + 1], axis=-1)
    colors = np.stack([grid[:, 0] ** 2, 0.5 + 0.4 * grid[:, 1], np.full(len(grid), 0.3)], axis=1)
    vertices = 0.12 * np.column_stack([grid, np.zeros(len(grid))])
    plane = rigid_body(
        "plane",
        vertices,
        quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3),
        colors=colors.astype(np.float32),
        closed=False,
    )
    tilt = 0.6
    motion = Poses(np.array([[0.0, 0.0, 0.5]]), Rotation.from_rotvec([[tilt, 0.0, 0.0]]).as_quat(), np.zeros((1, 0)))
    sigma = 6.0
    fit = Fit(plane, motion, device, count=300, sigma=sigma)
    seen = fit.seen_samples[0]
    places = np.einsum("sk,skx->sx", fit.shares, grid[fit.corners])
    points = fit.points.numpy()[0]
    inner = seen & (np.abs(points[:, :2] / points[:, 2:] * FOCAL) < [20.0, 14.0]).all(axis=1)
    assert inner.sum() > 40
    # A pixel to the right is this far on the plane.
    across = sigma * points[:, 2] / FOCAL[0] / 0.12
    found = fit.albedo.numpy()[0]
    np.testing.assert_allclose(found[inner, 0], (places[:, 0] ** 2 + across**2)[inner], atol=6e-3)
    assert np.abs(found[inner, 0] - places[inner, 0] ** 2).max() > 0.02
    np.testing.assert_allclose(found[inner, 1], (0.5 + 0.4 * places[:, 1])[inner], atol=0.02)
    np.testing.assert_allclose(found[inner, 2], 0.3, atol=1e-5)
    marked = np.zeros((1, SMALL[0] * SHRINK, SMALL[1] * SHRINK), dtype=bool)
    alone = Fit(plane, motion, device, count=300, sigma=sigma, marked=marked)
    exact = np.column_stack([places[:, 0] ** 2, 0.5 + 0.4 * places[:, 1]])
    np.testing.assert_allclose(alone.albedo.numpy()[0][inner, :2], exact[inner], atol=2e-3)


def test_crops_need_not_be_whole_numbers_of_blurred_pixels(device):
    """What is of the body is looked up where it is in the picture, though the crop has a row and a column more."""
    ball = BODIES["ball"]
    motion = wander(ball, 2, seed=8, middle=(0.0, 0.0, 0.4))
    striped = np.zeros((2, SMALL[0] * SHRINK, SMALL[1] * SHRINK), dtype=bool)
    striped[:, :, ::5] = striped[:, ::7] = True
    wider = np.pad(striped, ((0, 0), (0, 1), (0, 1)))
    fits = [
        Fit(ball, motion, device, count=300, sigma=5.0, marked=marked, beyond=beyond)
        for marked, beyond in ((striped, 0), (wider, 1), (np.ones_like(striped), 0))
    ]
    seen = fits[0].seen_samples
    assert seen.sum() > 15
    np.testing.assert_array_equal(fits[1].seen_samples, seen)
    np.testing.assert_array_equal(fits[1].albedo.numpy()[seen], fits[0].albedo.numpy()[seen])
    assert np.abs(fits[2].albedo.numpy() - fits[0].albedo.numpy())[seen].max() > 0.01


def test_misses_are_gauged_by_their_hue(device):
    """Frames whose colours are other than the model's by noise of known size, in hue; brightness does not count."""
    random = np.random.default_rng(4)
    frames, count = 3, 4000
    own = random.uniform(0.3, 0.9, (frames, count, 3))
    gains, offsets = np.full((frames, count, 3), 0.8), np.full((frames, 3), 0.05)
    lit = 0.8 * own + 0.05
    axes = reference.color_axes(lit.reshape(-1, 3)).reshape(frames, count, 3, 3)
    noise = random.normal(size=(frames, count, 3)) * np.array([0.001, 0.06, 0.15])[:, None, None]
    noise[..., 0] += 0.5
    colors = lit - np.einsum("fnkc,fnk->fnc", axes, noise)
    seen = np.where(random.random((frames, count)) < 0.7, 3, -1)
    colors[seen < 0] = POISON
    make = lambda values, dtype: wp.array(np.asarray(values, np.float32), dtype=dtype, device=device)  # noqa: E731
    sigmas = make(np.full(frames, POISON), wp.float32)
    samples = image_kernels.Samples()
    samples.seen = wp.array(seen, dtype=wp.int32, device=device)
    samples.albedo, samples.colors = make(own, wp.vec3), make(colors, wp.vec3)
    samples.gains, samples.offsets = make(gains, wp.float32), make(offsets, wp.float32)
    image_kernels.gauge_misses(samples, 0.02, sigmas_out=sigmas)
    np.testing.assert_allclose(sigmas.numpy(), [0.02, 0.06, 0.15], rtol=0.04)


@pytest.mark.parametrize(("shrink", "sigma", "radius"), [(1, 1.0, 3), (2, 1.2, 3), (4, 0.9, 2), (1, 0.5, 0)])
def test_blurred_pictures_match_the_twin(device, shrink, sigma, radius):
    """Of the body's own pixels alone, to the border of the picture; where there are none, nothing."""
    random = np.random.default_rng(2)
    height, width = 37, 46
    pictures = random.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    own = gaussian_filter(random.normal(size=(2, height, width)), (0, 4, 4)) > 0.0
    own[1, :, 20:] = False
    given = np.concatenate([pictures, np.where(own, 255, 0)[..., None]], axis=3).astype(np.uint8)
    size = width // shrink, height // shrink
    count = size[0] * size[1]
    arrays = [wp.full((2, height * width), wp.vec4(POISON), dtype=wp.vec4, device=device) for _ in range(2)]
    device_pictures = wp.array(given.reshape(2, -1, 4), dtype=wp.uint8, device=device)
    blur.shrink_pictures(device_pictures, width, shrink, *size, small_out=arrays[0])
    for vertical in (False, True):
        source, target = arrays[::-1] if vertical else arrays
        blur.blur_pictures(source, *size, sigma, radius, vertical=vertical, finish=vertical, blurred_out=target)
    found = arrays[0].numpy()[:, :count].reshape(2, size[1], size[0], 4)
    for frame in range(2):
        expected = reference.blur(pictures[frame], own[frame], shrink, sigma, radius)
        sure = np.abs(expected[..., 3] - 1e-3) > 1e-5
        np.testing.assert_allclose(found[frame][sure], expected[sure], atol=1e-5)
    np.testing.assert_array_equal(arrays[0].numpy()[:, count:], np.float32(POISON))
    assert not found[1, :, -2:].any()
