"""Sizes that are to be estimated, said on import of any format."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fuzz import others
from warpprior import load_scene, save_scene
from warpprior.bodies.size_prior import SizePrior
from warpprior.cli.program import main
from warpprior.io import load_result_poses
from warpprior.scene import Camera
from warpprior.scenes import simulate

SMALL = Camera(320, 240, 300.0, 300.0, 160.0, 120.0)
FACTOR = 1.6


@pytest.mark.parametrize("name", ["clip", "v2d"])
def test_unknown_sizes_are_said_on_import(name, tmp_path, capsys):
    """The scene folder says it; a body that is not there is refused, with those that are."""
    (others.write_clips if name == "clip" else others.write_v2d)(tmp_path / "data")
    body = "mug" if name == "clip" else "object"
    more = [] if name == "clip" else ["--without-hands"]
    words = ["import", name, str(tmp_path / "data"), "--output-dir", str(tmp_path / "scene"), "--quiet", *more]
    assert main([*words, "--unknown-size", "cup"]) == 2
    assert body in capsys.readouterr().err
    assert main([*words, "--unknown-size", body]) == 0
    assert load_scene(tmp_path / "scene").body(body).size == SizePrior()


def test_a_size_that_nobody_knows_is_found(tmp_path):
    """From others' files to a result: import, refine, and the mesh of a wrong size has the true one."""
    options = {"object": "can", "seed": 61, "frame_count": 8, "camera": SMALL, "images": False}
    made = simulate("grasp_lift", mesh_scale=FACTOR, **options)
    silent = tuple(replace(item, size=None, truth=None) for item in made.bodies)
    save_scene(replace(made, bodies=silent), tmp_path / "theirs")
    words = ["--output-dir", str(tmp_path / "scene"), "--quiet", "--unknown-size", "can"]
    assert main(["import", "scene", str(tmp_path / "theirs"), *words]) == 0
    assert main(["refine", str(tmp_path / "scene"), "--output-dir", str(tmp_path / "result"), "--quiet"]) == 0
    found = load_result_poses(tmp_path / "result", load_scene(tmp_path / "scene"))["can"]
    assert found.scale == pytest.approx(1.0 / FACTOR, rel=0.05)
