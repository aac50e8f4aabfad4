"""Runs that are killed, in short; ``make kill`` does it at eighty moments."""

import importlib.util
import random
import sys
from pathlib import Path

import pytest

from tests.small_scene import write_scene

PLACE = Path(__file__).resolve().parents[1] / ".ci" / "kill_runs.py"


@pytest.fixture(scope="module")
def kill_runs():
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("kill_runs", PLACE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["kill_runs"] = module
    spec.loader.exec_module(module)
    return module


def test_a_killed_run_leaves_the_old_result_or_the_new(kill_runs, tmp_path, monkeypatch):
    """Over an old result, while it computes and while it saves; the next run tells, and cleans up."""
    for module in ("pxr", "imageio_ffmpeg"):
        pytest.importorskip(module)
    monkeypatch.setenv("PYTHONPATH", str(PLACE.parents[1]))
    site = kill_runs.Site(kill_runs.COMMANDS["refine"], tmp_path / "site", write_scene(tmp_path / "scene"))
    row = kill_runs.Row("refine", kill_runs.OVER)
    for number, stage in enumerate(["saving", "moving"]):
        at = kill_runs.while_it(site, stage, random.Random(number).uniform(0.0, 0.05))
        kill_runs.kill_once(site, kill_runs.OVER, at, row, number)
    assert row.good and row.kills == 2, row.said


def test_a_mix_would_be_found(kill_runs, tmp_path, monkeypatch):
    """A judge that cannot say no proves nothing."""
    site = object.__new__(kill_runs.Site)
    site.command, site.output, site.old, site.new = kill_runs.COMMANDS["export"], tmp_path / "stage.usda", "a", "b"
    monkeypatch.setattr(site, "_read_stage", lambda: "ab", raising=False)
    assert site.outcome() == "a mix, or neither"
    for found, outcome in (("a", "old"), ("b", "new"), (None, "nothing")):
        monkeypatch.setattr(site, "_read_stage", lambda found=found: found)
        assert site.outcome() == outcome
