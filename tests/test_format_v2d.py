"""Bundles of video_to_data: read as its own rules have it, and written back with nothing else changed."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import numpy as np
import pytest

import warpprior
from tests.format_files.samples import FRAMES, object_of, simulated, write_mano, write_png
from tests.format_files.v2d import Z_UP, hand_vertices, write_bundle, write_run
from warpprior.bodies import posed_vertices
from warpprior.formats import read, write
from warpprior.support.errors import InputError

NEAR = 1e-6  # [m]: what is stored in single precision is off by 3e-8 at half a metre


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A whole run, its arrays by bundle, and the model of its hands."""
    folder = tmp_path_factory.mktemp("v2d") / "clip"
    arrays, model = write_run(folder, missing=(1,), scale=1.05)
    return folder, arrays, model


def surfaces(recording, name):
    """Vertices of a body (frame, vertex, 3)."""
    item = recording.scene.body(name)
    return posed_vertices(item.body, item.initial)


def test_object_and_hands_are_where_its_own_rules_put_them(run):
    """The left hand mirrored after posing, both scaled about their middle, to a micrometre; the wrist is not cam_t."""
    folder, arrays, model = run
    recording = read(folder, mano=folder / "mano")
    stored = arrays["result_slam_gravity_aligned"]
    assert recording.scene.frame_count == FRAMES and recording.origin.format == "v2d"
    for side in ("left", "right"):
        found = surfaces(recording, f"hand_{side}")
        for frame in np.flatnonzero(stored[f"hand_{side}_is_valid"]):
            expected = hand_vertices(stored, model, side, frame)
            assert np.abs(found[frame, :778] - expected).max() < NEAR
        wrist = recording.scene.body(f"hand_{side}").initial.position
        assert np.linalg.norm(wrist - stored[f"hand_{side}_wrist_trans_in_camera"], axis=1).min() > 0.05
    truth = object_of(simulated()).initial
    item = recording.scene.body("object")
    seen = stored["object_is_valid"]
    assert np.abs(item.initial.position - truth.position)[seen].max() < NEAR
    assert np.abs(posed_vertices(item.body, item.initial) - posed_vertices(item.body, truth))[seen].max() < NEAR
    camera = recording.scene.camera
    assert np.allclose([camera.fx, camera.cx, camera.cy], [150.0, 80.5, 60.25]) and camera.width == 160
    assert recording.scene.body("hand_left").body.side == "left"


def test_frames_without_their_flag_are_never_read(tmp_path, run):
    """Nonsense where the flag is off changes nothing; such frames are interpolated and said to be."""
    folder, _, _ = run
    write_bundle(tmp_path / "a/result", missing=(0, 3))
    write_bundle(tmp_path / "b/result", missing=(0, 3), poison=True)
    first, second = (read(tmp_path / name, "v2d", mano=folder / "mano") for name in "ab")
    for item, other in zip(first.scene.bodies, second.scene.bodies, strict=True):
        for field in ("position", "rotation", "joints", "imputed"):
            one, two = getattr(item.initial, field), getattr(other.initial, field)
            assert np.array_equal(one, two), (item.name, field)
    assert list(np.flatnonzero(first.scene.body("object").initial.imputed)) == [0, 3]
    assert first.scene.body("hand_right").initial.imputed is None
    assert any("object has no pose in frames 0, 3" in note for note in first.notes)


def test_a_size_inside_the_poses_goes_into_the_mesh_and_back(tmp_path, run):
    """0.9433 in the 3x3 blocks, as its own sample has it: bodies are metric, rotations rotations, files as before."""
    folder, _, _ = run
    arrays = write_bundle(tmp_path / "in/result", size=0.9433)
    recording = read(tmp_path / "in", "v2d", mano=folder / "mano")
    item, truth = recording.scene.body("object"), object_of(simulated())
    assert np.abs(np.ptp(item.body.vertices, axis=0) - np.ptp(truth.body.vertices, axis=0)).max() < NEAR
    assert any("size factor of 0.9433" in note for note in recording.notes)
    write(recording, tmp_path / "out")
    with np.load(tmp_path / "out/result/result.npz") as stored:
        for key in ("object_to_camera_transform", "object_to_world_transform"):
            assert np.abs(stored[key] - arrays[key]).max() < NEAR


def test_a_size_that_varies_is_refused(tmp_path):
    """One frame 1 % larger."""
    arrays = write_bundle(tmp_path / "result")
    arrays["object_to_camera_transform"][2, :3, :3] *= 1.01
    np.savez(tmp_path / "result/result.npz", **arrays)
    with pytest.raises(InputError, match=r"varies by 1 %, in frame 2"):
        read(tmp_path, "v2d", without_hands=True)


@pytest.mark.parametrize(
    ("bundle", "moves", "gravity"),
    [
        ("result", False, None),
        ("result_slam", True, None),
        ("result_gravity_aligned", False, [0.0, 0.0, -1.0]),
        ("result_slam_gravity_aligned", True, [0.0, 0.0, -1.0]),
    ],
)
def test_the_four_worlds(run, bundle, moves, gravity):
    """Camera poses and gravity of each; a moving camera that never moves is said to be one."""
    folder, arrays, _ = run
    recording = read(folder, mano=folder / "mano", bundle=bundle)
    world = recording.world
    assert world.camera.moves == moves
    expected = arrays[bundle]["camera_to_world_transform"]
    assert np.abs(world.camera.matrices() - expected).max() < NEAR
    assert (world.gravity is None) == (gravity is None)
    assert gravity is None or np.allclose(world.gravity, gravity)
    assert any("without SLAM" in note for note in recording.notes) == (not moves)
    assert any("its poses are known" in note for note in recording.notes) == moves


def test_geocalib_gives_the_way_up(tmp_path):
    """Where the bundle is not aligned, gravity is the way up of calibration.json turned round, in the world."""
    write_bundle(tmp_path / "outputs/result_slam")
    (tmp_path / "outputs/geocalib").mkdir()
    text = '{"samples": [{"frame_index": 0, "gravity": {"vector_camera": [0.0, -0.8, 0.6]}}]}'
    (tmp_path / "outputs/geocalib/calibration.json").write_text(text)
    recording = read(tmp_path, without_hands=True)
    assert np.allclose(recording.world.gravity, [0.0, 0.8, -0.6])


def test_masks_become_labels(run):
    """Of the object and both hands; the hands' halves of our own mask."""
    folder, _, _ = run
    labels = read(folder, mano=folder / "mano").scene.labels
    scene = simulated()
    assert np.array_equal(labels == 1, scene.labels == object_of(scene).label)
    assert {2, 3} <= set(np.unique(labels))


def test_estimated_depth_is_taken_when_asked_for(tmp_path):
    """65535 / value - 1, 0 for none; else a note says that it was left out."""
    write_bundle(tmp_path / "outputs/result")
    values = np.full((120, 160), round(65535 / 1.7), np.uint16)
    values[0] = 0
    write_png(tmp_path / "outputs/depth/000000.png", values)
    assert any("1 estimated depth images were left out" in note for note in read(tmp_path, without_hands=True).notes)
    depth = read(tmp_path, without_hands=True, with_depth=True).scene.read_depth(0)
    assert np.abs(depth[1:] - 0.7).max() < 1e-4 and not depth[0].any()


def members(path):
    """Bytes of each array of an archive."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_nothing_but_corrected_frames_is_changed(run, tmp_path):
    """Unmoved, all poses come back; moved, those of valid frames do in camera and world, all else byte for byte."""
    folder, arrays, model = run
    recording = read(folder, mano=folder / "mano")
    moved = {}
    for item in recording.scene.bodies:
        shifted = item.initial.position + np.array([0.01, 0.0, -0.02])
        moved[item.name] = replace(item.initial, position=shifted)
    write(recording, tmp_path / "same")
    said = write(recording.with_poses(moved), tmp_path / "moved")
    assert len(said) == 4 and "hand_left in 4 frames" in said[0]
    for bundle, before in arrays.items():
        source = folder / "outputs" / bundle
        assert {path.name for path in source.iterdir()} == {
            path.name for path in (tmp_path / "moved" / bundle).iterdir()
        }
        for name in ("mesh.obj", "material.mtl", "manifest.json"):
            assert (tmp_path / "moved" / bundle / name).read_bytes() == (source / name).read_bytes()
        with np.load(tmp_path / "same" / bundle / "result.npz") as stored:
            assert list(stored) == list(before)
            for key in before:
                assert stored[key].dtype == before[key].dtype and stored[key].shape == before[key].shape
                assert np.abs(stored[key].astype(float) - before[key]).max() < NEAR, key
        untouched = [name for name in members(source / "result.npz") if not name.startswith(("hand_", "object_to"))]
        assert len(untouched) >= 5
        for name in (*untouched, "hand_left_is_valid.npy", "hand_right_is_valid.npy"):
            assert members(source / "result.npz")[name] == members(tmp_path / "moved" / bundle / "result.npz")[name]
        with np.load(tmp_path / "moved" / bundle / "result.npz") as stored:
            new = dict(stored)
        for side in ("left", "right"):
            for frame in np.flatnonzero(before[f"hand_{side}_is_valid"]):
                apart = hand_vertices(new, model, side, frame) - hand_vertices(before, model, side, frame)
                assert np.abs(apart - [0.01, 0.0, -0.02]).max() < 2e-6
            made = before["camera_to_world_transform"] @ new[f"hand_{side}_wrist_to_camera_transform"]
            assert np.abs(made - new[f"hand_{side}_wrist_to_world_transform"]).max() < NEAR
        assert np.array_equal(new["object_to_camera_transform"][1], np.eye(4, dtype=np.float32))
        assert np.abs(new["object_to_world_transform"] - before["object_to_world_transform"]).max() > 0.005


def test_a_scene_folder_keeps_all_of_it(run, tmp_path):
    """Imported and read again: poses, camera, gravity, notes; and it can still be written back."""
    folder, arrays, _ = run
    recording = read(folder, mano=folder / "mano")
    write(recording, tmp_path / "scene", "scene")
    again = read(tmp_path / "scene")
    for item in recording.scene.bodies:
        other = again.scene.body(item.name)
        assert np.array_equal(item.initial.position, other.initial.position)
        assert np.allclose(
            posed_vertices(item.body, item.initial), posed_vertices(other.body, other.initial), atol=NEAR
        )
        assert other.body.side == item.body.side
    assert np.array_equal(again.world.camera.position, recording.world.camera.position)
    assert np.allclose(again.world.gravity, recording.world.gravity)
    assert set(recording.notes) <= set(again.notes) and again.origin == recording.origin
    write(again, tmp_path / "back")
    with np.load(tmp_path / "back/result/result.npz") as stored:
        for key, values in arrays["result"].items():
            assert np.abs(stored[key].astype(float) - values).max() < 2e-6, key


def test_without_models_of_hands_it_says_what_is_needed(run, monkeypatch, tmp_path):
    """And reads the object alone when asked."""
    folder, _, _ = run
    monkeypatch.delenv("WARPPRIOR_MANO", raising=False)
    with pytest.raises(InputError, match=r"MANO_RIGHT.pkl.*--mano DIR.*--without-hands"):
        read(folder)
    assert [item.name for item in read(folder, without_hands=True).scene.bodies] == ["object"]
    monkeypatch.setenv("WARPPRIOR_MANO", str(folder / "mano"))
    assert len(read(folder).scene.bodies) == 3
    write_mano(tmp_path, "left")
    with pytest.raises(InputError, match="holds no MANO_RIGHT"):
        read(folder, mano=tmp_path)


def test_hands_without_masks_are_known(tmp_path, run):
    """They hide what is behind them, and are not written."""
    folder, _, _ = run
    write_run(tmp_path / "clip", variants=("result",))
    for track in (2, 3):
        for path in (tmp_path / f"clip/outputs/masks/{track}").iterdir():
            path.unlink()
    recording = read(tmp_path / "clip", mano=folder / "mano")
    assert [item.known for item in recording.scene.bodies] == [False, True, True]
    assert (recording.scene.labels == 255).any()
    assert "object in 5 frames" in write(recording, tmp_path / "out")[0]


def test_a_linked_file_that_leads_out_is_refused(tmp_path):
    """A bundle may come from anywhere."""
    write_bundle(tmp_path / "in/result")
    (tmp_path / "secret.png").write_bytes(b"x")
    (tmp_path / "in/frames").mkdir()
    (tmp_path / "in/frames/000000.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(InputError, match="leads out of its folder"):
        read(tmp_path / "in", "v2d", without_hands=True)
    assert Z_UP.shape == (4, 4) and warpprior.read is read
