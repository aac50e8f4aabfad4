"""Simulated scenes of human hands: grasps, what carries the object, trembling, two hands, determinism."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import rigid_body
from warpprior.bodies.posing import posed_vertices
from warpprior.bodies.readers.hand import read_hand
from warpprior.geometry.signed_distance import DistanceField
from warpprior.scene import IGNORE_LABEL, Camera, Poses
from warpprior.scenes import SCENES, simulate
from warpprior.scenes.fingers import close_fingers
from warpprior.scenes.hand_grasp import Surroundings, find_hand_grasp
from warpprior.scenes.hand_grasp_holds import find_holds
from warpprior.scenes.hand_grasp_poses import preshapes
from warpprior.scenes.hand_scenes import HAND_LABEL, OBJECT_LABEL, hand_scene, make_prop
from warpprior.scenes.hand_scenes_plan import tremor
from warpprior.scenes.objects import box, make_object
from warpprior.scenes.puppet import PALM, Puppet, human_digits
from warpprior.scenes.registry import HAND_SCENES, PERSON_SCENES, ROBOT_SCENES
from warpprior.support.errors import InputError

SMALL = Camera(160, 120, 153.75, 153.75, 80.0, 60.0)
FRAMES = 20
HELD = 5  # the hand carries from here on
QUICK = {"frame_count": FRAMES, "camera": SMALL, "images": False}


@pytest.fixture(scope="module")
def lift():
    """A mug lifted in a few frames, exact masks, with pictures."""
    return hand_scene("grasp_lift", object="mug", seed=1, mask_noise="M0", **(QUICK | {"images": True}))


@pytest.fixture(scope="module")
def puppet():
    """The right hand with points on its surface."""
    hand = read_hand()
    return Puppet(hand, human_digits(hand), every_face=True)


def hand_points(scene, hand, thing):
    """Hand vertices and face centres in the object's frame (frame, point, 3)."""
    vertices = posed_vertices(hand.body, hand.truth)
    points = np.concatenate([vertices, vertices[:, hand.body.faces].mean(axis=2)], axis=1).astype(float)
    turns = Rotation.from_quat(thing.truth.rotation)
    return np.stack([turns[f].inv().apply(points[f] - thing.truth.position[f]) for f in range(scene.frame_count)])


def hand_distances(scene, name="hand"):
    """Exact distances (frame, point) of a hand's vertices and face centres to the object, and the points."""
    thing = scene.bodies[1]
    local = hand_points(scene, scene.body(name), thing)
    distances = DistanceField(thing.body).signed_distance(local.reshape(-1, 3))
    return distances.reshape(local.shape[:2]), local


def in_hand(scene, name="hand"):
    """Pose of the object in the hand's frame: position (frame, 3) and rotation."""
    hand, thing = scene.body(name).truth, scene.bodies[1].truth
    turns = Rotation.from_quat(hand.rotation).inv()
    return turns.apply(thing.position - hand.position), turns * Rotation.from_quat(thing.rotation)


def slips(distances, local, frames):
    """Median way of touching points on the object from each frame to the next [m]."""
    return [
        np.median(np.linalg.norm(local[f + 1] - local[f], axis=1)[(distances[f] < 5e-4) & (distances[f + 1] < 5e-4)])
        for f in frames
    ]


def test_every_scene_is_explained():
    """Each scene says what happens."""
    assert set(SCENES) == set(ROBOT_SCENES) | set(HAND_SCENES) | set(PERSON_SCENES)
    assert all(len(text) > 20 for text in SCENES.values())


def test_scene_is_what_was_asked_for(lift):
    """Both bodies are unknown; labels, detections, first guesses and pictures have the sizes a scene promises."""
    hand, thing = lift.bodies
    assert (hand.name, thing.name) == ("hand", "mug")
    assert not hand.known and not thing.known
    assert set(np.unique(lift.labels)) == {0, HAND_LABEL, OBJECT_LABEL}
    assert lift.keypoints2d["hand"].shape == (FRAMES, 21, 3)
    assert set(lift.boxes) == {"hand", "mug"}
    assert lift.read_rgb(3).shape == (120, 160, 3)
    assert np.all(hand.truth.joints >= hand.body.lower - 1e-6)
    assert np.all(hand.truth.joints <= hand.body.upper + 1e-6)
    depth = thing.truth.position[:, 2]
    assert 0.3 < depth.min() and depth.max() < 1.0
    errors = np.linalg.norm(thing.initial.position - thing.truth.position, axis=1)
    assert 0.1 < np.median(errors) < 0.5
    assert 0.001 < np.median(np.linalg.norm(hand.initial.position - hand.truth.position, axis=1)) < 0.03


def test_hand_and_object_are_seen(lift):
    """The object is in the picture in every frame, the hand once it has come near, and neither hides the other."""
    assert min((labels == OBJECT_LABEL).mean() for labels in lift.labels) > 0.005
    assert min((labels == HAND_LABEL).mean() for labels in lift.labels[3:]) > 0.005
    border = np.concatenate([lift.labels[:, 0], lift.labels[:, -1]], axis=1)
    assert not (border == OBJECT_LABEL).any()


def test_grasp_touches_without_entering(lift, puppet):
    """Thumb and at least two fingers hold; nothing is deeper in the object than soft tissue gives way."""
    distances, _ = hand_distances(lift)
    assert distances[HELD:].min() > -0.0025
    assert distances[:HELD].min() > -0.004
    finger = puppet.finger[: puppet.body.vertex_count]
    nearest = distances[:, : puppet.body.vertex_count]
    touching = [(nearest[HELD:, finger == f].min(axis=1) < 0.002).all() for f in range(5)]
    assert touching[4] and sum(touching[:4]) >= 2


def test_object_rests_then_is_carried(lift):
    """The object stands still until it is held; then it rises with the hand, and contacts stay where they are."""
    thing = lift.body("mug").truth
    np.testing.assert_allclose(thing.position[:4], np.tile(thing.position[0], (4, 1)), atol=1e-9)
    assert np.linalg.norm(thing.position - thing.position[0], axis=1).max() > 0.06
    assert max(slips(*hand_distances(lift), range(HELD, FRAMES - 1))) < 0.0015
    position, rotation = in_hand(lift)
    assert np.linalg.norm(position[HELD + 1 :] - position[HELD], axis=1).max() < 0.01
    assert np.degrees((rotation[HELD].inv() * rotation[HELD:]).magnitude()).max() < 12.0


def test_fingers_turn_the_object():
    """The object turns in the hand by tens of degrees, and the fingertips keep hold of it all the time."""
    scene = hand_scene("in_hand_turn", object="can", seed=0, **QUICK)
    _, rotation = in_hand(scene)
    assert 17.0 < np.degrees((rotation[0].inv() * rotation).magnitude()).max() < 45.0
    distances, local = hand_distances(scene)
    assert distances.min() > -0.003
    assert distances.min(axis=1).max() < 0.0
    assert np.median(slips(distances, local, range(FRAMES - 1))) < 0.0015


def test_pouring_tilts_and_comes_back():
    """The object leans by 70 to 100 degrees, and stands upright again at the end."""
    scene = hand_scene("pour", object="bottle", seed=2, **QUICK)
    rotation = Rotation.from_quat(scene.body("bottle").truth.rotation)
    up = rotation.apply([0.0, 0.0, 1.0])
    lean = np.degrees(np.arccos(np.clip(up @ up[0], -1.0, 1.0)))
    assert 65.0 < lean.max() < 105.0
    assert lean[-1] < 10.0
    assert hand_distances(scene)[0][HELD:].min() > -0.003


def test_slipping_object_is_caught():
    """The object slips in the grasp by a centimetre or two, once, and is held before and after."""
    scene = hand_scene("slip", object="can", seed=1, **(QUICK | {"frame_count": 30}))
    position, rotation = in_hand(scene)
    distances, local = hand_distances(scene)
    middle = local[9].mean(axis=0)
    moved = position + rotation.apply(middle)  # of a material point of the can near the hand
    way = np.linalg.norm(moved - moved[9], axis=1)
    assert 0.005 < way[-1] < 0.03
    assert way[9:14].max() < 0.002
    assert np.ptp(way[25:]) < 0.002
    assert distances[9:].min() > -0.003
    assert distances[9:].min(axis=1).max() < 0.001


def test_one_hand_takes_over_from_the_other():
    """First the right hand holds, then both, then the left; the object never jumps, and the hands stay apart."""
    scene = hand_scene("handover", object="cracker_box", seed=0, **(QUICK | {"frame_count": 40}))
    assert [body.name for body in scene.bodies] == ["hand", "cracker_box", "other_hand"]
    assert [body.body.side for body in scene.bodies] == ["right", None, "left"]
    assert set(scene.keypoints2d) == {"hand", "other_hand"}
    first, second = (hand_distances(scene, name)[0].min(axis=1) for name in ("hand", "other_hand"))
    assert first[10:26].max() < 0.0 and second[26:].max() < 0.0
    assert first[-1] > 0.05 and second[0] > 0.05
    assert min(first.min(), second.min()) > -0.003
    steps = np.linalg.norm(np.diff(scene.bodies[1].truth.position, axis=0), axis=1)
    assert steps.max() < 0.04
    assert steps[25:28].max() < 0.004
    giver, taker = (scene.body(name) for name in ("hand", "other_hand"))
    surfaces = posed_vertices(giver.body, giver.truth), posed_vertices(taker.body, taker.truth)
    for frame in range(20, 32, 2):
        solid = DistanceField(rigid_body("giver", surfaces[0][frame], giver.body.faces))
        assert solid.signed_distance(surfaces[1][frame]).min() > 0.0


def test_same_seed_same_scene(lift):
    """A seed fixes everything; another noise leaves the rest as it was."""
    again = hand_scene("grasp_lift", object="mug", seed=1, mask_noise="M0", **(QUICK | {"images": True}))
    np.testing.assert_array_equal(lift.labels, again.labels)
    np.testing.assert_array_equal(lift.read_rgb(7), again.read_rgb(7))
    np.testing.assert_array_equal(lift.keypoints2d["hand"], again.keypoints2d["hand"])
    masks = hand_scene("grasp_lift", object="mug", seed=1, mask_noise="M2", hand_noise="exact", **QUICK)
    assert not np.array_equal(lift.labels, masks.labels)
    np.testing.assert_array_equal(lift.body("hand").truth.joints, masks.body("hand").truth.joints)
    np.testing.assert_array_equal(lift.body("mug").initial.position, masks.body("mug").initial.position)
    np.testing.assert_array_equal(masks.body("hand").initial.joints, masks.body("hand").truth.joints)


def test_hidden_frames_and_a_second_object_on_the_left():
    """Hidden frames are don't-care and nothing is detected in them; what stands beside is never touched nor moved."""
    options = QUICK | {"frame_count": 12, "second_object": "can", "side": "left", "occluded_frames": (5, 3)}
    scene = simulate("grasp_lift", object="can", seed=3, **{k: v for k, v in options.items() if k != "camera"})
    assert [body.name for body in scene.bodies] == ["hand", "can", "other_can"]
    assert scene.body("hand").body.side == "left"
    assert (scene.labels[5:8] == IGNORE_LABEL).all()
    assert not (scene.labels[[4, 8]] == IGNORE_LABEL).any()
    assert (scene.keypoints2d["hand"][5:8, :, 2] == 0.0).all() and (scene.keypoints2d["hand"][4, :, 2] > 0.0).any()
    assert np.isnan(scene.boxes["can"][5:8]).all() and np.isfinite(scene.boxes["can"][[0, 11]]).all()
    still = scene.body("other_can").truth
    assert np.ptp(still.position, axis=0).max() == 0.0
    assert (scene.labels[0] == 3).sum() > 300
    distances = DistanceField(scene.body("other_can").body).signed_distance(
        hand_points(scene, scene.body("hand"), scene.body("other_can")).reshape(-1, 3)
    )
    assert distances.min() > 0.01


def test_any_mesh_can_be_held():
    """A tetrahedral wedge far from its own origin is stood up, grasped and lifted."""
    corners = np.array([[0.3, 0, -0.2], [0.48, 0, -0.2], [0.32, 0.06, -0.2], [0.32, 0.01, -0.15]])
    wedge = rigid_body("wedge", corners, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]))
    scene = simulate("grasp_lift", mesh=wedge, seed=1, frame_count=12, images=False)
    distances, _ = hand_distances(scene)
    assert distances[5:].min(axis=1).max() < 0.001
    assert distances.min() > -0.004


def test_real_meshes(shared_data):
    """A recorded mesh of a drill is grasped."""
    scene = simulate("grasp_lift", mesh=shared_data / "ycb" / "035_power_drill.obj", frame_count=8, images=False)
    distances, _ = hand_distances(scene)
    assert distances[4:].min(axis=1).max() < 0.001
    assert distances[4:].min() > -0.004


def test_wrong_requests_are_explained():
    """What a scene cannot do is refused with what it can."""
    requests = [
        (("grasp_lift",), {"object": "piano"}),
        (("grasp_lift",), {"object": "mug", "mesh": box()}),
        (("grasp_lift",), {"side": "middle"}),
        (("grasp_lift",), {"frame_count": 1}),
        (("grasp_lift",), {"occluded_frames": (55, 10)}),
        (("grasp_lift",), {"hand_noise": "loud"}),
        (("grasp_lift",), {"second_object": "piano"}),
        (("grasp_lift",), {"mesh": box(size=(0.6, 0.6, 0.6), spacing=0.2)}),
        (("robot_lift",), {"side": "left"}),
        (("held_object",), {"mesh": box(), "second_object": "can"}),
    ]
    for arguments, options in requests:
        with pytest.raises(InputError) as error:
            simulate(*arguments, **options)
        assert error.value.accepted


def test_tremor_is_physiological():
    """Fast trembling of 8 to 12 Hz, a tenth of a millimetre or three, on a slow drift."""
    shift, turn = tremor(600, 60.0, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(shift * np.hanning(600)[:, None], axis=0)) ** 2
    hertz = np.fft.rfftfreq(600, 1.0 / 60.0)
    fast = hertz > 3.0
    inside = (hertz > 7.5) & (hertz < 12.5)
    assert power[inside].sum() > 0.95 * power[fast].sum()
    size = np.sqrt(2.0 * power[inside].sum(axis=0) / (0.375 * 600**2 / 1.0))
    assert 5e-5 < size.min() and size.max() < 6e-4
    assert shift.std() < 0.004 and turn.std() < 0.03


def test_points_follow_the_skin(puppet):
    """A puppet's vertices are the body's own at any pose; face centres are the mean of their corners."""
    hand = puppet.body
    random = np.random.default_rng(0)
    joints = random.uniform(hand.lower, hand.upper, size=(3, hand.coordinate_count)) * 0.5
    rotation = Rotation.random(3, random_state=1)
    position = random.normal(size=(3, 3))
    found = puppet.points(position, rotation, joints)
    wanted = posed_vertices(hand, Poses(position, rotation.as_quat(), joints))
    np.testing.assert_allclose(found[:, : hand.vertex_count], wanted, atol=2e-6)
    flat = puppet.points(np.zeros((1, 3)), Rotation.identity(1), np.zeros((1, hand.coordinate_count)))[0]
    centers = hand.vertices[hand.faces].mean(axis=1)
    np.testing.assert_allclose(flat[-hand.face_count :], centers, atol=1e-6)


def test_closing_hand_meets_thumb_and_fingers(puppet):
    """The opening between thumb and fingers shrinks from a fist's width to a pinch, and the left hand mirrors it."""
    shapes = preshapes(puppet)
    widths = [shape.aperture for shape in shapes]
    assert widths[0] > 0.10 and min(widths) < 0.025
    left = read_hand("left")
    twin_zeros = preshapes(Puppet(left, human_digits(left), every_face=True))
    for shape, other in zip(shapes, twin_zeros, strict=True):
        np.testing.assert_allclose(other.center, shape.center * [1, -1, 1], atol=1e-5)
        np.testing.assert_allclose(shape.axes.T @ shape.axes, np.eye(3), atol=1e-9)


def test_fingers_close_until_they_touch(puppet):
    """Every finger stops on the surface or at its limit; ``only_open`` moves out what is inside and closes nothing."""
    prop = make_prop("bottle")
    distance = DistanceField(prop.standing)
    grasp = find_hand_grasp(puppet, distance, prop.holds, np.random.default_rng(0), Surroundings(table=prop.table))
    base = (grasp.position[None], Rotation.concatenate([grasp.rotation]))
    every = np.arange(len(puppet.rest))
    squeezed = np.clip(grasp.closed + 0.08 * (puppet.digits.rates.sum() > 0), puppet.body.lower, puppet.body.upper)
    freed = close_fingers(puppet, distance, *base, squeezed[None], every, exact=True, steps=60, only_open=True)
    fingers = puppet.finger != PALM
    depth = lambda joints: distance.signed_distance(puppet.points(*base, joints)[0][fingers]).min()  # noqa: E731
    assert depth(squeezed[None]) < -0.0025
    assert depth(freed) > -0.0025
    assert (freed[0, puppet.digits.coordinates] <= squeezed[puppet.digits.coordinates] + 1e-9).all()


def test_holds_of_a_plain_box():
    """A box is held across its thin side, at its middle first, and never where it is too wide."""
    surface = DistanceField(box(size=(0.05, 0.16, 0.20), spacing=0.02)).surface.sample_near(
        4000, 1e-4, np.random.default_rng(0)
    )
    holds = find_holds(surface)
    assert holds and all(hold.width < 0.085 for hold in holds)
    best = holds[0]
    assert best.width == pytest.approx(0.05, abs=0.004)
    assert abs(best.axis[0]) < 0.1
    if best.palm is not None:
        assert abs(best.palm @ best.axis) < 1e-6
    assert find_holds(4.0 * surface) == ()


def test_holds_of_objects_are_inside_them():
    """The built-in objects' holds, moved to the middle of the object, lie within its bounding box."""
    for name in ("mug", "banana", "drill", "bowl"):
        prop = make_prop(name)
        lower, upper = prop.standing.vertices.min(axis=0), prop.standing.vertices.max(axis=0)
        np.testing.assert_allclose(lower, -upper, atol=1e-6)
        for hold in prop.holds:
            assert (hold.center > lower - 0.005).all() and (hold.center < upper + 0.005).all()
        assert replace(prop.holds[0], name="x").heights == prop.holds[0].heights
        assert prop.symmetry == make_object(name).symmetry
