"""Whole commands on a tiny scene folder: what they write, refuse, print and resume."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from small_scene import write_scene

import warpprior
from warpprior.cli import main
from warpprior.io.array_files import write_arrays
from warpprior.io.result_folder import describe_parts
from warpprior.result import Result
from warpprior.support.errors import InputError


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A scene folder of three frames."""
    return write_scene(tmp_path_factory.mktemp("commands") / "scene")


@pytest.fixture(scope="module")
def refined(scene):
    """The result folder of one undisturbed run."""
    folder = scene.parent / "refined"
    assert main(["refine", str(scene), "--output-dir", str(folder), "--device", "cpu", "--quiet"]) == 0
    return folder


def read_poses(folder) -> dict[str, np.ndarray]:
    """Every array of a result's poses."""
    with np.load(folder / "poses.npz", allow_pickle=False) as stored:
        return dict(stored)


def test_refine_writes_the_whole_result_folder(refined):
    """Poses, numbers, history, settings, video, stage and report are there, and nothing unfinished."""
    names = {path.name for path in refined.iterdir()}
    assert names >= {
        "poses.npz",
        "metrics.json",
        "history.csv",
        "config.json",
        "scene.usdc",
        "overlay.mp4",
        "report.html",
    }
    assert not [name for name in names if name.startswith(".") or name == "checkpoint.npz"]
    config = json.loads((refined / "config.json").read_text())
    assert config["complete"] is True and config["seed"] == 0 and config["device"] == "cpu"
    metrics = json.loads((refined / "metrics.json").read_text())
    assert set(metrics) == {"before", "after", "verdicts"} and "add_mm" in metrics["after"]["summary"]["box"]


def test_an_existing_result_is_kept_unless_told(scene, refined, capsys):
    """A second run into the same folder is refused, and replaces it with --overwrite."""
    words = ["refine", str(scene), "--output-dir", str(refined), "--device", "cpu"]
    before = (refined / "poses.npz").read_bytes()
    assert main(words) == 2
    assert "exists and is not empty" in capsys.readouterr().err
    assert (refined / "poses.npz").read_bytes() == before
    assert main([*words, "--overwrite"]) == 0
    said = capsys.readouterr()
    assert "ADD median [mm]" in said.out and "before" in said.out and "report.html" in said.out
    assert "it/s" not in said.err


def test_the_same_seed_gives_the_same_bits(scene, refined, tmp_path):
    """Two runs agree exactly on the CPU."""
    assert main(["refine", str(scene), "--output-dir", str(tmp_path / "b"), "--device", "cpu", "--quiet"]) == 0
    first, second = read_poses(refined), read_poses(tmp_path / "b")
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_an_interrupted_run_is_kept_and_resumed(scene, refined, tmp_path, monkeypatch, capsys):
    """Ctrl-C leaves the best so far and exits with 130; --resume ends where an undisturbed run does, bit for bit."""
    import warpprior.io

    save = warpprior.io.save_checkpoint

    def save_and_interrupt(*positional):
        save(*positional)
        raise KeyboardInterrupt

    words = ["refine", str(scene), "--output-dir", str(tmp_path / "out"), "--device", "cpu", "--quiet"]
    monkeypatch.setattr(warpprior.io, "save_checkpoint", save_and_interrupt)
    assert main(words) == 130
    assert "--resume" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "config.json").read_text())["complete"] is False
    assert (tmp_path / "out" / "checkpoint.npz").is_file()
    monkeypatch.setattr(warpprior.io, "save_checkpoint", save)
    assert main([*words, "--set", "window_margin=0.4", "--resume"]) == 2
    assert "other inputs or settings: setting window_margin (then" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 0
    first, second = read_poses(refined), read_poses(tmp_path / "out")
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not (tmp_path / "out" / "checkpoint.npz").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="its processes are ended without being asked")
@pytest.mark.parametrize("ignored", [False, True], ids=["", "in the background"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_request_to_end_is_an_interrupt(scene, tmp_path, monkeypatch, capsys, name, ignored):
    """It keeps the best so far, also where Ctrl-C is not listened to; afterwards it is what it was."""
    import warpprior.io

    save, out = warpprior.io.save_checkpoint, tmp_path / "out"
    number = getattr(signal, name)
    if signal.getsignal(number) != signal.SIG_DFL:
        pytest.skip("these tests were started by nohup")

    def save_and_ask(*positional):
        save(*positional)
        signal.raise_signal(number)

    monkeypatch.setattr(warpprior.io, "save_checkpoint", save_and_ask)
    before = signal.getsignal(signal.SIGINT)
    if ignored:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert main(["refine", str(scene), "--output-dir", str(out), "--device", "cpu", "--quiet"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "the best so far is in" in capsys.readouterr().err
    assert json.loads((out / "config.json").read_text())["complete"] is False
    assert signal.getsignal(number) == signal.SIG_DFL


def test_an_interrupt_while_saving_keeps_the_old_result(scene, refined, tmp_path, monkeypatch, capsys):
    """And says so in one line."""
    out = tmp_path / "out"
    shutil.copytree(refined, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def interrupt(*_, **__):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("warpprior.report.write_overlay", interrupt)
    words = ["track", str(scene), "--output-dir", str(out), "--device", "cpu", "--quiet", "--overwrite"]
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        assert main(words) == 130
    finally:
        signal.signal(signal.SIGINT, handler)
    assert capsys.readouterr().err == "warpprior: interrupted\n"
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_resuming_a_complete_run_does_nothing(scene, refined, tmp_path, capsys, monkeypatch):
    """Of the same settings and inputs; of others it says which differ, unless they are to be replaced."""
    out = tmp_path / "out"
    shutil.copytree(refined, out)
    words = ["refine", str(scene), "--output-dir", str(out), "--device", "cpu", "--resume"]
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr("warpprior.refinement.run.refine", None)
    assert main(words) == 0
    assert capsys.readouterr().out == f"{out}: complete: nothing to resume\n"
    assert main([*words, "--set", "contour.sigma_px=3", "--seed", "2"]) == 2
    said = capsys.readouterr().err
    assert "setting contour.sigma_px (then none, now 3.0), setting seed (then 0, now 2)" in said or (
        "setting seed (then 0, now 2), setting contour.sigma_px (then none, now 3.0)" in said
    )
    assert "start again with --overwrite" in said and len(said.splitlines()) == 1
    assert main([*words, "--initial", str(refined)]) == 2
    assert "initial poses of box; start again" in capsys.readouterr().err
    moved = tmp_path / "scene"
    shutil.copytree(scene, moved)
    (moved / "scene.toml").write_text((moved / "scene.toml").read_text().replace("fx = 60.0", "fx = 61.0"))
    assert main([words[0], str(moved), *words[2:]]) == 2
    assert "camera fx (then 60.0, now 61.0)" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    shutil.copy(scene / "truth.npz", out / "poses.npz")
    assert main(words) == 2
    assert "its poses.npz is not the one" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("suspect", 3), (None, 0)])
def test_a_complete_run_that_fits_badly_does_so_when_it_is_resumed(scene, refined, tmp_path, status, code):
    """With ``--strict`` its exit code is that of the run; a result without verdicts says nothing."""
    out = tmp_path / "out"
    shutil.copytree(refined, out)
    arrays = {name: each for name, each in read_poses(out).items() if not name.endswith("/status")}
    if status is not None:
        arrays["box/status"] = np.full(len(arrays["box/position"]), status)
    write_arrays(out / "poses.npz", arrays)
    record = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(record | {"parts": describe_parts(out)}))
    words = ["refine", str(scene), "--output-dir", str(out), "--device", "cpu", "--resume"]
    assert main([*words, "--strict"]) == code
    assert main(words) == 0


def test_results_that_do_not_say_what_they_were_made_from_are_not_resumed(scene, refined, tmp_path, capsys):
    """Of an older version, or of another command; --overwrite goes on where it can and else begins again."""
    out = tmp_path / "out"
    shutil.copytree(refined, out)
    words = ["refine", str(scene), "--output-dir", str(out), "--device", "cpu", "--resume"]
    record = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({name: record[name] for name in record if name != "inputs"}))
    assert main(words) == 2
    assert "config.json: does not say what it was made from; start again with --overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--quiet"]) == 0
    assert "does not say what it was made from; beginning again" in capsys.readouterr().err
    assert main(words) == 0
    assert "nothing to resume" in capsys.readouterr().out


def test_a_run_killed_over_an_old_result_keeps_it_and_can_be_resumed(scene, refined, tmp_path, monkeypatch):
    """The checkpoint is the new run's; the old result stays until the new one is complete."""
    import warpprior.io

    class Killed(BaseException):
        """Nobody catches it."""

    save, out = warpprior.io.save_checkpoint, tmp_path / "out"

    def save_and_die(*positional):
        save(*positional)
        raise Killed

    words = ["refine", str(scene), "--output-dir", str(out), "--device", "cpu", "--quiet"]
    assert main([*words, "--num-frames", "2"]) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr(warpprior.io, "save_checkpoint", save_and_die)
    with pytest.raises(Killed):
        main([*words, "--overwrite"])
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.name != "checkpoint.npz"} == before
    monkeypatch.setattr(warpprior.io, "save_checkpoint", save)
    assert main([*words, "--resume"]) == 0
    first, second = read_poses(refined), read_poses(out)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not (out / "checkpoint.npz").exists()


def test_settings_reach_the_record(scene, tmp_path):
    """--set, --without, --seed and --num-frames are what config.json says was used."""
    words = ["refine", str(scene), "--output-dir", str(tmp_path / "out"), "--device", "cpu", "--quiet"]
    words += ["--seed", "5", "--num-frames", "2", "--without", "sliding", "--set", "contact_points=64"]
    assert main(words) == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["seed"] == config["settings"]["seed"] == 5
    assert config["settings"]["contact_points"] == 64 and config["scene"]["frames"] == 2
    assert config["settings"]["without"] == ["sliding"]
    assert len(read_poses(tmp_path / "out")["box/position"]) == 2


@pytest.fixture
def tracker(monkeypatch):
    """Stands in for the tracker: moves the box 1 mm aside and is sure of it; gives the options it was called with."""
    calls = []

    def track(scene, settings, **options):
        calls.append((scene, settings, options))
        start = scene.body("box").initial
        count = scene.frame_count
        sure = np.broadcast_to(1e-6 * np.eye(6), (count, 6, 6))
        moved = replace(start, position=start.position + np.array([1e-3, 0.0, 0.0]), covariance=sure)
        poses = {"arm": scene.body("arm").initial, "box": moved}
        return Result(scene, poses, {"frame": np.arange(count)}, settings=settings.as_dict(), notes=("tracked",))

    monkeypatch.setitem(sys.modules, "warpprior.tracking.run", SimpleNamespace(track=track))
    return calls


def test_track_writes_a_result_with_covariances(scene, tracker, tmp_path, capsys):
    """The tracker gets what was asked for; poses, covariances, settings, numbers and pictures are in the folder."""
    folder = tmp_path / "tracked"
    words = ["track", str(scene), "--output-dir", str(folder), "--device", "cpu", "--num-frames", "2"]
    assert main([*words, "--observe", "center, box", "--smooth", "--set", "center_m=0.02"]) == 0
    ((given, settings, options),) = tracker
    assert given.frame_count == 2 and settings.center_m == 0.02
    assert options.pop("progress") is not None
    expected = {"observe": ["center", "box"], "smooth": True, "lag": None, "device": "cpu"}
    assert options == expected | {"check_first": True, "strict": False}
    poses = read_poses(folder)
    assert poses["box/covariance"].shape == (2, 6, 6)
    assert np.allclose(poses["box/position"][:, 0], [1e-3, 0.011], atol=1e-9)
    config = json.loads((folder / "config.json").read_text())
    assert config["complete"] is True and config["settings"]["center_m"] == 0.02 and "tracked" in config["notes"]
    assert json.loads((folder / "metrics.json").read_text())["after"]["summary"]["box"]["add_mm"]["median"] > 0.9
    assert {"report.html", "scene.usdc", "overlay.mp4", "history.csv"} <= {path.name for path in folder.iterdir()}
    said = capsys.readouterr().out
    assert "ADD median [mm]" in said and "report.html" in said
    assert main(words) == 2 and len(tracker) == 1


def test_one_estimate_starts_from_another(scene, refined, tracker, tmp_path):
    """--initial takes a result folder or a pose file, of at least as many frames; known bodies stay as they were."""
    poses = read_poses(refined)
    poses["arm/position"] = poses["arm/position"] + 0.1
    np.savez(tmp_path / "poses.npz", **poses)
    words = ["--device", "cpu", "--quiet", "--num-frames", "2"]
    for number, initial in enumerate([refined, tmp_path / "poses.npz"]):
        folder = tmp_path / f"tracked{number}"
        assert main(["track", str(scene), "--output-dir", str(folder), "--initial", str(initial), *words]) == 0
        given, _, options = tracker[-1]
        assert options["observe"] == ["auto"]
        assert np.array_equal(given.body("box").initial.position, poses["box/position"][:2])
        assert np.array_equal(given.body("arm").initial.position, np.tile([-0.12, 0.0, 0.5], (2, 1)))
    folder = tmp_path / "refined"
    words += ["--initial", str(tmp_path / "tracked0")]
    assert main(["refine", str(scene), "--output-dir", str(folder), *words]) == 0
    start = json.loads((tmp_path / "tracked0" / "metrics.json").read_text())["after"]["summary"]["box"]
    before = json.loads((folder / "metrics.json").read_text())["before"]["summary"]["box"]
    assert before["add_mm"]["median"] == pytest.approx(start["add_mm"]["median"], rel=1e-6)


def test_what_is_started_from_is_not_written_over(scene, tracker, tmp_path, capsys):
    """The folder of the poses to start from is no output, and one that is not there is refused."""
    words = ["--device", "cpu", "--quiet"]
    folder = tmp_path / "tracked"
    assert main(["track", str(scene), "--output-dir", str(folder), *words]) == 0
    for initial in (folder, folder / "poses.npz"):
        for command in ("track", "refine"):
            again = [command, str(scene), "--output-dir", str(folder), "--initial", str(initial), "--overwrite"]
            assert main([*again, *words]) == 2
            assert "is the input folder" in capsys.readouterr().err
    gone = ["--initial", str(tmp_path / "gone")]
    assert main(["track", str(scene), "--output-dir", str(tmp_path / "other"), *gone, *words]) == 2
    assert "gone" in capsys.readouterr().err and not (tmp_path / "other").exists()
    assert len(tracker) == 1


@pytest.mark.parametrize("later", [[], ["--smooth"], ["--lag", "1"]], ids=["filtered", "smoothed", "lagging"])
def test_the_tracker_itself_writes_a_result_to_refine_from(scene, tmp_path, later):
    """The real tracker: a row per frame, a covariance per pose, and a motion that refinement starts from."""
    words = [str(scene), "--device", "cpu", "--quiet"]
    tracked = tmp_path / "tracked"
    assert main(["track", *words, "--output-dir", str(tracked), "--observe", "moments", *later]) == 0
    rows = (tracked / "history.csv").read_text().splitlines()
    assert rows[0].startswith("frame,") and [row.split(",")[0] for row in rows[1:]] == ["0", "1", "2"]
    covariance = read_poses(tracked)["box/covariance"]
    assert covariance.shape == (3, 6, 6) and np.linalg.eigvalsh(covariance).min() > 0.0
    refined = tmp_path / "refined"
    assert main(["refine", *words, "--output-dir", str(refined), "--initial", str(tracked)]) == 0
    start = json.loads((tracked / "metrics.json").read_text())["after"]["summary"]["box"]
    before = json.loads((refined / "metrics.json").read_text())["before"]["summary"]["box"]
    assert before["mask_iou"]["median"] == pytest.approx(start["mask_iou"]["median"], rel=1e-3)


def test_interrupted_tracking_is_kept(scene, tmp_path, monkeypatch, capsys):
    """Ctrl-C in the second frame exits with 130 and leaves a result of all frames, marked incomplete."""
    from warpprior.tracking.run import Tracker

    step = Tracker.step

    def step_once(self, observation, timestamp):
        if timestamp > 0.05:
            raise KeyboardInterrupt
        return step(self, observation, timestamp)

    monkeypatch.setattr(Tracker, "step", step_once)
    folder = tmp_path / "out"
    assert main(["track", str(scene), "--output-dir", str(folder), "--device", "cpu", "--quiet"]) == 130
    said = capsys.readouterr().err
    assert "the best so far is in" in said and "--resume" not in said
    assert json.loads((folder / "config.json").read_text())["complete"] is False
    assert len(read_poses(folder)["box/position"]) == 3


@pytest.mark.parametrize(("name", "says"), [("gravity", "no sensor 'gravity'"), ("keypoints3d", "has nothing")])
def test_what_cannot_be_observed_is_refused(scene, tmp_path, name, says, capsys):
    """Sensors that do not exist, and those of which the scene has nothing, end before anything is written."""
    words = ["track", str(scene), "--output-dir", str(tmp_path / "out"), "--observe", name, "--device", "cpu"]
    assert main(words) == 2
    assert says in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("whole_folder", [True, False])
def test_evaluate_agrees_with_the_result(scene, refined, tmp_path, whole_folder, capsys):
    """The numbers of a result folder, or of its pose file, are those refine wrote."""
    source = refined if whole_folder else refined / "poses.npz"
    output = tmp_path / "metrics.json"
    words = ["evaluate", str(scene), "--poses", str(source), "--output", str(output), "--device", "cpu"]
    assert main(words) == 0
    assert "mask IoU median" in capsys.readouterr().out
    after = json.loads((refined / "metrics.json").read_text())["after"]["summary"]["box"]
    found = json.loads(output.read_text())["summary"]["box"]
    assert found["add_mm"]["median"] == pytest.approx(after["add_mm"]["median"], rel=1e-3, abs=1e-4)


def test_evaluate_measures_the_start_by_default(scene, capsys):
    """Without poses it is the scene's own start that is measured, on the frames asked for."""
    assert main(["evaluate", str(scene), "--num-frames", "2", "--device", "cpu"]) == 0
    assert "box" in capsys.readouterr().out


def test_export_writes_a_stage(scene, refined, tmp_path, capsys):
    """A pose file becomes a stage of the frames asked for; an existing file is not replaced unasked."""
    pytest.importorskip("pxr", reason="USD export needs the extra usd")
    from pxr import Usd

    output = tmp_path / "stage.usda"
    words = ["export", str(scene), "--poses", str(refined), "--output", str(output), "--num-frames", "2"]
    assert main(words) == 0
    stage = Usd.Stage.Open(str(output))
    assert stage.GetEndTimeCode() - stage.GetStartTimeCode() == 1.0
    assert main(words) == 2
    assert main([*words, "--overwrite", "--quiet"]) == 0


def test_a_scene_may_be_read_only_and_odd_of_name(scene, tmp_path):
    """Spaces and letters beyond ASCII in paths change nothing, and nothing is written into the scene."""
    odd = tmp_path / "Tasse, grüne 杯"
    shutil.copytree(scene, odd)
    before = {path: path.stat().st_mtime_ns for path in odd.rglob("*")}
    words = ["refine", str(odd), "--output-dir", str(tmp_path / "Ergebnis ü"), "--device", "cpu", "--quiet"]
    assert main([*words, "--num-frames", "2"]) == 0
    assert {path: path.stat().st_mtime_ns for path in odd.rglob("*")} == before


def test_the_demo_makes_a_scene_and_refines_it(tmp_path, capsys):
    """The demo leaves a scene folder and a result folder, prints both sides of the table, and does not run twice."""
    words = [
        "demo",
        "--output-dir",
        str(tmp_path / "demo"),
        "--num-frames",
        "3",
        "--iterations",
        "2",
        "--device",
        "cpu",
    ]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "mug" in said and "before" in said and str(tmp_path / "demo" / "result" / "report.html") in said
    assert (tmp_path / "demo" / "scene" / "scene.toml").is_file()
    assert json.loads((tmp_path / "demo" / "result" / "config.json").read_text())["complete"] is True
    assert main(words) == 2
    assert main(["evaluate", str(tmp_path / "demo" / "scene"), "--num-frames", "1", "--device", "cpu", "--quiet"]) == 0


def test_the_demo_from_python_returns_its_result(tmp_path, capsys):
    """The function gives what the folder holds; its arguments are the command's, and held to the same ranges."""
    options = {"num_frames": 2, "iterations": 1, "device": "cpu", "quiet": True}
    result = warpprior.demo(tmp_path / "demo", **options)
    assert isinstance(result, Result) and result.complete and capsys.readouterr().out == ""
    assert {body.name for body in result.scene.bodies} == set(result.poses) == {"hand", "mug"}
    stored = read_poses(tmp_path / "demo" / "result")
    assert np.allclose(stored["mug/position"], result.poses["mug"].position, atol=1e-7)
    assert set(result.metrics) == {"before", "after"}
    with pytest.raises(InputError, match="exists"):
        warpprior.demo(tmp_path / "demo", **options)
    with pytest.raises(InputError, match="options: num_frames: 0; a whole number from 2"):
        warpprior.demo(tmp_path / "demo", num_frames=0)
    with pytest.raises(TypeError, match="frames_count"):
        warpprior.demo(tmp_path / "demo", frames_count=3)


def test_warnings_are_printed_with_quiet_too(tmp_path, capsys):
    """What was mended is said on the screen whatever --quiet says; results are not."""
    folder = write_scene(tmp_path / "scene")
    (folder / "rgb" / "000001.png").unlink()
    words = [str(folder), "--quiet"]
    runs = {
        "evaluate": ["--device", "cpu"],
        "export": ["--output", str(tmp_path / "a.usdc")],
    }
    for command, more in runs.items():
        assert main([command, *words, *more]) == 0
        said = capsys.readouterr()
        assert said.out == "" and "warpprior: warning: rgb: frame 1 missing\n" in said.err, command


def test_the_first_run_says_that_it_compiles(tmp_path, monkeypatch, capsys):
    """Without compiled kernels in the cache the user is told what takes so long; --quiet is quiet."""
    from warpprior.cli import running

    monkeypatch.setattr(running, "prepare_kernel_cache", lambda: tmp_path)
    running.start_warp("cpu", quiet=False)
    assert "the first run compiles kernels" in capsys.readouterr().out
    running.start_warp("cpu", quiet=True)
    (tmp_path / "wp_warpprior.kernels.distance_1").mkdir()
    running.start_warp("cpu", quiet=False)
    assert capsys.readouterr().out == ""
