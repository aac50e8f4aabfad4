"""The image term: colours and gradients against float64 twins, gains, occlusion, and a pose that only colours show."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import compare_gradients, finite_difference
from tests.reference import shading as reference
from tests.reference.rotations import exp
from warpprior.bodies import rigid_body
from warpprior.kernels import shading
from warpprior.kernels.adam import adam_step
from warpprior.kernels.visibility import scatter_faces
from warpprior.render.canvas import Canvas
from warpprior.render.window import Window, whole_window
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.system.motion import MotionState
from warpprior.terms.image import ImagePrior, ImageSettings, thin_out

CAMERA = Camera(width=72, height=56, fx=110.0, fy=105.0, cx=36.5, cy=27.0)
RADIUS, CENTER = 0.06, np.array([0.01, -0.005, 0.4])
TURNS = np.array([[0.3, -0.4, 0.2], [0.35, -0.2, 0.1]])


def texture(directions):
    """A smooth coloured pattern on the unit sphere (..., 3) -> (..., 3) in [0.1, 0.9]."""
    x, y, z = np.moveaxis(directions, -1, 0)
    red, green, blue = np.sin(5 * x + 2 * y), np.sin(4 * y - 3 * z), np.sin(6 * z + x * 2)
    return 0.5 + 0.4 * np.stack([red, green, blue], axis=-1)


def sphere_body():
    """A ball in the pattern, finely meshed."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=RADIUS)
    vertices = np.asarray(ball.vertices)
    return rigid_body("ball", vertices, np.asarray(ball.faces), colors=texture(vertices / RADIUS).astype(np.float32))


def pixel_rays():
    """x/z, y/z of all pixel centres (height, width, 2)."""
    y, x = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width] + 0.5
    return np.stack([(x - CAMERA.cx) / CAMERA.fx, (y - CAMERA.cy) / CAMERA.fy], axis=-1)


def picture(turn):
    """Picture (height, width, 3) uint8 and label image of the ball, cast ray by ray through the exact sphere."""
    rays = np.concatenate([pixel_rays(), np.ones((CAMERA.height, CAMERA.width, 1))], axis=2)
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    along = rays @ CENTER
    square = along**2 - CENTER @ CENTER + RADIUS**2
    hit = square > 0.0
    points = (along - np.sqrt(np.maximum(square, 0.0)))[..., None] * rays - CENTER
    colors = texture(points @ Rotation.from_rotvec(turn).as_matrix() / RADIUS)
    image = np.where(hit[..., None], colors, [0.2, 0.4, 0.3])
    return np.round(255.0 * image).astype(np.uint8), np.where(hit, 3, 0).astype(np.uint8)


def motion(turns):
    """The ball at its place, turned."""
    rotation = Rotation.from_rotvec(turns).as_quat()
    return Poses(np.tile(CENTER, (len(turns), 1)), rotation, np.zeros((len(turns), 0)))


@pytest.fixture
def scene():
    """Two frames of the ball, seen as it is."""
    images, labels = zip(*(picture(turn) for turn in TURNS), strict=True)
    body = SceneBody(sphere_body(), label=3, known=False, initial=motion(TURNS))
    return Scene("ball", CAMERA, 30.0, (body,), labels=np.stack(labels), read_rgb=lambda frame: images[frame])


def make_prior(scene, device, settings=None, window=None, backdrop=None):
    """State and prior of the scene's ball."""
    state = MotionState(scene, device, point_count=8)
    window = whole_window(scene.frame_count, CAMERA.width, CAMERA.height) if window is None else window
    canvas = Canvas(state.assembly, [0], [True], window, device, backdrop=backdrop)
    labels = None if scene.labels is None else window.cut(scene.labels)
    return state, ImagePrior(scene.bodies[0], state, labels, canvas, 0, settings)


def evaluate(state, prior, seed=1.0):
    """Values [frame] and, in the state's arrays, gradients at the current motion."""
    rows = wp.zeros((2, state.frame_count), dtype=wp.float32, device=state.device, requires_grad=True)
    seeds = np.zeros(rows.shape, dtype=np.float32)
    seeds[1] = seed
    with wp.Tape() as tape:
        state.pose()
        prior.evaluate(state, rows, 1)
    values = rows.numpy()
    tape.backward(grads={rows: wp.array(seeds, dtype=wp.float32, device=state.device)})
    assert not values[0].any()
    return values[1], tape


def seen_by(prior, state, frame):
    """Rays, corners, pixel colours, gains and offsets of the samples that see a face."""
    faces = prior._faces.numpy()[frame]
    gains, offsets = prior.gains.numpy()[frame][faces >= 0], prior.offsets.numpy()[frame]
    rays, seen = prior._rays.numpy()[frame][faces >= 0], prior._observed.numpy()[frame][faces >= 0]
    corners = prior.canvas.faces.numpy()[faces[faces >= 0]]
    return rays.astype(float), corners, seen.astype(float), gains.astype(float), offsets.astype(float)


# Triangles by name: corners in the camera frame, and rays that meet their planes.
TRIANGLES = {
    "ordinary": ([[-0.01, -0.01, 0.5], [0.02, 0.0, 0.52], [0.0, 0.02, 0.48]], [0.004, 0.004]),
    "at a corner": ([[-0.01, -0.01, 0.5], [0.02, 0.0, 0.5], [0.0, 0.02, 0.5]], [-0.02, -0.02]),
    "outside": ([[-0.01, -0.01, 0.5], [0.02, 0.0, 0.52], [0.0, 0.02, 0.48]], [0.03, 0.035]),
    "one millimetre": ([[0.1, 0.1, 0.6], [0.101, 0.1, 0.6003], [0.1, 0.101, 0.6]], [0.1672, 0.1672]),
    "far": ([[0.5, 0.4, 3.0], [0.51, 0.4, 3.01], [0.5, 0.41, 3.0]], [0.1675, 0.1343]),
    "oblique": ([[0.0, -0.01, 0.5], [0.004, 0.0, 0.52], [0.0, 0.01, 0.5]], [0.003, 0.001]),
}


@pytest.mark.parametrize("name", TRIANGLES)
@pytest.mark.parametrize("literal", [False, True], ids=["robust", "literal"])
def test_gradient_of_one_sample_matches_the_twin(device, name, literal):
    """Value and gradient by the corners equal the twin's and its finite differences."""
    corners, ray = (np.array(values, dtype=np.float32).astype(float) for values in TRIANGLES[name])
    colors = np.array([[0.9, 0.2, 0.1], [0.3, 0.7, 0.5], [0.1, 0.4, 0.8]], dtype=np.float32).astype(float)
    seen, gains, offsets = np.array([0.3, 0.5, 0.45]), np.array([0.8, 1.2, 1.0]), np.array([0.05, -0.1, 0.0])
    make = lambda values, dtype: wp.array(np.asarray(values, dtype=np.float32), dtype=dtype, device=device)  # noqa: E731
    vertices = wp.array(corners[None].astype(np.float32), dtype=wp.vec3, device=device, requires_grad=True)
    rows = wp.zeros((1, 1), dtype=wp.float32, device=device, requires_grad=True)
    face = wp.array([[0, 1, 2]], dtype=wp.vec3i, device=device)
    surface = (vertices, face, make(colors, wp.vec3), make(ray[None, None], wp.vec2))
    sample = (wp.zeros((1, 1), dtype=wp.int32, device=device), make(seen[None, None], wp.vec3))
    one = make([1.0], wp.float32)
    with wp.Tape() as tape:
        if literal:
            shading.add_image_literal(*surface, *sample, 0, rows_out=rows)
        else:
            fit = (
                make(gains[None, None], wp.float32),
                make(offsets[None], wp.float32),
                one,
                one,
                make([0.1], wp.float32),
            )
            shading.add_image(*surface, *sample, *fit, 0, rows_out=rows)

    def cost(points):
        given = (points, np.array([[0, 1, 2]]), colors, ray[None], seen[None])
        return reference.literal_cost(*given) if literal else reference.image_cost(*given, gains, offsets, 0.1)

    value = rows.numpy()[0, 0]
    tape.backward(grads={rows: wp.full((1, 1), 1.0, dtype=wp.float32, device=device)})
    np.testing.assert_allclose(value, cost(corners), rtol=2e-4)
    compare_gradients(
        vertices.grad.numpy()[0],
        finite_difference(cost, corners, 1e-7),
        name=f"add_image{'_literal' * literal} vertices {name}",
        worst=1e-4,
    )


def test_gradient_by_the_pose_matches_the_twin(device, scene):
    """The gradient by all six increments, away from the truth, equals finite differences through float64 vertices."""
    start = TURNS + np.array([[0.1, 0.05, -0.1], [-0.05, 0.1, 0.05]])
    moved = scene.with_poses({"ball": motion(start)})
    state, prior = make_prior(moved, device)
    prior.freeze(state)
    _, _ = evaluate(state, prior)
    found = state.increments["ball"].grad.numpy().astype(float)
    rest = scene.bodies[0].body.vertices.astype(float)
    colors = scene.bodies[0].body.colors.astype(float)
    for frame in range(2):
        pose = state.base_poses["ball"].numpy()[frame].astype(float)
        rays, faces, seen, gains, offsets = seen_by(prior, state, frame)

        def cost(step, pose=pose, faces=faces, rays=rays, seen=seen, gains=gains, offsets=offsets):
            depth = pose[2] * np.exp(step[2])
            bearing = pose[:2] / pose[2] + step[:2]
            turn = Rotation.from_quat(pose[3:]) * Rotation.from_quat(exp(step[3:]))
            vertices = turn.apply(rest) + np.array([*(bearing * depth), depth])
            return reference.image_cost(vertices, faces, colors, rays, seen, gains, offsets, 0.05)

        compare_gradients(
            found[frame], finite_difference(cost, np.zeros(6), 1e-5), name=f"image pose, frame {frame}", worst=1e-4
        )


def test_values_match_the_twin_and_are_least_at_the_truth(device, scene):
    """Rows equal the twin's, and turning the ball either way about any axis costs more."""
    state, prior = make_prior(scene, device)
    prior.freeze(state)
    values, _ = evaluate(state, prior)
    vertices, colors = state.vertices.numpy().astype(float), prior._colors.numpy().astype(float)
    for frame in range(2):
        rays, faces, seen, gains, offsets = seen_by(prior, state, frame)
        assert len(faces) > 300
        expected = reference.image_cost(vertices[frame], faces, colors, rays, seen, gains, offsets, 0.05)
        np.testing.assert_allclose(values[frame], expected, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(gains, 1.0, atol=0.08)
        np.testing.assert_allclose(offsets, 0.0, atol=0.03)
    assert (values < 0.02).all()
    for axis in np.eye(3):
        for angle in (-0.1, 0.1):
            state.assign({"ball": motion(TURNS + angle * axis)})
            prior.freeze(state)
            assert (evaluate(state, prior)[0] > 5.0 * values).all()


def test_gain_and_offset_do_not_matter(device, scene):
    """Pictures darker and flatter by a factor cost the same in units of a sigma that shrank with them."""
    turned = scene.with_poses({"ball": motion(TURNS + 0.1)})
    state, prior = make_prior(turned, device)
    prior.freeze(state)
    expected, _ = evaluate(state, prior)
    darker = replace(turned, read_rgb=lambda frame: np.round(0.5 * turned.read_rgb(frame) + 40.0).astype(np.uint8))
    state, prior = make_prior(darker, device, ImageSettings(sigma_grey=0.025))
    prior.freeze(state)
    found, _ = evaluate(state, prior)
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_colours_recover_a_rotation_that_no_mask_shows(device, scene):
    """Adam on the image term turns a ball, 10 degrees off, to under half a degree; its silhouette never changes."""
    start = TURNS + np.array([[0.12, -0.08, 0.1], [-0.1, 0.1, 0.1]])
    turned = scene.with_poses({"ball": motion(start)})
    state, prior = make_prior(turned, device)
    increments = state.increments["ball"]
    make = lambda values: wp.array(np.asarray(values, dtype=np.float32), dtype=wp.float32, device=device)  # noqa: E731
    first, second = wp.zeros_like(increments, requires_grad=False), wp.zeros_like(increments, requires_grad=False)
    steps, skipped = (wp.zeros(2, dtype=wp.int32, device=device) for _ in range(2))
    rate, decays, clip, scales = make([1.0]), make([0.8, 0.95]), make([0.0]), make([0.0] * 3 + [1.0] * 3)
    active = wp.full(2, 1, dtype=wp.int32, device=device)
    for step in range(60):
        rate.fill_(0.03 * 0.94**step)
        prior.freeze(state)
        _, tape = evaluate(state, prior)
        adam_step(
            increments.grad, scales, rate, decays, clip, active,
            steps_out=steps, first_moment_out=first, second_moment_out=second,
            increments_out=increments, skipped_out=skipped,
        )  # fmt: skip
        tape.zero()
        state.pose()
        state.settle()
    rotations = Rotation.from_quat(state.read()["ball"].rotation)
    errors = np.degrees((rotations.inv() * Rotation.from_rotvec(TURNS)).magnitude())
    assert (errors < 0.5).all(), errors
    np.testing.assert_array_equal(skipped.numpy(), 0)


def test_only_visible_interior_pixels_are_compared(device, scene):
    """Samples lie inside the label by the margin, see a face of the ball, and see none where another body is nearer."""
    window = Window(np.array([[8, 4], [12, 6]], dtype=np.int32), 56, 48)
    settings = ImageSettings(margin_px=3, sample_count=300)
    state, free = make_prior(scene, device, settings, window)
    free.freeze(state)
    backdrop = wp.zeros((2, 56 * 48), dtype=wp.uint64, device=device)
    left, right, top, bottom, near = CAMERA.cx + 0.3, 90.0, -10.0, 70.0, 0.2
    screen = np.array([[left, top, near], [left, bottom, near], [right, bottom, near], [right, top, near]])
    scatter_faces(
        wp.array(np.tile(screen, (2, 1, 1)), dtype=wp.vec3, device=device),
        wp.array([[0, 1, 2], [0, 2, 3]], dtype=wp.vec3i, device=device),
        wp.full(2, 1, dtype=wp.int32, device=device),
        wp.full(2, 1, dtype=wp.int32, device=device),
        window.device_origins(device),
        56,
        48,
        keys_out=backdrop,
    )
    state, hidden = make_prior(scene, device, settings, window, backdrop)
    hidden.freeze(state)
    pixels = free._pixels.numpy()
    assert (pixels >= 0).sum(axis=1).max() == 300
    for frame in range(2):
        rows, columns = np.divmod(pixels[frame], 56)
        columns, rows = columns + window.origins[frame][0], rows + window.origins[frame][1]
        for dr, dc in ((3, 0), (-3, 0), (0, 3), (0, -3)):
            assert (scene.labels[frame][rows + dr, columns + dc] == 3).all()
        np.testing.assert_allclose(free._rays.numpy()[frame], pixel_rays()[rows, columns], atol=1e-6)
        image = scene.read_rgb(frame)[rows, columns] / 255.0
        np.testing.assert_allclose(free._observed.numpy()[frame], image, atol=1e-6)
        seen = free._faces.numpy()[frame] >= 0
        assert seen.mean() > 0.95
        behind = columns + 0.5 > left
        np.testing.assert_array_equal(hidden._faces.numpy()[frame] >= 0, seen & ~behind)
        assert hidden.counts.numpy()[frame] == (seen & ~behind).sum()


def test_light_matches_least_squares_despite_highlights(device):
    """Gains and offsets equal the twin's with a fifth of the samples blown out; plain colours keep the gain at one."""
    random = np.random.default_rng(5)
    shades = random.uniform(0.1, 0.9, (3, 200, 3)).astype(np.float32)
    normals = random.normal(size=(3, 200, 3)) - [0.0, 0.0, 1.5]
    normals = (normals / np.linalg.norm(normals, axis=2, keepdims=True)).astype(np.float32)
    truth = 0.7 + normals @ np.array([0.2, -0.1, -0.15])
    seen = (truth[..., None] * shades + 0.1 + 0.01 * random.normal(size=shades.shape)).astype(np.float32)
    seen[0, :40] = 1.0
    shades[1], normals[1] = 0.4, [0.0, 0.6, -0.8]
    faces = np.zeros((3, 200), dtype=np.int32)
    faces[0, ::7] = -1
    faces[2] = -1
    gains = wp.full((3, 200, 3), np.nan, dtype=wp.float32, device=device)
    offsets = wp.full((3, 3), np.nan, dtype=wp.float32, device=device)
    counts = wp.full(3, np.nan, dtype=wp.float32, device=device)
    shading.fit_light(
        wp.array(shades, dtype=wp.vec3, device=device),
        wp.array(normals, dtype=wp.vec3, device=device),
        wp.array(seen, dtype=wp.vec3, device=device),
        wp.array(faces, dtype=wp.int32, device=device),
        wp.full(1, 0.05, dtype=wp.float32, device=device),
        gains_out=gains,
        offsets_out=offsets,
        counts_out=counts,
    )
    use = faces[0] >= 0
    for channel in range(3):
        given = (values[0, use].astype(float) for values in (shades[..., channel], normals, seen[..., channel]))
        gain, offset = reference.fit_light(*given, 0.05)
        np.testing.assert_allclose(gains.numpy()[0, use, channel], gain, atol=2e-6)
        np.testing.assert_allclose(offsets.numpy()[0, channel], offset, atol=2e-6)
        assert np.abs(gain - truth[0, use]).mean() < 0.05
    np.testing.assert_allclose(gains.numpy()[1], 1.0, atol=0.02)
    np.testing.assert_allclose(0.4 * gains.numpy()[1, 0] + offsets.numpy()[1], seen[1].mean(axis=0), atol=0.02)
    np.testing.assert_array_equal(gains.numpy()[2], 1.0)
    np.testing.assert_array_equal(offsets.numpy()[2], 0.0)
    np.testing.assert_array_equal(counts.numpy(), [use.sum(), 200, 0])


def test_a_lamp_on_one_side_does_not_move_the_ball(device, scene):
    """Pictures shaded from one side still fit at the true pose, and not when the ball is turned."""
    facing = pixel_rays() - CENTER[:2] / CENTER[2]
    shade = np.clip(0.75 + 2.5 * facing[..., :1] - 1.5 * facing[..., 1:], 0.2, 1.0)
    lit = replace(scene, read_rgb=lambda frame: np.round(shade * scene.read_rgb(frame)).astype(np.uint8))
    state, prior = make_prior(lit, device)
    prior.freeze(state)
    values, _ = evaluate(state, prior)
    state.assign({"ball": motion(TURNS + 0.1)})
    prior.freeze(state)
    turned, _ = evaluate(state, prior)
    assert (values < 0.05).all() and (turned > 10.0 * values).all(), (values, turned)


def test_literal_equation_sums_over_the_picture(device, scene):
    """As printed: squared differences of the rendered and the masked picture, summed over both."""
    turned = scene.with_poses({"ball": motion(TURNS + 0.1)})
    state, prior = make_prior(turned, device, ImageSettings(literal=True))
    prior.freeze(state)
    values, _ = evaluate(state, prior)
    assert prior.unit == "grey level^2"
    vertices, colors = state.vertices.numpy().astype(float), prior._colors.numpy().astype(float)
    for frame in range(2):
        rays, faces, seen, _, _ = seen_by(prior, state, frame)
        unseen = prior._observed.numpy()[frame][prior._faces.numpy()[frame] < 0]
        expected = reference.literal_cost(vertices[frame], faces, colors, rays, seen) + (unseen**2).sum()
        np.testing.assert_allclose(values[frame], expected, rtol=1e-3)


def test_a_body_that_left_its_label_costs_nothing_and_pulls_nothing(device, scene):
    """Out of sight every sample is unseen: zero rows, zero gradients, gain one, and no NaN."""
    away = replace(motion(TURNS), position=np.array([[1.0, 0.0, 0.5], [0.0, 0.0, -0.3]]))
    state, prior = make_prior(scene.with_poses({"ball": away}), device)
    prior.freeze(state)
    values, _ = evaluate(state, prior)
    np.testing.assert_array_equal(values, 0.0)
    np.testing.assert_array_equal(state.increments["ball"].grad.numpy(), 0.0)
    np.testing.assert_array_equal(prior.counts.numpy(), 0.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"read_rgb": None}, "no pictures"),
        ({"read_rgb": lambda frame: None}, "no picture shows"),
        ({"labels": None}, "no label images"),
        ({"labels": np.zeros((2, CAMERA.height, CAMERA.width), dtype=np.uint8)}, "no picture shows"),
    ],
)
def test_without_something_to_compare_the_prior_says_why(device, scene, change, reason):
    """A scene without pictures, labels or the body in them leaves the prior inactive, with a reason."""
    _, prior = make_prior(replace(scene, **change), device)
    assert not prior.active
    assert reason in prior.reason


@pytest.mark.parametrize("colors", [None, np.full((2562, 3), 0.4, dtype=np.float32)], ids=["none", "plain"])
def test_a_body_without_texture_leaves_the_prior_inactive(device, scene, colors):
    """No colours, or one colour all over, carry no information."""
    body = scene.bodies[0]
    plain = replace(scene, bodies=(replace(body, body=replace(body.body, colors=colors)),))
    _, prior = make_prior(plain, device)
    assert not prior.active
    assert "ball" in prior.reason


def test_frames_without_a_picture_are_left_out(device, scene):
    """One missing picture leaves its frame at zero and the other as it was."""
    turned = scene.with_poses({"ball": motion(TURNS + 0.1)})
    state, prior = make_prior(turned, device)
    prior.freeze(state)
    whole, _ = evaluate(state, prior)
    gappy = replace(turned, read_rgb=lambda frame: None if frame == 0 else turned.read_rgb(frame))
    state, prior = make_prior(gappy, device)
    prior.freeze(state)
    values, _ = evaluate(state, prior)
    np.testing.assert_allclose(values, [0.0, whole[1]], rtol=1e-6)


@pytest.mark.parametrize(("count", "expected"), [(10_000, 1200), (1200, 1200), (100, 100), (1, 1)])
def test_thinning_keeps_a_spread_of_pixels(count, expected):
    """No more than asked for, all of them of the mask, none twice, and every part of the mask served alike."""
    mask = np.zeros((50, 70), dtype=bool)
    mask[10:40, 20:60] = True
    kept = thin_out(mask, count)
    assert len(np.unique(kept)) == len(kept) == expected
    assert mask.ravel()[kept].all()
    if expected == 100:
        shares = np.histogram2d(kept // 70, kept % 70, bins=[[10, 25, 40], [20, 40, 60]])[0]
        assert (np.abs(shares - 25) <= 4).all()


@pytest.mark.parametrize("settings", [{"sigma_grey": 0.0}, {"sample_count": 10.5}, {"least_cosine": 1.0}])
def test_settings_are_checked(settings):
    """Numbers out of range are refused by name."""
    with pytest.raises(InputError, match=next(iter(settings))):
        ImageSettings(**settings)
