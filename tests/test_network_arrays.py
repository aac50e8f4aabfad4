"""Pose files as networks and data sets write them: taken with a warning that says how, or refused in words."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import warpprior
from tests.small_scene import BOX_FACES, BOX_VERTICES, edit_poses, label_image, pose_arrays, write_image
from tests.small_scene import write_scene as write_small_scene
from warpprior.bodies import animated_body
from warpprior.bodies.body import rigid_body
from warpprior.io import load_poses, load_scene, load_truth
from warpprior.io.pose_readings import likely_readings, middle_depth
from warpprior.render.images import render_labels
from warpprior.scene import Poses
from warpprior.support.errors import InputError

FRAMES = 8


@pytest.fixture(scope="module")
def hand():
    """Our own hand: fifteen ball joints, ten shape parameters."""
    return warpprior.read_hand("right")


@pytest.fixture(scope="module")
def box():
    """A rigid body."""
    return rigid_body("box", BOX_VERTICES, BOX_FACES)


@pytest.fixture(scope="module")
def arrays(hand):
    """A hand's motion in the form that is documented."""
    random = np.random.default_rng(3)
    lower, upper = np.maximum(hand.lower, -1.0), np.minimum(hand.upper, 1.0)
    return {
        "position": random.normal([0.0, 0.0, 0.5], 0.05, (FRAMES, 3)),
        "rotation": Rotation.random(FRAMES, random).as_quat(),
        "joints": lower + random.uniform(0.2, 0.8, (FRAMES, 45)) * (upper - lower),
        "joint_names": np.array(hand.coordinate_names),
        "shape": random.normal(0.0, 0.5, 10),
    }


def read(tmp_path, body, arrays, **changes):
    """The motion and the warnings of a file with these arrays, some of them changed; None leaves one out."""
    stored = {f"{body.name}/{key}": value for key, value in (arrays | changes).items() if value is not None}
    np.savez(tmp_path / "poses.npz", **stored)
    notes: list[str] = []
    return load_poses(tmp_path / "poses.npz", [body], frame_count=FRAMES, notes=notes)[body.name], notes


def refused(tmp_path, body, arrays, **changes):
    """The one line such a file is refused with."""
    with pytest.raises(InputError) as caught:
        read(tmp_path, body, arrays, **changes)
    message = str(caught.value)
    assert len(message) < 300
    return message


def matrices(vectors):
    """Rotation vectors (frame, 3 * joint) as matrices (frame, joint, 3, 3)."""
    return Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(len(vectors), -1, 3, 3)


def with_root(arrays):
    """All sixteen rotations of a hand (frame, 16, 3, 3)."""
    root = Rotation.from_quat(arrays["rotation"]).as_matrix()
    return np.concatenate([root[:, None], matrices(arrays["joints"])], axis=1)


# What is changed, by which function of the documented arrays, and what the warning says.
TAKEN = {
    "joints as matrices": (lambda a: {"joints": matrices(a["joints"])}, "(8, 15, 3, 3)", "rotation matrices"),
    "joints of one hand": (lambda a: {"joints": a["joints"][:, None]}, "(8, 1, 45)", "taken as (8, 45)"),
    "joints in rows": (lambda a: {"joints": a["joints"].reshape(8, 15, 3)}, "(8, 15, 3)", "rotation vectors of 15"),
    "joints with the root": (lambda a: {"joints": with_root(a)}, "hand/joints begins with hand/rotation", "left out"),
    "rotation of one hand": (
        lambda a: {"rotation": Rotation.from_quat(a["rotation"]).as_matrix()[:, None]},
        "hand/rotation has shape (8, 1, 3, 3)",
        "taken as (8, 3, 3)",
    ),
    "quaternions of one hand": (lambda a: {"rotation": a["rotation"][:, None]}, "(8, 1, 4)", "taken as (8, 4)"),
    "position of a batch": (lambda a: {"position": a["position"][None]}, "(1, 8, 3)", "taken as (8, 3)"),
    "position as columns": (lambda a: {"position": a["position"][..., None]}, "(8, 3, 1)", "taken as (8, 3)"),
    "matrices of 16 bits": (
        lambda a: {"rotation": Rotation.from_quat(a["rotation"]).as_matrix().astype(np.float16)},
        "hand/rotation was made orthonormal",
        "",
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_can_mean_one_thing_is_taken(tmp_path, hand, arrays, name):
    """The motion is that of the documented form, and a warning says how it was read."""
    change, *words = TAKEN[name]
    plain, notes = read(tmp_path, hand, arrays)
    assert notes == []
    motion, notes = read(tmp_path, hand, arrays, **change(arrays))
    for field in ("position", "joints", "shape"):
        np.testing.assert_allclose(getattr(motion, field), getattr(plain, field), atol=1e-12)
    turn = Rotation.from_quat(motion.rotation).inv() * Rotation.from_quat(plain.rotation)
    assert turn.magnitude().max() < (1e-2 if "16 bits" in name else 1e-12)
    assert all(word in " ".join(notes) for word in words), notes


def test_shape_of_every_frame_is_its_median(tmp_path, hand, arrays):
    """The warning says how far the frames are apart; frames without a hand do not count."""
    random = np.random.default_rng(4)
    shape = arrays["shape"] + random.normal(0.0, 0.1, (FRAMES, 10))
    shape[3] = np.nan
    motion, notes = read(tmp_path, hand, arrays, shape=shape)
    np.testing.assert_allclose(motion.shape, np.nanmedian(shape, axis=0))
    spread = np.nanstd(shape, axis=0).max()
    assert notes == [
        f"poses.npz: hand/shape has one value per frame, spread by up to {spread:.2g} (sigma); the median was taken"
    ]
    motion, notes = read(tmp_path, hand, arrays, shape=arrays["shape"][None], scale=np.full(FRAMES, 1.1))
    np.testing.assert_array_equal(motion.shape, arrays["shape"])
    assert motion.scale == 1.1 and "hand/scale has one value per frame" in notes[0]


# What is changed, and words the refusal must hold.
REFUSED = {
    "joints of another model": (lambda a: {"joints": np.zeros((8, 23, 3, 3))}, ["(8, 23, 3, 3)", "(frame, 45)"]),
    "another root": (
        lambda a: {"joints": np.roll(with_root(a), 1, axis=0)},
        ["one rotation too many", "not that of the body", "rotation vectors of 15 joints"],
    ),
    "joints of other frames": (lambda a: {"joints": np.zeros((7, 15, 3, 3))}, ["has 7 frames", "sequence has 8"]),
    "joints turned inside out": (lambda a: {"joints": -matrices(a["joints"])}, ["hand/joints", "left-handed"]),
    "shape of another model": (lambda a: {"shape": np.zeros((8, 16))}, ["has 16 values", "needs 10"]),
    "shape of other frames": (lambda a: {"shape": np.zeros((5, 10))}, ["has 5 frames", "sequence has 8"]),
    "two hands": (lambda a: {"position": np.zeros((8, 2, 3))}, ["(8, 2, 3)", "(frame, 3): x, y, z [m]"]),
    "fifteen angles": (lambda a: {"joints": np.zeros((8, 15)), "joint_names": None}, ["has 15 coordinates", "45"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_refused_in_words(tmp_path, hand, arrays, name):
    """Axes are named, never counted by letters."""
    change, words = REFUSED[name]
    message = refused(tmp_path, hand, arrays, **change(arrays))
    assert all(word in message for word in words) and "(n," not in message, message


@pytest.mark.parametrize("form", ["matrices", "quaternions"])
def test_zeros_mark_a_missing_pose(tmp_path, box, arrays, form):
    """Data sets write zeros where nothing was annotated: interpolated as NaN is, and not scored in truth."""
    rotation = arrays["rotation"] if form == "quaternions" else Rotation.from_quat(arrays["rotation"]).as_matrix()
    zeroed = {"position": arrays["position"].copy(), "rotation": rotation.copy()}
    unknown = {"position": arrays["position"].copy(), "rotation": rotation.copy()}
    for field in ("position", "rotation"):
        zeroed[field][2:4], unknown[field][2:4] = 0.0, np.nan
    expected, _ = read(tmp_path, box, unknown)
    motion, notes = read(tmp_path, box, zeroed)
    np.testing.assert_array_equal(motion.position, expected.position)
    np.testing.assert_array_equal(motion.rotation, expected.rotation)
    assert motion.imputed.nonzero()[0].tolist() == [2, 3]
    assert "box/rotation is all zeros in frames 2-3, which is no rotation; taken as missing" in notes[0]
    truth = load_truth(tmp_path / "poses.npz", [box], notes=[])["box"]
    assert np.flatnonzero(np.isnan(truth.position).all(axis=1)).tolist() == [2, 3]


def turned_scene(folder):
    """The small scene with its box turned about an axis of its own, and its true label images."""
    write_small_scene(folder)
    arrays = pose_arrays()
    rotation = Rotation.from_rotvec(np.tile([0.6, 0.9, -0.4], (3, 1)))
    position = arrays["box/position"] + [0.08, -0.05, 0.0]
    edit_poses(folder, box__position=position, box__rotation=rotation.as_quat())
    for frame in range(3):
        write_image(folder / f"labels/{frame:06d}.png", label_image(frame))
    scene = load_scene(folder)
    poses = {body.name: body.initial for body in scene.bodies}
    for frame, image in enumerate(render_labels(scene, poses)):
        write_image(folder / f"labels/{frame:06d}.png", image)
    return rotation, position


FLIP = np.diag([1.0, -1.0, -1.0])


def inverse(rotation, position):
    """Poses of the camera in the body's frame."""
    return rotation.inv(), -rotation.inv().apply(position)


def opengl(rotation, position):
    """Poses in OpenGL's camera axes."""
    return Rotation.from_matrix(FLIP @ rotation.as_matrix()), position @ FLIP


@pytest.mark.parametrize(
    ("convention", "words"),
    [
        (inverse, "these look like inverse poses (camera in the body's frame): so read, IoU with the label is 1.00"),
        (opengl, "these look like OpenGL poses (multiply by diag(1, -1, -1) from the left): so read, IoU"),
    ],
)
def test_labels_tell_what_poses_behind_the_camera_mean(tmp_path, convention, words):
    """Each convention is tried, and the one that puts the body on its label is named."""
    stated, place = convention(*turned_scene(tmp_path / "scene"))
    edit_poses(tmp_path / "scene", box__position=place, box__rotation=stated.as_quat())
    with pytest.raises(InputError, match="behind the camera in every frame") as caught:
        load_scene(tmp_path / "scene")
    assert words in str(caught.value)


def test_without_labels_all_that_fit_are_named(tmp_path, box, arrays):
    """Nothing decides between the inverse and OpenGL axes."""
    behind = arrays["position"] * [1.0, 1.0, -1.0]
    upright = np.tile([0.0, 0.0, 0.0, 1.0], (FRAMES, 1))
    message = refused(tmp_path, box, {"position": behind, "rotation": upright})
    assert "these may be inverse poses" in message and "or OpenGL poses" in message


def test_surfaces_in_motion_are_read_at_the_frames_that_are_tried():
    """There are more of them than frames that are looked at."""
    count = 8
    body = animated_body(
        "box", np.tile(BOX_VERTICES, (count, 1, 1)) + np.arange(count)[:, None, None] * 0.01, BOX_FACES
    )
    place = np.tile([0.0, 0.0, -0.5], (count, 1))
    motion = Poses(place, np.tile([0.0, 0.0, 0.0, 1.0], (count, 1)), np.zeros((count, 0)))
    later = motion.frames(np.array([2, 7]))
    np.testing.assert_array_equal(middle_depth(body, later), middle_depth(body, motion)[[2, 7]])
    said = likely_readings(body, motion, np.arange(count), quaternions=True, overlap=None)
    assert "these may be inverse poses" in said
