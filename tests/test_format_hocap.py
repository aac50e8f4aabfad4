"""HO-Cap: poses object by object, all -1 for none, masks of labels, and which convention its hands have."""

from __future__ import annotations

import numpy as np
import pytest

from tests.format_files import hocap
from tests.format_files.samples import hand_item, object_of, simulated
from tests.format_files.v2d import cameras
from warpprior.bodies import posed_vertices
from warpprior.formats import guess_format, read
from warpprior.support.errors import InputError

NEAR = 1e-6
pytest.importorskip("yaml", reason="PyYAML is not installed")


def surfaces(recording, name):
    """Vertices of a body (frame, vertex, 3)."""
    item = recording.scene.body(name)
    return posed_vertices(item.body, item.initial)


@pytest.mark.parametrize("mean", [True, False])
def test_labels_tell_which_convention_the_hands_have(tmp_path, mean):
    """Both toolkits read the same files otherwise: MANO's mean pose is added, or not; joints of the labels tell."""
    folder, seen = hocap.write_sequence(tmp_path, mean=mean, missing=(1,))
    assert guess_format(folder)[0].name == "hocap"
    recording = read(folder, mano=tmp_path / "mano")
    rest = [0, 2, 3, 4]
    assert np.abs(surfaces(recording, "hand_right")[rest, :778] - seen["right"][rest]).max() < NEAR
    assert np.abs(surfaces(recording, "hand_left")[:, :778] - seen["left"]).max() < NEAR
    item, truth = recording.scene.body("G01_1"), object_of(simulated())
    assert np.abs(surfaces(recording, "G01_1") - posed_vertices(truth.body, truth.initial))[rest].max() < NEAR
    assert list(np.flatnonzero(item.initial.imputed)) == [1] and np.isnan(item.truth.position[1]).all()
    scene = simulated()
    assert np.array_equal(recording.scene.labels == item.label, scene.labels == truth.label)
    assert any("hand_left: no masks; known" in note for note in recording.notes)
    hand = recording.scene.body("hand_right")
    assert np.array_equal(recording.scene.labels == hand.label, scene.labels == hand_item(scene).label)
    assert recording.scene.body("hand_left").known and not hand.known  # the labels of this camera show it nowhere
    words = "added to its" if mean else "not added to its"
    notes = [note for note in recording.notes if "mean pose is" in note]
    assert len(notes) == 2 and all(words in note and "mm off" in note for note in notes)
    assert any("G01_2 has a pose in no frame" in note for note in recording.notes)
    assert np.allclose(recording.scene.read_depth(0), 0.7) and recording.scene.read_rgb(3) is not None
    place = np.linalg.inv(hocap.TAG) @ hocap.CAMERA
    assert np.abs(recording.world.camera.matrices() - place).max() < NEAR


def test_the_worn_camera_moves(tmp_path):
    """Its poses are of a file of their own; without labels poses are held, and the newer toolkit is believed."""
    folder, seen = hocap.write_sequence(tmp_path)
    recording = read(tmp_path, "hocap", sequence="subject_1/20231025_165502", camera=hocap.WORN, mano=tmp_path / "mano")
    assert np.abs(recording.world.camera.matrices() - cameras(True)).max() < NEAR
    to_other = np.linalg.inv(cameras(True)) @ np.linalg.inv(hocap.TAG) @ hocap.CAMERA
    moved = np.einsum("fab,fvb->fva", to_other[:, :3, :3], seen["left"]) + to_other[:, None, :3, 3]
    assert np.abs(surfaces(recording, "hand_left")[:, :778] - moved).max() < NEAR
    assert recording.scene.labels is None and recording.scene.noise == {"poses": 0.005}
    assert any("no label tells" in note for note in recording.notes)
    said = read(folder, camera=hocap.WORN, mean_pose="not", mano=tmp_path / "mano")
    assert np.abs(surfaces(said, "hand_left")[:, :778] - moved).max() > 1e-3


def test_the_frame_that_is_wrong_is_named(tmp_path):
    """By its own number, though frames before it have no pose."""
    folder, _ = hocap.write_sequence(tmp_path, missing=(1,))
    poses = np.load(folder / "poses_o.npy")
    poses[0, 3, :4] *= 0.5
    np.save(folder / "poses_o.npy", poses)
    with pytest.raises(InputError, match="G01_1, frame 3: has norm 0.5"):
        read(folder, "hocap", without_hands=True)


def test_what_cannot_be_read_is_named(tmp_path):
    """Cameras of other names, names that lead elsewhere, arrays of other shapes, masks of another size."""
    folder, _ = hocap.write_sequence(tmp_path)
    with pytest.raises(InputError, match="camera 1: .*none of that name; 105322251564, 043422252387"):
        read(folder, "hocap", camera="1")
    recording = read(folder, without_hands=True)
    assert (recording.scene.labels[simulated().labels == hand_item(simulated()).label] == 255).all()
    np.savez(folder / hocap.SERIAL / "label_000002.npz", seg_mask=np.zeros((12, 16), np.uint8))
    with pytest.raises(InputError, match="label_000002.npz: seg_mask uint8 of shape"):
        read(folder, "hocap", without_hands=True)
    np.save(folder / "poses_o.npy", np.zeros((1, 5, 7)))
    with pytest.raises(InputError, match=r"poses_o.npy: float64 of shape \(1, 5, 7\); needs \(2, 5, 7\)"):
        read(folder, "hocap", without_hands=True)
    meta = (folder / "meta.yaml").read_text()
    (folder / "meta.yaml").write_text(meta.replace("G01_2", "../../x"))
    with pytest.raises(InputError, match="object_ids"):
        read(folder, "hocap")
