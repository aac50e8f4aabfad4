"""A stage in the place of a scene folder: refined from the command line, imported, and as good as from the folder."""

import json
import shutil

import numpy as np
import pytest

import warpprior
from tests.small_scene import write_scene
from warpprior.cli import main
from warpprior.formats import Place
from warpprior.io import load_scene
from warpprior.support.errors import InputError
from warpprior.usd import StageOptions, export_usd

pytest.importorskip("pxr", reason="OpenUSD is not installed")


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A stage of a scene's first guess, its label images beside it, and the scene."""
    folder = tmp_path_factory.mktemp("stage")
    write_scene(folder / "scene")
    scene = load_scene(folder / "scene")
    first = {item.name: item.initial for item in scene.bodies}
    path = folder / "take" / "first.usdc"
    export_usd(scene, first, path, options=StageOptions(robot="articulation"))
    shutil.copytree(folder / "scene" / "labels", folder / "take" / "labels")
    return path, scene


def test_a_stage_is_refined_as_its_folder_is(stage, tmp_path):
    """From the command line, by the stage's name alone; places agree with those from the folder to 0.1 mm."""
    path, scene = stage
    shared = ["--device", "cpu", "--quiet", "--no-check"]
    words = ["refine", str(path), "--labels", "labels/{:06d}.png", "--output-dir", str(tmp_path / "a")]
    assert main([*words, *shared]) == 0
    assert main(["refine", str(scene.folder), "--output-dir", str(tmp_path / "b"), *shared]) == 0
    ours, theirs = (np.load(tmp_path / name / "poses.npz") for name in "ab")
    np.testing.assert_allclose(ours["box/position"], theirs["box/position"], atol=1e-4)
    np.testing.assert_allclose(ours["arm/joints"], theirs["arm/joints"], atol=1e-5)
    record = json.loads((tmp_path / "a" / "config.json").read_text())
    assert "first.usdc" in json.dumps(record)
    # What the result was made of is found again.
    assert (
        main(["track", str(path), "--labels", "labels/{:06d}.png", "--output-dir", str(tmp_path / "t"), *shared[:2]])
        == 0
    )


def test_a_stage_is_imported_into_a_scene_folder(stage, tmp_path):
    """The folder has the bodies, their poses and labels, and says where they came from."""
    path, scene = stage
    words = ["import", "usd", str(path), "--labels", "labels/{:06d}.png", "--body", "/World/box=mesh"]
    assert main([*words, "--output-dir", str(tmp_path / "s")]) == 0
    made = load_scene(tmp_path / "s")
    (box,) = made.bodies
    np.testing.assert_allclose(box.initial.position, scene.body("box").initial.position, atol=1e-6)
    np.testing.assert_array_equal(made.labels == box.label, scene.labels == scene.body("box").label)


def test_the_ending_names_the_format(stage):
    """A path of a stage needs no format before it, in Python either; one that is no file is said to be none."""
    path, _ = stage
    assert Place.parse(path) == Place(path, "usd") and Place.parse("a.USDZ").format == "usd"
    recording = warpprior.read(path, known=("box",))
    assert recording.origin.format == "usd" and recording.scene.body("box").known
    with pytest.raises(InputError, match="does not exist"):
        warpprior.read(path.with_name("none.usdc"))
    with pytest.raises(InputError, match="PRIM=KIND"):
        warpprior.read(path, body=("box",))
