"""TACO: tensors of torch in pickles, the wrist itself as translation, cameras that move, stand or are not there."""

from __future__ import annotations

import numpy as np
import pytest

from tests.format_files import taco
from tests.format_files.samples import FRAMES
from tests.format_files.torch_pickles import Storage, Tensor, dumps
from tests.format_files.v2d import cameras
from warpprior.bodies import posed_vertices
from warpprior.bodies.readers.plain_pickle import read_plain
from warpprior.formats import find_format, guess_format, read
from warpprior.support.errors import InputError

NEAR = 1e-6


def in_world(recording, name):
    """Vertices of a body in the world (frame, vertex, 3)."""
    item = recording.scene.body(name)
    seen = posed_vertices(item.body, item.initial).astype(np.float64)
    poses = recording.world.camera.matrices()
    return np.einsum("fab,fvb->fva", poses[:, :3, :3], seen) + poses[:, None, :3, 3]


def everything_is_there(recording, world):
    """Hands and objects are where the data set's code puts them, to a micrometre."""
    for side in ("right", "left"):
        assert np.abs(in_world(recording, f"hand_{side}")[:, :778] - world[side]).max() < NEAR
    for role in ("tool", "target"):
        assert np.abs(in_world(recording, role) - world[role]).max() < NEAR


def test_hands_are_turned_about_the_wrist_that_they_state(tmp_path):
    """In the worn camera, of keys in any order; one tensor is a part of its storage, one a parameter."""
    folder, world = taco.write_sequence(tmp_path, missing=(2,))
    assert guess_format(folder)[0].name == "taco" and find_format("taco").splits_of(folder) == ("test_3",)
    recording = read(folder, mano=tmp_path / "mano")
    everything_is_there(recording, world)
    found = recording.world.camera.matrices()
    assert np.abs(found - cameras(True))[[0, 1, 3, 4]].max() < NEAR and not recording.world.camera.valid[2]
    camera = recording.scene.camera
    assert (camera.width, camera.height, camera.fx) == (1920, 1080, pytest.approx(1500.0))


def test_cameras_that_stand_or_are_not_there(tmp_path):
    """By serial number; else one is made up that sees all."""
    _, world = taco.write_sequence(tmp_path / "a", ego=False)
    recording = read(tmp_path / "a", "taco", sequence=taco.NAME, mano=tmp_path / "a/mano")
    everything_is_there(recording, world)
    assert np.abs(recording.world.camera.matrices() - taco.STANDS).max() < NEAR
    assert any("camera 22070938 of 2" in note for note in recording.notes)
    assert sum("0.5 px were added" in note for note in recording.notes) == 1
    folder, world = taco.write_sequence(tmp_path / "b", ego=False, allocentric=False)
    recording = read(folder, mano=tmp_path / "b/mano")
    everything_is_there(recording, world)
    assert any("made up" in note for note in recording.notes)
    with pytest.raises(InputError, match="holds 1 sequences: 20231105_019"):
        read(tmp_path / "b", "taco")


def test_what_cannot_be_read_is_named(tmp_path):
    """Hands of other frames, models that are not there, cameras of other names."""
    folder, _ = taco.write_sequence(tmp_path)
    hands = tmp_path / "Hand_Poses" / taco.TRIPLET / taco.NAME
    (hands / "left_hand.pkl").unlink()
    recording = read(folder, mano=tmp_path / "mano")
    assert any("no left_hand.pkl" in note for note in recording.notes)
    (hands / "right_hand.pkl").write_bytes(dumps({"00001": {"hand_pose": Tensor(np.zeros(48, np.float32))}}))
    with pytest.raises(InputError, match="has 1 frames; 5, as the objects have"):
        read(folder, "taco", mano=tmp_path / "mano")
    with pytest.raises(InputError, match="camera 1: .*none of that name; 22070938, 22139908"):
        read(folder, "taco", camera="1", without_hands=True)
    file = tmp_path / "Object_Poses" / taco.TRIPLET / taco.NAME / "tool_032.npy"
    poses = np.load(file)
    poses[1] = np.nan
    poses[3, :3, :3] = np.diag([1.1, 1.0 / 1.1, 1.0]) @ poses[3, :3, :3]
    np.save(file, poses)
    with pytest.raises(InputError, match="tool, frame 3: is not a rotation matrix"):
        read(folder, "taco", without_hands=True)
    (tmp_path / "Object_Models/032_cm.obj").unlink()
    with pytest.raises(InputError, match="holds no 032_cm.obj"):
        read(folder, "taco", without_hands=True)
    assert FRAMES == 5


@pytest.mark.parametrize("kind", ["cut", "type", "reach", "keys"])
def test_storages_that_are_not_what_they_say_are_refused(tmp_path, kind, monkeypatch):
    """Cut off, of another type, too short for the tensor, of another key."""
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = tmp_path / "t.pkl"
    path.write_bytes(dumps({"a": Tensor(values)}))
    assert np.array_equal(read_plain(path, "a tensor")["a"], values)
    saved = Storage.saved
    changes = {
        "cut": lambda data: data[:-1],
        "type": lambda data: data.replace(b"FloatStorage", b"OtherStorage"),
        "reach": None,
        "keys": lambda data: data.replace(b"94021", b"94022", 1),
    }
    if kind == "reach":
        monkeypatch.setattr("tests.format_files.torch_pickles.Tensor.__reduce_ex__", _too_long)
    else:
        monkeypatch.setattr(Storage, "saved", lambda self: changes[kind](saved(self)))
    path.write_bytes(dumps({"a": Tensor(values)}))
    with pytest.raises(InputError, match=r"t\.pkl"):
        read_plain(path, "a tensor")


def _too_long(self, protocol):
    from tests.format_files.torch_pickles import Named

    return Named("torch._utils", "_rebuild_tensor_v2"), (Storage(np.zeros(3, np.float32)), 0, (4,), (1,), False, {})
