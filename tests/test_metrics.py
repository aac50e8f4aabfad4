"""Metrics against independent computations: brute force, SciPy, trimesh, and motions whose errors are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from tests.small_scene import BOX_FACES, BOX_VERTICES, write_scene
from warpprior.bodies.body import rigid_body
from warpprior.io import load_scene
from warpprior.metrics import Evaluator, evaluate
from warpprior.metrics.contact import CONTACT_M, SurfacePoints, contact_metrics, contact_shares, signed_distances
from warpprior.metrics.masks import mask_iou
from warpprior.metrics.pose_errors import motion_errors
from warpprior.metrics.summary import diameter, summarise
from warpprior.scene import IGNORE_LABEL, Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError

FRAMES = 7


def place(vertices: np.ndarray, poses: Poses) -> np.ndarray:
    """Posed surface (frame, vertex, 3) by SciPy's rotations."""
    turned = [rotation.apply(vertices * poses.scale) for rotation in Rotation.from_quat(poses.rotation)]
    return np.array(turned).reshape(poses.frame_count, len(vertices), 3) + poses.position[:, None]


@pytest.fixture
def box():
    """The small scene's box as a body."""
    return rigid_body("box", BOX_VERTICES, BOX_FACES)


@pytest.fixture
def motions():
    """A random true motion and an estimate some centimetres and degrees off."""
    random = np.random.default_rng(3)
    position = random.normal([0, 0, 0.6], 0.1, (FRAMES, 3))
    rotation = Rotation.random(FRAMES, random)
    truth = Poses(position, rotation.as_quat(), np.zeros((FRAMES, 0)))
    off = rotation * Rotation.from_rotvec(random.normal(0, 0.3, (FRAMES, 3)))
    estimate = Poses(position + random.normal(0, 0.02, (FRAMES, 3)), off.as_quat(), np.zeros((FRAMES, 0)))
    return estimate, truth


def errors_of(box, motions, symmetry="none"):
    """Motion errors of the box with the test's own posing."""
    return motion_errors(box, symmetry, *motions, lambda poses: place(box.vertices, poses))


def test_add_and_add_s_equal_brute_force(box, motions):
    """Mean distances of corresponding and of nearest vertices, pair by pair."""
    errors = errors_of(box, motions)
    own, true = (place(box.vertices, poses) for poses in motions)
    pairs = np.linalg.norm(true[:, :, None] - own[:, None], axis=3)
    np.testing.assert_allclose(errors["add_mm"], 1e3 * np.einsum("fvv->fv", pairs).mean(1), atol=1e-9)
    np.testing.assert_allclose(errors["add_s_mm"], 1e3 * pairs.min(axis=2).mean(1), atol=1e-9)


def test_add_s_follows_the_scale(box, motions):
    """A wrong size shows in the nearest distance too."""
    estimate = replace(motions[0], scale=1.2)
    errors = errors_of(box, (estimate, motions[1]))
    pairs = np.linalg.norm(place(box.vertices, motions[1])[:, :, None] - place(box.vertices, estimate)[:, None], axis=3)
    np.testing.assert_allclose(errors["add_s_mm"], 1e3 * pairs.min(axis=2).mean(1), atol=1e-9)


def test_rotation_and_translation_errors_equal_scipy(box, motions):
    """Angles by SciPy, whatever the quaternions' signs; depth and lateral are parts of the translation."""
    estimate, truth = motions
    estimate = replace(estimate, rotation=estimate.rotation * np.array([1, -1, 1, -1, 1, -1, 1])[:, None])
    errors = errors_of(box, (estimate, truth))
    angle = (Rotation.from_quat(estimate.rotation).inv() * Rotation.from_quat(truth.rotation)).magnitude()
    np.testing.assert_allclose(errors["rotation_deg"], np.degrees(angle), atol=1e-9)
    offset = estimate.position - truth.position
    np.testing.assert_allclose(errors["translation_mm"], 1e3 * np.linalg.norm(offset, axis=1), atol=1e-9)
    ray = truth.position / np.linalg.norm(truth.position, axis=1, keepdims=True)
    np.testing.assert_allclose(errors["lateral_mm"], 1e3 * np.linalg.norm(np.cross(offset, ray), axis=1), atol=1e-6)
    np.testing.assert_allclose(errors["depth_mm"], 1e3 * np.sum(offset * ray, axis=1), atol=1e-9)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-5, np.pi / 2, np.pi - 1e-9, np.pi])
def test_rotation_error_is_exact_at_the_ends(box, angle):
    """No angle is lost near zero or near half a turn."""
    truth = Poses(np.array([[0, 0, 1.0]]), np.array([[0, 0, 0, 1.0]]), np.zeros((1, 0)))
    estimate = replace(truth, rotation=np.array([[np.sin(angle / 2), 0, 0, np.cos(angle / 2)]]))
    errors = errors_of(box, (estimate, truth))
    np.testing.assert_allclose(errors["rotation_deg"], np.degrees(angle), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_turning_about_the_symmetry_axis_costs_nothing(box, motions, axis):
    """Any turn about the axis of symmetry leaves rotation error and ADD at zero, a tilt of it does not."""
    _, truth = motions
    index = "xyz".index(axis)
    turn = Rotation.from_rotvec(np.eye(3)[index] * np.linspace(-3, 3, FRAMES)[:, None])
    spun = replace(truth, rotation=(Rotation.from_quat(truth.rotation) * turn).as_quat())
    errors = errors_of(box, (spun, truth), axis)
    np.testing.assert_allclose(errors["rotation_deg"], 0, atol=1e-5)
    np.testing.assert_allclose(errors["add_mm"], 0, atol=1e-9)
    tilt = Rotation.from_rotvec(0.2 * np.eye(3)[(index + 1) % 3])
    tilted = replace(truth, rotation=(Rotation.from_quat(truth.rotation) * tilt * turn).as_quat())
    np.testing.assert_allclose(errors_of(box, (tilted, truth), axis)["rotation_deg"], np.degrees(0.2), atol=1e-9)


def test_symmetric_add_is_the_least_over_turns(motions):
    """For a body that is symmetric about its axis no turn about it gives a noticeably smaller ADD."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    rings = [np.stack([r * np.cos(angles), np.full(24, y), r * np.sin(angles)], axis=1) for r, y in ((2, -9), (4, 7))]
    vertices = 0.01 * np.concatenate(rings)
    body = rigid_body("vase", vertices, np.array([[0, 1, 24]]))
    estimate, truth = motions
    errors = motion_errors(body, "y", estimate, truth, lambda poses: place(vertices, poses))
    least = np.full(FRAMES, np.inf)
    for turn in np.linspace(0, 2 * np.pi, 720):
        turned = Rotation.from_quat(estimate.rotation) * Rotation.from_rotvec([0, turn, 0])
        own = place(vertices, replace(estimate, rotation=turned.as_quat()))
        least = np.minimum(least, 1e3 * np.linalg.norm(own - place(vertices, truth), axis=2).mean(1))
    np.testing.assert_allclose(errors["add_mm"], least, rtol=0.02)


def test_a_spheres_rotation_is_not_scored(box, motions):
    """ADD of a sphere is the distance of the centres."""
    errors = errors_of(box, motions, "sphere")
    assert "rotation_deg" not in errors
    np.testing.assert_allclose(errors["add_mm"], errors["translation_mm"], atol=1e-9)


def test_frames_without_truth_are_not_scored(box, motions):
    """NaN in the truth is NaN in the errors of that frame, and only there."""
    estimate, truth = motions
    position = truth.position.copy()
    position[2] = np.nan
    errors = errors_of(box, (estimate, replace(truth, position=position)))
    for values in errors.values():
        assert np.isnan(values[2]) and np.isfinite(np.delete(values, 2)).all()


def test_mask_iou_counts_pixels():
    """Intersection over union of visible pixels; don't-care counts neither way; nothing labelled, nothing scored."""
    labels = np.zeros((3, 10, 10), dtype=np.uint8)
    drawn = np.zeros_like(labels)
    labels[0, 2:6, 2:6], drawn[0, 3:7, 2:6] = 2, 2
    labels[0, 6] = IGNORE_LABEL
    drawn[1, :3] = 2
    labels[2, 5, 5], drawn[2, 0, 0] = 2, 2
    np.testing.assert_array_equal(mask_iou(drawn, labels, 2), [12 / 16, np.nan, 0.0])


def test_signed_distances_equal_trimesh_where_they_matter(box):
    """Near points are exact, the least distance of every frame is exact, far points are left out."""
    from warpprior.geometry.signed_distance import Surface

    surface = Surface(box.vertices, box.faces, "box")
    random = np.random.default_rng(0)
    points = random.uniform(-0.08, 0.08, (6, 300, 3))
    points[4] += 0.5
    points[5] = random.uniform(0.2, 0.3, (300, 3)) * [1, -1, 1]
    lower, upper = box.vertices.min(0), box.vertices.max(0)
    distances = signed_distances(lambda _, p: surface.measure(p)[0], lower, upper, points)
    mesh = trimesh.Trimesh(BOX_VERTICES, BOX_FACES, process=False)
    exact = -trimesh.proximity.signed_distance(mesh, points.reshape(-1, 3)).reshape(6, 300)
    measured = np.isfinite(distances)
    np.testing.assert_allclose(distances[measured], exact[measured], atol=1e-6)
    np.testing.assert_allclose(distances.min(1), exact.min(1), atol=1e-6)
    assert np.all(exact[~measured] > CONTACT_M) and not measured[4:].all()


def test_the_nearest_point_is_found_beyond_the_margin():
    """A point beside the bounding box may be nearer than one at its corner, far from the surface."""
    from warpprior.geometry.signed_distance import Surface

    vertices = 0.1 * np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    octahedron = trimesh.convex.convex_hull(vertices)
    surface = Surface(octahedron.vertices, octahedron.faces, "octahedron")
    points = np.concatenate([[[0.1, 0.1, 0.1], [0.112, 0.0, 0.0]], np.full((100, 3), 0.5)])[None]
    distances = signed_distances(lambda _, p: surface.measure(p)[0], np.full(3, -0.1), np.full(3, 0.1), points)
    assert distances.min() == pytest.approx(0.012, abs=1e-6)


def test_slip_penetration_and_contact_of_a_known_slide():
    """A point that slides 3 mm a frame while touching slips 3 mm; one that leaves no longer counts."""
    points = np.zeros((4, 2, 3))
    points[:, 0, 0] = 0.003 * np.arange(4)
    points[:, 1, 0] = 0.001 * np.arange(4)
    distances = np.array([[0.001, np.inf], [-0.004, 0.0005], [-0.006, 0.001], [0.01, 0.02]])
    metrics = contact_metrics(distances, points)
    np.testing.assert_allclose(metrics["penetration_mm"], [0, 4, 6, 0], atol=1e-9)
    np.testing.assert_allclose(metrics["distance_mm"], [1, -4, -6, 10], atol=1e-9)
    np.testing.assert_allclose(metrics["slip_mm"], [np.nan, 3, 2, np.nan], atol=1e-9)
    assert contact_shares(metrics) == {"contact_ratio": 0.5, "overlap_ratio": 0.25, "apart_ratio": 0.25}
    nowhere = {name: np.full(4, np.nan) for name in metrics}
    assert contact_shares(nowhere) == {}


def test_a_lift_held_too_deep_is_not_taken_for_one_that_is_not_held():
    """Seven frames of ten that overlap by 6 mm, one in contact, two apart: three numbers that add up to 1."""
    distances = np.full((10, 1), -0.006)
    distances[7], distances[8:] = 0.001, 0.03
    shares = contact_shares(contact_metrics(distances, np.zeros((10, 1, 3))))
    assert shares == {"contact_ratio": 0.1, "overlap_ratio": 0.7, "apart_ratio": 0.2}


def test_surface_points_are_spread_by_area(box):
    """Every face gets its share of points, and every point lies on its face."""
    points = SurfacePoints(box, 3000).place(box.vertices[None])[0].astype(float)
    mesh = trimesh.Trimesh(BOX_VERTICES, BOX_FACES, process=False)
    _, distance, face = trimesh.proximity.closest_point(mesh, points)
    assert np.abs(distance).max() < 1e-7
    side = np.bincount(face // 2, minlength=6) / 3000
    area = mesh.area_faces.reshape(6, 2).sum(1) / mesh.area
    np.testing.assert_allclose(side, area, atol=0.01)
    gaps = np.linalg.norm(points[:, None] - points[None], axis=2) + np.eye(3000)
    assert gaps.min(1).max() < 4 * np.sqrt(mesh.area / 3000)


def test_diameter_is_the_farthest_pair(box):
    """A box's diagonal; a flat body's too."""
    assert diameter(box.vertices) == pytest.approx(np.linalg.norm([0.1, 0.08, 0.06]))
    assert diameter(np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0]])) == pytest.approx(np.sqrt(5))


def test_summaries_equal_numpy():
    """Quantiles and fractions over the frames that have a value."""
    values = np.array([4.0, np.nan, 1.0, 12.0, 7.0])
    figures = summarise("add_mm", values, 30.0)
    assert figures["frames"] == 4 and figures["median"] == 5.5 and figures["max"] == 12.0
    assert figures["p95"] == pytest.approx(np.percentile([4, 1, 12, 7], 95)) and figures["below"]["5"] == 0.5
    assert summarise("mask_iou", np.array([0.5, 0.98]), 30.0)["above"]["0.97"] == 0.5
    depth = summarise("depth_mm", np.array([-2.0, 4.0]), 30.0)
    assert (depth["bias"], depth["median"]) == (1.0, 3.0)
    assert summarise("slip_mm", np.full(3, np.nan), 30.0) == {"frames": 0}


def grip_scene() -> Scene:
    """A box and a small known cube that touches its side with a depth of 1 mm, slides 2 mm a frame, then leaves."""
    box = rigid_body("box", BOX_VERTICES, BOX_FACES)
    cube = rigid_body("cube", BOX_VERTICES * [0.2, 0.25, 1 / 3], BOX_FACES)
    identity = np.tile([0.0, 0, 0, 1], (5, 1))
    box_poses = Poses(np.tile([0.01, 0.02, 0.6], (5, 1)), identity, np.zeros((5, 0)))
    slide = np.stack([np.full(5, 0.059), 0.002 * np.arange(5), np.zeros(5)], axis=1)
    slide[4, 0] = 0.10
    cube_poses = Poses(box_poses.position + slide, identity, np.zeros((5, 0)))
    bodies = (
        SceneBody(cube, 1, True, cube_poses),
        SceneBody(box, 2, False, box_poses, truth=box_poses),
    )
    return Scene("grip", Camera(64, 48, 60.0, 60.0, 32.0, 24.0), 10.0, bodies)


def test_contact_of_two_boxes_is_what_was_built(device):
    """Depth, slip, distance and contact ratio of an arrangement known by construction."""
    scene = grip_scene()
    metrics = evaluate(scene, {body.name: body.initial for body in scene.bodies}, device=device)
    rows = metrics["per_frame"]["box"]
    np.testing.assert_allclose(rows["penetration_mm"], [1, 1, 1, 1, 0], atol=1e-3)
    np.testing.assert_allclose(rows["distance_mm"], [-1, -1, -1, -1, 40], atol=2e-3)
    assert rows["slip_mm"][0] is None and rows["slip_mm"][4] is None
    np.testing.assert_allclose(rows["slip_mm"][1:4], 2.0, atol=1e-3)
    for summary in (metrics["summary"]["box"], metrics["pairs"]["box+cube"]["summary"]):
        assert summary["contact_ratio"] == pytest.approx(0.8) and summary["apart_ratio"] == pytest.approx(0.2)
        assert summary["overlap_ratio"] == 0.0
    assert metrics["summary"]["box"]["add_mm"]["max"] == 0.0
    assert "mask_iou" not in rows and "add_mm" not in metrics["per_frame"]["cube"]


def test_a_tenth_of_the_diameter_is_that_of_the_body_at_its_size(device):
    """The same error is within a tenth of a box twice as large, and beyond that of the box itself."""
    size = diameter(BOX_VERTICES)
    for scale, expected in ((1.0, 0.0), (2.0, 1.0)):
        truth = Poses(np.tile([0.0, 0.0, 0.9], (3, 1)), np.tile([0.0, 0, 0, 1], (3, 1)), np.zeros((3, 0)), scale=scale)
        estimate = replace(truth, position=truth.position + 0.15 * size * np.eye(3)[0])
        body = SceneBody(rigid_body("box", BOX_VERTICES, BOX_FACES), 1, False, estimate, truth=truth)
        scene = Scene("one", Camera(64, 48, 60.0, 60.0, 32.0, 24.0), 10.0, (body,))
        summary = evaluate(scene, {"box": estimate}, device=device)["summary"]["box"]
        assert summary["add_below_tenth_diameter"] == expected


def test_contact_does_not_depend_on_the_world(device):
    """Turning and moving camera and all leaves contact and slip unchanged."""
    scene = grip_scene()
    poses = {body.name: body.initial for body in scene.bodies}
    turn, move = Rotation.from_rotvec([0.3, -0.8, 0.5]), np.array([0.2, -0.1, 0.4])
    moved = {
        name: replace(
            p,
            position=turn.apply(p.position) + move,
            rotation=(turn * Rotation.from_quat(p.rotation)).as_quat(),
        )
        for name, p in poses.items()
    }
    evaluator = Evaluator(scene, device=device)
    first, second = (evaluator(p)["per_frame"]["box"] for p in (poses, moved))
    for name in ("penetration_mm", "distance_mm"):
        np.testing.assert_allclose(first[name], second[name], atol=1e-3)
    np.testing.assert_allclose(first["slip_mm"][1:4], second["slip_mm"][1:4], atol=1e-3)


def test_accelerations_of_a_parabola(device):
    """Constant acceleration of 2 mm/frame^2 against a truth of 0.5: own, error and truth, also in m/s^2."""
    scene = grip_scene()
    arm, box = scene.bodies
    time = np.arange(5.0)[:, None]
    fast = replace(box.initial, position=box.initial.position[:1] + [[0.001, 0, 0]] * time**2)
    slow = replace(box.initial, position=box.initial.position[:1] + [[0.00025, 0, 0]] * time**2)
    scene = replace(scene, bodies=(arm, replace(box, truth=slow)))
    metrics = evaluate(scene, {"box": fast}, device=device)
    rows, summary = metrics["per_frame"]["box"], metrics["summary"]["box"]
    assert rows["acceleration_mm"][0] is None and rows["acceleration_mm"][4] is None
    np.testing.assert_allclose(rows["acceleration_mm"][1:4], 2.0, atol=1e-3)
    np.testing.assert_allclose(rows["acceleration_error_mm"][1:4], 1.5, atol=1e-3)
    assert summary["acceleration_error_mm"]["mean_m_s2"] == pytest.approx(1.5e-3 * 100, rel=1e-3)
    assert summary["truth_acceleration_mm"]["median"] == pytest.approx(0.5, abs=1e-3)
    spinning = replace(fast, rotation=Rotation.random(5, np.random.default_rng(2)).as_quat())
    scene = replace(scene, bodies=(arm, replace(box, truth=slow, symmetry="sphere")))
    summary = evaluate(scene, {"box": spinning}, device=device)["summary"]["box"]
    assert summary["acceleration_error_mm"]["max"] == pytest.approx(1.5, abs=1e-3)


def test_a_scene_from_disk_gives_plain_data(tmp_path, device):
    """Everything is JSON without NaN, and one number or None per frame; a shorter sequence works too."""
    folder = write_scene(tmp_path / "scene")
    for count in (1, 2, 3):
        scene = load_scene(folder, num_frames=count)
        metrics = evaluate(scene, {body.name: body.initial for body in scene.bodies}, device=device)
        json.dumps(metrics, allow_nan=False)
        assert all(len(v) == count for rows in metrics["per_frame"].values() for v in rows.values())
    assert metrics["summary"]["box"]["mask_iou"]["frames"] == 3
    assert metrics["summary"]["box"]["mask_iou"]["min"] > 0.5


def test_articulated_bodies_are_scored_with_their_joints(tmp_path, device):
    """An estimated robot: joint errors by kind, ADD over its posed surface."""
    scene = load_scene(write_scene(tmp_path / "scene"))
    arm = replace(scene.body("arm"), known=False)
    scene = replace(scene, bodies=(arm, scene.body("box")))
    off = replace(arm.initial, joints=arm.initial.joints + np.array([0.1, 0.01]))
    metrics = evaluate(scene, {"arm": off, "box": scene.body("box").initial}, device=device)
    rows = metrics["per_frame"]["arm"]
    np.testing.assert_allclose(rows["joint_deg"], np.degrees(0.1), atol=1e-9)
    np.testing.assert_allclose(rows["joint_mm"], 10.0, atol=1e-9)
    assert 1.0 < rows["add_mm"][0] < 20.0 and rows["add_s_mm"][0] <= rows["add_mm"][0]
    assert rows["translation_mm"] == [0.0, 0.0, 0.0]


def test_missing_or_short_poses_are_refused():
    """Poses that do not fit the scene are an input error, not an index error."""
    scene = grip_scene()
    with pytest.raises(InputError, match="poses of 'box'.*are missing"):
        evaluate(scene, {}, device="cpu")
    short = scene.body("box").initial.frames(slice(0, 3))
    with pytest.raises(InputError, match="have 3 frames.*the scene has 5"):
        evaluate(scene, {"box": short}, device="cpu")
