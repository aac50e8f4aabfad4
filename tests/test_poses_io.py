"""Pose files and archives: round trips, gaps, and that equal content gives equal bytes."""

import os
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from tests.small_scene import ARM_URDF, BOX_FACES, BOX_VERTICES, write_scene
from warpprior.bodies.body import rigid_body
from warpprior.bodies.readers.urdf import read_urdf
from warpprior.io import atomic_folder, atomic_path, atomic_write, load_poses, load_scene, load_truth, save_poses
from warpprior.io.gaps import fill_gaps, fill_rotation_gaps
from warpprior.scene import Poses
from warpprior.support.errors import InputError, RunError
from warpprior.support.wording import frame_list


@pytest.fixture
def box():
    """A rigid body."""
    return rigid_body("box", BOX_VERTICES, BOX_FACES)


@pytest.fixture
def arm(tmp_path):
    """A body with a hinge and a slide."""
    (tmp_path / "arm.urdf").write_text(ARM_URDF, encoding="utf-8")
    return read_urdf(tmp_path / "arm.urdf", name="arm")


@pytest.fixture
def motion():
    """A motion of twenty frames in front of the camera."""
    random = np.random.default_rng(5)
    rotation = Rotation.random(20, random).as_quat()
    return Poses(random.normal([0, 0, 0.6], 0.1, (20, 3)), rotation, np.zeros((20, 0)))


def test_the_middle_of_a_scaled_body_is_farther_from_its_origin(tmp_path, motion):
    """In front of the camera at its own size, behind it at three times that."""
    body = rigid_body("box", BOX_VERTICES - [0.0, 0.0, 0.2], BOX_FACES)
    position, rotation = np.tile([0.0, 0.0, 0.5], (20, 1)), np.tile([0.0, 0.0, 0.0, 1.0], (20, 1))
    path = tmp_path / "poses.npz"
    save_poses(path, {"box": replace(motion, position=position, rotation=rotation)})
    assert load_poses(path, [body])["box"].imputed is None
    save_poses(path, {"box": replace(motion, position=position, rotation=rotation, scale=3.0)})
    with pytest.raises(InputError, match="behind the camera"):
        load_poses(path, [body])


def make_covariance(random):
    """Covariances of the arm's pose and joints, in 20 frames."""
    mix = random.normal(size=(20, 8, 8))
    return mix @ mix.transpose(0, 2, 1)


def test_covariance_follows_the_joints(tmp_path, arm, motion):
    """Rows and columns go with the names of the joints; those of joints the model does not have are left out."""
    random = np.random.default_rng(7)
    covariance = make_covariance(random)
    wide = np.zeros((20, 9, 9))
    order = [0, 1, 2, 3, 4, 5, 8, 6]  # stored as reach, other, bend
    wide[np.ix_(range(20), order, order)] = covariance
    wide[:, 7, 7] = 9.0
    path = tmp_path / "poses.npz"
    arrays = {"position": motion.position, "rotation": motion.rotation, "joints": np.zeros((20, 3))}
    arrays |= {"joint_names": np.array(["reach", "other", "bend"]), "covariance": wide.astype(np.float32)}
    np.savez(path, **{f"arm/{field}": values for field, values in arrays.items()})
    read = load_poses(path, [arm], notes=[])["arm"].covariance
    assert read.dtype == np.float64
    np.testing.assert_array_equal(read, covariance.astype(np.float32))


def test_infinite_covariance_is_not_written(tmp_path, motion):
    """NaN says that nothing is known; infinity is a mistake."""
    covariance = np.full((20, 6, 6), np.nan)
    save_poses(tmp_path / "poses.npz", {"box": replace(motion, covariance=covariance)})
    covariance[3, 2, 2] = np.inf
    with pytest.raises(InputError, match="box/covariance"):
        save_poses(tmp_path / "poses.npz", {"box": replace(motion, covariance=covariance)})


def test_everything_a_motion_has_survives(tmp_path, arm, box, motion):
    """Positions, rotations, joints, scale, covariance and imputed flags come back to the last bit."""
    random = np.random.default_rng(6)
    joints = np.column_stack([random.uniform(-1.5, 1.5, 20), random.uniform(0, 0.2, 20)])
    imputed = np.arange(20) % 5 == 0
    covariance = make_covariance(random)
    covariance[7] = np.nan
    robot = replace(motion, joints=joints, covariance=covariance, imputed=imputed)
    poses = {"arm": robot, "box": replace(motion, scale=1.25)}
    save_poses(tmp_path / "poses.npz", poses, bodies=[arm, box])
    notes = []
    read = load_poses(tmp_path / "poses.npz", [box, arm], frame_count=20, notes=notes)
    assert notes == [] and read["box"].scale == 1.25
    for name, ours in poses.items():
        for field in ("position", "joints", "covariance", "imputed"):
            np.testing.assert_array_equal(getattr(ours, field), getattr(read[name], field))
        np.testing.assert_allclose(ours.rotation, read[name].rotation, atol=2e-16)


def test_equal_poses_give_equal_bytes(tmp_path, motion):
    """Nothing of the clock gets into a file."""
    for name in ("a.npz", "b.npz"):
        save_poses(tmp_path / name, {"box": motion})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_values_that_are_not_finite_are_not_written(tmp_path, motion):
    """Poses with NaN are refused and an older file stays, unless gaps are meant."""
    path = tmp_path / "poses.npz"
    save_poses(path, {"box": motion})
    before = path.read_bytes()
    position = motion.position.copy()
    position[3, 1] = np.nan
    broken = replace(motion, position=position)
    with pytest.raises(InputError, match="box/position: is not finite"):
        save_poses(path, {"box": broken})
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    save_poses(path, {"box": broken}, gaps=True)


def test_truth_reads_gaps_back(tmp_path, box, motion):
    """A truth file with NaN is read with NaN in the whole frame."""
    position = motion.position.copy()
    position[3, 1] = np.nan
    save_poses(tmp_path / "truth.npz", {"box": replace(motion, position=position)}, gaps=True)
    truth = load_truth(tmp_path / "truth.npz", [box], notes=[])
    assert np.flatnonzero(np.isnan(truth["box"].position).any(1)).tolist() == [3]
    assert np.isnan(truth["box"].rotation[3]).all()


def test_warnings_are_issued_when_nobody_collects_them(tmp_path, box, motion):
    """Without a list for notes every repair is a Python warning."""
    save_poses(tmp_path / "poses.npz", {"box": replace(motion, rotation=motion.rotation * 1.02)})
    with pytest.warns(UserWarning, match=r"poses\.npz: box/rotation was normalised"):
        load_poses(tmp_path / "poses.npz", [box])


def test_plain_files_warn_of_nothing(tmp_path, box, motion):
    """A clean file is silent."""
    save_poses(tmp_path / "poses.npz", {"box": motion})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_poses(tmp_path / "poses.npz", [box])


def test_optional_bodies_may_be_absent(tmp_path, box, arm, motion):
    """A tracker may write only the bodies it estimated."""
    save_poses(tmp_path / "poses.npz", {"box": motion})
    assert set(load_poses(tmp_path / "poses.npz", [arm, box], optional=["arm"])) == {"box"}
    with pytest.raises(InputError, match="arm/position: is missing"):
        load_poses(tmp_path / "poses.npz", [arm, box])


def test_joints_without_names_are_taken_in_order_with_a_note(tmp_path, arm, motion):
    """The model's own order is assumed when the file names no joints."""
    robot = replace(motion, joints=np.full((20, 2), 0.1))
    save_poses(tmp_path / "poses.npz", {"arm": robot})
    notes = []
    load_poses(tmp_path / "poses.npz", [arm], notes=notes)
    assert len(notes) == 1 and "taken in the model's own order" in notes[0]


def test_gaps_are_filled_as_scipy_does():
    """Linear and great-arc interpolation over gaps of several frames equal SciPy's."""
    random = np.random.default_rng(1)
    usable = np.ones(30, dtype=bool)
    usable[[4, 5, 6, 11, 20, 21]] = False
    frames = np.arange(30)
    steps = Rotation.from_rotvec(random.normal(0, 0.5, (30, 3)))
    rotation = np.array([step.as_quat() for step in steps])
    rotation *= np.where(frames % 3 == 0, -1, 1)[:, None]
    filled = fill_rotation_gaps(rotation, usable)
    expected = Slerp(frames[usable], Rotation.from_quat(rotation[usable]))(frames)
    assert (Rotation.from_quat(filled).inv() * expected).magnitude().max() < 1e-7
    np.testing.assert_array_equal(filled[usable], rotation[usable])
    values = random.normal(size=(30, 2))
    expected = np.stack([np.interp(frames, frames[usable], values[usable, k]) for k in range(2)], axis=1)
    np.testing.assert_allclose(fill_gaps(values, usable), expected, atol=1e-15)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-5, np.pi - 1e-5, np.pi])
def test_rotation_gaps_at_hard_angles(angle):
    """Neighbours that agree, or are half a turn apart, still give unit quaternions half way."""
    ends = Rotation.from_rotvec([[0.0, 0, 0], [0, angle, 0]]).as_quat()
    filled = fill_rotation_gaps(np.array([ends[0], np.full(4, np.nan), ends[1]]), np.array([True, False, True]))
    assert np.linalg.norm(filled[1]) == pytest.approx(1.0, abs=1e-12)
    assert Rotation.from_quat(filled[1]).magnitude() == pytest.approx(angle / 2, abs=1e-7)


def test_frame_lists_are_short():
    """Runs are joined, and long lists say how many there are."""
    assert frame_list([3]) == "frame 3"
    assert frame_list([9, 3, 8, 7]) == "frames 3, 7-9"
    assert frame_list(range(0, 40, 2)) == "frames 0, 2, 4, 6, 8, 10, ... (20 in all)"


def test_a_failed_write_leaves_the_old_file(tmp_path):
    """Whatever goes wrong while writing, the old content stays and no debris."""
    path = tmp_path / "file.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(KeyError), atomic_write(path, "w") as stream:
        stream.write("new")
        raise KeyError
    with pytest.raises(RunError, match="No space left"), atomic_path(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
        raise OSError(28, "No space left on device")
    assert path.read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [path]
    with atomic_write(path, "w") as stream:
        stream.write("new")
    assert path.read_text(encoding="utf-8") == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_pose_files_that_never_end_are_refused(tmp_path, kind):
    """Nothing waits for a pipe or fills the memory from a device."""
    path = tmp_path / "poses.npz"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"poses\.npz: is not a regular file; needs an \.npz file"):
        load_poses(path, [])


def test_far_more_than_the_sequence_needs_is_not_unpacked(tmp_path, box):
    """What the file of 100 kB claims of one body would fill 100 MiB, of the other one nothing is wanted."""
    path = tmp_path / "poses.npz"
    zeros = np.zeros((5_000_000, 3))
    np.savez_compressed(path, **{"box/position": zeros, "other/position": zeros})
    with pytest.raises(InputError, match=r"box/position: has shape \(5000000, 3\) .* 114 MiB; at most 84 MiB"):
        load_poses(path, [box], frame_count=20)


def test_long_names_can_be_written(tmp_path):
    """A name as long as file systems allow leaves room for the temporary file."""
    path = tmp_path / ("n" * 251 + ".npz")
    with atomic_write(path) as stream:
        stream.write(b"1")
    assert path.read_bytes() == b"1"


def test_a_folder_appears_only_when_complete(tmp_path):
    """A folder being written is not seen under its name, and a failure restores the old one."""
    folder = tmp_path / "out"
    with atomic_folder(folder) as target:
        (target / "a").write_text("1", encoding="utf-8")
        assert not folder.exists()
    with pytest.raises(KeyError), atomic_folder(folder, overwrite=True) as target:
        (target / "b").write_text("1", encoding="utf-8")
        raise KeyError
    assert [path.name for path in folder.iterdir()] == ["a"] and list(tmp_path.iterdir()) == [folder]
    with atomic_folder(folder, overwrite=True) as target:
        (target / "c").write_text("1", encoding="utf-8")
    assert [path.name for path in folder.iterdir()] == ["c"] and list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(("key", "words"), [("box/ob_in_cam", "box/ob_in_cam"), ("box", "box")])
def test_transforms_under_another_name_are_told_how_to_be_split(tmp_path, key, words):
    """As trackers of objects give them; keys of other bodies are not offered instead."""
    folder = write_scene(tmp_path / "scene")
    with np.load(folder / "initial.npz") as stored:
        arrays = {name: stored[name] for name in stored if not name.startswith("box/")}
    np.savez(folder / "initial.npz", **arrays, **{key: np.tile(np.eye(4), (3, 1, 1))})
    with pytest.raises(InputError, match=rf"box/position: is missing; {words} \(3, 4, 4\) looks like transforms"):
        load_scene(folder)
    np.savez(folder / "initial.npz", **arrays, **{"box/translation": np.ones((3, 3))})
    with pytest.raises(InputError, match=r"did you mean 'box/translation'\? the file has"):
        load_scene(folder)
    np.savez(folder / "initial.npz", **arrays)
    with pytest.raises(InputError, match=r"box/position: is missing; the file has: arm/"):
        load_scene(folder)
