"""ARCTIC: two hands about the mean pose, an object of two parts, a worn camera with a lens and eight that stand."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.format_files import arctic
from tests.format_files.samples import FRAMES, simulated
from tests.format_files.v2d import cameras
from warpprior.bodies import posed_vertices
from warpprior.formats import find_format, guess_format, read, write
from warpprior.support.errors import InputError

NEAR = 1e-6


def in_world(recording, name):
    """Vertices of a body in the world (frame, vertex, 3)."""
    item = recording.scene.body(name)
    seen = posed_vertices(item.body, item.initial).astype(np.float64)
    poses = recording.world.camera.matrices()
    return np.einsum("fab,fvb->fva", poses[:, :3, :3], seen) + poses[:, None, :3, 3]


def parts_of(recording):
    """Vertices of the object's parts in the world; those of the file in any order."""
    item, places = recording.scene.body("box"), in_world(recording, "box")
    return {name: places[:, item.body.skin_links[:, 0] == link] for link, name in enumerate(("bottom", "top"))}


def same_points(found, given):
    """Are points (frame, point, 3) the same but for their order?"""
    apart = np.linalg.norm(found[:, :, None] - given[:, None], axis=-1)
    return max(apart.min(axis=1).max(), apart.min(axis=2).max()) < NEAR


@pytest.mark.parametrize("view", [0, 3])
def test_hands_and_parts_are_where_its_code_puts_them(tmp_path, view):
    """To a micrometre, in the worn camera and in one that stands; pictures are those of the frames."""
    path, world = arctic.write_sequence(tmp_path)
    assert guess_format(path)[0].name == "arctic"
    recording = read(path, view=view, mano=tmp_path / "mano")
    for side in ("right", "left"):
        assert np.abs(in_world(recording, f"hand_{side}")[:, :778] - world[side]).max() < NEAR
    parts = parts_of(recording)
    assert same_points(parts["top"], world["top"]) and same_points(parts["bottom"], world["bottom"])
    where = cameras(True) if view == 0 else np.tile(arctic.looking(0), (FRAMES, 1, 1))
    assert np.abs(recording.world.camera.matrices() - where).max() < NEAR
    item = recording.scene.body("box")
    assert item.body.coordinate_names == ("articulation",) and np.isfinite(item.truth.position).all()
    assert np.allclose(item.initial.joints[:, 0], 0.2 + 0.1 * np.arange(FRAMES))
    seen, given = recording.scene.read_rgb(2).astype(float), simulated().read_rgb(2).astype(float)
    sure = seen.any(axis=-1)
    assert np.abs(seen - given)[sure].mean() < 4.0 if view == 0 else np.array_equal(seen, given)
    assert recording.scene.noise == {"poses": 0.005} and recording.scene.fps == 30.0
    assert sum("0.5 px were added" in note for note in recording.notes) == 1


def test_sequences_are_called_by_their_names(tmp_path):
    """From the root of the data set; what is not said or not there is asked for, with the names that there are."""
    path, _ = arctic.write_sequence(tmp_path)
    recording = read(tmp_path, "arctic", sequence="s01/box_use_01", without_hands=True)
    assert [item.name for item in recording.scene.bodies] == ["box"]
    with pytest.raises(InputError, match="holds 1 sequences: s01/box_use_01; name one: --sequence"):
        read(tmp_path, "arctic")
    with pytest.raises(InputError, match="did you mean 's01/box_use_01'"):
        read(tmp_path, "arctic", sequence="s01/box_use_02")
    assert find_format("arctic").splits_of(path) == ("p1_val",)
    (tmp_path / "splits_json/protocol_p2.json").write_text('{"train": 3, "val": null, "test": {"s01/box_use_01": 1}}')
    assert find_format("arctic").splits_of(path) == ("p1_val",)


def test_the_root_of_a_file_system_is_a_folder_like_any_other():
    """It has nothing above it in which to look for the rest."""
    arctic_format, path = find_format("arctic"), Path("/none_01.mano.npy")
    assert arctic_format.splits_of(path) == ()
    with pytest.raises(InputError, match=r"none_01\.object\.npy"):
        arctic_format.read(path, arctic_format.Options())


def test_scene_folders_hold_articulated_objects(tmp_path):
    """The object has no URDF file: one is written, and moves as the data set's does."""
    path, world = arctic.write_sequence(tmp_path)
    write(read(path, mano=tmp_path / "mano"), tmp_path / "scene", "scene")
    parts = parts_of(read(tmp_path / "scene"))
    assert same_points(parts["top"], world["top"]) and same_points(parts["bottom"], world["bottom"])


def test_what_cannot_be_read_is_named(tmp_path):
    """Cameras without misc.json, models that are not there, pickles that want something run."""
    path, _ = arctic.write_sequence(tmp_path)
    with pytest.raises(InputError, match="MANO hand, whose model needs a licence"):
        read(path, "arctic")
    misc = json.loads((tmp_path / "meta/misc.json").read_text())
    del misc["s01"]["ioi_offset"]
    (tmp_path / "meta/misc.json").write_text(json.dumps(misc))
    recording = read(path, without_hands=True)
    assert recording.scene.read_rgb is None and any("ioi_offset" in note for note in recording.notes)
    (tmp_path / "meta/misc.json").unlink()
    with pytest.raises(InputError, match="view 4: .*no misc.json; --view 0"):
        read(path, "arctic", view=4)

    class Runs:
        def __reduce__(self):
            return print, ("run",)

    np.save(path, {"right": Runs()}, allow_pickle=True)
    with pytest.raises(InputError, match="holds builtins.print, which is not read"):
        read(path, "arctic", mano=tmp_path / "mano")
    path.write_bytes(pickle.dumps({}))
    with pytest.raises(InputError, match=r"box_use_01\.mano\.npy"):
        read(path, "arctic", mano=tmp_path / "mano")
