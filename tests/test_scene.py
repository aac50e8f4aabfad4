"""Scenes made of arrays: what does not fit is refused with its name when the scene is made."""

from dataclasses import replace

import numpy as np
import pytest

from tests.small_scene import BOX_FACES, BOX_VERTICES
from warpprior.bodies import read_hand, rigid_body
from warpprior.scene import Camera, Poses, Scene, SceneBody, box_center
from warpprior.support.errors import InputError

FRAMES = 4


def still(**fields):
    """Four poses half a metre in front of the camera, some fields changed."""
    position, rotation = np.tile([0.0, 0.0, 0.5], (FRAMES, 1)), np.tile([0.0, 0.0, 0.0, 1.0], (FRAMES, 1))
    return replace(Poses(position, rotation, np.zeros((FRAMES, 0))), **fields)


@pytest.fixture
def scene():
    """Two boxes and their label images."""
    boxes = [rigid_body(name, BOX_VERTICES, BOX_FACES) for name in ("box", "lid")]
    bodies = SceneBody(boxes[0], 1, False, still(), truth=still()), SceneBody(boxes[1], 2, True, still())
    labels = np.zeros((FRAMES, 48, 64), dtype=np.uint8)
    return Scene("two", Camera(64, 48, 60.0, 60.0, 32.0, 24.0), 30.0, bodies, labels=labels)


def holed(values, frame=2):
    """The values with one frame that is not a number."""
    values = values.copy()
    values[frame] = np.nan
    return values


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label": 2}, "labels of the bodies"),
        ({"label": 0}, "body 'box': label: 0; a number from 1 to 254"),
        ({"label": 255}, "label: 255"),
        ({"symmetry": "X"}, "symmetry: 'X'; one of none, sphere, x, y, z"),
        ({"initial": still(position=np.zeros((FRAMES, 2)))}, r"initial position: shape \(4, 2\)"),
        ({"initial": still(rotation=np.tile(np.eye(3), (FRAMES, 1, 1)))}, r"initial rotation: shape \(4, 3, 3\)"),
        ({"initial": still(joints=np.zeros((FRAMES, 3)))}, "initial joints"),
        ({"initial": still(position=holed(still().position))}, "initial position, frame 2: not finite"),
        ({"initial": still(rotation=2.0 * still().rotation)}, "rotation, frame 0: a quaternion of length 2"),
        ({"initial": still(scale=0.0)}, "initial scale: 0.0"),
        ({"truth": still().frames(slice(0, 3))}, r"truth position: shape \(3, 3\); shape \(4, 3\)"),
        ({"truth": still(rotation=0.0 * still().rotation)}, "truth rotation, frame 0: a quaternion of length 0"),
    ],
)
def test_bodies_that_do_not_fit_are_refused(scene, changes, words):
    """The message names the body, the field and the frame."""
    with pytest.raises(InputError, match=words):
        replace(scene, bodies=(replace(scene.bodies[0], **changes), scene.bodies[1]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda labels: labels[:3], r"uint8 of shape \(3, 48, 64\); .* = \(4, 48, 64\)"),
        (lambda labels: labels[:, :40], "labels: uint8 of shape"),
        (lambda labels: labels.astype(np.float32), "labels: float32"),
        (lambda labels: labels > 0, "labels: bool"),
    ],
)
def test_label_images_that_do_not_fit_are_refused(scene, change, words):
    """Neither another number of frames, nor another size, nor another type."""
    with pytest.raises(InputError, match=words):
        replace(scene, labels=change(scene.labels))


def test_bodies_and_frame_rate_are_needed(scene):
    """A scene without bodies, with one body twice, or at no rate is none."""
    with pytest.raises(InputError, match="no bodies"):
        replace(scene, bodies=())
    with pytest.raises(InputError, match="names of the bodies"):
        replace(scene, bodies=(scene.bodies[0], replace(scene.bodies[0], label=7)))
    for fps in (0.0, -30.0, np.nan, np.inf):
        with pytest.raises(InputError, match="fps"):
            replace(scene, fps=fps)


def test_truth_may_have_gaps(scene):
    """Frames without truth are NaN, and stay so through cutting."""
    truth = still(position=holed(still().position), rotation=holed(still().rotation))
    gapped = replace(scene, bodies=(replace(scene.bodies[0], truth=truth), scene.bodies[1]))
    assert np.isnan(gapped.first_frames(3).bodies[0].truth.position[2]).all()


def test_scenes_and_motions_are_compared_by_identity(scene):
    """Arrays have no one answer to ==, so that comparing never fails; bodies can be looked up and be keys."""
    copy = replace(scene, bodies=tuple(replace(body) for body in scene.bodies))
    assert scene == scene and scene != copy
    assert scene.bodies.index(scene.bodies[1]) == 1
    assert len({scene.bodies[0].initial, copy.bodies[0].initial, still()}) == 2


@pytest.mark.parametrize(("name", "value"), [("fx", 0.0), ("fy", float("nan")), ("fx", -60.0), ("cx", float("inf"))])
def test_a_camera_that_cannot_be_is_refused(scene, name, value):
    """Focal lengths are finite and positive, the principal point is finite."""
    with pytest.raises(InputError, match=f"scene 'two': camera {name}: {value}; a finite number"):
        replace(scene, camera=replace(scene.camera, **{name: value}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"centers": {"lid": np.zeros((3, 3))}}, r"centers of 'lid': shape \(3, 3\); shape \(4, 3\)"),
        ({"centers": {"cup": np.zeros((4, 3))}}, r"centers: of 'cup'; one of \['box', 'lid'\]"),
        ({"boxes": {"box": np.zeros((4, 3))}}, r"boxes of 'box': shape \(4, 3\); shape \(4, 4\)"),
        ({"keypoints3d": {"box": np.zeros((4, 21, 4))}}, r"keypoints3d of 'box': .* shape \(4, 0, 4\)"),
        ({"timestamps": np.arange(3.0)}, r"timestamps: shape \(3,\); shape \(4,\)"),
        ({"timestamps": np.array([0.0, 0.1, np.nan, 0.3])}, "timestamps, frame 2: not finite"),
        ({"timestamps": np.array([0.0, 0.2, 0.2, 0.3])}, "timestamps, frame 2: 0.2 s after 0.2 s; .* increase"),
    ],
)
def test_observations_that_do_not_fit_are_refused(scene, changes, words):
    """The field, the body, the frame and the shape that fits are named."""
    with pytest.raises(InputError, match=words):
        replace(scene, **changes)


def test_observations_are_cut_with_the_frames(scene):
    """The first frames keep their own detections and times, and gaps among them."""
    hand = read_hand()
    poses = still(joints=np.zeros((FRAMES, hand.coordinate_count)))
    random = np.random.default_rng(0)
    stored = {
        "keypoints2d": {"hand": random.random((FRAMES, 21, 3))},
        "boxes": {"box": random.random((FRAMES, 4))},
        "keypoints3d": {"hand": random.random((FRAMES, 21, 4))},
        "centers": {"box": holed(random.random((FRAMES, 3)))},
    }
    bodies = (*scene.bodies, SceneBody(hand, 3, False, poses))
    short = replace(scene, bodies=bodies, timestamps=np.array([1.0, 1.5, 1.6, 2.0]), **stored).first_frames(3)
    for key, found in stored.items():
        for name, values in found.items():
            np.testing.assert_array_equal(getattr(short, key)[name], values[:3])
    np.testing.assert_array_equal(short.times, [1.0, 1.5, 1.6])


def test_times_follow_the_frame_rate_without_timestamps(scene):
    """One frame every 1 / fps, from zero on."""
    np.testing.assert_allclose(replace(scene, fps=20.0).times, [0.0, 0.05, 0.1, 0.15])


def test_the_centre_of_a_body_is_that_of_its_bounding_box():
    """Not the mean of its vertices; it grows with the body, from the origin."""
    corners = np.array([[2.0, 0, -1], [3, 0, -1], [3, 0.1, -1], [3, 0, -0.6]])
    body = rigid_body("wedge", corners, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]))
    np.testing.assert_allclose(box_center(body), [2.5, 0.05, -0.8], atol=1e-6)
    np.testing.assert_allclose(box_center(body, 2.0), [5.0, 0.1, -1.6], atol=1e-6)
