"""What is public goes to other processes and comes back; a bad scene costs itself alone."""

import copy
import dataclasses
import inspect
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import warpprior
from tests.small_scene import BOX_FACES, BOX_VERTICES, HEIGHT, WIDTH, edit_text, write_image, write_scene
from tests.track_samples import make_scene
from warpprior.ablation.sources import Source
from warpprior.ablation.workers import work
from warpprior.cli import main

LIVE = {"Tracker"}  # holds arrays on a device; what it is made of and what it returns travels
CAMERA = warpprior.Camera(64, 48, 60.0, 60.0, 32.0, 24.0)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A scene of a folder with every channel that is read lazily, and lens distortion."""
    folder = write_scene(tmp_path_factory.mktemp("travel") / "scene")
    edit_text(folder, "cy = 24.0", "cy = 24.0\ndistortion = [0.01, 0, 0, 0, 0]")
    edit_text(folder, "fps = 10.0", 'fps = 10.0\ndepth = "rgb/{:06d}.d.png"')
    write_image(folder / "rgb" / "000001.d.png", np.full((HEIGHT, WIDTH), 500, dtype=np.uint16))
    return warpprior.load_scene(folder)


def instances(scene: warpprior.Scene) -> dict[str, object]:
    """An instance of every public class, by its name."""
    box = scene.body("box")
    poses = {body.name: body.initial for body in scene.bodies}
    return {
        "Body": warpprior.read_hand("left"),
        "Camera": CAMERA,
        "ContactMap": warpprior.ContactMap("hand", "box", np.array([0.001, np.nan])),
        "ContactSettings": warpprior.ContactSettings(restarts=3),
        "Finding": warpprior.Finding("mesh_scale", "error", "box", (0, 1), "too large", "scale it", {"factor": 1.3}),
        "HandPose": warpprior.HandPose(joints=np.ones(2)),
        "InputError": warpprior.InputError("a.npz: k", "is 3", "needs 4"),
        "Measurement": warpprior.Measurement("box", [1.0], np.zeros((1, 6)), 0.1, key="k"),
        "MissingExtraError": warpprior.MissingExtraError("reading pictures", "cv"),
        "Observation": warpprior.Observation(labels=np.zeros((2, 2), np.uint8), extra={"range": 1.0}),
        "Poses": warpprior.Poses(np.ones((1, 3)), np.array([[0, 0, 0, 1.0]]), np.zeros((1, 0)), covariance=np.eye(6)),
        "Recording": warpprior.Recording(dataclasses.replace(scene, read_rgb=None, read_depth=None)),
        "RefineSettings": warpprior.RefineSettings(),
        "RefinedClip": warpprior.RefinedClip("mug", "scenes/mug", "out/mug", "failed", 2, "no labels"),
        "RefinedFolder": warpprior.RefinedFolder(Path("scenes/mug"), Path("out/mug"), 0, "2 frames"),
        "Result": warpprior.Result(scene, poses, {"cost": np.ones(2)}, settings={"a": 1}, notes=("n",)),
        "RunError": warpprior.RunError("stopped"),
        "Scene": scene,
        "SceneBody": box,
        "Sensor": warpprior.Sensor(),
        "SizePrior": warpprior.SizePrior(),
        "TouchingPoints": warpprior.TouchingPoints("hand", "box", np.ones((1, 3)), np.zeros((1, 3))),
        "TrackSettings": warpprior.TrackSettings(center_m=0.02),
        "TrackedBody": warpprior.TrackedBody(box.body, (0, 0, 1.0)),
        "WarppriorError": warpprior.WarppriorError("m"),
    }


def contents(value: object):
    """Fields of an object as plain data that can be compared; the arrays in it by their bytes, for NaN is not NaN."""
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.shape, value.tolist() if value.dtype.hasobject else value.tobytes()]
    if isinstance(value, BaseException):
        return [type(value), str(value), value.args, vars(value)]
    if dataclasses.is_dataclass(value):
        return [type(value), *(contents(getattr(value, field.name)) for field in dataclasses.fields(value))]
    if isinstance(value, dict):
        return {key: contents(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [contents(item) for item in value]
    return [type(value), contents(vars(value))] if hasattr(value, "__dict__") and not callable(value) else value


def test_every_public_class_is_among_them(scene):
    """A new public class is given an instance here, or a reason why it stays."""
    public = {name for name in warpprior.__all__ if inspect.isclass(getattr(warpprior, name))}
    assert public == set(instances(scene)) | LIVE


@pytest.mark.parametrize(
    "there_and_back",
    [*(lambda one, n=n: pickle.loads(pickle.dumps(one, n)) for n in (2, pickle.HIGHEST_PROTOCOL)), copy.deepcopy],
    ids=["pickle 2", "pickle", "copy"],
)
def test_what_is_public_can_be_pickled_and_copied(scene, there_and_back):
    """All fields arrive, and pictures can still be read."""
    for name, one in instances(scene).items():
        assert isinstance(one, getattr(warpprior, name))
        back = there_and_back(one)
        if name in ("Scene", "Result"):
            ours, theirs = (given if name == "Scene" else given.scene for given in (one, back))
            for frame in (0, 1):
                np.testing.assert_array_equal(ours.read_rgb(frame), theirs.read_rgb(frame))
            assert theirs.read_depth(0) is None
            np.testing.assert_array_equal(ours.read_depth(1), theirs.read_depth(1))
            one, back = (dataclasses.replace(given, read_rgb=None, read_depth=None) for given in (ours, theirs))
        assert contents(back) == contents(one), name


def test_estimates_travel():
    """What the tracker returns at each step, and the terms of a refinement with settings of their own."""
    body = warpprior.rigid_body("mug", BOX_VERTICES, BOX_FACES)
    tracker = warpprior.Tracker(
        CAMERA, [warpprior.TrackedBody(body, (0.0, 0.0, 1.0))], observe=["center"], device="cpu"
    )
    estimate = tracker.step(warpprior.Observation(centers={"mug": np.array([0.0, 0.0, 1.0])}), 0.0)
    assert contents(pickle.loads(pickle.dumps(estimate))) == contents(estimate)
    terms = warpprior.terms.default()
    assert pickle.loads(pickle.dumps(terms)) == terms


def test_a_pool_answers_for_a_bad_scene(tmp_path):
    """Reading scenes side by side: the good one arrives, the bad one raises here what it raised there."""
    good, bad = write_scene(tmp_path / "good"), write_scene(tmp_path / "bad")
    (bad / "initial.npz").write_bytes(b"")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        first, second = [pool.submit(warpprior.load_scene, folder) for folder in (bad, good)]
        with pytest.raises(warpprior.InputError, match="is empty") as refused:
            first.result(timeout=120)
        scene = second.result(timeout=120)
    assert refused.value.where == str(bad / "initial.npz") and refused.value.exit_code == 2
    assert scene.read_rgb(0).shape == (48, 64, 3) and scene.name == "good"


def run_or_die(number):
    """A task: the third kills its process, the second is refused."""
    yield 1
    if number == 3:
        os._exit(9)
    if number == 2:
        raise warpprior.InputError("two", "bad", "another")
    yield 2


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_task_that_fails_fails_alone(jobs):
    """Refused or dead, it costs no other task."""
    tasks = [(number,) for number in ((1, 2, 4) if jobs == 1 else (2, 3, 4))]
    done, errors = dict.fromkeys(tasks, 0), {}
    for task, count, error in work(run_or_die, tasks, jobs):
        done[task] += count
        if error is not None:
            errors[task] = error
    assert done[4,] == 2 and done[2,] == (jobs == 1)
    assert str(errors.pop((2,))) == "two: bad; another"
    assert jobs == 1 or "its process ended" in str(errors.pop((3,)))
    assert not errors


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_one_bad_scene_in_an_ablation(tmp_path, capfd, jobs):
    """One line, also with --quiet; the other scene's runs are whole, and the bad one is tried again next time."""
    good, bad = write_scene(tmp_path / "good"), write_scene(tmp_path / "bad")
    (bad / "initial.npz").write_bytes(b"PK")
    words = ["ablate", str(bad), str(good), "--variant", "render only", "--output-dir", str(tmp_path / "out")]
    words += ["--set", "iterations=1", "--set", "adam.iterations=0", "--device", "cpu", "--jobs", jobs, "--quiet"]
    assert main(words) == 2
    said = capfd.readouterr()
    lines = [line for line in said.err.splitlines() if line.startswith("warpprior: error")]
    assert len(lines) == 1 and lines[0].startswith("warpprior: error: bad: ") and "initial.npz" in lines[0]
    assert said.out == "" and "Traceback" not in said.err
    assert (tmp_path / "out/runs/render_only/good.json").is_file()
    assert not (tmp_path / "out/runs/render_only/bad.json").exists()
    assert "| render only |" in (tmp_path / "out" / "table.md").read_text()


def test_one_bad_scene_in_a_study_of_the_tracker(tmp_path, capsys, monkeypatch):
    """A scene that cannot be made is one line; the tables are of the others."""

    def open_sample(source, device):
        if source.seed == 5:
            raise warpprior.InputError("grasp_lift", "seed 5", "another")
        return make_scene(6, seed=source.seed)

    monkeypatch.setattr(Source, "open", open_sample)
    words = [
        "ablate-tracking",
        "grasp_lift",
        "--seeds",
        "4,5",
        "--device",
        "cpu",
        "--output-dir",
        str(tmp_path / "out"),
    ]
    assert main(words) == 2
    said = capsys.readouterr()
    assert "grasp_lift, 1 seeds" in said.out
    assert "error: grasp_lift, seed 5: grasp_lift: seed 5; another" in said.err


def test_a_tracker_says_that_it_stays():
    """And what to do."""
    tracker = warpprior.Tracker(
        CAMERA, [warpprior.TrackedBody(warpprior.read_hand("left"), (0, 0, 1.0))], observe=(), device="cpu"
    )
    with pytest.raises(TypeError, match="cannot be pickled: make one in the other process"):
        pickle.dumps(tracker)
