"""Parquet files of video_to_data's retargeting: both forms read, mended and written back with nothing else changed."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("pyarrow")

from tests.format_files.mano_sharpa import write_sharpa
from tests.format_files.motion_v1 import LINKS, SHIFT, UP, columns, hand_frames, read_columns, write_motion
from tests.format_files.samples import FRAMES, hand_item, object_of, simulated
from tests.test_given import deepest, pushed_in
from warpprior import refine
from warpprior.bodies import posed_keypoints, posed_vertices
from warpprior.formats import Recording, read, write
from warpprior.support.errors import InputError

NEAR = 2e-6  # [m]: single precision a metre from the origin, there and back


def in_world(recording, places):
    """Places (frame, n, 3) of the camera's frame."""
    matrices = recording.world.camera.matrices()
    return np.einsum("fab,fnb->fna", matrices[:, :3, :3], places) + matrices[:, None, :3, 3]


def written(folder):
    """Columns of the only file in a folder."""
    (path,) = folder.rglob("*.parquet")
    return read_columns(path)


def differing(before, after):
    """Names of columns that are not the same."""
    assert set(before) == set(after)
    return {name for name in before if before[name] != after[name]}


def test_objects_and_hands_are_where_the_file_has_them(tmp_path):
    """In the world, quaternions first real; the hand as near as its keypoints tell."""
    write_motion(tmp_path)
    recording = read(tmp_path)
    scene, truth = recording.scene, simulated()
    item, made = object_of(truth), scene.body("mug")
    expected = UP.apply(posed_vertices(item.body, item.initial).reshape(-1, 3)).reshape(FRAMES, -1, 3) + SHIFT
    found = in_world(recording, posed_vertices(made.body, made.initial).astype(np.float64))
    assert np.abs(found - expected).max() < NEAR
    hand = scene.body("hand_right")
    places = in_world(recording, posed_keypoints(hand.body, hand.initial).astype(np.float64))
    stated = hand_frames(hand_item(truth))[..., :3]
    assert np.median(np.linalg.norm(places - stated, axis=2)) < 0.004
    assert scene.name == "pour+1" and np.allclose(recording.world.gravity, [0.0, 0.0, -1.0])
    assert scene.noise == {"poses": 0.005} and any("no camera" in note for note in recording.notes)


def test_nothing_but_what_moved_is_changed(tmp_path):
    """Written unmoved, contacts alone are new; moved, frames and objects go along; the pickle is never opened."""
    path = write_motion(tmp_path / "in")
    recording = read(tmp_path / "in")
    write(recording, tmp_path / "same")
    before, same = read_columns(path), written(tmp_path / "same")
    assert all(name.startswith(("hand_link_c", "hand_object_c", "hand_contact_a")) for name in differing(before, same))
    assert same["source_payload"] == before["source_payload"] and not os.path.exists("/tmp/opened")
    assert (tmp_path / "same/sequence_id=pour%2B1/robot_name=sharpa_wave/0f-0.parquet").exists()
    moved = {}
    for item in recording.scene.bodies:
        moved[item.name] = replace(item.initial, position=item.initial.position + np.array([0.01, 0.0, -0.02]))
    write(recording.with_poses(moved), tmp_path / "moved")
    new = written(tmp_path / "moved")
    shift = recording.world.camera.matrices()[0, :3, :3] @ [0.01, 0.0, -0.02]
    for name in ("object_body_position", "object_root_position"):
        assert np.abs(np.array(new[name]) - before[name] - shift).max() < NEAR
    frames = np.array(new["hand_frames_w"]) - before["hand_frames_w"]
    assert np.abs(frames[..., :3] - shift).max() < NEAR and np.abs(frames[..., 3:]).max() < NEAR


def test_contacts_have_places_inward_normals_parts_and_flags(tmp_path):
    """A grasp touches: places of links and objects are near, the object's normals point into it, not out of it."""
    write_motion(tmp_path / "in")
    recording = read(tmp_path / "in")
    write(recording, tmp_path / "out")
    new = written(tmp_path / "out")
    parts = np.array(new["hand_object_contact_part_ids"][0])
    assert parts.shape == (FRAMES, len(LINKS)) and set(np.unique(parts)) == {0, 1}
    touching = parts > 0
    assert list(new["hand_contact_active"][0]) == list(touching.any(axis=1).astype(float))
    links, objects = (np.array(new[f"hand_{of}_contact_positions"][0]) for of in ("link", "object"))
    normals = np.array(new["hand_object_contact_normals"][0])
    assert np.abs(links[~touching]).max() == np.abs(normals[~touching]).max() == 0.0
    assert np.linalg.norm(links - objects, axis=2)[touching].max() < 0.0101
    assert np.allclose(np.linalg.norm(normals[touching], axis=1), 1.0, atol=1e-5)
    from warpprior.geometry.signed_distance import Surface

    item = recording.scene.body("mug")
    mesh = Surface(item.body.vertices, item.body.faces, "mug")
    place, turn = recording.world.camera.matrices()[0, :3, 3], recording.world.camera.matrices()[0, :3, :3]
    assert touching.any()
    for frame in np.flatnonzero(touching.any(axis=1)):
        own = Rotation.from_quat(item.initial.rotation[frame]).as_matrix()
        into = [
            (((points[frame][touching[frame]] - place) @ turn) - item.initial.position[frame]) @ own
            for points in (objects, objects + 0.001 * normals)
        ]
        assert np.abs(mesh.measure(into[0])[0]).max() < 1e-5
        assert np.median(mesh.measure(into[1])[0]) < -0.0005


def test_poses_are_mended_by_physics_alone(tmp_path):
    """A hand 2 cm deep in a bottle, in a file without camera and pictures: repaired within 4 mm, the motion stays."""
    scene = pushed_in(simulated(object="bottle"), 0.02)
    write_motion(tmp_path / "in", scene=scene)
    recording = read(tmp_path / "in")
    starts = {item.name: item.initial for item in recording.scene.bodies}
    result = refine(recording.scene, device="cpu")
    before, after = deepest(recording.scene, starts), deepest(recording.scene, result.poses)
    assert np.median(before) > 0.01 and after.max() < 0.004
    write(recording.with_poses(result.poses), tmp_path / "out")
    old, new = read_columns(next((tmp_path / "in").rglob("*.parquet"))), written(tmp_path / "out")
    apart = np.linalg.norm(np.array(new["object_body_position"]) - old["object_body_position"], axis=-1)
    assert 0.001 < np.median(apart) < 0.016
    assert new["object_articulation"] == old["object_articulation"] and new["fps"] == old["fps"]


def test_meshes_in_other_units_are_told_by_their_radius(tmp_path):
    """Centimetres, as some sources have them; without a radius they would be a mug of ten metres."""
    write_motion(tmp_path, scale=0.01)
    recording = read(tmp_path)
    extent = np.ptp(recording.scene.body("mug").body.vertices, axis=0).max()
    assert extent == pytest.approx(np.ptp(object_of(simulated()).body.vertices, axis=0).max(), rel=1e-5)
    assert any("centimetres" in note for note in recording.notes)


def test_a_recording_is_written_anew(tmp_path):
    """From a scene of ours: 44 columns, two of which name the folders too, and its meshes; read again the same."""
    write(Recording(simulated()), tmp_path / "out", "motion_v1")
    again = read(tmp_path / "out")
    new = written(tmp_path / "out")
    assert len(new) == 44 and new["schema_version"] == "motion_v1" and new["hand_contact_link_names"] == [LINKS]
    assert set(columns()) <= set(new)
    item, made = object_of(simulated()), again.scene.body("mug")
    found = in_world(again, posed_vertices(made.body, made.initial).astype(np.float64))
    assert np.abs(found - posed_vertices(item.body, item.initial)).max() < NEAR
    assert np.abs(np.linalg.norm(np.array(new["object_body_wxyz"]), axis=-1) - 1.0).max() < 1e-6


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"schema_version": "motion_v0"}, "schema_version"),
        ({"fps": 0.0}, "fps"),
        ({"object_body_wxyz": np.zeros((FRAMES, 1, 4))}, "quaternions of zeros"),
        ({"object_mesh_paths": ["../../../../etc/passwd"]}, "--meshes DIR"),
        ({"object_body_position": np.full((FRAMES, 1, 3), np.nan)}, "not finite"),
        ({"hand_frame_names": [["wrist"]]}, "1 names for 21 frames"),
        ({"object_body_wxyz": np.ones((FRAMES - 1, 1, 4)) / 2}, "shape"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, found):
    """In words, by the column."""
    write_motion(tmp_path, **change)
    with pytest.raises(InputError, match=found):
        read(tmp_path, "motion_v1")


def test_one_of_several_sequences_is_named(tmp_path):
    """As its folder says, without escapes."""
    for name in ("pour+1", "pour 2"):
        write_motion(tmp_path, sequence=name)
    with pytest.raises(InputError, match=r"2 sequences: pour 2.*--sequence"):
        read(tmp_path)
    assert read(tmp_path, sequence="pour 2").scene.name == "pour 2"


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    """pip install 'warpprior[formats]'."""
    path = write_motion(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(Exception, match=r"warpprior\[formats\]"):
        read(path, "motion_v1")


@pytest.mark.parametrize(("flat", "centre"), [(True, 0), (False, -1)])
def test_hands_of_mano_follow_the_conventions_in_the_file(tmp_path, flat, centre):
    """Zero is flat or the mean, the translation is the wrist's or added to all: both hands to a micrometre."""
    path, vertices = write_sharpa(tmp_path / "in", flat=flat, centre=centre)
    recording = read(path, mano=tmp_path / "in/mano")
    assert not any("stored joints" in note for note in recording.notes)
    for side, expected in vertices.items():
        item = recording.scene.body(f"hand_{side}")
        found = in_world(recording, posed_vertices(item.body, item.initial)[:, :778].astype(np.float64))
        assert np.abs(found - expected).max() < NEAR
    write(recording, tmp_path / "out")
    before, after = read_columns(path), written(tmp_path / "out")
    for name in differing(before, after):
        if "contact" not in name:
            assert np.abs(np.array(after[name]) - before[name]).max() < NEAR, name


def test_conventions_that_the_joints_contradict_are_said(tmp_path):
    """The file says flat, its joints say otherwise."""
    path, _ = write_sharpa(tmp_path, flat=False, mano_flat_hand_mean=True)
    notes = read(path, mano=tmp_path / "mano").notes
    assert any("stored joints are up to" in note for note in notes)


def test_moved_hands_are_written_with_their_joints(tmp_path):
    """Trans, joints and contacts go along; shape, fingers and the robot's columns do not change."""
    path, _ = write_sharpa(tmp_path / "in", sides=("left",))
    recording = read(path, mano=tmp_path / "in/mano")
    item = recording.scene.body("hand_left")
    moved = replace(item.initial, position=item.initial.position + np.array([0.0, 0.01, 0.0]))
    said = write(recording.with_poses({"hand_left": moved}), tmp_path / "out")
    before, after = read_columns(path), written(tmp_path / "out")
    shift = recording.world.camera.matrices()[0, :3, :3] @ [0.0, 0.01, 0.0]
    for name in ("mano_left_trans", "mano_left_joints"):
        assert np.abs(np.array(after[name]) - before[name] - shift).max() < NEAR
    assert np.abs(np.array(after["mano_left_finger_pose"]) - before["mano_left_finger_pose"]).max() < NEAR
    assert after["robot_right_wrist_position"] == before["robot_right_wrist_position"]
    assert any("retarget again" in sentence for sentence in said)


def test_hands_without_a_model_are_fitted_to_their_joints(tmp_path):
    """Our own hand; it cannot be written as parameters, and says so."""
    path, _ = write_sharpa(tmp_path / "in", sides=("right",))
    recording = read(path, hands="joints")
    item = recording.scene.body("hand_right")
    assert item.body.kind == "hand" and any("fitted to its joints" in note for note in recording.notes)
    with pytest.raises(InputError, match="--mano DIR"):
        write(recording, tmp_path / "out")


def test_robot_hands_are_read_and_written_by_their_urdf(tmp_path):
    """Its root link is one of the frames, its joints have values; both come back, and go along."""
    from tests.small_scene import ARM_URDF
    from warpprior.bodies.readers.urdf import read_urdf

    (tmp_path / "arm.urdf").write_text(ARM_URDF)
    body = read_urdf(tmp_path / "arm.urdf", "arm")
    names = list(body.coordinate_names)
    values = np.linspace(0.0, 0.1, FRAMES * len(names)).reshape(1, FRAMES, -1)
    made = columns()
    frames = made["hand_frames_w"][0][:, :, :2].astype(np.float32).astype(float)
    write_motion(
        tmp_path / "in",
        hand_frame_names=[[body.link_names[0], "elsewhere"]],
        hand_frames_w=frames,
        hand_finger_joint_names=[names],
        hand_finger_joints=values,
        hand_contact_link_names=[[]],
    )
    assert [item.name for item in read(tmp_path / "in").scene.bodies] == ["mug"]
    recording = read(tmp_path / "in", urdf_right=tmp_path / "arm.urdf")
    item = recording.scene.body("hand_right")
    assert np.allclose(item.initial.joints, values[0], atol=1e-7)
    root = in_world(recording, item.initial.position[:, None])[:, 0]
    assert np.abs(root - frames[0, :, 0, :3]).max() < NEAR
    bent = replace(item.initial, joints=item.initial.joints + 0.01)
    write(recording.with_poses({"hand_right": bent}), tmp_path / "out")
    new = written(tmp_path / "out")
    assert np.allclose(new["hand_finger_joints"], values + 0.01, atol=1e-6)
