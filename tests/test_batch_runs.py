"""Batches in processes: bad clips cost themselves alone, and a batch that is killed goes on where it was."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_scene import edit_text, write_scene

from warpprior.batches.clips import Clip
from warpprior.batches.local import LocalTeam
from warpprior.batches.record import DIED, DONE, LATE
from warpprior.batches.work import LOG_FOLDER, Task, Work
from warpprior.bench.batches import traps as batch_traps
from warpprior.cli.own_terms import load_term
from warpprior.formats.place import Place
from warpprior.settings import RefineSettings

ROOT = Path(__file__).resolve().parents[1]
TRAP = f"{batch_traps.__file__}:Trap"
PATIENCE_S = 300.0  # nothing takes that long; it keeps a test that fails from hanging


@pytest.fixture
def traps(tmp_path, monkeypatch):
    """The folder where trapped processes leave their numbers."""
    folder = tmp_path / "traps"
    folder.mkdir()
    monkeypatch.setenv(batch_traps.FOLDER, str(folder))
    monkeypatch.setenv("WARPPRIOR_THREADS", "1")
    return folder


def until(holds):
    """Wait for something to be so."""
    end = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


def runs(process):
    """Whether a process of this number is there, and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def lines(output_dir):
    """What is noted in the journal, line by line."""
    path = output_dir / "journal" / "all.jsonl"
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines() if path.exists() else []
    return [json.loads(line) for line in whole]


def test_a_worker_is_replaced(tmp_path, traps):
    """A clip that hangs is ended, one whose process is killed is named, and the next one is refined."""
    (tmp_path / "out" / LOG_FOLDER).mkdir(parents=True)
    settings = RefineSettings(iterations=1, terms=(*RefineSettings().terms, load_term(TRAP)))
    work = Work(tmp_path / "out", settings, num_frames=2, own_terms=(TRAP,), clip_timeout_s=0.5)
    tasks = {name: Task(Clip(name, Place(write_scene(tmp_path / name)))) for name in ("hangs", "waits", "good")}
    found, log = {}, tmp_path / "out" / LOG_FOLDER / "hangs.txt"  # which is told where it hangs

    def refine(name, meanwhile=None):
        until(lambda: team.wait(0.1) or team.free())
        team.give(team.free()[0], tasks[name])
        if meanwhile is not None:
            (marker,) = until(lambda: [*traps.glob(f"{name}.*")])
            meanwhile(int(marker.suffix[1:]))
        ((_, found[name]),) = until(lambda: team.wait(0.1))

    with LocalTeam(work, 1, 3, "cpu") as team:
        refine("hangs", lambda process: until(lambda: "in bind" in log.read_text("utf-8")) and team.stop(0, "too long"))
        refine("waits", lambda process: os.kill(process, signal.SIGKILL))
        refine("good")
        (last,) = [lane.process.pid for lane in team._lanes]
    assert (found["hangs"].status, found["hangs"].said, found["hangs"].exit_code) == (LATE, "too long", 1)
    assert found["waits"].status == DIED and "SIGKILL" in found["waits"].said
    assert found["good"].status == DONE and found["good"].frames == 2
    assert not (tmp_path / "out" / LOG_FOLDER / "good.txt").exists() and not runs(last)


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_a_batch_that_is_killed_goes_on(tmp_path, traps):
    """Killed by SIGKILL, then by Ctrl-C: every good clip is refined once, every bad one is named, no worker is left."""
    for name in ("a", "b", "kills", "waits", "no_toml", "no_mesh"):
        write_scene(tmp_path / "many" / name)
    (tmp_path / "many" / "no_toml" / "scene.toml").write_text("count = [", encoding="utf-8")
    edit_text(tmp_path / "many" / "no_mesh", 'path = "box.obj"', 'path = "other.obj"')
    out = tmp_path / "out"
    command = [sys.executable, "-m", "warpprior", "batch", str(tmp_path / "many"), "--output-dir", str(out)]
    command += ["--jobs", "2", "--device", "cpu", "--iterations", "1", "--num-frames", "2", "--retries", "0"]
    command += ["--term", TRAP]

    def start(*more):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
        return subprocess.Popen([*command, *more], preexec_fn=_hear_ctrl_c, **pipes)

    def trapped():
        return {int(path.suffix[1:]) for path in traps.glob("waits.*")}

    def done():
        return [line["clip"] for line in lines(out) if line["status"] == "done"]

    first = start()
    until(lambda: trapped() and len(done()) >= 2)
    first.kill()
    first.communicate()
    until(lambda: not any(map(runs, trapped())))
    assert sorted(done()) == ["a", "b"]
    written = {name: json.loads((out / name / "config.json").read_text())["written"] for name in "ab"}

    killed = trapped()
    second = start("--resume")
    (worker,) = until(lambda: trapped() - killed)
    second.send_signal(signal.SIGINT)
    said = second.communicate()[1]
    assert second.returncode == 130 and "go on with --resume" in said.splitlines()[-1]
    until(lambda: not runs(worker))
    assert "or --resume" in (out / "index.html").read_text(encoding="utf-8")

    (traps / "released").touch()
    last = start("--resume")
    printed, said = last.communicate()
    assert last.returncode == 1 and "3 of 6 clips refined" in printed, said
    assert sorted(done()) == ["a", "b", "waits"]
    assert written == {name: json.loads((out / name / "config.json").read_text())["written"] for name in "ab"}
    for name, words in {"kills": "SIGKILL", "no_toml": "is not TOML", "no_mesh": "other.obj"}.items():
        assert any(f"error: {name}: " in line and words in line for line in said.splitlines()), said
    assert said.splitlines()[-1].endswith("3 of 6 clips without a result: kills, no_mesh, no_toml")
    assert not [*out.glob("[abw]*/.lock*")] and "refresh" not in (out / "index.html").read_text(encoding="utf-8")


def _hear_ctrl_c():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it, and theirs
