"""Sizes that are to be estimated, said on import of any format."""

from __future__ import annotations

import pytest

from tests.fuzz import others
from warpprior import load_scene
from warpprior.bodies.size_prior import SizePrior
from warpprior.cli.program import main


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
