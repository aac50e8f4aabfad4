"""Recordings of hand joints: OpenXR and WebXR in the forms that programs keep, EgoDex; and orders of 21 keypoints."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.format_files.samples import FRAMES, hand_item, simulated
from tests.format_files.xr_hands import NAMES, egodex_camera, joints, write_egodex, write_openxr
from warpprior.bodies import posed_keypoints
from warpprior.formats import Recording, guess_format, read, write
from warpprior.formats.parts.keypoints import ORDERS, guess_order
from warpprior.formats.parts.openxr_frames import joint_row
from warpprior.support.errors import InputError, MissingExtraError

ROWS = list(ORDERS["openxr"])
KEPT = [0, 1, 3]


def in_world(recording, side="right"):
    """Keypoints of a hand in the world of the file (frame, 21, 3)."""
    matrices = recording.world.camera.matrices()
    deep = recording.scene.keypoints3d[f"hand_{side}"][..., :3]
    return np.einsum("fab,fkb->fka", matrices[:, :3, :3], deep) + matrices[:, None, :3, 3]


@pytest.mark.parametrize("form", ["by number", "by name", "unity", "npz"])
def test_every_form_of_recordings(tmp_path, form):
    """To a micrometre; frames without a hand say nothing; left-handed axes are told by the quaternions; y is up."""
    ending = {"npz": ".npz", "by name": ".jsonl"}.get(form, ".json")
    write_openxr(path := tmp_path / f"hands{ending}", form, missing=(2, 4))
    recording = read(path, "openxr")
    assert recording.scene.frame_count == FRAMES and recording.scene.fps == pytest.approx(50.0)
    near = 1e-6 if form != "npz" else 1e-5
    assert np.abs(in_world(recording)[KEPT] - joints()[0][KEPT][:, ROWS]).max() < near
    deep = recording.scene.keypoints3d["hand_right"]
    assert (
        not deep[2].any() and not deep[4].any() and (deep[KEPT][..., 3] == 1.0).all() and deep[KEPT][..., 2].min() > 0.2
    )
    assert np.array_equal(recording.world.gravity, [0.0, -1.0, 0.0])
    assert any("left-handed, as Unity's, by its quaternions" in note for note in recording.notes) == (form == "unity")
    assert [item.name for item in recording.scene.bodies] == ["hand_right"]
    assert guess_format(path)[0].name == "openxr" or form == "npz"


def test_both_hands_and_uneven_times_in_nanoseconds(tmp_path):
    """Each its own; times as they are; what does not go on is left out; a wrong axis can be said."""
    times = [1_700_000_000_000_000_000 + int(step * 1e6) for step in (0, 20, 20, 95, 110)]
    write_openxr(path := tmp_path / "hands.json", "by number", times=times, hands=("left", "right"))
    recording = read(path)
    assert np.allclose(recording.scene.timestamps, [0.0, 0.02, 0.095, 0.11], atol=1e-6)
    assert any("1 frames whose times do not increase" in note for note in recording.notes)
    assert any("taken for nanoseconds" in note for note in recording.notes)
    for side in ("left", "right"):
        assert np.abs(in_world(recording, side) - joints(side)[0][[0, 1, 3, 4]][:, ROWS]).max() < 1e-6
        assert recording.scene.body(f"hand_{side}").body.side == side
    turned = read(path, axes="left")
    assert np.abs(in_world(turned) - joints()[0][[0, 1, 3, 4]][:, ROWS]).max() > 0.1
    (tmp_path / "bad.json").write_text(json.dumps([{"left": {"joints": [[0, 0, 0]] * 7}}]))
    with pytest.raises(InputError, match="has 7 joints"):
        read(tmp_path / "bad.json", "openxr")


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_we_write_is_read_again(tmp_path, side):
    """hand_keypoints.npz: 26 joints, z up; which hand it is, is told by the y axes, out of its back."""
    scene = simulated(side)
    write(Recording(scene), tmp_path / "out", "hand_keypoints")
    recording = read(tmp_path / "out/hand_keypoints.npz")
    item = hand_item(scene)
    truth = posed_keypoints(item.body, item.initial)
    assert np.abs(in_world(recording, side) - truth).max() < 1e-6
    assert np.array_equal(recording.world.gravity, [0.0, 0.0, -1.0])


def test_names_of_joints():
    """Of OpenXR, WebXR and engines; what is none is none."""
    for row, name in enumerate(NAMES):
        assert joint_row(f"XR_HAND_JOINT_{name}_EXT") == row
    for name, row in (("index-finger-phalanx-proximal", 7), ("LittleTip", 25), ("pinky_metacarpal", 21), ("palm", 0)):
        assert joint_row(name) == row
    for name in ("thumb-intermediate", "elbow", "tip", "index"):
        assert joint_row(name) is None


@pytest.mark.parametrize("fist", [False, True])
def test_orders_that_begin_at_the_tip(fist):
    """Fingers from their tips or from their bases: the bone at the base is the longer one, in fists, too."""
    item = hand_item(simulated())
    ours = posed_keypoints(item.body, item.initial).astype(np.float64)
    if fist:  # tips at the knuckles: chains are as long from either end
        fingers = ours[:, 1:].reshape(FRAMES, 5, 4, 3)
        fingers[:, 1:, 3] = 0.7 * fingers[:, 1:, 0] + 0.3 * fingers[:, 1:, 2]
        fingers[:, 1:, 3] = fingers[:, 1:, 2] + 0.018 * (d := fingers[:, 1:, 3] - fingers[:, 1:, 2]) / np.linalg.norm(
            d, axis=3 - 1, keepdims=True
        )
    for order in ("openpose", "rhd", "fpha", "interhand", "mano"):
        theirs = np.zeros_like(ours)
        theirs[:, list(ORDERS[order])] = ours
        assert guess_order(theirs) == order


def test_egodex(tmp_path):
    """Joints in the moving camera of an ARKit world, what is not sure says nothing, pictures by the video."""
    pytest.importorskip("h5py", reason="h5py is not installed")
    truth = write_egodex(path := tmp_path / "lift/7.hdf5", missing=(2,), frames=FRAMES + 1)
    assert guess_format(path)[0].name == "egodex"
    recording = read(path)
    deep = recording.scene.keypoints3d["hand_right"]
    kept = [0, 1, 3, 4]
    assert np.abs(deep[kept, :, :3] - truth[kept]).max() < 1e-6 and not deep[2].any()
    assert np.allclose(deep[kept][..., 3], 0.8) and "hand_left" not in recording.scene.keypoints3d
    assert np.abs(recording.world.camera.matrices() - egodex_camera()).max() < 1e-6
    assert np.array_equal(recording.world.gravity, [0.0, -1.0, 0.0])
    camera, found = simulated().camera, recording.scene.camera
    assert np.allclose([found.fx, found.cx, found.cy], [camera.fx, camera.cx, camera.cy], atol=1e-4)
    assert np.abs(recording.scene.read_rgb(3).astype(int) - simulated().read_rgb(3)).mean() < 6.0
    assert any("7.mp4 has 6 frames, 7.hdf5 5; 5 were taken" in note for note in recording.notes)
    assert recording.scene.name == "lift_7" and recording.scene.fps == pytest.approx(30.0)


def test_egodex_follows_nothing_that_is_elsewhere(tmp_path):
    """Links to other files and arrays of another form are refused; without a video it is said."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    write_egodex(path := tmp_path / "7.hdf5", video=False)
    assert any("no pictures" in note for note in read(path).notes)
    with h5py.File(tmp_path / "other.hdf5", "w") as other:
        other["x"] = np.tile(np.eye(4), (FRAMES, 1, 1))
    for change, says in (
        (lambda file: file["transforms"].__setitem__("rightHand", h5py.ExternalLink("other.hdf5", "x")), "refers to"),
        (lambda file: file["transforms"].__setitem__("rightHand", np.zeros((3, 4, 4))), "has shape"),
        (lambda file: file["transforms"].__setitem__("rightHand", "text"), "no array of numbers"),
    ):
        with h5py.File(path, "r+") as file:
            del file["transforms/rightHand"]
            change(file)
        with pytest.raises(InputError, match=says):
            read(path)


def test_egodex_says_what_it_needs(tmp_path, monkeypatch):
    """Without h5py, how to get it."""
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "1.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(MissingExtraError, match=r"pip install 'warpprior\[formats\]'"):
        read(tmp_path / "1.hdf5", "egodex")
