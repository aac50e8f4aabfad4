"""Batches: which clips there are, what is noted of them, and what the tables say; no process is started."""

import csv
import json
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_scene import edit_text, write_scene

import warpprior
from tests.format_files import v2d, xr_hands
from warpprior.batches import journal
from warpprior.batches.clips import Clip, clips_of, frames_of, of_shard, read_shard
from warpprior.batches.finished import check_version, stamp_of, still_holds
from warpprior.batches.outlook import Outlook
from warpprior.batches.page import write_index
from warpprior.batches.record import RefinedClip, read_numbers
from warpprior.batches.run import Plan, _supervise
from warpprior.batches.summary import COLUMNS, Summary, row_of, write_csv, write_parquet
from warpprior.batches.telling import in_words
from warpprior.batches.work import Task, Work, last_words
from warpprior.cli import main
from warpprior.formats import read
from warpprior.formats.parts.dynhamr_files import KEYS
from warpprior.formats.place import Place
from warpprior.support.errors import InputError


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Three scenes, two of them below a folder."""
    root = tmp_path_factory.mktemp("scenes")
    for name in ("one", "day/two", "day/three"):
        write_scene(root / name)
    return root


@pytest.fixture(scope="module")
def result(scenes, tmp_path_factory):
    """The result folder of one."""
    folder = tmp_path_factory.mktemp("result") / "one"
    words = ["--device", "cpu", "--iterations", "1", "--num-frames", "2", "--quiet"]
    assert main(["refine", str(scenes / "one"), "--output-dir", str(folder), *words]) == 0
    return folder


def record(name, **fields):
    """A record of a clip that is done."""
    return RefinedClip(name, f"in/{name}", f"out/{name}", **{"status": "done", "exit_code": 0, "said": "", **fields})


def test_a_folder_is_its_scene_folders(scenes):
    """At any depth, in the order of their names, called by where they are; a scene folder is one clip."""
    found = clips_of(scenes)
    assert [clip.name for clip in found] == ["day-three", "day-two", "one"]
    assert [clip.scene for clip in found] == [str(scenes / place) for place in ("day/three", "day/two", "one")]
    assert clips_of(str(scenes / "one")) == [Clip("one", Place(scenes / "one"))]
    assert [clip.name for clip in clips_of([scenes / "one", scenes / "day" / "two"])] == ["one", "day-two"]
    for name in ("v/000001", "v/000002"):  # of a format, what it knows below the root
        (scenes.parent / name).mkdir(parents=True)
        (scenes.parent / name / "scene_camera.json").touch()
    assert [(clip.name, clip.scene) for clip in clips_of(f"bop:{scenes.parent / 'v'}", {"bop": 3})] == [
        (name, f"bop:{scenes.parent / 'v' / name}") for name in ("000001", "000002")
    ]
    assert clips_of(f"bop:{scenes.parent / 'v'}", {"bop": 3})[0].place.options == 3
    assert frames_of(found[0]) == 3 and frames_of(found[0], 2) == 2
    assert frames_of(Clip("x", Place(scenes / "none"))) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.txt", "# scenes\none\n\nday/two\n"),
        ("list.csv", "scene,name,num_frames,contour.sigma_px\none,,,\nday/two,second,2,3\n"),
        ("list.jsonl", '{"scene": "one"}\n{"scene": "day/two", "name": "second", "num_frames": 2}\n'),
    ],
)
def test_manifests(scenes, name, text):
    """A line for each scene, relative to the manifest, with a name and options where the format has them."""
    path = scenes / name
    path.write_text("\ufeff" + text, encoding="utf-8")
    first, second = clips_of(path)
    assert (first.name, first.scene) == ("one", str(scenes / "one")) and not first.settings
    line = {"list.txt": 4, "list.csv": 3, "list.jsonl": 2}[name]
    assert second.scene == str(scenes / "day/two") and second.where == f"{path}: line {line}"
    if name != "list.txt":
        assert (second.name, second.num_frames) == ("second", 2)
    if name == "list.csv":
        assert second.settings == ("contour.sigma_px=3",)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "# nothing\n", "names no clip"),
        ("a.txt", "one\nother/../one\n", "would both be 'one'"),
        ("a.csv", "folder\none\n", "a column 'scene'"),
        ("a.csv", "scene,name\none\n", "line 2: too few values"),
        ("a.csv", "scene,name\none,summary.csv\n", "line 2: the name 'summary.csv'"),
        ("a.csv", "scene,name\none,a/b\n", "the name 'a/b'"),
        ("a.csv", "scene,num_frames\none,0\n", "num_frames: '0'; a whole number, 1 or more"),
        ("a.jsonl", '{"scene": "one"}\n["one"]\n', "line 2:"),
        ("a.jsonl", '{"scene": {"a": 1}}\n', "line 1: scene:"),
        ("a.jsonl", '{"name": "one"}\n', "line 1: no scene"),
    ],
)
def test_bad_manifests_name_the_line(tmp_path, name, text, said):
    """What is not accepted is refused before anything is computed."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        clips_of(tmp_path / name)
    assert said in str(error.value)


@pytest.mark.parametrize("name", ["v2d", "openxr", "dyn_hamr"])
def test_damaged_clips_of_a_format_are_clips(tmp_path, name):
    """They are not passed over without a word, nor do they take the others with them: reading names what is wrong."""
    if name == "v2d":
        for bundle in ("a", "b"):
            v2d.write_bundle(tmp_path / "runs" / bundle)
        damaged = tmp_path / "runs/b/result.npz"
    elif name == "dyn_hamr":
        for run in ("a", "b"):
            (tmp_path / "runs" / run).mkdir(parents=True)
            np.savez(tmp_path / "runs" / run / "x_world_results.npz", **dict.fromkeys(KEYS, np.zeros(3)))
        damaged = tmp_path / "runs/b/x_world_results.npz"
    else:
        (tmp_path / "runs").mkdir()
        xr_hands.write_openxr(tmp_path / "runs/a.json", "by number")
        damaged = tmp_path / "runs/b.npz"
    damaged.write_bytes(b"PK nothing")
    clips = clips_of(f"{name}:{tmp_path / 'runs'}")
    assert [clip.name.partition(".")[0] for clip in clips] == ["a", "b"]
    with pytest.raises(InputError, match=damaged.name):
        read(clips[1].place.path, name)


def test_settings_of_a_line_are_checked(scenes, tmp_path):
    """A key that is no setting is refused with its line and the nearest one that there is."""
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"scene,contour.sigma_pixels\n{scenes / 'one'},3\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 2: --set contour.sigma_pixels.*did you mean 'contour.sigma_px'"):
        warpprior.batch(manifest, tmp_path / "out")
    with pytest.raises(InputError, match="does not exist"):
        warpprior.batch(tmp_path / "none", tmp_path / "out")
    manifest.write_text("scene\nnowhere:else\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 2: .*nowhere"):
        warpprior.batch(manifest, tmp_path / "out")


def test_shards_are_disjoint_and_all():
    """Every clip is in one of n shards."""
    clips = [Clip(str(number), Place(Path())) for number in range(7)]
    shards = [of_shard(clips, read_shard(f"{number}/3")) for number in (1, 2, 3)]
    assert sorted(clip.name for shard in shards for clip in shard) == [clip.name for clip in clips]
    assert [len(shard) for shard in shards] == [3, 2, 2] and of_shard(clips, None) == clips
    for text in ("0/3", "4/3", "1", "a/b", "1/0"):
        with pytest.raises(InputError, match="from 1/n to n/n"):
            read_shard(text)


def test_a_shard_without_clips(scenes, tmp_path):
    """More shards than clips are no error, and start nothing."""
    assert warpprior.batch(scenes, tmp_path, shard="4/4") == []
    assert "0 of 3 clips refined, 3 to do" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_the_journal_survives_a_torn_line(tmp_path):
    """What was appended is read, the latest of each clip; half a line is passed over, and the next begins anew."""
    path = journal.journal_file(tmp_path, (2, 3))
    path.parent.mkdir()
    reader = journal.Journals(tmp_path)
    journal.append(path, record("a", status="failed", ended="1", seconds=float("nan")))
    assert reader.read()["a"].status == "failed" and reader.read()["a"].seconds is None
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    assert set(reader.read()) == {"a"}
    journal.append(path, record("b", ended="2"))
    journal.append(path, record("a", ended="3", bodies={"mug": {"ok": 3}}))
    journal.append(journal.journal_file(tmp_path, None), record("a", status="died", ended="2"))
    for found in (reader.read(), journal.Journals(tmp_path).read()):
        assert set(found) == {"a", "b"} and found["a"] == record("a", ended="3", bodies={"mug": {"ok": 3}})
    assert RefinedClip.of_line(b"[1]") is None and RefinedClip.of_line(b"{}") is None
    assert RefinedClip.of_line(json.dumps({**json.loads(record("c").line()), "later": 1})) == record("c")


def test_finished_is_the_same_files_settings_and_version(scenes, result, tmp_path, monkeypatch):
    """What makes a clip another: a file that changed, a setting, the version, or a result that is not there."""
    folder = write_scene(tmp_path / "scene")
    clip = Clip("scene", Place(folder))
    stamp = stamp_of(clip, {"iterations": 2})
    noted = record("scene", stamp=stamp, **read_numbers(result))
    assert still_holds(noted, stamp_of(clip, {"iterations": 2}), result)
    assert stamp_of(clip, {"iterations": 3}) != stamp
    assert not still_holds(noted, stamp, tmp_path) and not still_holds(replace(noted, written="then"), stamp, result)
    assert not still_holds(replace(noted, status="failed"), stamp, result)
    monkeypatch.setattr(warpprior, "__version__", "9.9")
    assert stamp_of(clip, {"iterations": 2}) != stamp
    with pytest.raises(InputError, match=r"was made by warpprior .*, and this is 9.9; start again with --overwrite"):
        check_version(result)
    monkeypatch.undo()
    check_version(result)
    edit_text(folder, "fx = 60.0", "fx = 60.1")
    assert stamp_of(clip, {"iterations": 2}) != stamp
    assert stamp_of(replace(clip, place=Place(folder, "bop")), {}) is None
    assert stamp_of(replace(clip, place=Place(tmp_path / "none")), {}) is None


def test_the_outlook_is_honest():
    """It foretells what clips of so many frames took, says a range where they differ, and nothing before it can."""
    outlook = Outlook()
    assert outlook.left([10], [], 2) == "" and outlook.seconds_per_frame() is None
    for frames in (10, 20, 30, 40):
        outlook.note(frames, 5.0 + 2.0 * frames)
    assert outlook.left([100] * 4, [(100, 105.0)], 2) == "8 min left"  # (4 x 205 + 100) / 2 s
    assert outlook.left([], [(100, 500.0)], 2) == "1 s left"
    assert outlook.left([1000], [], 2) == "33 min left"  # the last clip is one worker's
    assert outlook.seconds_per_frame() == pytest.approx(2.2)
    outlook.note(None, 400.0)
    low, high = outlook.left([20] * 10, [], 1).removesuffix(" left").split(" to ")
    assert int(low.split()[0]) < int(high.split()[0])


class _Team:
    """Answers from a list; a clip that hangs is busy since long ago."""

    retries_itself, size = False, 1

    def __init__(self, answers):
        self.answers, self.task, self.given, self.stopped = answers, None, [], []

    def free(self):
        return [] if self.task else [0]

    def busy(self):
        return [(0, self.task, -1e9 if "hangs" in self.task.clip.name else 1e18)] if self.task else []

    def give(self, number, task):
        self.task = task
        self.given.append((task.clip.name, task.attempt))

    def stop(self, number, said):
        self.stopped.append(said)

    def wait(self, seconds):
        task, self.task = self.task, None if not ("hangs" in self.task.clip.name and not self.stopped) else self.task
        if self.task:
            return []
        status, code = self.answers[task.clip.name].pop(0)
        return [(task, record(task.clip.name, status=status, exit_code=code, attempts=task.attempt, seconds=1.0))]


def test_what_is_begun_again(tmp_path):
    """A clip that fails, dies or hangs, as often as was said; bad input is not; each is noted once."""
    answers = {
        "good": [("done", 0)],
        "bad": [("failed", 2)],
        "fails": [("failed", 1), ("done", 0)],
        "dies": [("died", 1), ("died", 1)],
        "hangs": [("timed out", 1), ("timed out", 1)],
    }
    team, found, told = _Team({name: [*found] for name, found in answers.items()}), {}, []
    work = Work(tmp_path, clip_timeout_s=5.0)
    (tmp_path / "journal").mkdir()
    tasks = deque(Task(Clip(name, Place(Path(name)))) for name in answers)
    with Summary(tmp_path, 5) as summary:
        _supervise(tasks, team, Plan(retries=1), work, summary, found, lambda one, standing: told.append(standing))
        summary.finish()
    assert team.given == [*((name, 1) for name in answers), ("fails", 2), ("dies", 2), ("hangs", 2)]
    assert team.stopped[0] == "took longer than 5 s (--clip-timeout)"
    lines = journal.journal_file(tmp_path, None).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["clip"] for line in lines] == ["good", "bad", "fails", "dies", "hangs"]
    assert {name: found[name].attempts for name in answers} == {"good": 1, "bad": 1, "fails": 2, "dies": 2, "hangs": 2}
    assert (told[-1].done, told[-1].failed, told[-1].total) == (5, 3, 5)
    assert in_words(told[-1]) == "5 of 5 clips, 3 failed, 1.0 s each"
    with open(tmp_path / "summary.csv", encoding="utf-8", newline="") as file:
        assert {row["clip"]: row["status"] for row in csv.DictReader(file)}["dies"] == "died"


def test_tables_say_what_the_result_says(result, tmp_path):
    """Verdicts, errors, penetration and contact of a result, in the table and on the page, with a link."""
    metrics = json.loads((result / "metrics.json").read_text(encoding="utf-8"))
    numbers = read_numbers(result)
    done = record("one", seconds=1.5, **numbers)
    assert done.bodies["box"]["add_mm"][1] == metrics["after"]["summary"]["box"]["add_mm"]["median"]
    assert sum(done.bodies["box"][status] for status in ("ok", "suspect", "lost")) == done.frames == 2
    row = row_of(done)
    assert row["add_mm_after"] == done.bodies["box"]["add_mm"][1] and row["penetration_mm_after"] is not None
    assert row["verdict"] == max(("ok", "suspect", "lost"), key=lambda one: (bool(done.bodies["box"][one]), one))
    broken = record("<b>", status="failed", exit_code=2, said="no <label>")
    write_csv([row_of(broken), row], tmp_path / "summary.csv")
    with open(tmp_path / "summary.csv", encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["said"] == "no <label>" and first["frames"] == "" and float(second["seconds"]) == 1.5
    assert list(first) == list(COLUMNS)
    page = write_index(tmp_path, [broken, done], 3, 1, ended=False).read_text(encoding="utf-8")
    assert 'href="one/report.html"' in page and "no &lt;label&gt;" in page and "<b>" not in page
    assert "1 of 3 clips refined" in page and "1 being refined" in page and 'http-equiv="refresh"' in page
    page = write_index(tmp_path, [broken], 3, 0, ended=True).read_text(encoding="utf-8")
    assert "refresh" not in page and "2 to do; what is to do, other shards do, or --resume" in page


def test_the_table_for_programs(result, tmp_path):
    """The same with types, where pyarrow is installed."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    rows = [row_of(record("one", seconds=1.5, **read_numbers(result))), row_of(record("two", status="died"))]
    write_parquet(rows, tmp_path / "summary.parquet")
    assert parquet.read_table(tmp_path / "summary.parquet").to_pylist() == rows


def test_the_last_words_of_a_crash(tmp_path):
    """Python's account of it, and where it was; else the last line."""
    log = tmp_path / "log"
    assert last_words(log) == ""
    log.write_text("warning\n\nlast\n\n", encoding="utf-8")
    assert last_words(log) == "last"
    text = 'Fatal Python error: Aborted\n\nCurrent thread:\n  File "a.py", line 3 in f\n\nExtension modules: x\n'
    log.write_text(text, encoding="utf-8")
    assert last_words(log) == 'Aborted, File "a.py", line 3 in f'
