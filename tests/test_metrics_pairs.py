"""Contact of any two bodies: arrangements known by construction, all triangles, solid angles, bodies that bend."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation
from scipy.stats import qmc

from tests.reference import distance as reference
from warpprior.bodies import read_hand, rigid_body
from warpprior.geometry.signed_distance import Surface
from warpprior.metrics import Evaluator, evaluate
from warpprior.metrics.contact import CONTACT_M, distances_to, signed_distances
from warpprior.metrics.pairs import contact_scores, make_pair, pair_metrics, shared_boxes, shared_volume
from warpprior.metrics.surfaces import PosedBody, SurfacePoints
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.scenes import simulate

FRAMES = 4
CAMERA = Camera(64, 48, 60.0, 60.0, 32.0, 24.0)


@pytest.fixture(scope="module")
def hand_body():
    """Our right hand."""
    return read_hand()


def grip(body):
    """A hand whose fingers close from frame to frame, drifting and turning."""
    joints = np.zeros((FRAMES, body.coordinate_count))
    flexion = [i for i, name in enumerate(body.coordinate_names) if name.endswith(".x")]
    joints[:, flexion] = np.linspace(0.2, 0.9, FRAMES)[:, None]
    place = np.array([0.0, 0.0, 0.5]) + 0.01 * np.arange(FRAMES)[:, None] * [1.0, 0.5, -0.5]
    turn = Rotation.from_rotvec(np.outer(np.arange(FRAMES), [0.1, 0.05, -0.2]))
    return Poses(place, turn.as_quat(), joints, np.zeros(body.shape_count))


def can(frames=FRAMES):
    """A cylinder that moves along with the wrist, under the palm where the fingers close."""
    mesh = trimesh.creation.cylinder(0.028, 0.12, sections=48)
    turn = Rotation.from_rotvec([np.pi / 2, 0.0, 0.0]).as_matrix()
    return rigid_body("can", mesh.vertices @ turn.T + [0.1, 0.0, -0.038], mesh.faces)


def posed(body, poses, device="cpu", known=False):
    """The body in motion as the evaluator makes it."""
    item = SceneBody(body, 1, known, poses)

    def surface(of, scale):
        return Surface(of.body.vertices * np.float32(scale), of.body.faces, "surface", device)

    return PosedBody(item, poses, SurfacePoints(body), surface, device)


@pytest.fixture
def held(hand_body, device):
    """A pair: a rigid can, and a hand that bends around it."""
    motion = grip(hand_body)
    own = Poses(motion.position, motion.rotation, np.zeros((FRAMES, 0)))
    return make_pair(posed(hand_body, motion, device), posed(can(), own, device))


def test_the_rigid_body_comes_first_and_the_estimated_one_of_two(hand_body):
    """The order of a pair does not depend on that of the scene."""
    motion = grip(hand_body)
    own = Poses(motion.position, motion.rotation, np.zeros((FRAMES, 0)))
    hand, given = posed(hand_body, motion), posed(can(), own, known=True)
    sought = posed(replace(can(), name="sought"), own)
    assert make_pair(hand, given).key == make_pair(given, hand).key == "can+hand"
    assert make_pair(given, sought).key == make_pair(sought, given).key == "sought+can"


def test_distances_to_a_bending_hand_equal_all_triangles(held):
    """Points of the can against the posed hand of every frame, by solid angles and all triangles, where they matter."""
    hand = held.bodies[1]
    for frame in (0, FRAMES - 1):
        found = held.distances[0][frame]
        near = np.flatnonzero(np.isfinite(found))
        chosen = np.concatenate([near[np.argsort(found[near])[:60]], near[:: max(1, len(near) // 60)]])
        vertices = hand.vertices[frame].astype(np.float64)
        points = held.points[0][frame][chosen].astype(np.float64)
        expected = reference.signed_distances(points, vertices, hand.item.body.faces)
        np.testing.assert_allclose(found[chosen], expected, atol=2e-6)
        left_out = np.flatnonzero(~np.isfinite(found))[::40]
        expected = reference.signed_distances(held.points[0][frame][left_out], vertices, hand.item.body.faces)
        assert expected.min() > CONTACT_M


def test_distances_from_a_bending_hand_equal_all_triangles(held):
    """Points of the hand against the rigid can, in its own frame."""
    body = held.bodies[0].item.body
    finite = np.isfinite(held.distances[1])
    points, found = held.points[1][finite], held.distances[1][finite]
    chosen = np.concatenate([np.argsort(found)[:300], np.arange(0, len(found), 20)])
    expected = reference.signed_distances(points[chosen], body.vertices, body.faces)
    np.testing.assert_allclose(found[chosen], expected, atol=2e-6)


def test_leaders_change_no_distance_that_matters(held):
    """Leaving points out because a neighbour is far gives the same near points and the same least distance."""
    target, points = held.bodies[1], held.points[0]
    fast = distances_to(target, points, held.bodies[0].leaders)
    plain = signed_distances(target.measure, *target.box, points)
    near = plain < 0.005
    np.testing.assert_array_equal(fast[near], plain[near])
    np.testing.assert_array_equal(fast.min(axis=1), plain.min(axis=1))
    assert np.isfinite(fast).sum() < 0.7 * np.isfinite(plain).sum()


def test_penetration_looks_from_both_sides(held):
    """The depth of a pair is the larger of the two, and its distance the lesser."""
    rows = pair_metrics(held)
    depths = [1e3 * np.maximum(-distances.min(axis=1), 0.0) for distances in held.distances]
    np.testing.assert_allclose(rows["penetration_mm"], np.maximum(*depths), atol=1e-12)
    assert (depths[0] > 1.0).any()
    least = np.minimum(held.distances[0].min(1), held.distances[1].min(1))
    np.testing.assert_allclose(rows["distance_mm"], 1e3 * least, atol=1e-12)


def test_shared_volume_with_a_bending_hand_equals_winding_numbers(held):
    """Points spread evenly over a box around the overlap, each asked for both winding numbers."""
    frame = FRAMES - 1
    first, second = held.bodies
    volume, pitch = shared_volume(first, second, shared_boxes(held))
    assert pitch == 0.001
    own, hand = first.item.body, first.to_own_at(np.array([frame]), second.vertices[[frame]])[0]
    lower, upper = np.maximum(own.vertices.min(0), hand.min(0)), np.minimum(own.vertices.max(0), hand.max(0))
    points = lower + (upper - lower) * qmc.Sobol(3, seed=0).random(2048)
    points = points[reference.winding_numbers(points, own.vertices, own.faces) > 0.5]
    inside = np.count_nonzero(reference.winding_numbers(points, hand, second.item.body.faces) > 0.5)
    expected = 1e6 * np.prod(upper - lower) * inside / 2048
    assert expected > 5.0
    assert 1e6 * volume[frame] == pytest.approx(expected, rel=0.05)


def box_scene(offset, **extra):
    """Two boxes of 4 cm, the second ``offset`` [m] along x from the first; identity poses before the camera."""
    mesh = trimesh.creation.box(extents=(0.04, 0.04, 0.04))
    first, second = (rigid_body(name, mesh.vertices, mesh.faces) for name in ("first", "second"))
    identity = np.tile([0.0, 0.0, 0.0, 1.0], (len(offset), 1))
    still = Poses(np.tile([0.0, 0.0, 0.5], (len(offset), 1)), identity, np.zeros((len(offset), 0)))
    moved = replace(still, position=still.position + np.outer(offset, [1.0, 0.0, 0.0]))
    bodies = (SceneBody(first, 1, False, still, still), SceneBody(second, 2, False, moved, **extra))
    return Scene("boxes", CAMERA, 30.0, bodies)


def test_two_boxes_share_what_they_must(device):
    """Overlaps of 5, 2 and 0 mm of two boxes of 4 cm: depth, distance and volume by formula."""
    scene = box_scene([0.035, 0.038, 0.05])
    pair = evaluate(scene, {body.name: body.initial for body in scene.bodies}, device=device)["pairs"]["first+second"]
    rows = pair["per_frame"]
    np.testing.assert_allclose(rows["penetration_mm"], [5, 2, 0], atol=1e-3)
    np.testing.assert_allclose(rows["distance_mm"], [-5, -2, 10], atol=1e-2)
    np.testing.assert_allclose(rows["shared_volume_cm3"], [8.0, 3.2, 0.0], atol=1e-9)
    assert pair["summary"]["volume_pitch_mm"] == 1.0
    assert "truth" not in pair["summary"] and "contact_f1" not in rows


def test_volume_needs_closed_surfaces(device):
    """With an open box there is no volume, but depth and distance."""
    scene = box_scene([0.035, 0.038, 0.05])
    first, second = scene.bodies
    opened = replace(second.body, faces=second.body.faces[2:], closed=False)
    scene = replace(scene, bodies=(first, replace(second, body=opened)))
    pair = evaluate(scene, {body.name: body.initial for body in scene.bodies}, device=device)["pairs"]["first+second"]
    assert "shared_volume_cm3" not in pair["per_frame"] and "volume_pitch_mm" not in pair["summary"]
    assert max(pair["per_frame"]["penetration_mm"]) > 4.9


def test_what_the_truth_itself_does_is_told(device):
    """Contact of the true motion beside that of the estimate; frames without truth do not count."""
    touching = box_scene([0.038, 0.038, 0.038, 0.05]).bodies[1].initial
    position = touching.position.copy()
    position[3] = np.nan
    scene = box_scene([0.05, 0.05, 0.038, 0.05], truth=replace(touching, position=position))
    found = evaluate(scene, {body.name: body.initial for body in scene.bodies}, device=device)
    truth = found["summary"]["second"]["truth"]
    assert truth["penetration_mm"]["frames"] == 3 and truth["penetration_mm"]["median"] == pytest.approx(2.0, abs=1e-3)
    assert truth["contact_ratio"] == 1.0 and truth["slip_mm"]["max"] == pytest.approx(0.0, abs=1e-6)
    pair = found["pairs"]["first+second"]
    assert pair["summary"]["truth"]["shared_volume_cm3"]["median"] == pytest.approx(3.2, abs=1e-9)
    assert pair["per_frame"]["contact_f1"] == [0.0, 0.0, 1.0, None]
    assert pair["summary"]["contact_f1_pooled"] == pytest.approx(0.5)


def test_contact_scores_count_points():
    """F1 by hand: 1 of 2 found and 1 wrong; nothing to find; all found."""
    found = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=bool)
    truth = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=bool)
    per_frame, pooled = contact_scores(found, truth)
    np.testing.assert_array_equal(per_frame, [0.5, np.nan, 1.0])
    assert pooled == pytest.approx(2 * 2 / 6)
    assert np.isnan(contact_scores(found[1:2], truth[1:2])[1])


def hand_scene(hand_body, off=0.0):
    """Hand and can, both estimated, with truth; the start is ``off`` [m] along y."""
    motion = grip(hand_body)
    own = Poses(motion.position, motion.rotation, np.zeros((FRAMES, 0)))
    away = replace(own, position=own.position + np.array([0.0, off, 0.0]))
    bodies = (SceneBody(hand_body, 1, False, motion, motion), SceneBody(can(), 2, False, away, own))
    return Scene("held", CAMERA, 30.0, bodies)


def test_a_bending_body_has_contact_of_its_own(hand_body, device):
    """Depth of the can's points in the hand, no slip in a frame that bends, and zones found again."""
    scene = hand_scene(hand_body)
    found = evaluate(scene, {body.name: body.initial for body in scene.bodies}, device=device)
    rows, pair = found["per_frame"]["hand"], found["pairs"]["can+hand"]
    assert max(rows["penetration_mm"]) > 1.0 and "slip_mm" not in rows
    assert "slip_mm" in found["per_frame"]["can"] and "slip_mm" in pair["per_frame"]
    assert pair["summary"]["contact_f1_pooled"] == pair["summary"]["zone_f1_pooled"] == 1.0


def test_zones_forgive_what_points_do_not(hand_body, device):
    """A can that is 3 mm aside is touched by other points, but by the same parts of the hand."""
    scene = hand_scene(hand_body, 0.003)
    found = evaluate(scene, {body.name: body.initial for body in scene.bodies}, device=device)
    summary = found["pairs"]["can+hand"]["summary"]
    assert 0.5 < summary["contact_f1_pooled"] < 0.999 and summary["zone_f1_pooled"] > summary["contact_f1_pooled"]


def test_an_evaluator_gives_the_same_twice(hand_body, device):
    """What it remembers of the truth changes nothing."""
    scene = hand_scene(hand_body, 0.003)
    poses = {body.name: body.initial for body in scene.bodies}
    evaluator = Evaluator(scene, device=device)
    assert evaluator(poses) == evaluator(poses) == evaluate(scene, poses, device=device)


def test_a_surface_that_is_inside_out_is_turned(hand_body, device):
    """A hand whose triangles face inwards has the same inside."""
    motion = grip(hand_body)
    turned = replace(hand_body, faces=np.ascontiguousarray(hand_body.faces[:, ::-1]))
    points = posed(hand_body, motion, device).points[0, ::50] * 0.999
    frames = np.zeros(len(points), dtype=int)
    expected = posed(hand_body, motion, device).measure(frames, points)
    np.testing.assert_allclose(posed(turned, motion, device).measure(frames, points), expected, atol=1e-9)
    assert (expected < 0.0).any() and (expected > 0.0).any()


def test_long_motions_are_measured_in_parts(monkeypatch):
    """Every number is the same, slip and shared volumes among them."""
    scene = simulate("grasp_lift", object="mug", frame_count=8, seed=1, images=False)
    poses = {body.name: body.truth for body in scene.bodies}
    whole = evaluate(scene, poses, device="cpu")
    assert max(each or 0.0 for each in whole["pairs"]["mug+hand"]["per_frame"]["shared_volume_cm3"]) > 0.0
    monkeypatch.setattr("warpprior.metrics.surfaces.AT_ONCE", 3)
    assert evaluate(scene, poses, device="cpu") == whole
