"""DexYCB and HO-3D: hands of MANO in the conventions of each, objects, labels, what is missing."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tests.format_files import dexycb, ho3d
from tests.format_files.samples import FRAMES, hand_item, object_of, simulated
from warpprior.bodies import posed_vertices
from warpprior.formats import guess_format, read
from warpprior.support.errors import InputError

NEAR = 1e-6
pytest.importorskip("yaml", reason="PyYAML is not installed")


def surfaces(recording, name):
    """Vertices of a body (frame, vertex, 3)."""
    item = recording.scene.body(name)
    return posed_vertices(item.body, item.initial)


def object_is_right(recording, name, frames):
    """The object is where the simulated one is, in these frames."""
    truth = object_of(simulated())
    apart = surfaces(recording, name) - posed_vertices(truth.body, truth.initial)
    assert np.abs(apart[frames]).max() < NEAR
    scored = np.isfinite(recording.scene.body(name).truth.position).all(axis=1)
    assert list(np.flatnonzero(scored)) == list(frames)


@pytest.mark.parametrize("side", ["right", "left"])
def test_dexycb_hands_are_principal_components_about_the_mean(tmp_path, side):
    """45 numbers of the file's components, its mean pose added, the left model as published: to a micrometre."""
    sequence, vertices = dexycb.write_sequence(tmp_path, side=side, missing=(1,))
    assert guess_format(sequence)[0].name == guess_format(sequence / dexycb.SERIAL)[0].name == "dexycb"
    recording = read(sequence, mano=tmp_path / "mano")
    seen = [0, 2, 3, 4]
    assert np.abs(surfaces(recording, f"hand_{side}")[seen, :778] - vertices[seen]).max() < NEAR
    object_is_right(recording, "025_mug", seen)
    item = recording.scene.body("025_mug")
    assert list(np.flatnonzero(item.initial.imputed)) == [1]
    scene = simulated()
    assert np.array_equal(recording.scene.labels == item.label, scene.labels == object_of(scene).label)
    assert np.array_equal(recording.scene.labels == 2, scene.labels == hand_item(scene).label)
    camera = recording.scene.camera
    assert np.allclose([camera.fx, camera.cx, camera.cy, camera.width], [150.0, 80.5, 60.25, 160])
    assert np.allclose(recording.world.camera.matrices()[0, :3], dexycb.PLACE) and not recording.world.camera.moves
    assert np.allclose(recording.scene.read_depth(0), 0.7) and recording.scene.read_rgb(3) is not None


def test_dexycb_without_hands_or_with_another_camera(tmp_path):
    """The hand's pixels say nothing then; a camera that is not there is named."""
    sequence, _ = dexycb.write_sequence(tmp_path)
    recording = read(sequence, "dexycb", without_hands=True)
    hand = simulated().labels == hand_item(simulated()).label
    assert [item.name for item in recording.scene.bodies] == ["025_mug"] and (recording.scene.labels[hand] == 255).all()
    with pytest.raises(InputError, match="'1' is none of them; 836212060125, 839512060362"):
        read(sequence, "dexycb", serial="1")
    with pytest.raises(InputError, match="839512060362"):
        read(sequence, "dexycb", serial="839512060362", without_hands=True)


def test_dexycb_yaml_cannot_grow(tmp_path):
    """A file whose parts refer to each other is refused before it is built."""
    sequence, _ = dexycb.write_sequence(tmp_path)
    (sequence / "meta.yml").write_text("a: &a [1, 1]\nb: [*a, *a]\n")
    with pytest.raises(InputError, match="refers to its own parts"):
        read(sequence, "dexycb")


@pytest.mark.parametrize(("jpg", "protocol"), [(False, 2), (True, 4), (True, 0)])
def test_ho3d_is_turned_from_opengl(tmp_path, jpg, protocol):
    """Hand and object of OpenGL's camera, the hand turned about its wrist; pickles of any protocol, not run."""
    sequence, vertices = ho3d.write_sequence(tmp_path, missing=(3,), jpg=jpg, protocol=protocol)
    assert guess_format(sequence)[0].name == "ho3d"
    recording = read(sequence, mano=tmp_path / "mano")
    seen = [0, 1, 2, 4]
    assert np.abs(surfaces(recording, "hand_right")[seen, :778] - vertices["hand"][seen]).max() < NEAR
    assert (vertices["hand"][seen][..., 2] > 0.3).all()
    object_is_right(recording, "025_mug", seen)
    scene = simulated()
    assert np.array_equal(recording.scene.labels == 1, scene.labels == object_of(scene).label)
    assert np.array_equal(recording.scene.labels == 2, scene.labels == hand_item(scene).label)
    assert np.allclose(recording.scene.read_depth(1), 0.6, atol=2e-4)


def test_h2o3d_has_two_hands(tmp_path):
    """Right and left, each with keys of its own; masks of one colour do not tell them apart."""
    sequence, vertices = ho3d.write_sequence(tmp_path, hand_keys=("rightHand", "leftHand"))
    recording = read(sequence, "ho3d", mano=tmp_path / "mano")
    for key, name in (("rightHand", "hand_right"), ("leftHand", "hand_left")):
        assert np.abs(surfaces(recording, name)[:, :778] - vertices[key]).max() < NEAR
    assert recording.scene.labels is None and any("two hands" in note for note in recording.notes)


def test_ho3d_without_annotations(tmp_path):
    """The evaluation split has a root for the hand alone; a pickle that wants something run is refused."""
    sequence, _ = ho3d.write_sequence(tmp_path, missing=range(FRAMES))
    with pytest.raises(InputError, match="has poses of nothing"):
        read(sequence, "ho3d", mano=tmp_path / "mano")

    class Runs:
        def __reduce__(self):
            return print, ("run",)

    (sequence / "meta/0001.pkl").write_bytes(pickle.dumps({"objRot": Runs()}))
    with pytest.raises(InputError, match="0001.pkl"):
        read(sequence, "ho3d", mano=tmp_path / "mano")
