"""Moments of silhouettes against exact polygons: values, derivatives by all poses, and where they are hard to tell."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import POISON, compare_gradients
from tests.reference.moments import central_moments, moved, outline, raw_moments, visible_moments
from tests.silhouette_scenes import make_ellipsoid, make_poses, true_coverage
from warpprior.bodies import rigid_body
from warpprior.bodies.clustering import clustered
from warpprior.io.scene_folder import load_scene
from warpprior.kernels.moment_border import GRAZING
from warpprior.render.canvas import EPOCH_LIMIT
from warpprior.scene import Camera, SceneBody
from warpprior.scenes.robot_hand import robot_hand
from warpprior.support.errors import InputError
from warpprior.tracking.silhouette_moments import SilhouetteMoments, label_moments

CAMERA = Camera(640, 480, 600.0, 610.0, 322.0, 238.0)
STEP = 1e-5  # of finite differences [m, rad]
LEVER = 0.05  # a turn by 1 rad counts like this shift [m], where derivatives are compared


def make_box(name, size):
    """A box of twelve faces."""
    box = trimesh.creation.box(extents=size)
    return rigid_body(name, box.vertices, box.faces)


BODIES = {
    "ellipsoid": lambda: make_ellipsoid("thing", (0.05, 0.04, 0.03), 3),
    "box": lambda: make_box("thing", (0.09, 0.06, 0.05)),
    "plate": lambda: make_box("thing", (0.12, 0.09, 0.006)),
}

# body, position, rotation vector, whether a hand hides part of it
POINTS = {
    "ellipsoid": ("ellipsoid", (0.02, -0.012, 0.52), (-0.4, 0.5, 0.3), False),
    "box": ("box", (-0.03, 0.02, 0.6), (0.5, -0.7, 0.4), False),
    "box square to the picture": ("box", (0.0131, 0.0077, 0.5), (0.0, 0.0, 0.0), False),
    "box half hidden": ("box", (-0.03, 0.02, 0.6), (0.5, -0.7, 0.4), True),
    "ellipsoid half hidden": ("ellipsoid", (-0.02, 0.012, 0.52), (-0.4, 0.5, 0.3), True),
    "partly outside": ("box", (-0.28, 0.21, 0.55), (0.5, -0.7, 0.4), False),
    "partly outside and half hidden": ("ellipsoid", (-0.25, 0.012, 0.52), (0.4, 0.5, 0.3), True),
    "edge-on plate": ("plate", (0.01, 0.02, 0.5), (1.56, 0.02, 0.3), False),
    "tiny": ("box", (0.9, -0.5, 8.0), (0.5, -0.7, 0.4), False),
    "filling the picture": ("box", (0.0, 0.01, 0.13), (0.2, 0.1, 0.3), False),
}


def make_row(position, rotation_vector=(0.0, 0.0, 0.0)):
    """A pose (7,)."""
    return np.concatenate([position, Rotation.from_rotvec(rotation_vector).as_quat()])


def make_case(point):
    """Bodies with their poses at one of POINTS: the thing, and a hand before it where there is one."""
    kind, position, turn, hidden = POINTS[point]
    bodies = [BODIES[kind]()]
    rows = {"thing": make_row(position, turn)}
    if hidden:
        bodies.append(make_ellipsoid("hand", (0.03, 0.05, 0.02), 3))
        rows["hand"] = make_row(np.array(position) * 0.85 + [0.025, -0.004, 0.0], (0.2, 0.3, 0.5))
    return bodies, rows


def make_sensor(bodies, device, camera=CAMERA, **options):
    """What measures the thing's silhouette."""
    start = make_poses((0.0, 0.0, 1.0))
    starts = [replace(start, joints=np.zeros((1, body.coordinate_count))) for body in bodies]
    scene_bodies = [SceneBody(body, 1 + n, False, starts[n]) for n, body in enumerate(bodies)]
    return SilhouetteMoments(camera, scene_bodies, "thing", device, **options)


def true_moments(bodies, rows, camera=CAMERA):
    """The twin's moments."""
    hidden_by = [(body.vertices, rows[body.name]) for body in bodies if body.name == "hand"]
    return visible_moments(bodies[0].vertices, rows["thing"], camera, *hidden_by)


def true_jacobian(bodies, rows, name):
    """The twin's derivatives by one body's pose, by central differences."""
    columns = []
    for step in np.eye(6) * STEP:
        ends = [true_moments(bodies, {**rows, name: moved(rows[name], sign * step)}) for sign in (1.0, -1.0)]
        columns.append((ends[0] - ends[1]) / (2.0 * STEP))
    return np.stack(columns, axis=1)


def in_pixels(jacobian, values):
    """Rows and columns of a jacobian in comparable units: relative to the silhouette's size, per shift [m]."""
    size = np.sqrt(values[0])
    rows = np.array([size**2, size, size, size**2, size**2, size**2])
    return jacobian / rows[:, None] / [1.0, 1.0, 1.0, LEVER, LEVER, LEVER]


@pytest.mark.parametrize("point", POINTS)
def test_values(device, point):
    """Area to 0.5 %, centroid to 0.5 % of the silhouette's size, spread to 0.5 % of its largest."""
    bodies, rows = make_case(point)
    found = make_sensor(bodies, device).measure(rows).values
    truth = true_moments(bodies, rows)
    assert truth[0] > 0.0
    np.testing.assert_allclose(found[0], truth[0], rtol=5e-3)
    np.testing.assert_allclose(found[1:3], truth[1:3], rtol=0.0, atol=5e-3 * np.sqrt(truth[3] + truth[5]))
    np.testing.assert_allclose(found[3:], truth[3:], rtol=0.0, atol=5e-3 * (truth[3] + truth[5]))


@pytest.mark.parametrize("point", POINTS)
def test_derivatives(device, point):
    """By the poses of the body and of what hides it: at most 2.5 % off as a whole, cosine at least 0.999."""
    bodies, rows = make_case(point)
    found = make_sensor(bodies, device).measure(rows)
    truth = true_moments(bodies, rows)
    for name in rows:
        exact = in_pixels(true_jacobian(bodies, rows, name), truth)
        analytic = in_pixels(found.jacobians[name], truth)
        relative = np.linalg.norm(analytic - exact) / np.linalg.norm(exact)
        print(f"{point}, by {name}: {relative:.4f}")
        compare_gradients(analytic, exact, name=f"sum_border {point} by {name}", worst=np.inf, cosine=0.999, bias=0.025)
        assert relative <= 0.025


# Where the hand is beside the thing [m].
MEETINGS = {
    "a round hand in a round thing": ("ellipsoid", (0.030, -0.010, -0.020)),
    "a round hand in the side of a box": ("box", (0.035, 0.005, -0.030)),
}


@pytest.mark.parametrize("point", MEETINGS)
def test_surfaces_that_go_through_each_other(device, point):
    """The border where two surfaces meet moves with both: 8 % against supersampled coverage, cosine at least 0.997.

    Depths are taken to be flat between two pixels, which loses some of the border where a surface turns away.
    """
    kind, beside = MEETINGS[point]
    camera = Camera(160, 160, 500.0, 500.0, 80.0, 80.0)
    bodies = [BODIES[kind](), make_ellipsoid("hand", (0.03, 0.035, 0.03), 4)]
    rows = {"thing": make_row((-0.01, 0.0, 0.5), (0.5, 0.3, 0.2))}
    rows["hand"] = make_row(rows["thing"][:3] + beside, (0.2, 0.3, 0.5))
    found = make_sensor(bodies, device, camera).measure(rows)
    np.testing.assert_allclose(found.values, covered_moments(bodies, rows, camera, device), rtol=2e-3, atol=1.0)
    units = np.array([*[1e-3] * 3, *[0.02] * 3])
    for name in rows:
        columns = []
        for step in np.diag(units):
            ends = [
                covered_moments(bodies, {**rows, name: moved(rows[name], sign * step)}, camera, device)
                for sign in (1.0, -1.0)
            ]
            columns.append((ends[0] - ends[1]) / 2.0)
        exact = in_pixels(np.stack(columns, axis=1) / units, found.values)
        analytic = in_pixels(found.jacobians[name], found.values)
        relative = np.linalg.norm(analytic - exact) / np.linalg.norm(exact)
        print(f"{point}, by {name}: {relative:.4f}")
        compare_gradients(analytic, exact, name=f"sum_border {point} by {name}", worst=np.inf, cosine=0.997, bias=0.05)
        assert relative <= 0.08


@pytest.mark.parametrize(("tangent", "followed"), [(0.4, 0.4), (0.2, 0.2), (0.01, GRAZING)])
def test_surfaces_that_graze_each_other(device, tangent, followed):
    """A plate through a larger one: their border shifts by depth over the tangent between them, up to a limit."""
    bodies = [make_box("thing", (0.10, 0.08, 0.02)), make_box("hand", (0.16, 0.14, 0.02))]
    rows = {"thing": make_row((0.0, 0.0, 0.5)), "hand": make_row((0.0, 0.0, 0.5), (0.0, np.arctan(tangent), 0.0))}
    found = make_sensor(bodies, device).measure(rows)
    depth = 0.49
    speed = 0.08 * CAMERA.fy / depth * CAMERA.fx / depth / float(followed)
    np.testing.assert_allclose(found.jacobians["hand"][0, 2], speed, rtol=0.05)
    meeting = 0.01 * (1.0 - np.sqrt(1.0 + tangent**2)) / tangent  # x of it
    border = found.border[0, 0] - (2.0 * (0.05 + meeting) * CAMERA.fx + 0.08 * CAMERA.fy) / depth
    np.testing.assert_allclose(border, 0.08 * CAMERA.fy / depth, rtol=0.05)


def covered_moments(bodies, rows, camera, device):
    """Moments of the first body from coverage by many samples per pixel."""
    drawn = [SceneBody(body, 1 + n, False, make_poses((0, 0, 1))) for n, body in enumerate(bodies)]
    poses = {name: make_poses(row[:3], Rotation.from_quat(row[3:]).as_rotvec()) for name, row in rows.items()}
    share = true_coverage(camera, drawn, poses, samples=12, device=device)[0, 0].astype(np.float64)
    x, y = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    return central_moments(np.array([(share * f).sum() for f in (1.0 + 0.0 * x, x, y, x * x, x * y, y * y)]))


UNSEEN = {
    "behind the camera": {"thing": make_row((0.0, 0.0, -0.5))},
    "around the camera": {"thing": make_row((0.0, 0.0, 0.03))},
    "beside the picture": {"thing": make_row((2.0, 0.0, 0.5))},
    "wholly hidden": {"thing": make_row((0.0, 0.0, 0.6)), "hand": make_row((0.0, 0.0, 0.3))},
}


def test_bodies_stand_where_they_start(device):
    """A body whose pose was never given is drawn at its first one, and one whose pose was given last stays there."""
    bodies, rows = make_case("box half hidden")
    expected = make_sensor(bodies, device).measure(rows).values
    start = make_poses(rows["hand"][:3], Rotation.from_quat(rows["hand"][3:]).as_rotvec(), frames=2)
    drawn = [SceneBody(bodies[0], 1, False, make_poses((0, 0, 1))), SceneBody(bodies[1], 2, True, start)]
    sensor = SilhouetteMoments(CAMERA, drawn, "thing", device)
    np.testing.assert_allclose(sensor.measure({"thing": rows["thing"]}).values, expected, rtol=1e-6)
    np.testing.assert_allclose(sensor.measure({}).values, expected, rtol=1e-6)


@pytest.mark.parametrize("point", UNSEEN)
def test_what_is_not_seen_has_no_moments(device, point):
    """All numbers are zero, and none is left from before."""
    bodies = [BODIES["box"](), make_ellipsoid("hand", (0.08, 0.08, 0.02), 3)]
    sensor = make_sensor(bodies, device)
    before = sensor.measure({"thing": make_row((0.0, 0.0, 0.5)), "hand": make_row((0.5, 0.0, 0.4))})
    assert before.values[0] > 0.0 and np.abs(before.jacobians["thing"]).max() > 0.0
    found = sensor.measure(UNSEEN[point])
    for values in (found.values, found.border, *found.jacobians.values()):
        np.testing.assert_array_equal(values, 0.0)


def test_outputs_are_overwritten_and_repeat(device):
    """A call leaves nothing of what its arrays held, and the same poses give the same numbers, on a CPU to the bit."""
    bodies, rows = make_case("box half hidden")
    sensor = make_sensor(bodies, device)
    first = sensor.measure(rows)
    for array in (sensor._total, sensor._sums, sensor._result.array):
        array.fill_(array.dtype(POISON))
    sensor._screen.fill_(wp.vec3(POISON, POISON, POISON))
    sensor._vertices.fill_(wp.vec3(POISON, POISON, POISON))
    for _ in range(3):  # on a GPU as it is, recorded, and replayed
        again = sensor.measure(rows)
        pairs = [(first.values, again.values), (first.border, again.border)]
        pairs += [(first.jacobians[name], again.jacobians[name]) for name in rows]
        for one, other in pairs:
            if wp.get_device(device).is_cpu:
                np.testing.assert_array_equal(other, one)
            else:
                np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-9 * np.abs(one).max())


def test_claims_are_renewed(device):
    """When the rounds of the canvas run out, the next drawing equals the first."""
    bodies, rows = make_case("box half hidden")
    sensor = make_sensor(bodies, device)
    first = sensor.measure(rows)
    sensor.canvas._rounds = EPOCH_LIMIT - 2
    sensor.canvas.epoch.fill_(EPOCH_LIMIT - 2)
    for _ in range(2):
        np.testing.assert_allclose(sensor.measure(rows).values, first.values, rtol=1e-9)
    assert sensor.canvas._rounds < 4


def test_a_body_of_twice_the_size(device):
    """A body of twice the size twice as far looks the same; its derivatives by shifts are half as large."""
    bodies, rows = make_case("box")
    near = make_sensor(bodies, device).measure(rows)
    scene_bodies = [SceneBody(bodies[0], 1, False, replace(make_poses((0, 0, 1)), scale=2.0))]
    far_row = rows["thing"].copy()
    far_row[:3] *= 2.0
    far = SilhouetteMoments(CAMERA, scene_bodies, "thing", device).measure({"thing": far_row})
    np.testing.assert_allclose(far.values, near.values, rtol=1e-4)
    np.testing.assert_allclose(far.jacobians["thing"][0, :3] * 2.0, near.jacobians["thing"][0, :3], rtol=1e-2)
    np.testing.assert_allclose(far.jacobians["thing"][3, 3:], near.jacobians["thing"][3, 3:], rtol=1e-2, atol=5.0)


def test_border(device):
    """The border's length is that of the outline, and its first row sums to what growing by a pixel adds."""
    bodies, rows = make_case("ellipsoid")
    found = make_sensor(bodies, device).measure(rows)
    corners = outline(bodies[0].vertices, rows["thing"], CAMERA)
    length = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1).sum()
    np.testing.assert_allclose(found.border[0, 0], length, rtol=0.01)
    middle = corners.mean(axis=0)
    grown = corners + 0.5 * outward_normals(corners)
    shrunk = corners - 0.5 * outward_normals(corners)
    gain = central_moments(raw_moments(grown - middle)) - central_moments(raw_moments(shrunk - middle))
    size = np.sqrt(found.values[0])
    scale = np.array([size, 1.0, 1.0, size, size, size])
    np.testing.assert_allclose(found.border[0] / scale, gain / scale, atol=0.05)


def outward_normals(corners):
    """Unit normals at the corners of a counter-clockwise polygon (corner, 2)."""
    along = np.roll(corners, -1, axis=0) - np.roll(corners, 1, axis=0)
    return np.stack([along[:, 1], -along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)


def test_noise_of_a_rough_border(device):
    """Covariances of moments of outlines with a random border agree with the prediction, within sampling error."""
    bodies, rows = make_case("ellipsoid")
    sigma, reach, bias, count = 1.5, 6.0, 0.7, 3000
    found = make_sensor(bodies, device).measure(rows)
    predicted = found.noise(sigma, 2.0 * reach, bias) - found.noise(0.0, 1.0)
    corners = outline(bodies[0].vertices, rows["thing"], CAMERA)
    lengths = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    along = np.linspace(0.0, ends[-1], 256, endpoint=False)
    closed = np.vstack([corners, corners[:1]])
    points = np.stack([np.interp(along, ends, closed[:, axis]) for axis in (0, 1)], axis=1)
    apart = np.abs(along[:, None] - along)
    apart = np.minimum(apart, ends[-1] - apart)
    rng = np.random.default_rng(5)
    mixing = np.linalg.cholesky(sigma**2 * np.exp(-apart / reach) + 1e-9 * np.eye(256))
    offsets = rng.standard_normal((count, 256)) @ mixing.T + bias * rng.standard_normal((count, 1))
    normals, middle = outward_normals(points), points.mean(axis=0)
    drawn = points + offsets[:, :, None] * normals - middle
    sample = np.cov(np.array([central_moments(raw_moments(polygon)) for polygon in drawn]).T)
    scale = np.sqrt(np.diag(predicted))
    np.testing.assert_allclose(sample / np.outer(scale, scale), predicted / np.outer(scale, scale), atol=0.12)


def test_moments_of_labels():
    """A label's moments are those of its squares; absent, only the area is known; beside don't-care, nothing."""
    labels = np.zeros((40, 60), dtype=np.uint8)
    labels[10:20, 30:50] = 2
    expected = [200.0, 40.0, 15.0, 20.0**2 / 12.0, 0.0, 10.0**2 / 12.0]
    np.testing.assert_allclose(label_moments(labels, 2), expected, atol=1e-12)
    np.testing.assert_array_equal(label_moments(labels, 3), [0.0, *[np.nan] * 5])
    labels[0:3, 0:3] = 255
    np.testing.assert_allclose(label_moments(labels, 2), expected, atol=1e-12)
    labels[0:10, 45:60] = 2
    labels[0:10, 30:45] = 0
    x, y = np.meshgrid(np.arange(60) + 0.5, np.arange(40) + 0.5)
    x, y = x[labels == 2], y[labels == 2]
    spread = np.cov(np.stack([x, y]), bias=True) + np.eye(2) / 12.0
    expected = [350.0, x.mean(), y.mean(), spread[0, 0], spread[0, 1], spread[1, 1]]
    np.testing.assert_allclose(label_moments(labels, 2), expected, rtol=1e-12)
    labels[20, 30:50] = 255
    assert np.isnan(label_moments(labels, 2)).all()


def test_labels_and_predictions_agree(device):
    """A label image drawn by its pixels' middles has the predicted moments, within the noise of rounding."""
    bodies, rows = make_case("partly outside")
    found = make_sensor(bodies, device).measure(rows)
    corners = outline(bodies[0].vertices, rows["thing"], CAMERA)
    x, y = np.meshgrid(np.arange(CAMERA.width) + 0.5, np.arange(CAMERA.height) + 0.5)
    inside = np.ones(x.shape, dtype=bool)
    for start, stop in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        inside &= (stop[0] - start[0]) * (y - start[1]) - (stop[1] - start[1]) * (x - start[0]) >= 0.0
    miss = label_moments(inside.astype(np.uint8), 1) - found.values
    assert np.abs(miss / np.sqrt(np.diag(found.noise(0.0, 1.0)))).max() < 4.0


@pytest.fixture(scope="module")
def hand():
    """A robot hand of many faces."""
    return robot_hand()


def test_simplified_surfaces(hand):
    """At most so many faces, on the same links, within a cell of the surface; small bodies stay as they are."""
    few, kept = clustered(hand, 1500)
    assert 700 < few.face_count <= 1500 and len(kept) == few.vertex_count
    np.testing.assert_array_equal(few.skin_links, hand.skin_links[kept])
    assert np.linalg.norm(few.vertices - hand.vertices[kept], axis=1).max() < 0.01
    box = make_box("box", (0.1, 0.1, 0.1))
    same, kept = clustered(box, 12)
    np.testing.assert_array_equal(same.faces, box.faces)
    np.testing.assert_array_equal(kept, np.arange(8))


def test_simplified_bodies_keep_their_size():
    """A ball of 20,480 faces cut to 1,000 keeps its volume within a hundredth."""
    ball = make_ellipsoid("ball", (0.03, 0.03, 0.03), 5)
    few = clustered(ball, 1000)[0]
    volumes = [trimesh.Trimesh(body.vertices, body.faces, process=False).volume for body in (ball, few)]
    assert few.face_count <= 1000
    np.testing.assert_allclose(volumes[1], volumes[0], rtol=0.01)


def test_a_simplified_hand_hides_as_much(device, hand):
    """Before the object, the hand of few faces and that of all hide the same area within a hundredth."""
    thing = BODIES["box"]()
    rows = {
        "thing": make_row((0.0, 0.0, 0.6), (0.5, -0.7, 0.4)),
        hand.name: np.concatenate([make_row((0.0, 0.03, 0.5), (1.2, 0.3, 0.2)), np.full(hand.coordinate_count, 0.2)]),
    }
    found = [make_sensor([thing, hand], device, other_faces=limit).measure(rows) for limit in (hand.face_count, 3000)]
    alone = make_sensor([thing], device).measure({"thing": rows["thing"]}).values[0]
    hidden = [alone - silhouette.values[0] for silhouette in found]
    assert hidden[0] > 0.1 * alone
    np.testing.assert_allclose(hidden[1], hidden[0], atol=0.01 * alone)


def test_animated_surfaces(device):
    """A surface given in the call is drawn instead of the body's own, merged or not."""
    thing, hand = BODIES["box"](), make_ellipsoid("hand", (0.03, 0.05, 0.02), 4)
    rows = {"thing": make_row((0.0, 0.0, 0.6)), "hand": make_row((0.03, 0.0, 0.45))}
    smaller = hand.vertices * 0.8
    for limit in (hand.face_count, 1500):
        sensor = make_sensor([thing, hand], device, other_faces=limit)
        given = sensor.measure(rows, {"hand": smaller}).values
        body = rigid_body("hand", smaller, hand.faces)
        np.testing.assert_allclose(given, make_sensor([thing, body], device).measure(rows).values, rtol=0.01, atol=1.0)
        assert abs(sensor.measure(rows, {"hand": hand.vertices}).values[0] - given[0]) > 0.02 * given[0]


def test_bodies_that_cannot_be_watched(hand):
    """A name that is not there and a body with joints are refused."""
    bodies = [SceneBody(BODIES["box"](), 1, False, make_poses((0, 0, 1)))]
    with pytest.raises(InputError, match="'thong'"):
        SilhouetteMoments(CAMERA, bodies, "thong")
    bodies.append(SceneBody(hand, 2, True, make_poses((0, 0, 1))))
    with pytest.raises(InputError, match="a rigid body"):
        SilhouetteMoments(CAMERA, bodies, hand.name)


def test_recorded_hand_and_bottle(shared_data):
    """Predictions at the true poses of a recording are the moments of its labels, within the noise of rounding."""
    scene = load_scene(shared_data / "allegro_mustard")
    sensor = SilhouetteMoments(scene.camera, scene.bodies, "mustard_bottle")
    motions = {body.name: body.truth or body.initial for body in scene.bodies}
    misses = []
    for frame in range(0, scene.frame_count, 6):
        rows = {
            name: np.concatenate([poses.position[frame], poses.rotation[frame], poses.joints[frame]])
            for name, poses in motions.items()
        }
        found = sensor.measure(rows)
        miss = label_moments(scene.labels[frame], 2) - found.values
        misses.append(miss / np.sqrt(np.diag(found.noise(0.3, 2.0))))
    assert np.sqrt(np.mean(np.square(misses), axis=0)).max() < 2.5
