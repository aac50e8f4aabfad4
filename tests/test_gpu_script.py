"""What is run where there is a GPU for some minutes: parts with limits, of which each may fail."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from warpprior.bench.gpu import parts
from warpprior.bench.gpu.parts import TOLERANCE_DEG, TOLERANCE_MM, compare, differences
from warpprior.bench.gpu.record import Record
from warpprior.bodies import rigid_body
from warpprior.scene import Camera, Poses, Scene, SceneBody

ROOT = Path(__file__).resolve().parents[1]
script = runpy.run_path(str(ROOT / ".ci" / "gpu.py"), run_name="gpu")
MORE_THAN_MEANT = 60.0  # s


def test_wheels_in_pieces_are_put_together(tmp_path):
    """In the order of their numbers; whole ones stay where they are."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "small-1.whl").write_bytes(b"whole")
    for folder, piece, data in (("two", "01", b"cd"), ("one", "00", b"ab"), ("two", "10", b"e")):
        (tmp_path / folder / f"large-1.whl.{piece}").write_bytes(data)
    found = script["put_together"]([tmp_path / "one", tmp_path / "two"], tmp_path)
    assert [(file.name, file.read_bytes()) for file in found] == [("small-1.whl", b"whole"), ("large-1.whl", b"abcde")]


def test_a_part_is_stopped_at_its_limit_with_what_it_started(tmp_path):
    """And what it had printed is there; one that fails is quoted."""
    child = "import subprocess, sys; print('begun', flush=True); "
    child += "subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
    stopped = script["run_limited"]([sys.executable, "-c", child], tmp_path / "log", 1.5, dict(os.environ))
    assert stopped == "stopped after 2 s" and (tmp_path / "log").read_text() == "begun\n"
    failed = [sys.executable, "-c", "raise SystemExit('no such GPU')"]
    assert script["run_limited"](failed, tmp_path / "log", MORE_THAN_MEANT, dict(os.environ)) == (
        "ended with 1: no such GPU"
    )
    assert (
        script["run_limited"]([sys.executable, "-c", ""], tmp_path / "log", MORE_THAN_MEANT, dict(os.environ)) is None
    )


def test_outcomes_are_read_from_a_log_that_ends_anywhere():
    """As pytest writes them in one process, and in several."""
    log = (
        "tests/test_a.py::test_one[cuda:0] PASSED   [ 25%]\n"
        "[gw1] [ 50%] FAILED tests/test_b.py::test_two[far off-cuda:0] \n"
        "[gw0] [ 75%] PASSED tests/test_a.py::test_three[0-cuda:0] \n"
        "[gw0] [ 75%] SKIPPED tests/test_c.py::test_four[cuda:0]\n"
        "FAILED tests/test_b.py::test_two[far off-cuda:0] - assert 1 == 2\n"
        "FAILED tests/test_b.p"
    )
    wrong = {"tests/test_b.py::test_two[far off-cuda:0]": "assert 1 == 2"}
    found = script["read_tests"](log)
    assert found == {"passed": 2, "failed": 1, "error": 0, "skipped": 1, "wrong": wrong}


def test_one_part_that_fails_does_not_stop_the_next(tmp_path):
    """The whole is JSON on standard output, and the exit code says that something is wrong."""
    command = [sys.executable, str(ROOT / ".ci" / "gpu.py"), "--output-dir", str(tmp_path), "--device", "cuda:77"]
    command += ["--brief", "--parts", "compare", "machine"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "gpu.json").read_text())
    assert list(found["parts"]) == ["compare", "machine"] and "cuda:77" in found["parts"]["compare"]["problem"]
    assert found["parts"]["machine"]["problem"] is None
    assert "cpu" in [device["name"] for device in found["parts"]["machine"]["found"]["info"]["devices"]]


def test_no_part_is_begun_without_time(tmp_path):
    """It is said, and counts as a problem."""
    options = ["--output-dir", str(tmp_path), "--seconds", "0", "--parts", "machine"]
    assert script["main"](options) == 1
    assert json.loads((tmp_path / "gpu.json").read_text())["parts"] == {"machine": {"problem": "no time was left"}}


def test_a_record_is_there_after_each_finding(tmp_path):
    """With what is wrong apart, and numbers of few digits."""
    record = Record(tmp_path / "found.json")
    record.keep("time", {"ms": 1.23456789, "frames": 100})
    assert json.loads((tmp_path / "found.json").read_text())["found"] == {"time": {"ms": 1.235, "frames": 100}}
    record.keep("pose", 2.0, "too far")
    assert json.loads((tmp_path / "found.json").read_text())["wrong"] == ["pose: too far"] == list(record.wrong)


def test_differences_are_the_largest_of_what_is_estimated(small_scene_with_poses):
    """Known bodies do not count."""
    scene, poses = small_scene_with_poses
    moved = replace(poses, position=poses.position + np.array([[0.0, 0.0, 0.0], [0.0, 3e-3, 4e-3]]))
    found = differences(scene, {"ball": moved, "table": poses}, {"ball": poses, "table": moved})
    assert found["mm"] == pytest.approx(5.0) and found["deg"] == pytest.approx(0.0, abs=1e-5)
    known = replace(scene, bodies=tuple(replace(item, known=True) for item in scene.bodies))
    assert differences(known, {}, {})["mm"] == 0.0


@pytest.fixture
def small_scene_with_poses():
    """Two bodies, of which one is known, in two frames."""
    poses = Poses(np.tile([0.0, 0.0, 0.5], (2, 1)), np.tile([0.0, 0.0, 0.0, 1.0], (2, 1)), np.zeros((2, 0)))
    faces = np.array([[0, 1, 2]])
    bodies = (
        SceneBody(rigid_body("ball", np.eye(3), faces), 1, False, poses),
        SceneBody(rigid_body("table", np.eye(3), faces), 2, True, poses),
    )
    return Scene("two", Camera(8, 6, 10.0, 10.0, 4.0, 3.0), 30.0, bodies), poses


def test_results_of_a_device_are_compared(tmp_path, monkeypatch):
    """With itself a CPU agrees; what is farther apart than the tolerance is wrong."""
    scene = parts.simulate(
        "robot_lift", frame_count=3, camera=Camera(160, 120, 154.0, 154.0, 80.0, 60.0), images=False, device="cpu"
    )
    monkeypatch.setattr(parts, "simulate", lambda name, **options: scene)
    record = Record(tmp_path / "same.json")
    compare("cpu", record, brief=True)
    found = json.loads((tmp_path / "same.json").read_text())["found"]
    assert record.wrong == () and found["refine robot_lift"]["mm"] == 0.0
    assert found["track robot_lift"]["deg"] == pytest.approx(0.0, abs=1e-9)
    far = {"mm": 2.0 * TOLERANCE_MM, "deg": 0.5 * TOLERANCE_DEG, "joint_deg": 0.0}
    monkeypatch.setattr(parts, "differences", lambda scene, ours, theirs: far)
    for estimator in ("refine", "track"):
        monkeypatch.setattr(parts, estimator, lambda scene, device: SimpleNamespace(poses={}))
    compare("cpu", record, brief=True)
    assert len(record.wrong) == 2 and "mm or" in record.wrong[0]
