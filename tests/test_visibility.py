"""The key buffer against a float64 twin: which face, which body, how deep."""

import numpy as np
import pytest
import warp as wp

from tests.reference import silhouette as twin
from tests.silhouette_scenes import make_ellipsoid, make_scene
from warpprior.kernels.face_rows import LANES
from warpprior.kernels.visibility import read_channels, read_depths, scatter_faces
from warpprior.render.canvas import Canvas
from warpprior.render.images import render_depth, render_labels
from warpprior.render.window import Window, whole_window
from warpprior.support.errors import InputError
from warpprior.system.motion import MotionState

WIDTH, HEIGHT = 40, 32


def scatter(screen, faces, device, *, channels=None, two_sided=None, origin=(0, 0), size=(WIDTH, HEIGHT), slices=1):
    """Key buffer of one frame."""
    count = len(faces)
    keys = wp.zeros((1, size[0] * size[1]), dtype=wp.uint64, device=device)
    scatter_faces(
        wp.array(np.asarray(screen, dtype=np.float32)[None], dtype=wp.vec3, device=device),
        wp.array(np.asarray(faces, dtype=np.int32), dtype=wp.vec3i, device=device),
        wp.array(np.zeros(count, np.int32) if channels is None else channels, dtype=wp.int32, device=device),
        wp.array(np.zeros(count, np.int32) if two_sided is None else two_sided, dtype=wp.int32, device=device),
        wp.array([origin], dtype=wp.vec2i, device=device),
        *size,
        slices=slices,
        keys_out=keys,
    )
    return keys


def unpack(keys):
    """Channel (15 where empty), face and inverse depth of each pixel, from the bits."""
    values = keys.numpy().ravel()
    inverse = (values >> np.uint64(32)).astype(np.uint32).view(np.float32)
    channel = np.where(values == 0, 15, (values >> np.uint64(28)) & np.uint64(15)).astype(int)
    face = np.where(values == 0, -1, (values & np.uint64(0xFFFFFFF)).astype(np.int64))
    return channel, face, inverse


def make_soup(seed, count=40):
    """Random triangles, some behind the camera, some outside the picture, some seen from behind."""
    random = np.random.default_rng(seed)
    centres = random.uniform([-5, -5], [WIDTH + 5, HEIGHT + 5], (count, 2))
    spots = centres[:, None] + random.normal(scale=6.0, size=(count, 3, 2))
    depths = random.uniform(0.3, 1.0, (count, 3, 1))
    depths[random.random(count) < 0.1, 1] = -0.4
    screen = np.concatenate([spots, depths], axis=2).reshape(-1, 3).astype(np.float32)
    return screen, np.arange(3 * count).reshape(count, 3), (random.random(count) < 0.5).astype(np.int32)


@pytest.mark.parametrize("slices", [1, 3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pixels_see_the_nearest_face(device, seed, slices):
    """Face, channel and depth of every pixel whose centre is not on an edge."""
    screen, faces, two_sided = make_soup(seed)
    channels = (np.arange(len(faces)) % 5).astype(np.int32)
    keys = scatter(screen, faces, device, channels=channels, two_sided=two_sided, slices=slices)
    channel, face, inverse = unpack(keys)
    expected, depth, margin, lead = (a.ravel() for a in twin.visible(screen, faces, two_sided, WIDTH, HEIGHT))
    clear = (margin > 1e-3) & (lead > 1e-4)
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(face[clear], expected[clear])
    np.testing.assert_array_equal(channel[clear], np.where(expected < 0, 15, channels[expected])[clear])
    np.testing.assert_allclose(inverse[clear], depth[clear], rtol=1e-4)


def test_crops_and_pictures_of_keys(device):
    """A crop's keys are those of the picture; channels and depths are read into poisoned arrays."""
    screen, faces, two_sided = make_soup(4)
    whole = scatter(screen, faces, device, two_sided=two_sided)
    crop = scatter(screen, faces, device, two_sided=two_sided, origin=(7, 5), size=(21, 19))
    cut = unpack(whole)[1].reshape(HEIGHT, WIDTH)[5 : 5 + 19, 7 : 7 + 21]
    assert (unpack(crop)[1].reshape(19, 21) == cut).mean() > 0.998  # but for rounding on edges
    depths = wp.full(whole.shape, 1e30, dtype=wp.float32, device=device)
    labels = wp.full(whole.shape, 99, dtype=wp.uint8, device=device)
    read_depths(whole, depths_out=depths)
    names = np.full(16, 7, dtype=np.uint8)
    names[15] = 0
    read_channels(whole, wp.array(names, dtype=wp.uint8, device=device), channels_out=labels)
    _, face, inverse = unpack(whole)
    np.testing.assert_array_equal(labels.numpy()[0], np.where(face < 0, 0, 7))
    np.testing.assert_allclose(depths.numpy()[0][face >= 0], 1.0 / inverse[face >= 0], rtol=1e-6)
    assert (depths.numpy()[0][face < 0] == 0.0).all()


def test_closed_surfaces_have_no_holes(device):
    """Every pixel within a finely meshed ball is drawn, by its near side; inside out, by its far side."""
    ball = make_ellipsoid("ball", (12.0, 11.0, 0.1), 4)
    screen = np.add(ball.vertices, [20.3, 16.2, 1.0])
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = ((u - 20.3) / 12.0) ** 2 + ((v - 16.2) / 11.0) ** 2 < 0.98
    for faces, side in ((ball.faces, -1.0), (ball.faces[:, ::-1], 1.0)):
        _, face, inverse = unpack(scatter(screen, faces, device))
        assert (face.reshape(HEIGHT, WIDTH)[inside] >= 0).all()
        assert (side * (1.0 / inverse.reshape(HEIGHT, WIDTH)[inside] - 1.0) > 0.0).all()


def test_degenerate_faces_draw_nothing(device):
    """Faces without area, at the near plane, behind the camera and not finite leave the picture empty."""
    screen = [
        *([5, 5, 1], [9, 9, 1], [13, 13, 1]),
        *([5, 5, 1], [5, 5, 1], [5, 5, 1]),
        *([5, 5, 0.05], [20, 5, 1], [5, 20, 1]),
        *([5, 5, -1], [5, 20, -1], [20, 5, -1]),
        *([np.nan, 5, 1], [5, np.nan, 1], [20, 5, np.nan]),
    ]
    keys = scatter(screen, np.arange(15).reshape(5, 3), device, two_sided=np.ones(5, np.int32))
    assert (keys.numpy() == 0).all()


def test_canvas_draws_over_its_backdrop(device):
    """What moves hides, and is hidden by, what does not; the backdrop itself is not changed."""
    scene = make_scene()
    state = MotionState(scene, device, point_count=16)
    window = Window(np.array([[10, 12]], dtype=np.int32), 100, 96)
    both = Canvas(state.assembly, [0, 1], [True, True], window, device)
    hand = Canvas(state.assembly, [0, None], [True, True], window, device)
    hand.draw_faces(state.screen)
    kept = hand.keys.numpy().copy()
    over = Canvas(state.assembly, [None, 1], [True, True], window, device, backdrop=hand.keys)
    for canvas in (both, over, over):
        canvas.draw_faces(state.screen)
    for first, second in zip(unpack(both.keys)[::2], unpack(over.keys)[::2], strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(hand.keys.numpy(), kept)


def test_crops_that_follow_a_body_show_the_same(device):
    """Pixels and claims of pairs of pixels are those of the whole window, wherever the body goes."""
    scene = make_scene()
    state = MotionState(scene, device, point_count=16)
    window = Window(np.array([[10, 12]], dtype=np.int32), 100, 96)
    fixed, own = (
        Canvas(state.assembly, [0, None], [True, True], window, device, follows=each) for each in (False, True)
    )
    sizes = set()
    for shift in ((0.0, 0.0), (3.0, 0.0), (31.5, -20.0), (-40.0, 60.0), (500.0, 0.0), (-3.0, 5.0)):
        screen = wp.array(state.screen.numpy() + np.array([*shift, 0.0]), dtype=wp.vec3, device=device)
        found = []
        for canvas in (fixed, own):
            canvas.draw(screen)
            (column, row), crop = canvas.window.origins[0], canvas.crop
            epoch = int(canvas.epoch.numpy()[0])
            claims = np.moveaxis(canvas.owners.numpy()[0].reshape(2, crop.height, crop.width), 0, 2)
            claims = np.where(claims >> np.uint64(48) == epoch, claims, 0)  # others are void
            keys = canvas.keys.numpy()[0].reshape(crop.height, crop.width, 1)
            found.append(np.zeros((120, 120, 3), dtype=np.uint64))
            found[-1][row : row + crop.height, column : column + crop.width] = np.concatenate([keys, claims], axis=2)
        np.testing.assert_array_equal(found[1], found[0], err_msg=str(shift))
        assert found[0].any() == (shift[0] < 500.0)
        sizes.add((own.crop.width, own.crop.height))
    if own.device.is_cpu:
        assert min(width * height for width, height in sizes) < 0.5 * 100 * 96


def test_rendered_pictures_agree(device):
    """Labels are where depth is, and each body's depth is near its distance."""
    scene = make_scene()
    poses = {body.name: body.initial for body in scene.bodies}
    labels, depth = render_labels(scene, poses, device)[0], render_depth(scene, poses, device)[0]
    np.testing.assert_array_equal(labels > 0, depth > 0.0)
    for body in scene.bodies:
        assert np.abs(depth[labels == body.label] - body.initial.position[0, 2]).max() < 0.05
    assert whole_window(1, 128, 128).cut(labels[None]).shape == (1, 128, 128)


def test_more_bodies_than_keys_can_tell_apart(device):
    """Sixteen channels are one too many, and said to be."""
    scene = make_scene()
    state = MotionState(scene, device, point_count=16)
    window = whole_window(1, 128, 128)
    Canvas(state.assembly, [0, 14], [True, True], window, device)
    with pytest.raises(InputError, match="at most 15"):
        Canvas(state.assembly, [0, 15], [True, True], window, device)


@pytest.mark.parametrize("origin, size", [((0, 0), (WIDTH, HEIGHT)), ((7, 5), (21, 19)), ((18, 14), (3, 4))])
def test_rows_of_faces_are_the_faces(device, origin, size):
    """What a CPU draws by rows has the bits of what each face draws by itself, of faces large and small."""
    ball = make_ellipsoid("ball", (11.0, 12.0, 0.1), 3)
    small = np.add(ball.vertices, [20.3, 16.2, 0.7])[ball.faces].reshape(-1, 3)
    large, faces, _ = make_soup(5)
    even = np.round(large * [1, 1, 0]) + large * [0, 0, 1]  # edges along rows
    screen = np.concatenate([small, large, even]).astype(np.float32)
    faces = np.arange(len(screen)).reshape(-1, 3)
    two_sided = (np.arange(len(faces)) % 3 == 0).astype(np.int32)
    by_rows, by_faces = (
        scatter(screen, faces, device, two_sided=two_sided, origin=origin, size=size, slices=slices)
        for slices in (1, 2)
    )
    np.testing.assert_array_equal(by_rows.numpy(), by_faces.numpy())
    assert (by_rows.numpy() > 0).any() and size[0] * size[1] >= LANES
