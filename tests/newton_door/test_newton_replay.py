"""The Newton program: bodies are where poses.npz has them, a ball is caught, and what is pressed is held."""

import importlib
import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("newton", reason="Newton is not installed; make test-newton installs it")
from pxr import Usd, UsdPhysics
from stage_samples import make_hand_scene

import warpprior

EXAMPLES = Path(__file__).resolve().parents[2] / "examples/isaac"


@pytest.fixture(scope="module")
def newton_replay():
    """The program as a module."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module("newton_replay")
    finally:
        sys.path.remove(str(EXAMPLES))


@pytest.fixture(scope="module")
def lift(tmp_path_factory, newton_replay):
    """A robot hand that lifts a bottle: folder, scene and its motion, as a result folder has them."""
    folder = tmp_path_factory.mktemp("lift")
    scene = warpprior.simulate("robot_lift", frame_count=8)
    poses = newton_replay.true_motion(scene)
    warpprior.save_scene(scene, folder / "scene")
    warpprior.save_poses(folder / "poses.npz", poses, bodies=[one.body for one in scene.bodies])
    warpprior.export_usd(scene, poses, folder / "scene.usdc")
    return folder, scene, poses


def test_every_body_is_where_its_pose_says(lift, newton_replay):
    """Loaded at the default time, and moved in time; a motion that is another is noticed."""
    folder, scene, poses = lift
    stage = Usd.Stage.Open(str(folder / "scene.usdc"))
    found = newton_replay.check_placement(stage, scene, poses)
    assert found["bodies"] == 18 and found["bodies_without_colliders"] == 0
    assert found["default_mm"] < 0.01 and found["in_time_mm"] < 0.01
    bottle = poses["bottle"]
    later = np.linspace(0.0, 0.003, 8)[:, None]
    other = {**poses, "bottle": replace(bottle, position=bottle.position + later)}
    found = newton_replay.check_placement(stage, scene, other)
    assert found["default_mm"] < 0.01 and found["in_time_mm"] == pytest.approx(3.0 * np.sqrt(3.0), abs=0.01)


def test_hands_of_bones_are_where_their_poses_say(tmp_path, newton_replay):
    """A human hand has a body for each bone."""
    scene, poses = make_hand_scene()
    warpprior.export_usd(scene, poses, tmp_path / "hand.usdc")
    found = newton_replay.check_placement(Usd.Stage.Open(str(tmp_path / "hand.usdc")), scene, poses)
    assert found["bodies"] == 16 and found["default_mm"] < 0.01 and found["in_time_mm"] < 0.01


def test_a_ball_is_caught(lift, newton_replay):
    """It lies still on the palm, through which it falls if that does not collide."""
    stage = Usd.Stage.Open(str(lift[0] / "scene.usdc"))
    found = newton_replay.drop_ball(stage, "/World/hand", "/World/bottle", seconds=0.6)
    assert found["ball_moved_mm"] < 60.0 and found["ball_speed_mm_s"] < 50.0
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        for prim in stage.Traverse():
            if prim.HasAPI(UsdPhysics.CollisionAPI) and str(prim.GetPath()).startswith("/World/hand/"):
                UsdPhysics.CollisionAPI(prim).GetCollisionEnabledAttr().Set(False)
    found = newton_replay.drop_ball(stage, "/World/hand", "/World/bottle", seconds=0.6)
    assert found["ball_moved_mm"] > 500.0


def test_the_program_runs_as_printed(lift, monkeypatch, capsys):
    """It says what it found about placement, ball and replay."""
    folder = lift[0]
    arguments = [str(folder / "scene"), str(folder), "--json", str(folder / "found.json")]
    monkeypatch.setattr(sys, "argv", ["newton_replay.py", *arguments])
    runpy.run_path(str(EXAMPLES / "newton_replay.py"), run_name="__main__")
    printed = capsys.readouterr().out
    found = json.loads((folder / "found.json").read_text())
    assert all(word in printed for word in ("placement", "ball", "replay"))
    about = found["replay"]["bottle"]
    assert about["refined"] == pytest.approx(about["truth"])  # the pose file holds the truth


def test_what_is_pressed_is_held(tmp_path, shared_data, newton_replay):
    """Friction holds a bottle that a physical simulation lifted; springs that do not press lose it."""
    scene = warpprior.load_scene(shared_data / "allegro_mustard")
    poses = newton_replay.true_motion(scene)
    warpprior.export_usd(scene, poses, tmp_path / "truth.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "truth.usdc"))
    motion, frames = newton_replay.prepared(stage, scene, poses, "mustard_bottle")
    assert len(frames) > 40
    frames = range(frames.start, frames.start + 15)
    held = newton_replay.replay(stage, motion, "mustard_bottle", frames)
    assert held["held"] == 15 and held["most_mm"] < 8.0
    loose = newton_replay.read_motion(stage, motion.paths)
    assert newton_replay.replay(stage, loose, "mustard_bottle", frames)["most_mm"] > 2.0 * held["most_mm"]
