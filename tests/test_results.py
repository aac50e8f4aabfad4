"""Result folders: what is in them, that nothing is half written, locks, checkpoints."""

import csv
import json
import os
import re
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.small_scene import write_scene
from warpprior.io import (
    fingerprint,
    load_checkpoint,
    load_result_poses,
    load_scene,
    prepare_file,
    prepare_folder,
    prepare_output,
    save_checkpoint,
    save_result,
)
from warpprior.io.fingerprint import differences
from warpprior.io.results import write_json
from warpprior.metrics import evaluate
from warpprior.result import Result
from warpprior.support.errors import InputError, MissingExtraError, RunError


@pytest.fixture
def result(tmp_path):
    """A result of the small scene: the truth as the estimate, metrics with a value that is not a number."""
    scene = load_scene(write_scene(tmp_path / "scene"))
    poses = {body.name: body.truth for body in scene.bodies}
    history = {"total": np.array([3.0, 2.0, 1.5]), "mask": np.array([2.0, np.nan, 1.0])}
    per_frame = {"box": {"add_mm": [1.0, None, 2.0]}}
    metrics = {"before": {"per_frame": per_frame, "summary": {}}, "after": {"per_frame": per_frame, "summary": {}}}
    settings = {"seed": 7, "weights": {"mask": np.float32(0.5)}, "step": float("inf")}
    return Result(scene, poses, history, metrics=metrics, settings=settings, notes=("two notes", "two notes"))


def names(folder: Path) -> set[str]:
    """Names of what a folder holds."""
    return {path.name for path in folder.iterdir()}


def save_numbers(result: Result, folder: Path) -> Result:
    """Save what takes no drawing."""
    return save_result(result, folder, video=False, usd=False, report=False)


def test_numbers_are_written_as_plain_data(result, tmp_path):
    """Poses come back, metrics and settings are strict JSON, the history has one row per iteration."""
    out = tmp_path / "out"
    save_result(result, out, video=False, usd=False, report=False, device="cpu")
    assert names(out) == {"poses.npz", "metrics.json", "history.csv", "config.json"}
    poses = load_result_poses(out, result.scene)
    for name, motion in result.poses.items():
        np.testing.assert_array_equal(poses[name].position, motion.position)
        np.testing.assert_array_equal(poses[name].joints, motion.joints)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert config["complete"] is True and config["seed"] == 7 and config["device"] == "cpu"
    assert config["settings"] == {"seed": 7, "weights": {"mask": 0.5}, "step": None}
    assert config["versions"]["numpy"] == np.__version__ and config["notes"] == ["two notes"]
    assert json.loads((out / "metrics.json").read_text(encoding="utf-8")) == result.metrics
    with open(out / "history.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["iteration"] for row in rows] == ["0", "1", "2"] and rows[2]["total"] == "1.5"


def test_a_full_result_has_pictures_and_a_stage(result, tmp_path):
    """With all extras installed, every file of the contract is there and the notes stay as they were."""
    for module in ("pxr", "imageio_ffmpeg"):
        pytest.importorskip(module)
    out = tmp_path / "out"
    written = save_result(result, out)
    expected = {"poses.npz", "metrics.json", "history.csv", "config.json", "scene.usdc", "overlay.mp4", "report.html"}
    assert names(out) >= expected | {"loss.svg", "errors.svg"}
    assert written.notes == result.notes and all(path.stat().st_size > 0 for path in out.iterdir())


def test_a_missing_extra_is_a_note(result, tmp_path, monkeypatch):
    """Without an optional dependency the numbers are written all the same, and an older picture goes."""

    def refuse(*_, **__):
        raise MissingExtraError("the overlay video", "cv")

    monkeypatch.setattr("warpprior.report.write_overlay", refuse)
    out = tmp_path / "out"
    out.mkdir()
    (out / "overlay.mp4").write_bytes(b"of an earlier result")
    written = save_result(result, out, usd=False, report=False)
    assert "overlay.mp4 was not written: the overlay video needs" in written.notes[-1]
    assert "overlay.mp4" not in names(out)
    assert json.loads((out / "config.json").read_text(encoding="utf-8"))["notes"][-1] == written.notes[-1]


def test_files_of_an_earlier_result_do_not_stay(result, tmp_path):
    """Writing less than before removes what would be stale, and leaves strangers alone."""
    out = tmp_path / "out"
    out.mkdir()
    for name in ("scene.usdc", "overlay.mp4", "report.html", "loss.svg", "errors.svg", "sensors.svg", "mine.txt"):
        (out / name).write_bytes(b"old")
    save_numbers(result, out)
    assert names(out) == {"poses.npz", "metrics.json", "history.csv", "config.json", "mine.txt"}


def test_a_tracked_result_has_rows_of_frames_and_its_covariance(result, tmp_path):
    """The history begins with the frame, and covariances come back from the folder; NaN too."""
    covariance = np.tile(1e-6 * np.eye(6), (3, 1, 1))
    covariance[1] = np.nan
    poses = result.poses | {"box": replace(result.poses["box"], covariance=covariance)}
    history = {"nis/center": np.array([2.0, np.nan, 4.0]), "frame": np.arange(3), "dof/center": np.array([3, 0, 3])}
    out = tmp_path / "out"
    save_numbers(replace(result, poses=poses, history=history), out)
    assert (out / "history.csv").read_text().splitlines()[0] == "frame,nis/center,dof/center"
    assert (out / "history.csv").read_text().splitlines()[3] == "2,4.0,3"
    np.testing.assert_array_equal(load_result_poses(out, result.scene)["box"].covariance, covariance)


def test_a_full_tracked_result_shows_how_sure_it_is(result, tmp_path):
    """Plots of bands and sensors, primvars in the stage, figures in the metrics; no loss from an earlier run stays."""
    usd, *_ = [pytest.importorskip(module) for module in ("pxr.Usd", "imageio_ffmpeg")]
    covariance = np.tile(1e-6 * np.eye(6), (3, 1, 1))
    poses = result.poses | {"box": replace(result.poses["box"], covariance=covariance)}
    history = {"frame": np.arange(3), "nis/center": np.full(3, 2.0), "dof/center": np.full(3, 3)}
    tracked = replace(result, poses=poses, history=history, metrics={"after": evaluate(result.scene, poses)})
    out = tmp_path / "out"
    out.mkdir()
    (out / "loss.svg").write_bytes(b"old")
    save_result(tracked, out)
    assert {"uncertainty.svg", "sensors.svg", "overlay.mp4", "report.html"} <= names(out)
    assert "loss.svg" not in names(out)
    stage = usd.Stage.Open(str(out / "scene.usdc"))
    assert stage.GetAttributeAtPath("/World/box.primvars:warpprior:pose_covariance").GetNumTimeSamples() == 3
    assert not stage.GetAttributeAtPath("/World/arm.primvars:warpprior:pose_covariance")
    figures = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["after"]["summary"]["box"]
    assert figures["consistency"]["pose"] == {
        "frames": 3,
        "dof": 6.0,
        "mean": pytest.approx(0.0, abs=1e-9),
        "inside": 0.0,
        "above": 0.0,
        "below": 1.0,
    }


def test_a_stage_that_cannot_be_written_does_not_cost_the_numbers(result, tmp_path, monkeypatch):
    """The rest is saved as a whole, with a note, and then the failure is raised."""

    def fail(_take, path, **__):
        raise RunError(f"{path}: cannot write it: No space left on device")

    monkeypatch.setattr("warpprior.usd.export.export_take", fail)
    out = tmp_path / "out"
    with pytest.raises(RunError, match=f"^{re.escape(str(out))}/scene.usdc: cannot write it: No space left on device$"):
        save_result(result, out, video=False, report=False)
    assert names(out) == {"poses.npz", "metrics.json", "history.csv", "config.json"}
    notes = json.loads((out / "config.json").read_text(encoding="utf-8"))["notes"]
    assert notes[-1] == "scene.usdc was not written: scene.usdc: cannot write it: No space left on device"


def test_an_interrupted_result_says_so_and_keeps_its_checkpoint(result, tmp_path):
    """complete is False in the record, and the state to continue from stays; a complete result removes it."""
    out = tmp_path / "out"
    out.mkdir()
    save_checkpoint(out, {"x": np.arange(3)}, {"iteration": 5})
    save_numbers(replace(result, complete=False), out)
    assert json.loads((out / "config.json").read_text(encoding="utf-8"))["complete"] is False
    assert "checkpoint.npz" in names(out)
    save_numbers(result, out)
    assert "checkpoint.npz" not in names(out)


def test_known_bodies_may_be_left_out_of_a_pose_file(result, tmp_path):
    """A file with the estimated body alone is completed from the scene."""
    from warpprior.io import save_poses

    save_poses(tmp_path / "poses.npz", {"box": result.poses["box"]})
    poses = load_result_poses(tmp_path / "poses.npz", result.scene)
    assert poses["arm"] is result.scene.body("arm").initial


def test_checkpoints_come_back_and_belong_to_their_run(result, tmp_path):
    """Arrays and meta survive; another run's state, or a damaged one, is refused."""
    assert load_checkpoint(tmp_path) is None
    own = fingerprint(result.scene, {"iterations": 5})
    arrays = {"pose": np.random.default_rng(0).normal(size=(3, 6)), "step": np.array(4)}
    save_checkpoint(tmp_path, arrays, {"inputs": own, "iteration": 4})
    read, meta = load_checkpoint(tmp_path, expected=own)
    assert meta == {"inputs": own, "iteration": 4} and set(read) == {"pose", "step"}
    np.testing.assert_array_equal(read["pose"], arrays["pose"])
    with pytest.raises(InputError, match=r"settings: setting iterations \(then 5, now 6\); start again"):
        load_checkpoint(tmp_path, expected=fingerprint(result.scene, {"iterations": 6}))
    save_checkpoint(tmp_path, arrays, {"iteration": 4})
    with pytest.raises(InputError, match="does not say what it was made from"):
        load_checkpoint(tmp_path, expected=own)
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="cannot be unpacked: .*; start again with --overwrite"):
        load_checkpoint(tmp_path)
    for strange in ({"pose": np.zeros(3)}, {"__meta__": np.array("[1, 2]")}, {"__meta__": np.zeros(2)}):
        np.savez(path, **strange)
        with pytest.raises(InputError, match="is not a checkpoint; start again with --overwrite"):
            load_checkpoint(tmp_path)


def test_the_fingerprint_notices_every_input(result):
    """Labels, poses, models, camera, times and settings change it; truth and names of folders do not."""
    scene = result.scene
    base = fingerprint(scene)
    assert fingerprint(replace(scene, folder=Path("elsewhere"), name="other")) == base
    box = scene.body("box")
    assert fingerprint(replace(scene, bodies=(scene.bodies[0], replace(box, truth=None)))) == base
    labels = scene.labels.copy()
    labels[2, 47, 63] ^= 1
    position = box.initial.position.copy()
    position[0, 0] += 1e-12
    moved = replace(box, initial=replace(box.initial, position=position))
    vertices = box.body.vertices.copy()
    vertices[0, 0] += 1e-6
    changes = {
        "labels": replace(scene, labels=labels),
        "initial poses of box": replace(scene, bodies=(scene.bodies[0], moved)),
        "body box": replace(scene, bodies=(scene.bodies[0], replace(box, body=replace(box.body, vertices=vertices)))),
        "camera fx (then 60.0, now 60.1)": replace(scene, camera=replace(scene.camera, fx=60.1)),
        "known box (then false, now true)": replace(scene, bodies=(scene.bodies[0], replace(box, known=True))),
        "timestamps": replace(scene, timestamps=scene.times**1.1),
        "number of frames (then 3, now 2), initial poses of arm, initial poses of box, labels": scene.first_frames(2),
    }
    for said, changed in changes.items():
        found = differences(base, fingerprint(changed))
        assert set(found.split(", ")) == set(said.split(", ")), found
    one, other = {"seed": 1, "contour": {"sigma_px": 2.0}}, {"seed": 1, "contour": {"sigma_px": None}}
    found = differences(fingerprint(scene, one), fingerprint(scene, other))
    assert found == "setting contour.sigma_px (then 2.0, now none)"


def test_an_output_folder_is_made_and_unmade(tmp_path):
    """A run that fails before it writes leaves no folder behind; one that writes keeps it, without the lock."""
    folder = tmp_path / "a/b"
    with pytest.raises(KeyError), prepare_output(folder):
        assert folder.is_dir()
        raise KeyError
    assert names(tmp_path) == set()
    with prepare_output(folder):
        (folder / "poses.npz").write_bytes(b"1")
    assert names(folder) == {"poses.npz"}


def test_existing_folders_need_a_word(tmp_path):
    """A folder with files needs overwrite, or resume when there is something to resume; an empty one does not."""
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir(), full.mkdir()
    (full / "mine.txt").write_bytes(b"1")
    prepare_output(empty).release()
    assert empty.is_dir()
    with pytest.raises(InputError, match="exists and is not empty.*--overwrite"):
        prepare_output(full)
    with pytest.raises(InputError, match="nothing to resume"):
        prepare_output(full, resume=True)
    prepare_output(full, overwrite=True).release()
    save_checkpoint(full, {}, {})
    prepare_output(full, resume=True).release()
    assert names(full) == {"mine.txt", "checkpoint.npz"}


def test_the_input_is_never_the_output(tmp_path):
    """Also not through a link."""
    scene = tmp_path / "scene"
    scene.mkdir()
    (tmp_path / "link").symlink_to(scene)
    for folder in (scene, tmp_path / "link", tmp_path / "x/../scene"):
        with pytest.raises(InputError, match="is the input folder"):
            prepare_output(folder, overwrite=True, protect=[scene])
    assert names(scene) == set()


@pytest.mark.parametrize("place", [".", "../out", "..", "/"])
def test_a_folder_one_works_in_is_not_replaced_as_a_whole(tmp_path, monkeypatch, place):
    """One would stand nowhere afterwards."""
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    with pytest.raises(InputError, match="is the working folder, or above it; it is replaced as a whole"):
        prepare_folder(place, overwrite=True)
    prepare_folder("below").release()
    prepare_folder("../beside").release()


@pytest.mark.parametrize("place", ["file", "file/below", "nul\0", "n" * 300])
def test_impossible_places_are_refused(tmp_path, place):
    """A file, a place below a file, and names no file system takes."""
    (tmp_path / "file").write_bytes(b"1")
    with pytest.raises(InputError):
        prepare_output(tmp_path / place, overwrite=True)
    assert names(tmp_path) == {"file"}


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system that refuses writing even to root")
def test_unwritable_folders_are_refused():
    """Before computing, with the system's reason."""
    with pytest.raises(InputError, match="cannot be"):
        prepare_output("/proc/self/warpprior")
    with pytest.raises(InputError, match="cannot be written to"):
        prepare_output("/proc/self", overwrite=True)


def test_a_second_run_is_refused_while_the_first_writes(tmp_path):
    """Also within one process; afterwards the folder is free."""
    first = prepare_output(tmp_path / "out")
    with pytest.raises(InputError, match=f"written by another run.*{os.getpid()}"):
        prepare_output(tmp_path / "out", overwrite=True)
    with pytest.raises(InputError, match="written by another run"):
        prepare_output(tmp_path / "out")
    first.release()
    first.release()
    prepare_output(tmp_path / "out", overwrite=True).release()


def test_the_lock_of_a_dead_process_does_not_count(tmp_path):
    """A process killed while holding the folder leaves a lock file that the next run takes over."""
    script = """
        import os, signal, sys
        from warpprior.io import prepare_output
        lock = prepare_output(sys.argv[1])
        print("held", flush=True)
        sys.stdin.read()
    """
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "out")]
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().strip() == "held"
        with pytest.raises(InputError, match=f"process {process.pid}"):
            prepare_output(tmp_path / "out", overwrite=True)
    finally:
        process.kill()
        process.communicate()
    assert (tmp_path / "out/.lock").is_file()
    (tmp_path / "out/poses.npz").touch()
    with pytest.raises(InputError, match="exists and is not empty"):
        prepare_output(tmp_path / "out")
    with prepare_output(tmp_path / "out", overwrite=True):
        pass
    assert not (tmp_path / "out/.lock").exists()


def test_a_killed_writer_leaves_whole_files(tmp_path):
    """Killed at any moment, a run leaves the old file or the new one, and debris that the next run removes."""
    script = """
        import sys
        import numpy as np
        from warpprior.io.array_files import write_arrays
        print("writing", flush=True)
        while True:
            for value in range(250):
                write_arrays(sys.argv[1], {"a": np.full(300_000, value, dtype=np.uint8)})
    """
    root, out = Path(__file__).resolve().parents[1], tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-c", textwrap.dedent(script), str(out / "poses.npz")]
    for seconds in (0.05, 0.0631):
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline().strip() == "writing"
        time.sleep(seconds)
        process.kill()
        process.communicate()
        if (out / "poses.npz").exists():
            with np.load(out / "poses.npz") as arrays:
                assert len(np.unique(arrays["a"])) == 1 and len(arrays["a"]) == 300_000
    (out / ".tmp-0123456789ab.npz").write_bytes(b"half")
    with pytest.warns(UserWarning, match="had left was removed"), prepare_output(out, overwrite=True):
        assert names(out) <= {"poses.npz", ".lock", ".lock.pid"}


def test_a_file_in_the_place_of_the_folder(result, tmp_path):
    """A result is not written over a file."""
    (tmp_path / "out").write_text("mine")
    with pytest.raises(RunError, match="out: cannot be made: File exists"):
        save_result(result, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("kind", ["a folder", "a pipe"])
def test_only_files_are_replaced(tmp_path, kind):
    """A folder, a pipe or a device at the place of a file is left alone, even with overwrite."""
    path = tmp_path / "thing.json"
    make = {"a folder": Path.mkdir, "a pipe": os.mkfifo}[kind]
    make(path)
    for attempt in (lambda: write_json(path, {}), lambda: prepare_file(path, overwrite=True)):
        with pytest.raises(InputError, match=r"thing\.json: is (a folder|not a regular file)"):
            attempt()
    assert path.is_dir() or path.is_fifo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["thing.json"]


def test_single_files_are_checked_before_computing(tmp_path):
    """An existing file needs a word, a missing folder is made, an impossible one is refused."""
    path = tmp_path / "new" / "numbers.json"
    with prepare_file(path):
        with pytest.raises(InputError, match="written by another run"):
            prepare_file(path)
        write_json(path, {"a": 1})
    assert names(path.parent) == {"numbers.json"}
    with pytest.raises(InputError, match=r"numbers\.json: exists; .*--overwrite"):
        prepare_file(path)
    prepare_file(path, overwrite=True).release()
    for impossible in (
        path / "x.json",
        tmp_path / ("n" * 300) / "x.json",
        tmp_path / ("n" * 300),
        tmp_path / "a\udcff",
    ):
        with pytest.raises(InputError):
            prepare_file(impossible)
