"""Formats that are only written: each read back by what is not ours, or by its own definition."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.format_files.mano_hand import mano_vertices
from tests.format_files.samples import FRAMES, hand_item, object_of, simulated, transforms
from tests.format_files.v2d import write_run
from warpprior.bodies import posed_keypoints, posed_vertices
from warpprior.formats import CameraPath, Recording, World, read, write
from warpprior.support.errors import InputError


def in_a_room(side="right"):
    """The simulated grasp, of a camera that stands turned in a room where things fall along y."""
    turn = Rotation.from_rotvec([0.3, -0.2, 0.1]).as_quat()
    path = CameraPath(np.tile([1.0, 2.0, 0.5], (FRAMES, 1)), np.tile(turn, (FRAMES, 1)))
    return Recording(simulated(side), World(path, np.array([0.0, 1.0, 0.0])))


def leveled(recording, places):
    """Places (frame, n, 3) of the camera in the room, z up."""
    matrices = recording.world.camera.matrices()
    placed = np.einsum("fab,fnb->fna", matrices[:, :3, :3], places) + matrices[:, None, :3, 3]
    return placed @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # row vectors: y down becomes z up


def test_poses_of_foundationpose_are_read_by_numpy_and_by_clip(tmp_path):
    """4x4 text for each frame, K with the first pixel at (0, 0), the mesh in metres."""
    recording = in_a_room()
    write(recording, tmp_path / "out", "foundationpose")
    item = object_of(recording.scene)
    for frame, expected in enumerate(transforms(item.initial)):
        found = np.loadtxt(tmp_path / f"out/mug/ob_in_cam/{frame:06d}.txt")
        assert np.abs(found - expected).max() < 1e-12
    assert np.allclose(np.loadtxt(tmp_path / "out/cam_K.txt"), [[150, 0, 80], [0, 151, 59.75], [0, 0, 1]])
    lines = (tmp_path / "out/mug/mesh/mug.obj").read_text().splitlines()
    assert sum(line.startswith("v ") for line in lines) == item.body.vertex_count


@pytest.mark.parametrize("side", ["right", "left"])
def test_joints_of_openxr_have_its_axes(tmp_path, side):
    """z along bones away from the tip, y out of the back, both hands alike; 21 of the 26 are the keypoints."""
    recording = in_a_room(side)
    write(recording, tmp_path / "out", "hand_keypoints")
    hand = hand_item(recording.scene)
    truth = leveled(recording, posed_keypoints(hand.body, hand.initial).astype(np.float64))
    with np.load(tmp_path / "out/hand_keypoints.npz") as stored:
        flat, joints = stored[f"{hand.name}/openpose21"], stored[f"{hand.name}/openxr26"]
        assert np.allclose(np.diff(stored["times"]), 1.0 / recording.scene.fps)
    assert np.abs(flat - truth).max() < 1e-6
    places = [1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 14, 15, 17, 18, 19, 20, 22, 23, 24, 25]
    assert np.abs(joints[:, places, :3] - truth).max() < 1e-6
    axes = Rotation.from_quat(joints[..., 3:].reshape(-1, 4)).as_matrix().reshape(FRAMES, 26, 3, 3)
    for joint in (1, 2, 7, 8, 9, 22, 24):
        bone = joints[:, joint + 1, :3] - joints[:, joint, :3] if joint != 1 else joints[:, 12, :3] - joints[:, 1, :3]
        assert np.sum(axes[:, joint, :, 2] * bone, axis=1).max() < -0.999 * np.linalg.norm(bone, axis=1).min()
    curled = truth[:, 8] - truth[:, 5]  # of the index finger, bent towards the palm
    assert (np.sum(axes[:, 0, :, 1] * curled, axis=1) < 0.0).all()
    assert np.allclose(joints[:, 10, 3:], joints[:, 9, 3:])


def test_parameters_of_mano_make_the_same_vertices(tmp_path):
    """By an independent MANO, in the camera; the translation is not the wrist."""
    _, model = write_run(tmp_path / "clip", variants=("result",))
    recording = read(tmp_path / "clip", mano=tmp_path / "clip/mano")
    write(recording, tmp_path / "out", "mano_npz")
    item = recording.scene.body("hand_right")
    found = posed_vertices(item.body, item.initial)
    with np.load(tmp_path / "out/hand_right.npz") as stored:
        assert bool(stored["is_right"]) and bool(stored["flat_hand_mean"])
        for frame in range(FRAMES):
            keys = ("global_orient", "hand_pose", "transl")
            orient, joints, transl = (np.asarray(stored[key][frame], dtype=float) for key in keys)
            expected, _ = mano_vertices(model, orient, joints, stored["betas"], transl)
            assert np.abs(found[frame, :778] - expected).max() < 2e-6
        assert not stored["mirrored"] and np.linalg.norm(stored["transl"] - item.initial.position, axis=1).min() > 0.05
    with np.load(tmp_path / "out/hand_left.npz") as stored:
        assert bool(stored["mirrored"]) and not stored["is_right"]
    with pytest.raises(InputError, match="no hand of MANO"):
        write(in_a_room(), tmp_path / "none", "mano_npz")


def test_keypoints_of_spider(tmp_path):
    """Quaternions w first, z up, palm frames at the wrist, contacts where tips touch, with places on the object."""
    recording = in_a_room()
    said = write(recording, tmp_path / "out", "spider")
    (path,) = (tmp_path / "out").rglob("trajectory_keypoints.npz")
    assert path.relative_to(tmp_path / "out").parts[:4] == ("processed", "warpprior", "mano", "right") and said
    info = json.loads((path.parents[1] / "task_info.json").read_text())
    assert info["embodiment_type"] == "right" and info["ref_dt"] == pytest.approx(1.0 / recording.scene.fps)
    assert (tmp_path / "out" / info["right_object_mesh_dir"] / "visual.obj").is_file()
    item, hand = object_of(recording.scene), hand_item(recording.scene)
    keypoints = leveled(recording, posed_keypoints(hand.body, hand.initial).astype(np.float64))
    with np.load(path) as stored:
        found = {name: np.asarray(stored[name], dtype=float) for name in stored}
    assert np.abs(found["qpos_wrist_right"][:, :3] - keypoints[:, 0]).max() < 1e-6
    assert np.abs(found["qpos_finger_right"][:, :, :3] - keypoints[:, [4, 8, 12, 16, 20]]).max() < 1e-6
    assert (found["qpos_finger_right"][..., 3:] == [1, 0, 0, 0]).all()
    turns = Rotation.from_quat(found["qpos_obj_right"][:, [4, 5, 6, 3]]).as_matrix()
    made = np.einsum("fab,vb->fva", turns, item.body.vertices) + found["qpos_obj_right"][:, None, :3]
    assert np.abs(made - leveled(recording, posed_vertices(item.body, item.initial).astype(float))).max() < 1e-5
    palm = Rotation.from_quat(found["qpos_wrist_right"][:, [4, 5, 6, 3]]).as_matrix()
    ahead = keypoints[:, 9] - keypoints[:, 0]
    assert np.allclose(palm[..., 2], ahead / np.linalg.norm(ahead, axis=1, keepdims=True), atol=1e-6)
    assert (np.sum(palm[..., 1] * (keypoints[:, 5] - keypoints[:, 13]), axis=1) > 0.0).all()
    flags, places = found["contact_right"], found["contact_pos_right"]
    assert set(np.unique(flags)) <= {0.0, 1.0} and flags.any()
    assert (np.abs(places[flags.any(axis=0)]).max(axis=1) < 0.2).all()


@pytest.mark.parametrize("name", ["foundationpose", "hand_keypoints", "mano_npz", "spider"])
def test_what_is_only_written_is_not_read(tmp_path, name):
    """It says so."""
    with pytest.raises(InputError, match="written only"):
        read(tmp_path, name)
