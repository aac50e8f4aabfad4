"""Points measured in space and timestamps in scene folders: written, read back, mended, refused."""

from dataclasses import replace

import numpy as np
import pytest

from tests.small_scene import BOX_FACES, BOX_VERTICES
from warpprior.bodies import posed_keypoints, read_hand, rigid_body
from warpprior.bodies.hand_parts import KEYPOINT_NAMES
from warpprior.io import load_scene, save_scene
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.scenes.hand_scenes import hand_scene
from warpprior.support.errors import InputError

CAMERA = Camera(640, 480, 600.0, 610.0, 322.0, 239.0)
FRAMES = 4


@pytest.fixture
def scene():
    """A hand and a box, a tenth of a second apart from frame to frame, measured in space and nowhere else."""
    random = np.random.default_rng(0)
    hand, box = read_hand("left"), rigid_body("box", BOX_VERTICES, BOX_FACES)
    place, turn = np.tile([0.0, 0.0, 0.6], (FRAMES, 1)), np.tile([0.0, 0.0, 0.0, 1.0], (FRAMES, 1))
    reach = Poses(place, turn, np.tile(hand.pose_prior.mean, (FRAMES, 1)))
    points = np.concatenate([posed_keypoints(hand, reach), random.uniform(0.2, 1.0, (FRAMES, 21, 1))], axis=-1)
    points[2, 5] = [np.nan, np.nan, np.nan, 0.0]
    centers = place + random.normal(scale=0.01, size=(FRAMES, 3))
    centers[1] = np.nan
    return Scene(
        "measured",
        CAMERA,
        10.0,
        (SceneBody(hand, 1, False, reach), SceneBody(box, 2, False, Poses(place, turn, np.zeros((FRAMES, 0))))),
        keypoints3d={"hand": points},
        centers={"box": centers, "hand": centers},
        timestamps=np.array([5.0, 5.1, 5.25, 5.3]),
    )


@pytest.fixture
def folder(scene, tmp_path):
    """That scene on disk."""
    return save_scene(scene, tmp_path / "scene")


def edit(folder, name="keypoints.npz", **changes):
    """Change or remove (None) arrays of a file; two underscores stand for the slash."""
    with np.load(folder / name) as stored:
        arrays = dict(stored)
    for field, value in changes.items():
        key = field.replace("__", "/")
        arrays.pop(key, None)
        if value is not None:
            arrays[key] = value
    np.savez(folder / name, **arrays)


def test_measured_points_and_times_come_back(scene, folder):
    """To the last bit, with their gaps, without a warning; and cut to the first frames."""
    found = load_scene(folder)
    assert found.warnings == () and found.keypoints2d == {} and found.boxes == {} and found.labels is None
    np.testing.assert_array_equal(found.keypoints3d["hand"], scene.keypoints3d["hand"])
    for name in ("box", "hand"):
        np.testing.assert_array_equal(found.centers[name], scene.centers[name])
    np.testing.assert_array_equal(found.timestamps, scene.timestamps)
    short = load_scene(folder, num_frames=3)
    np.testing.assert_array_equal(short.keypoints3d["hand"], scene.keypoints3d["hand"][:3])
    np.testing.assert_array_equal(short.centers["box"], scene.centers["box"][:3])
    np.testing.assert_array_equal(short.times, scene.timestamps[:3])


def test_a_saved_folder_can_be_replaced(scene, folder):
    """Files of measured points and times are parts of a scene; without times there is no such file."""
    save_scene(replace(scene, timestamps=None), folder, overwrite=True)
    assert (folder / "keypoints.npz").is_file() and not (folder / "timestamps.npz").exists()
    assert load_scene(folder).timestamps is None


def test_simulated_scenes_keep_their_points(tmp_path):
    """What a simulated scene measures, hidden frames too, is what its folder holds."""
    small = Camera(160, 120, 153.75, 153.75, 80.0, 60.0)
    scene = hand_scene("grasp_lift", frame_count=6, camera=small, images=False, occluded_frames=(3, 2))
    found = load_scene(save_scene(scene, tmp_path / "lift"))
    np.testing.assert_array_equal(found.keypoints3d["hand"], scene.keypoints3d["hand"])
    np.testing.assert_array_equal(found.centers["bottle"], scene.centers["bottle"])
    assert np.isnan(found.centers["bottle"][3:5]).all()


def test_points_without_confidence_count_fully(scene, folder):
    """Three columns are x, y, z; what is not finite still says nothing."""
    edit(folder, hand__keypoints3d=scene.keypoints3d["hand"][..., :3])
    found = load_scene(folder).keypoints3d["hand"]
    np.testing.assert_array_equal(found[..., :3], scene.keypoints3d["hand"][..., :3])
    assert found[2, 5, 3] == 0.0 and (np.delete(found[..., 3].ravel(), 2 * 21 + 5) == 1.0).all()


def test_points_by_name_come_in_any_order(scene, folder):
    """Some of the keypoints in their own order, one of them unknown; said once, for picture and space together."""
    chosen = [8, 0, 20]
    names = np.array([*(KEYPOINT_NAMES[k] for k in chosen), "elbow"])
    points = scene.keypoints3d["hand"][:, [*chosen, 3]]
    flat = np.tile([[300.0, 200.0, 0.9], [310.0, 190.0, 0.9], [320.0, 180.0, 0.9], [9.0, 9.0, 0.9]], (FRAMES, 1, 1))
    edit(folder, hand__keypoints3d=points, hand__keypoints2d=flat, hand__keypoint_names=names)
    found = load_scene(folder)
    np.testing.assert_array_equal(found.keypoints3d["hand"][:, chosen], points[:, :3])
    rest = np.delete(found.keypoints3d["hand"], chosen, axis=1)
    assert (rest[..., 3] == 0.0).all() and np.isnan(rest[..., :3]).all()
    assert sum("elbow" in warning for warning in found.warnings) == 1


def test_odd_points_are_left_out_with_a_warning(scene, folder):
    """Zeros, points behind the camera or too far away say nothing; confidences above one count as one."""
    points, centers = scene.keypoints3d["hand"].copy(), scene.centers["box"].copy()
    points[0, 3, :3], points[1, 4, 0], points[3, :, 3] = 0.0, 640.0, 2.5
    centers[2, 2] = -0.6
    edit(folder, hand__keypoints3d=points, box__center=centers)
    found = load_scene(folder)
    for frame, keypoint in ((0, 3), (1, 4)):
        assert np.isnan(found.keypoints3d["hand"][frame, keypoint, :3]).all()
        assert found.keypoints3d["hand"][frame, keypoint, 3] == 0.0
    assert (found.keypoints3d["hand"][3, :, 3] == 1.0).all()
    assert np.isnan(found.centers["box"][[1, 2]]).all() and np.isfinite(found.centers["box"][[0, 3]]).all()
    said = " ".join(found.warnings)
    for words in (
        "hand/keypoints3d is not in front of the camera in frame 0; left out",
        "hand/keypoints3d is more than 100 m from the camera in frame 1; left out",
        "hand/keypoints3d has confidences up to 2.5 in frame 3; taken as 1",
        "box/center is not in front of the camera in frame 2; left out",
    ):
        assert words in said


def test_lens_distortion_does_not_touch_what_is_measured_in_space(scene, folder):
    """Only points in the picture are rectified."""
    path = folder / "scene.toml"
    path.write_text(path.read_text().replace("[frames]", "distortion = [-0.28, 0.09, 0.001, -0.0007, -0.01]\n[frames]"))
    found = load_scene(folder)
    np.testing.assert_array_equal(found.keypoints3d["hand"], scene.keypoints3d["hand"])
    np.testing.assert_array_equal(found.centers["box"], scene.centers["box"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hand__keypoints3d": np.ones((4, 20, 4))}, r"needs \(frame, 21, 3\) or \(frame, 21, 4\): x, y, z"),
        ({"hand__keypoints3d": np.ones((3, 21, 4))}, "has 3 frames; the sequence has 4"),
        ({"hand__keypoints3d": np.ones((4, 21, 2))}, r"has shape \(4, 21, 2\); needs \(frame, 21, 3\)"),
        ({"hand__keypoints3d": np.full((4, 21, 3), "a")}, "type <U1"),
        ({"hand__keypoints3d": np.full((4, 21, 3), np.nan)}, "no point is usable"),
        ({"hand__keypoints3d": np.zeros((4, 21, 4))}, "no point is usable"),
        (
            {"hand__keypoints3d": np.full((4, 21, 3), 600.0)},
            "hand/keypoints3d: is 1039 m .*; needs metres, at most 100",
        ),
        ({"hand__keypoints3d": np.full((4, 21, 3), -0.6)}, "is nowhere in front of the camera; .* OpenGL"),
        ({"box__keypoints3d": np.ones((4, 0, 3))}, "the mesh 'box' has no keypoints"),
        ({"box__center": np.ones((4, 4))}, r"box/center: has shape \(4, 4\); needs \(frame, 3\): x, y, z"),
        ({"box__center": np.full((4, 3), np.nan)}, "box/center: no point is usable"),
        ({"box__center": np.full((4, 3), 600.0)}, "box/center: is 1039 m from the camera"),
        ({"box__center": np.full((4, 3), -0.6)}, "box/center: is nowhere in front of the camera"),
        ({"box__center": np.full((4, 3), np.inf)}, "box/center: no point is usable"),
        ({"hand__keypoint_names": np.array(["a"] * 21)}, "names a keypoint twice"),
    ],
)
def test_points_that_cannot_be_used_are_refused(folder, changes, message):
    """Shapes, millimetres, OpenGL axes, bodies without keypoints: file and field are named."""
    edit(folder, **changes)
    with pytest.raises(InputError, match=message) as refused:
        load_scene(folder)
    assert "keypoints.npz: " in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (np.arange(3) / 10, "has 3 frames; the sequence has 4"),
        (np.zeros((4, 2)), r"has shape \(4, 2\); needs \(frame,\): seconds"),
        ((1.7e9 + np.arange(4) / 10).astype(np.float32), "tells times apart by 128 s only, for it has 32 bits"),
        ((1.7e9 + np.arange(4) / 10).astype(np.float32).astype(float), "save float64, or seconds since the first"),
        (np.array([0.0, 0.1, 0.1, 0.2]), "frame 2: 0.1 s after 0.1 s; seconds that increase"),
        (np.array([0.0, 0.1, np.nan, 0.2]), "frame 2: not finite"),
        (np.arange(4) * 100, "has a frame every 100 s where fps is 10; needs seconds; divide milliseconds by 1000"),
        (np.arange(4) * 1e-4, "has a frame every 0.0001 s"),
        (np.array(["a", "b", "c", "d"]), "has type <U1; needs numbers in seconds"),
        (None, "has no timestamps"),
    ],
)
def test_times_that_cannot_be_used_are_refused(folder, times, message):
    """Their number, order and unit; the file is named."""
    edit(folder, "timestamps.npz", timestamps=times)
    with pytest.raises(InputError, match=message) as refused:
        load_scene(folder)
    assert "timestamps.npz" in str(refused.value)


def test_odd_times_are_told(folder):
    """Another rate than fps, whole numbers, other arrays: read, with a warning where it may be a slip."""
    edit(folder, "timestamps.npz", timestamps=np.array([0, 1, 2, 3]), extra=np.zeros(2))
    found = load_scene(folder)
    np.testing.assert_array_equal(found.timestamps, [0.0, 1.0, 2.0, 3.0])
    assert [warning for warning in found.warnings if "a frame every 1 s where fps is 10" in warning]
    assert [warning for warning in found.warnings if "holds extra too; ignored" in warning]


def test_times_of_few_bits_are_told(folder):
    """Ten days in single precision are a frame's tenth apart at best; a column is taken as a row."""
    times = (1e5 + np.arange(4) / 10).astype(np.float32)
    edit(folder, "timestamps.npz", timestamps=times[:, None])
    found = load_scene(folder)
    np.testing.assert_array_equal(found.timestamps, times.astype(float))
    words = "timestamps.npz: tells times apart by 0.00781 s only, for it has 32 bits, where fps is 10; save float64"
    assert any(words in warning for warning in found.warnings)
    assert any("timestamps has shape (4, 1); taken as (4,)" in warning for warning in found.warnings)


def test_a_file_of_times_stays_in_the_folder(folder):
    """A path that leads out is refused, and so is one that leads nowhere."""
    path = folder / "scene.toml"
    text = path.read_text()
    for name, words in (("../timestamps.npz", "leads out of the scene folder"), ("gone.npz", "does not exist")):
        path.write_text(text.replace('"timestamps.npz"', f'"{name}"'))
        with pytest.raises(InputError, match=words):
            load_scene(folder)
