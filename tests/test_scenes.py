"""Simulated scenes: the robot hand, the objects, the grasp and what carries the object, the noise, determinism."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import rigid_body
from warpprior.bodies.posing import link_transforms, posed_vertices
from warpprior.geometry.signed_distance import DistanceField
from warpprior.scene import Camera, Poses
from warpprior.scenes import SCENES, simulate
from warpprior.scenes.noise import MASK_NOISE, MaskNoise, PoseNoise, disturb_labels, disturb_poses, sensor_picture
from warpprior.scenes.objects import bottle, box
from warpprior.scenes.observe import cast_labels
from warpprior.scenes.robot_hand import FINGERS, URDF_PATH, robot_hand, robot_hand_urdf
from warpprior.scenes.robot_lift import HAND_LABEL, OBJECT_LABEL, held_object
from warpprior.support.errors import InputError

FRAMES = 16
HELD = 6  # the grasp is closed from here on
SMALL = Camera(320, 240, 307.5, 307.5, 160.0, 120.0)


@pytest.fixture(scope="module")
def lift():
    """The bottle lifted in a few frames, exact masks, full-size pictures."""
    return simulate("robot_lift", seed=0, frame_count=FRAMES, mask_noise="M0")


def hand_distances(scene):
    """Exact distances (frame, point) of hand vertices and face centres to the object, and the points in its frame."""
    hand, thing = scene.bodies
    vertices = posed_vertices(hand.body, hand.truth)
    points = np.concatenate([vertices, vertices[:, hand.body.faces].mean(axis=2)], axis=1).astype(float)
    turns = Rotation.from_quat(thing.truth.rotation)
    local = np.stack([turns[f].inv().apply(points[f] - thing.truth.position[f]) for f in range(scene.frame_count)])
    distances = DistanceField(thing.body).signed_distance(local.reshape(-1, 3))
    return distances.reshape(points.shape[:2]), local


def test_urdf_file_is_what_the_generator_writes():
    """The shipped URDF and the code that describes the hand are the same."""
    assert URDF_PATH.read_text(encoding="utf-8") == robot_hand_urdf()


def test_robot_hand_proportions():
    """Sixteen joints in the order of the fingers, fingertips where the published link lengths put them."""
    hand = robot_hand()
    assert hand.coordinate_names == tuple(f"{finger}_{k}_joint" for finger in FINGERS for k in range(4))
    assert np.all(hand.lower < hand.upper)
    assert hand.closed
    reach = 0.0007 + 0.0164 + 0.0540 + 0.0384 + 0.0267 + 0.0120
    middle = np.isin(hand.skin_links[:, 0], [i for i, name in enumerate(hand.link_names) if name.startswith("middle")])
    assert hand.vertices[middle, 2].max() == pytest.approx(reach, abs=3e-4)
    joints = np.zeros((1, 16))
    joints[0, 5:8] = np.pi / 2
    bent = link_transforms(hand, Poses(np.zeros((1, 3)), np.array([[0, 0, 0, 1.0]]), joints))[0]
    tip = bent[hand.link_names.index("middle_3")]
    np.testing.assert_allclose(tip[:3], [0.0540, 0.0, 0.0171 - 0.0384], atol=1e-6)


def test_scene_is_what_was_asked_for(lift):
    """Bodies, labels, poses and pictures have the sizes and the values a scene promises."""
    hand, thing = lift.bodies
    assert (hand.name, thing.name) == ("hand", "bottle")
    assert hand.known and not thing.known
    assert lift.labels.shape == (FRAMES, 480, 640) and lift.labels.dtype == np.uint8
    assert set(np.unique(lift.labels)) == {0, HAND_LABEL, OBJECT_LABEL}
    picture = lift.read_rgb(3)
    assert picture.shape == (480, 640, 3) and picture.dtype == np.uint8
    for body in lift.bodies:
        for poses in (body.initial, body.truth):
            assert poses.position.shape == (FRAMES, 3)
            np.testing.assert_allclose(np.linalg.norm(poses.rotation, axis=1), 1.0, atol=1e-9)
    assert np.all(hand.truth.joints >= hand.body.lower - 1e-6)
    assert np.all(hand.truth.joints <= hand.body.upper + 1e-6)


def test_object_stays_in_the_picture(lift):
    """The object is seen in every frame, whole apart from what the hand hides, at arm's length."""
    shares = [(labels == OBJECT_LABEL).mean() for labels in lift.labels]
    assert min(shares) > 0.01
    border = np.concatenate([lift.labels[:, 0], lift.labels[:, -1]], axis=1)
    assert not (border == OBJECT_LABEL).any()
    assert not (lift.labels[:, :, [0, -1]] == OBJECT_LABEL).any()
    depth = lift.body("bottle").truth.position[:, 2]
    assert 0.35 < depth.min() and depth.max() < 0.95


def test_labels_are_those_of_the_truth(lift):
    """Without mask noise the label images are the true poses' own."""
    truth = {body.name: body.truth for body in lift.bodies}
    table_hides = lift.labels != cast_labels(lift, truth)
    assert table_hides.mean() < 2e-3


def test_grasp_touches_without_entering(lift):
    """Thumb and fingers touch while the object is held, nothing enters it by more than a millimetre at any time."""
    distances, _ = hand_distances(lift)
    assert distances[HELD:].min(axis=1).max() < 0.002
    assert distances.min() > -0.001
    hand = lift.body("hand").body
    names = np.array([link.partition("_")[0] for link in hand.link_names])[hand.skin_links[:, 0]]
    for finger in FINGERS:
        assert distances[HELD:, : hand.vertex_count][:, names == finger].min(axis=1).max() < 0.003


def test_object_rests_then_is_carried(lift):
    """Before the grasp the object stands still; then it rises and turns with the hand, and slips little."""
    thing, hand = lift.body("bottle").truth, lift.body("hand").truth
    np.testing.assert_allclose(thing.position[:4], np.tile(thing.position[0], (4, 1)), atol=1e-9)
    turned = (Rotation.from_quat(thing.rotation[0]).inv() * Rotation.from_quat(thing.rotation)).magnitude()
    assert np.degrees(turned.max()) > 20.0
    assert np.linalg.norm(thing.position - thing.position[0], axis=1).max() > 0.06
    in_hand = Rotation.from_quat(hand.rotation).inv() * Rotation.from_quat(thing.rotation)
    moved = np.degrees((in_hand[HELD].inv() * in_hand[HELD:]).magnitude())
    assert 0.5 < moved.max() < 12.0  # the fingers turn it a little
    distances, local = hand_distances(lift)
    for frame in range(HELD, FRAMES - 1):
        touching = distances[frame] < 5e-4
        slips = np.linalg.norm(local[frame + 1] - local[frame], axis=1)[touching]
        assert np.median(slips) < 0.0015


def test_initial_poses_are_rough(lift):
    """The first guess is off by about 15 degrees and 12 % of the depth; the known hand is exact."""
    hand, thing = lift.bodies
    assert hand.initial is hand.truth
    error = Rotation.from_quat(thing.initial.rotation).inv() * Rotation.from_quat(thing.truth.rotation)
    assert 10.0 < np.degrees(np.median(error.magnitude())) < 21.0
    ratio = np.linalg.norm(thing.initial.position, axis=1) / np.linalg.norm(thing.truth.position, axis=1)
    assert 1.08 < np.median(ratio) < 1.16


def test_same_seed_same_scene():
    """A seed fixes everything; another seed changes the motion; other masks leave motion and guess as they are."""
    options = {"frame_count": 3, "camera": SMALL, "images": True}
    first, again = (held_object(box(), upright=True, seed=3, **options) for _ in range(2))
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.read_rgb(1), again.read_rgb(1))
    masks = held_object(box(), upright=True, seed=3, mask_noise="M3", **(options | {"images": False}))
    other = held_object(box(), upright=True, seed=4, **(options | {"images": False}))
    for name in ("hand", "box"):
        np.testing.assert_array_equal(first.body(name).truth.position, again.body(name).truth.position)
        np.testing.assert_array_equal(first.body(name).initial.rotation, masks.body(name).initial.rotation)
    assert not np.array_equal(first.labels, masks.labels)
    assert not np.allclose(first.body("box").truth.position, other.body("box").truth.position)
    assert other.read_rgb is None


def test_held_object_of_any_shape():
    """A coarse tetrahedral wedge lying on its side, far from its own origin, is stood up and grasped."""
    corners = np.array([[0.3, 0, -0.2], [0.48, 0, -0.2], [0.32, 0.06, -0.2], [0.32, 0.01, -0.15]])
    wedge = rigid_body("wedge", corners, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]))
    scene = simulate("held_object", mesh=wedge, seed=1, frame_count=8, images=False)
    distances, _ = hand_distances(scene)
    assert distances[3:].min(axis=1).max() < 0.002
    assert distances.min() > -0.003
    assert (scene.labels == OBJECT_LABEL).any(axis=(1, 2)).all()


def test_real_meshes(shared_data):
    """A mesh with split vertices and texture is read, grasped and seen."""
    scene = simulate("held_object", mesh=shared_data / "ycb" / "035_power_drill.obj", frame_count=6, images=False)
    assert scene.bodies[1].name == "035_power_drill"
    distances, _ = hand_distances(scene)
    assert distances[3:].min(axis=1).max() < 0.002
    assert distances.min() > -0.004


def test_wrong_requests_are_explained():
    """Unknown scenes, objects, noise levels and objects too large for the hand are refused with what is accepted."""
    requests = [
        (("lift",), {}),
        (("robot_lift",), {"object": "teapot"}),
        (("robot_lift",), {"mesh": "a.obj"}),
        (("held_object",), {}),
        (("held_object",), {"object": "box"}),
        (("robot_lift",), {"mask_noise": "M9"}),
        (("robot_lift",), {"frame_count": 1}),
        (("held_object",), {"mesh": box(size=(0.6, 0.6, 0.6), spacing=0.2)}),
    ]
    for arguments, options in requests:
        with pytest.raises(InputError) as error:
            simulate(*arguments, **options)
        assert error.value.accepted
    assert tuple(SCENES)[:2] == ("robot_lift", "held_object")


def overlap(labels, exact):
    """IoU of what is labelled, mean over frames."""
    labels, exact = labels > 0, exact > 0
    return np.mean((labels & exact).sum(axis=(1, 2)) / np.maximum((labels | exact).sum(axis=(1, 2)), 1))


def test_mask_noise_levels(lift):
    """M0 is exact, M1 costs about 5 % of IoU, M2 about 12 %, and each is drawn anew from its generator."""
    exact, levels = lift.labels[::4], {}
    for name, noise in MASK_NOISE.items():
        levels[name] = np.mean(
            [overlap(disturb_labels(exact, noise, np.random.default_rng(s)), exact) for s in range(4)]
        )
    assert levels["M0"] == 1.0
    assert 0.92 < levels["M1"] < 0.975
    assert 0.85 < levels["M2"] < 0.915
    assert levels["M3"] <= levels["M2"]


def test_mask_noise_parts(lift):
    """Each kind of mask noise does what it says, in the amount it says."""
    rng = np.random.default_rng
    exact = np.repeat(lift.labels[[10]], 40, axis=0)
    area = (exact[0] > 0).sum()
    dropped = disturb_labels(exact, MaskNoise(dropout=0.25), rng(0))
    assert 3 <= (dropped == 0).all(axis=(1, 2)).sum() <= 18
    swapped = disturb_labels(exact, MaskNoise(swaps=0.5), rng(0))
    exchanged = [np.array_equal(frame == OBJECT_LABEL, exact[0] == HAND_LABEL) for frame in swapped]
    assert 8 <= sum(exchanged) <= 32
    holed = disturb_labels(exact[:3], MaskNoise(holes=0.05), rng(0))
    assert 0.02 < 1.0 - (holed > 0).sum() / (3 * area) < 0.06
    biased = [(disturb_labels(exact[:1], MaskNoise(bias=2.0), rng(s)) > 0).sum() for s in range(6)]
    assert min(biased) < area < max(biased)
    tips = np.tile([[[320.0, 240.0, 15.0]]], (40, 1, 1))
    full = np.ones_like(exact)
    cut = (disturb_labels(full, MaskNoise(cut=0.3), rng(0), fingertips=tips)[:, 240, 320] == 0).mean()
    assert 0.1 < cut < 0.5
    wandering = disturb_labels(exact[:2], MaskNoise(wander=1.5), rng(0))
    assert 0.005 < (wandering[0] != exact[0]).sum() / area < 0.2
    assert not np.array_equal(wandering[0], wandering[1])


def test_mask_noise_ends_at_the_border():
    """Bodies cut by the border of the picture stay in it, and an empty picture stays empty."""
    labels = np.zeros((2, 24, 32), dtype=np.uint8)
    labels[0, :10, :12] = 2
    noisy = disturb_labels(labels, MASK_NOISE["M2"], np.random.default_rng(0), fingertips=np.full((2, 4, 3), -50.0))
    assert noisy.shape == labels.shape
    assert not noisy[1].any()


def test_pose_noise_parts():
    """Constant rotation, depth bias, correlated jitter, flips and fallbacks have the sizes they are given."""
    count = 4000
    truth = Poses(np.tile([[0.1, -0.05, 0.6]], (count, 1)), np.tile([[0, 0, 0, 1.0]], (count, 1)), np.zeros((count, 0)))
    still = PoseNoise(rotation_jitter=0.0, lateral_jitter=0.0, depth_jitter=0.0)
    constant = disturb_poses(truth, still, np.random.default_rng(0))
    np.testing.assert_allclose(Rotation.from_quat(constant.rotation).magnitude(), np.radians(15.0), atol=1e-9)
    np.testing.assert_allclose(constant.position, 1.12 * truth.position)
    jitter = disturb_poses(truth, replace(PoseNoise(), rotation=0.0, depth_bias=0.0), np.random.default_rng(0))
    turns = Rotation.from_quat(jitter.rotation).as_rotvec()
    assert np.degrees(turns.std()) == pytest.approx(2.5, rel=0.15)
    lag = np.corrcoef(turns[1:, 0], turns[:-1, 0])[0, 1]
    assert lag == pytest.approx(0.8, abs=0.05)
    failures = disturb_poses(truth, replace(still, flips=0.1, fallbacks=0.08), np.random.default_rng(0))
    lost = (failures.position == [0.0, 0.0, 1.0]).all(axis=1)
    assert lost.mean() == pytest.approx(0.08, abs=0.02)
    flipped = Rotation.from_quat(failures.rotation[~lost]).magnitude() > 2.0
    assert flipped.mean() == pytest.approx(0.1, abs=0.02)


def test_sensor_noise():
    """Pictures keep their mean and get noise of the stated size; edges are blurred, not moved."""
    colors = np.full((60, 80, 3), 0.5, dtype=np.float32)
    colors[:, 40:] = 0.8
    picture = sensor_picture(colors, np.random.default_rng(0)).astype(float) / 255.0
    assert picture[:, :38].mean() == pytest.approx(0.5, abs=2e-3)
    assert picture[:, :38].std() == pytest.approx(0.01, abs=2e-3)
    assert picture[:, 39].mean() < 0.65 < picture[:, 40].mean()


def test_bottle_colours_tell_front_from_back():
    """The two halves of the bottle differ in colour: half a turn can be told from the picture."""
    body = bottle()
    front, back = body.colors[body.vertices[:, 1] > 0.02], body.colors[body.vertices[:, 1] < -0.02]
    assert np.abs(front.mean(axis=0) - back.mean(axis=0)).max() > 0.1
