"""HOT3D: recordings and clips in their layouts, UmeTrack hands, fisheye cameras on a moving head."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.format_files import hot3d as files
from warpprior.bodies import posed_vertices
from warpprior.bodies.readers.umetrack import profile_of, read_umetrack, umetrack_body
from warpprior.formats import read, write
from warpprior.formats.parts.fisheye624 import fisheye624
from warpprior.scene import Poses
from warpprior.support.errors import InputError

NEAR = 2e-6
SAMPLE = os.environ.get("WARPPRIOR_HOT3D_SAMPLE")  # hot3d/data_loaders/tests/data_sample of facebookresearch/hot3d


def in_world(recording, name):
    """Vertices of a body (frame, vertex, 3) in the world."""
    item, matrices = recording.scene.body(name), recording.world.camera.matrices()
    places = posed_vertices(item.body, item.initial).astype(np.float64)
    return np.einsum("fab,fvb->fva", matrices[:, :3, :3], places) + matrices[:, None, :3, 3]


def test_hands_move_as_their_profile_has_it(tmp_path):
    """Turns about fixed axes, both sides, in the world of a moving camera; the right hand is mirrored in its wrist."""
    _, hands, cameras = files.write_recording(tmp_path / "P1")
    recording = read(tmp_path / "P1")
    for side, (wrists, angles) in hands.items():
        found = in_world(recording, f"hand_{side}")
        for frame in range(files.FRAMES):
            expected = files.posed(side, wrists[frame], angles[frame])
            assert np.abs(found[frame] - expected).max() < NEAR
        assert recording.scene.body(f"hand_{side}").body.side == side
    assert np.abs(recording.world.camera.matrices() - cameras).max() < NEAR and recording.world.camera.moves
    assert any("no masks" in note for note in recording.notes)


def test_objects_are_metric_and_where_they_were(tmp_path):
    """Millimetres below a node; quaternions w first; frames that masks exclude are interpolated."""
    things, _, _ = files.write_recording(tmp_path / "P1", missing=(2,))
    recording = read(tmp_path / "P1")
    item = recording.scene.body("mouse")
    assert np.allclose(np.ptp(item.body.vertices, axis=0), files.SIZE)
    assert list(np.flatnonzero(item.initial.imputed)) == [2]
    found = in_world(recording, "mouse").mean(axis=1)
    for frame in (0, 1, 3):
        assert np.abs(found[frame] - things[frame][:3, 3]).max() < NEAR
    assert np.linalg.norm(found[2] - [9.0, 9.0, 9.0]) > 1.0


def test_clips_have_pictures_and_masks_of_a_pinhole_camera(tmp_path):
    """Masks count from one, row by row; rectified, they lie on the cube as a pinhole camera draws it."""
    files.write_clip(tmp_path / "clip-000001.tar")
    recording = read(tmp_path / "clip-000001.tar")
    scene = recording.scene
    item = scene.body("object_31")
    assert not item.known and all(one.known for one in scene.bodies if one is not item)
    camera = scene.camera
    places = posed_vertices(item.body, item.initial).astype(np.float64)
    for frame in range(files.FRAMES):
        drawn = places[frame, :, :2] / places[frame, :, 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
        y, x = np.nonzero(scene.labels[frame] == item.label)
        low, high = drawn.min(axis=0), drawn.max(axis=0)
        assert np.abs(np.array([x.min(), y.min()]) - low).max() < 3.0
        assert np.abs(np.array([x.max() + 1, y.max() + 1]) - high).max() < 3.0
        picture = scene.read_rgb(frame)
        assert picture.shape == (files.HEIGHT, files.WIDTH, 3)
        assert picture[scene.labels[frame] == item.label].mean() > 150
    _, _, hands = files.motion()
    found = in_world(recording, "hand_right")
    assert np.abs(found[1] - files.posed("right", hands["right"][0][1], hands["right"][1][1])).max() < NEAR


def test_run_lengths_are_row_by_row_from_one(tmp_path):
    """The other reading, column by column from zero as COCO has it, gives another mask."""
    from warpprior.formats.parts.hot3d_clip import decode_rows

    mask = np.random.default_rng(0).random((files.HEIGHT, files.WIDTH)) > 0.6
    assert np.array_equal(decode_rows(files.run_lengths(mask), mask.shape, "x"), mask)
    with pytest.raises(InputError, match="leave the picture"):
        decode_rows({"height": files.HEIGHT, "width": files.WIDTH, "rle": [19200, 2]}, mask.shape, "x")


def test_the_lens_is_that_of_15_and_of_16_numbers():
    """One focal length or two; as a plain loop over points has it, to a billionth of a pixel."""
    points = np.random.default_rng(1).uniform([-0.5, -0.4, 0.4], [0.5, 0.4, 1.0], size=(50, 3))
    lens = fisheye624(np.array(files.LENS), files.WIDTH, files.HEIGHT, "x")
    assert np.abs(lens.project(points) - 0.5 - files.project(points)).max() < 1e-9
    short = fisheye624(np.array(files.LENS[1:]), files.WIDTH, files.HEIGHT, "x")
    assert (short.camera.fx, short.camera.fy) == (111.0, 111.0)
    assert short.camera.cx == lens.camera.cx and short.lens == lens.lens
    with pytest.raises(InputError, match="has 14 numbers"):
        fisheye624(np.ones(14), 160, 120, "x")


def test_scene_folders_hold_umetrack_hands(tmp_path):
    """By the profile's file, or by what the body holds where it was in an archive."""
    files.write_recording(tmp_path / "P1")
    files.write_clip(tmp_path / "clip-000001.tar")
    for source in ("P1", "clip-000001.tar"):
        recording = read(tmp_path / source)
        write(recording, tmp_path / f"scene_{source[:2]}", "scene")
        again = read(tmp_path / f"scene_{source[:2]}")
        for side in ("left", "right"):
            assert np.abs(in_world(recording, f"hand_{side}") - in_world(again, f"hand_{side}")).max() < NEAR


def test_a_profile_comes_back():
    """What a body holds of it makes the same hand."""
    body = umetrack_body(files.profile(), "a", side="right", where="x")
    again = umetrack_body(profile_of(body), "a", side="right", where="x")
    poses = Poses(np.zeros((1, 3)), np.array([[0, 0, 0, 1.0]]), np.full((1, 20), 0.4))
    assert np.abs(posed_vertices(body, poses) - posed_vertices(again, poses)).max() < 1e-6
    assert body.closed and np.allclose(body.lower, -0.8) and body.keypoint_count == 21
    assert body.contact_zones["palm"].size


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("joint_parent", [0] * 22, "five fingers"),
        ("mesh_triangles", [[0, 1, 10_000]], "vertices that there are not"),
        ("dense_bone_weights", [[0.0] * 17] * 128, "sum to one"),
        ("joint_rotation_axes", [[0.0, 0.0, 0.0]] * 22, "unit axes"),
        ("mesh_vertices", [["x"]], "not an array of numbers"),
        ("joint_limits", None, "not an array|of shape"),
    ],
)
def test_profiles_that_are_none_are_refused(key, value, found):
    """By the array."""
    tree = files.profile()
    tree["hand_model"][key] = value
    with pytest.raises(InputError, match=found):
        umetrack_body(tree, "a", side="left", where="x")


@pytest.mark.skipif(SAMPLE is None, reason="WARPPRIOR_HOT3D_SAMPLE names no folder of the genuine sample")
def test_the_genuine_sample_lies_on_its_own_boxes():
    """The right hand on the mouse, and objects and hands as the set's own 2D boxes have them."""
    import csv

    from warpprior.formats.parts.hot3d_files import read_camera
    from warpprior.geometry.signed_distance import Surface

    folder = Path(str(SAMPLE)) / "Quest3/P0002_273c2819"
    recording = read(folder, "hot3d", stream="1201-1")
    scene = recording.scene
    hand, mouse = scene.body("hand_right"), scene.body("mouse")
    surface = Surface(mouse.body.vertices, mouse.body.faces, "mouse")
    from scipy.spatial.transform import Rotation

    touching = posed_vertices(hand.body, hand.initial)
    turns = Rotation.from_quat(mouse.initial.rotation).as_matrix()
    near = [
        surface.measure((vertices - place) @ turn)[0].min()
        for vertices, place, turn in zip(touching, mouse.initial.position, turns, strict=True)
    ]
    assert np.abs(near).max() < 0.004 and np.median(np.abs(near)) < 0.001
    lens = read_camera(folder, "1201-1", [])[0]
    stamps = [int(row["timestamp[ns]"]) for row in csv.DictReader(open(folder / "headset_trajectory.csv"))]
    pixels, off = lens.project(touching.astype(np.float64)) - 0.5, []
    for row in csv.DictReader(open(folder / "box2d_hands.csv")):
        if row["stream_id"] == "1201-1" and row["hand_index"] == "1":
            seen = pixels[stamps.index(int(row["timestamp[ns]"]))]
            box = [float(row[f"{axis}_{end}[pixel]"]) for axis in "xy" for end in ("min", "max")]
            off.append(np.abs(np.array([*seen[:, 0][[seen[:, 0].argmin(), seen[:, 0].argmax()]],
                                        *seen[:, 1][[seen[:, 1].argmin(), seen[:, 1].argmax()]]]) - box))  # fmt: skip
    assert np.median(off) < 1.5 and np.max(off) < 5.0
    assert read_umetrack(folder / "umetrack_hand_user_profile.json").closed
