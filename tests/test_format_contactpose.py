"""ContactPose: what its own projection puts into pixels, hands that move or not, with MANO or by joints."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.format_files import contactpose as files
from tests.format_files.samples import FRAMES
from warpprior.bodies import posed_keypoints, posed_vertices
from warpprior.formats import guess_format, read
from warpprior.support.errors import InputError


def pixels(recording, name):
    """Where the camera sees the vertices of a body (frame, vertex, 2), first pixel's centre at (0, 0)."""
    item, camera = recording.scene.body(name), recording.scene.camera
    points = posed_vertices(item.body, item.initial).astype(np.float64)
    flat = points[..., :2] / points[..., 2:]
    return flat * [camera.fx, camera.fy] + [camera.cx - 0.5, camera.cy - 0.5]


@pytest.mark.parametrize("name", files.SIZES)
@pytest.mark.parametrize("moving", [True, False])
def test_everything_is_seen_where_its_own_projection_has_it(tmp_path, name, moving):
    """Object and both hands to a thousandth of a pixel, a micrometre here, in pictures turned by 90 and 180 degrees."""
    folder, seen = files.write_grasp(tmp_path, moving=moving)
    assert guess_format(folder)[0].name == "contactpose"
    recording = read(folder, camera=name, mano=tmp_path / "mano")
    assert (recording.scene.camera.width, recording.scene.camera.height) == files.SIZES[name]
    for body in ("hand_left", "hand_right"):
        assert np.abs(pixels(recording, body)[:, :778] - seen[name, body]).max() < 1e-3
    apart = np.linalg.norm(pixels(recording, "mug")[:, :, None] - seen[name, "mug"][:, None], axis=-1)
    assert apart.min(axis=1).max() < 1e-3 and apart.min(axis=2).max() < 1e-3
    assert recording.scene.read_rgb(2).mean() == 2 and np.allclose(recording.scene.read_depth(1), 0.8)
    assert sum("0.5 px were added" in note for note in recording.notes) == 1
    assert not recording.world.camera.moves and recording.scene.noise == {"poses": 0.005}


def test_hands_by_joints_need_no_licence(tmp_path):
    """Our own hand, whose joints are where the camera sees them."""
    folder, _ = files.write_grasp(tmp_path)
    recording = read(tmp_path, "contactpose", sequence="full28_use/mug", hands="joints")
    tree = json.loads((folder / "annotations.json").read_text())
    joints = np.array(tree["hands"][1]["joints"])
    found = recording.scene.keypoints3d["hand_right"]
    assert found.shape == (FRAMES, 21, 4)
    spread = np.linalg.norm(found[:, :, None, :3] - found[:, None, :, :3], axis=-1)
    assert np.abs(spread - np.linalg.norm(joints[:, None] - joints[None], axis=-1)).max() < 1e-9
    hand = recording.scene.body("hand_right")
    assert hand.body.kind == "hand" and np.isfinite(posed_keypoints(hand.body, hand.initial)).all()


def test_what_cannot_be_read_is_named(tmp_path):
    """Cameras that are not valid, files that are not there, quaternions of zeros."""
    folder, _ = files.write_grasp(tmp_path)
    with pytest.raises(InputError, match="kinect2_right: is not valid for this grasp; kinect2_left, kinect2_middle"):
        read(folder, "contactpose", camera="kinect2_right")
    with pytest.raises(InputError, match="holds 1 grasps: full28_use/mug"):
        read(tmp_path, "contactpose")
    (folder / "mano_fits_15.json").unlink()
    with pytest.raises(InputError, match="has no mano_fits_15.json; --hands joints"):
        read(folder, "contactpose", mano=tmp_path / "mano")
    tree = json.loads((folder / "annotations.json").read_text())
    tree["frames"][3]["oTw"]["rotation"] = [0, 0, 0, 0]
    (folder / "annotations.json").write_text(json.dumps(tree))
    with pytest.raises(InputError, match="frame 3: oTw: has a quaternion of zeros"):
        read(folder, "contactpose", hands="none")
    (folder / "mug.ply").unlink()
    tree["frames"][3]["oTw"]["rotation"] = [1, 0, 0, 0]
    (folder / "annotations.json").write_text(json.dumps(tree))
    with pytest.raises(InputError, match=r"mug\.ply: is not there"):
        read(folder, "contactpose", hands="none")
