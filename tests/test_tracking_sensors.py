"""Rows of every sensor: residuals fall as their Jacobians say when the belief is moved; and what is not believed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.gradcheck import compare_gradients
from tests.reference.tracking import body_points
from tests.track_samples import CAMERA, HALF, make_block, make_gripper
from warpprior.bodies.readers.webxr import JOINT_NAMES, webxr_keypoints
from warpprior.observations import Observation
from warpprior.render.images import render_depth, render_labels
from warpprior.scene import Poses, Scene, SceneBody, box_center
from warpprior.support.errors import InputError
from warpprior.tracking.belief import Belief
from warpprior.tracking.checks import check_observation
from warpprior.tracking.hand_contacts import Contacts
from warpprior.tracking.hands import TrackedHand
from warpprior.tracking.prediction import Prediction
from warpprior.tracking.sensors import SensorContext, Sensors
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.update import Rows

SLOTS = 4


class Case:
    """Two hands and two objects as the belief has them, and rows of one sensor at a time."""

    def __init__(self, device, names, settings=None, own=()):
        self.settings = (settings or TrackSettings()).with_sigmas({})
        middle = np.array([0.01, -0.02, 0.005], dtype=np.float32)
        block = make_block("block", HALF)
        block = replace(block, vertices=block.vertices + middle)
        parts = [
            (make_gripper("hand"), (-0.05, 0.02, 0.6), (0.2, -0.3, 0.4), (0.1, 0.02), 1.0),
            (make_gripper("other"), (0.06, -0.03, 0.75), (-1.0, 0.5, 2.0), (-0.2, 0.01), 1.2),
            (block, (-0.02, 0.01, 0.55), (0.7, 0.2, -0.4), (), 1.0),
            (make_block("second", (0.015, 0.02, 0.012)), (0.07, 0.05, 0.5), (-0.3, 1.1, 0.2), (), 1.3),
        ]
        bodies = []
        for label, (body, position, turn, joints, scale) in enumerate(parts, start=1):
            rotation = Rotation.from_rotvec(turn).as_quat()
            pose = Poses(np.array([position]), rotation[None], np.array([joints]).reshape(1, -1), scale=scale)
            bodies.append(SceneBody(body, label, False, pose, pose))
        self.scene = Scene("rows", CAMERA, 30.0, tuple(bodies))
        self.truth = {body.name: body.initial for body in bodies}
        self.hands = [TrackedHand(body, self.settings, SLOTS, device) for body in bodies[:2]]
        self.objects = bodies[2:]
        middles = np.array([box_center(body.body, body.initial.scale) for body in self.objects])
        self.belief = Belief([carrier.width for carrier in self.hands], middles, SLOTS)
        for place, body in enumerate(bodies):
            self.belief.position[place] = body.initial.position[0]
            self.belief.rotation[place] = body.initial.rotation[0]
            if place < 2:
                self.belief.joints[place][:] = body.initial.joints[0]
            else:
                self.belief.position[place] += self.belief.arm(place - 2)
        self.belief.covariance[:] = 1e-6 * np.eye(self.belief.width)
        self.motion = Prediction(self.hands, 2, SLOTS, self.settings, device)
        self.motion.place_hands(self.belief)
        self.context = SensorContext(self.scene, self.hands, self.objects, self.settings, device)
        self.sensors = Sensors(names, own, self.context)

    def rows(self, observation, change=None, add=None):
        """Residuals, Jacobians, variances and blocks with the belief moved by ``change``; it is moved back."""
        kept, covariance = self.belief.means(), self.belief.covariance.copy()
        if change is not None:
            self.belief.move(change)
        self.motion.place_hands(self.belief)
        rows = Rows(self.belief.width)
        (add or self.sensors.add)(self.belief, *(() if add else (observation,)), rows)
        self.belief.assign(kept, covariance)
        count = rows.count
        return rows.residual[:count].copy(), rows.jacobian[:count].copy(), rows.variance[:count].copy(), rows.blocks

    def points(self, name):
        """Keypoints of a hand as the belief has them, from the twin (keypoint, 3)."""
        body, pose = self.scene.body(name).body, self.truth[name]
        keypoints = body.keypoints
        places = np.where(keypoints.vertices >= 0, keypoints.vertices, -1 - keypoints.links)
        return body_points(body, places, pose.position[0], pose.rotation[0], pose.joints[0], scale=pose.scale)

    def compare(self, observation, name, *, step=1e-3, worst=1e-2, cosine=0.999999, columns=None, add=None):
        """Numerical derivative of residuals by :meth:`Belief.move` against minus the Jacobian."""
        _, jacobian, _, blocks = self.rows(observation, add=add)
        columns = range(self.belief.width) if columns is None else columns
        numeric = np.zeros_like(jacobian)
        for column in columns:
            change = np.zeros(self.belief.width)
            change[column] = step
            ends = [self.rows(observation, sign * change, add)[0] for sign in (1.0, -1.0)]
            numeric[:, column] = (ends[0] - ends[1]) / (2.0 * step)
        picked = np.array(list(columns))
        compare_gradients(
            -jacobian[:, picked], numeric[:, picked], name=name, worst=worst, cosine=cosine, bias=0.1 * worst
        )
        return blocks


@pytest.fixture
def random():
    """The same draws in every run."""
    return np.random.default_rng(6)


def noisy_points(case, random, names=("hand", "other")):
    """Keypoints with noise and confidence (keypoint, 4)."""
    found = {}
    for name in names:
        points = case.points(name)
        found[name] = np.column_stack([points + 0.004 * random.normal(size=points.shape), np.ones(len(points))])
    return found


def test_keypoints_in_space(device, random):
    """All of both hands, by shift, turn and every joint; residuals are what was measured minus the twin's points."""
    case = Case(device, ["keypoints3d"])
    seen = noisy_points(case, random)
    residual, _, variance, blocks = case.rows(Observation(keypoints3d=seen))
    expected = np.concatenate([seen[name][:, :3] - case.points(name) for name in ("hand", "other")])
    np.testing.assert_allclose(residual.reshape(-1, 3), expected, atol=1e-6)
    assert (variance == case.settings.keypoint3d_m**2).all() and len(blocks) == 16
    case.compare(Observation(keypoints3d=seen), "sensor keypoints3d")


def test_fingertips_are_the_keypoints_on_the_skin(device, random):
    """Origins of links that are not named so say nothing."""
    case = Case(device, ["fingertips"])
    seen = noisy_points(case, random, ("hand",))
    blocks = case.compare(Observation(keypoints3d=seen), "sensor fingertips")
    assert [block.key for block in blocks] == [(0, keypoint) for keypoint in range(2, 8)]
    assert {block.sensor for block in blocks} == {"fingertips"}


def test_fingertips_may_be_joints():
    """Of WebXR hands every keypoint is one; tips are then told by their names."""
    tips = webxr_keypoints(JOINT_NAMES).tips
    assert np.flatnonzero(tips).tolist() == [4, 8, 12, 16, 20]
    gripper = make_gripper("hand")
    names = ("thumb_tip", *gripper.keypoints.names[1:])
    pose = Poses(np.array([[0.0, 0.0, 0.5]]), np.array([[0.0, 0.0, 0.0, 1.0]]), np.zeros((1, 2)))
    body = SceneBody(replace(gripper, keypoints=replace(gripper.keypoints, names=names)), 1, False, pose, pose)
    assert np.flatnonzero(TrackedHand(body, TrackSettings(), SLOTS, "cpu").tips).tolist() == [0, *range(2, 8)]


def test_keypoints_in_the_picture(device, random):
    """Projected, the less sure the less confident."""
    case = Case(device, ["keypoints2d"])
    points = case.points("hand")
    pixels = points[:, :2] / points[:, 2:] * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]
    confidence = np.append(np.linspace(0.2, 1.0, len(points) - 1), 1.0)
    shift = 3.0 * random.normal(size=pixels.shape)
    seen = {"hand": np.column_stack([pixels + shift, confidence])}
    seen["hand"][-1, 2] = 7.0  # nothing is surer than sure
    residual, _, variance, _ = case.rows(Observation(keypoints2d=seen))
    np.testing.assert_allclose(residual.reshape(-1, 2), shift, atol=1e-3)
    np.testing.assert_allclose(variance, np.repeat((case.settings.keypoint2d_px / confidence) ** 2, 2))
    case.compare(Observation(keypoints2d=seen), "sensor keypoints2d")


def test_joints(device):
    """Each on its own, of both hands."""
    case = Case(device, ["joints"])
    told = {"hand": np.array([0.15, 0.03]), "other": np.array([-0.1, 0.0])}
    residual, _, _, blocks = case.rows(Observation(joints=told))
    np.testing.assert_allclose(residual, [0.05, 0.01, 0.1, -0.01], atol=1e-7)
    assert len(blocks) == 4
    case.compare(Observation(joints=told), "sensor joints")


def test_centers(device, random):
    """Of both objects: the middle, not the origin, and not how they are turned."""
    case = Case(device, ["center"])
    middles = {}
    for body in case.objects:
        pose = body.initial
        arm = Rotation.from_quat(pose.rotation[0]).apply(box_center(body.body, pose.scale))
        middles[body.name] = pose.position[0] + arm
    seen = {name: middle + np.array([0.01, -0.02, 0.03]) for name, middle in middles.items()}
    residual, _, _, _ = case.rows(Observation(centers=seen))
    np.testing.assert_allclose(residual, [0.01, -0.02, 0.03] * 2, atol=1e-7)
    case.compare(Observation(centers=seen), "sensor center")


def extents(case, name):
    """Bounding box of an object's vertices in the picture (4,)."""
    body, pose = case.scene.body(name).body, case.truth[name]
    points = Rotation.from_quat(pose.rotation[0]).apply(pose.scale * body.vertices.astype(float)) + pose.position[0]
    pixels = points[:, :2] / points[:, 2:] * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


def test_boxes(device):
    """All four sides of both objects, scaled and off-centre; turns too."""
    case = Case(device, ["box"])
    seen = {body.name: extents(case, body.name) + np.array([2.0, -1.0, 1.5, 3.0]) for body in case.objects}
    residual, _, _, blocks = case.rows(Observation(boxes=seen))
    np.testing.assert_allclose(residual, [2.0, -1.0, 1.5, 3.0] * 2, atol=1e-3)
    assert len(blocks) == 8
    case.compare(Observation(boxes=seen), "sensor box", step=1e-4)


def test_sides_on_the_border_of_the_picture_say_nothing(device):
    """The others do."""
    case = Case(device, ["box"])
    box = extents(case, "block")
    for side, value in ((0, 0.5), (1, 1.0), (2, CAMERA.width - 0.5), (3, float(CAMERA.height))):
        cut = box.copy()
        cut[side] = value
        _, _, _, blocks = case.rows(Observation(boxes={"block": cut}))
        assert [block.key[1] for block in blocks] == [k for k in range(4) if k != side]


@pytest.mark.parametrize("names", [("area",), ("center2d",), ("moments",), ("area", "center2d")])
def test_moments_of_masks(device, names):
    """Area, centroid and second moments of what is seen of an object, by its pose and by hands in front of it."""
    case = Case(device, list(names))
    labels = render_labels(case.scene, case.truth)[0]
    observation = Observation(labels=labels)
    residual, _, _, blocks = case.rows(observation)
    assert [block.key[0] for block in blocks] == [0, 1]
    assert np.abs(residual).max() < 1.0  # in sigmas: the picture is what is expected
    roots = [*range(6), *range(8, 14), *range(16, 28)]
    # Whitening follows the pose, which the Jacobian leaves out.
    case.compare(observation, f"sensor {'+'.join(names)}", step=2e-3, worst=1.0, cosine=0.999, columns=roots)


@pytest.mark.parametrize("sensor", ["mask", "depth"])
def test_pictures_lead_back(device, sensor):
    """From a pose that is off, an update with the rows of a picture comes nearer to the true middle and rotation."""
    case = Case(device, [sensor], TrackSettings(alike_frames=1.0))
    labels = render_labels(case.scene, case.truth)[0]
    depth = render_depth(case.scene, case.truth)[0].astype(np.float32)
    belief, index = case.belief, 0
    error = np.array([0.003, -0.002, 0.006, 0.03, -0.04, 0.02])
    change = np.zeros(belief.width)
    change[belief.object(index)] = -error
    belief.move(change)
    belief.covariance[:] = np.diag(np.tile(1e-8, belief.width))
    columns = belief.object(index)
    belief.covariance[columns, columns] = np.diag(np.repeat([0.005**2, 0.04**2], 3))
    observation = Observation(labels=labels, depth=depth)
    residual, jacobian, _, blocks = case.rows(observation)
    own = jacobian[blocks[0].start : blocks[0].stop, columns]
    assert blocks[0].sensor == sensor and not np.delete(jacobian[: blocks[0].stop], np.r_[columns], axis=1).any()
    sure = np.linalg.inv(belief.covariance[columns, columns])
    found = np.linalg.solve(own.T @ own + sure, own.T @ residual[blocks[0].start : blocks[0].stop])
    rest = error - found
    assert np.linalg.norm(rest[:2]) < 0.5 * np.linalg.norm(error[:2])  # masks tell little of depth
    assert rest @ sure @ rest < 0.9 * (error @ sure @ error)


def test_contacts_stick(device):
    """A point of the hand minus its anchor, by both; each contact is a block of its own."""
    case = Case(device, [])
    contacts = Contacts(case.hands, case.objects, case.settings, device)
    belief = case.belief
    for slot, (hand, point, index) in enumerate([(0, 7, 0), (1, 3, 1), (0, 90, 1)]):
        belief.anchor_hand[slot], belief.anchor_point[slot], belief.anchor_object[slot] = hand, point, index
        case.hands[hand].follow(slot, point)
        belief.anchors[slot] = case.hands[hand].points[point] + 0.002 * (slot + 1)
    residual, _, variance, _ = case.rows(None, add=contacts.add_anchors)
    own = {block.key: residual[block.start : block.stop] for block in case.rows(None, add=contacts.add_anchors)[3]}
    for slot in range(3):
        np.testing.assert_allclose(own[slot,], -0.002 * (slot + 1), atol=1e-6)
    assert (variance == case.settings.sigma_contact_m**2).all()
    blocks = case.compare(None, "contacts", add=contacts.add_anchors)
    assert sorted(block.key for block in blocks) == [(0,), (1,), (2,)]


def test_what_is_unsure_or_missing_says_nothing(device, random):
    """Confidence of zero or NaN, NaN places, points behind the camera, bodies that are not told of."""
    case = Case(device, ["keypoints3d", "keypoints2d", "center", "joints", "box"])
    points = noisy_points(case, random, ("hand",))["hand"]
    points[0, 3], points[1, 3], points[2, 0], points[3, 2] = 0.0, np.nan, np.nan, np.inf
    pixels = np.column_stack([80.0 * np.ones(8), 80.0 + np.arange(8), np.ones(8)])
    pixels[0, 2], pixels[1, 0], pixels[2, 2] = 0.0, np.nan, np.nan
    observation = Observation(
        keypoints3d={"hand": points},
        keypoints2d={"other": pixels},
        centers={"block": np.array([np.nan, 0.0, 0.5])},
        joints={"hand": np.array([np.nan, 0.02])},
        boxes={"second": np.array([np.nan, 10.0, np.inf, 20.0])},
    )
    residual, jacobian, _, blocks = case.rows(observation)
    assert np.isfinite(residual).all() and np.isfinite(jacobian).all()
    told = {}
    for block in blocks:
        told.setdefault(block.sensor, []).append(block.key)
    assert told == {
        "keypoints3d": [(0, k) for k in range(4, 8)],
        "keypoints2d": [(1, k) for k in range(3, 8)],
        "joints": [(0, 1)],
        "box": [(1, 1), (1, 3)],
    }
    assert not case.rows(Observation())[3]


def test_what_is_behind_the_camera_is_not_seen(device):
    """Neither points nor boxes."""
    case = Case(device, ["keypoints2d", "box"])
    case.belief.position[:, 2] = -0.5
    pixels = np.column_stack([80.0 * np.ones((8, 2)), np.ones(8)])
    observation = Observation(keypoints2d={"hand": pixels}, boxes={"block": np.array([10.0, 10.0, 50.0, 50.0])})
    assert not case.rows(observation)[3]


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        ({"keypoints3d": {"hand": np.zeros((7, 4))}}, "3D keypoints of 'hand': shape (7, 4)"),
        ({"keypoints3d": {"hand": np.zeros((8, 2))}}, "(8, 3) or (8, 4)"),
        ({"keypoints2d": {"hand": np.zeros(24)}}, "2D keypoints of 'hand'"),
        ({"joints": {"other": np.zeros(3)}}, "joints of 'other': shape (3,); shape (2,)"),
        ({"centers": {"second": np.zeros((1, 3))}}, "centre of 'second'"),
        ({"boxes": {"block": np.zeros(5)}}, "box of 'block'"),
        ({"centers": {"blok": np.zeros(3)}}, "centre of 'blok': no such body; one of hand, other, block, second"),
        ({"labels": np.zeros((7, 9), np.uint8)}, "label image: shape (7, 9); shape (120, 160)"),
        ({"depth": np.zeros((7, 9), np.float32)}, "depth image: shape (7, 9); shape (120, 160)"),
    ],
    ids=["few points", "narrow", "flat", "joints", "center", "box", "name", "labels", "depth"],
)
def test_shapes_that_do_not_fit_are_refused(observation, words):
    """In one line that names the body, what was found, and what is accepted."""
    with pytest.raises(InputError) as caught:
        check_observation(Observation(**observation), Case("cpu", []).scene)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_keypoints_may_come_without_confidence(device, random):
    """Then all are believed."""
    case = Case(device, ["keypoints3d"])
    seen = noisy_points(case, random, ("hand",))["hand"]
    with_it, without = (case.rows(Observation(keypoints3d={"hand": values})) for values in (seen, seen[:, :3]))
    np.testing.assert_array_equal(with_it[0], without[0])
    np.testing.assert_array_equal(with_it[1], without[1])
