"""Results appear as a whole: the process dies at every operation on files in turn, and the old or the new is there."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.small_scene import write_scene
from warpprior.io import load_result_poses, load_scene, prepare_file, prepare_folder, prepare_output, save_scene
from warpprior.io.atomic import atomic_folder, atomic_write
from warpprior.io.leftovers import label_of
from warpprior.io.locks import OutputLock
from warpprior.io.result_folder import RESULT_FILES, describe_parts, read_record
from warpprior.io.results import save_result
from warpprior.io.staging import newest
from warpprior.result import Result
from warpprior.support.errors import InputError, RunError

OPERATIONS = ("replace", "rename", "unlink", "remove", "mkdir", "rmdir", "open")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that are copies of this one")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """The small scene."""
    return load_scene(write_scene(tmp_path_factory.mktemp("whole") / "scene"))


def make_result(scene, offset: float, **changes) -> Result:
    """The truth, moved by so many metres."""
    poses = {body.name: replace(body.truth, position=body.truth.position + offset) for body in scene.bodies}
    return replace(Result(scene, poses, {"total": np.array([1.0, offset])}, metrics={"after": offset}), **changes)


def save(result: Result, folder: Path) -> None:
    """Save the numbers, and a plot that stands for what is drawn."""
    save_result(result, folder, video=False, usd=False, report=False)


def offset_in(folder: Path, scene) -> float | None:
    """By how much the poses of a result folder were moved; None where there is no result.  Its parts are its own."""
    if not folder.is_dir():
        return None
    record = read_record(folder)
    there = {name for name in RESULT_FILES if newest(folder, name).is_file()}
    if record is None and not there:
        return None
    assert there == {*record["parts"], "config.json"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        poses = load_result_poses(folder, scene)
    offset = round(float(poses["box"].position[0, 2] - scene.body("box").truth.position[0, 2]), 6)
    assert json.loads(newest(folder, "metrics.json").read_text()) == {"after": offset}
    return offset


def dies_at(number: int, action) -> bool:
    """Whether a copy of this process that does something is dead before its operation on files of that number."""
    child = os.fork()
    if child == 0:
        count = 0

        def fatal(original):
            def operation(*positional, **named):
                nonlocal count
                count += 1
                if count > number:
                    os._exit(9)
                return original(*positional, **named)

            return operation

        try:
            for name in OPERATIONS:
                setattr(os, name, fatal(getattr(os, name)))
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


def names(folder: Path) -> set[str]:
    """Names of what a folder holds."""
    return {path.name for path in folder.iterdir()}


@needs_fork
@pytest.mark.parametrize("old", [None, 0.25], ids=["fresh", "over an old one"])
def test_a_result_is_the_old_or_the_new_one_wherever_saving_stops(scene, tmp_path, old):
    """Read by our readers, which finish what was complete; the next run clears what was left, and tells."""
    seen, number, died = [], 0, True
    while died:
        folder = tmp_path / f"out{number}"
        folder.mkdir()
        if old is not None:
            save(make_result(scene, old), folder)
            (folder / "report.html").write_text("old")  # the new one has none
            record = read_record(folder)
            (folder / "config.json").write_text(json.dumps(record | {"parts": describe_parts(folder)}))
        (folder / "mine.txt").write_text("mine")
        died = dies_at(number, lambda folder=folder: save(make_result(scene, 0.5), folder))
        seen.append(offset_in(folder, scene))
        assert (folder / "mine.txt").read_text() == "mine"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            prepare_output(folder, overwrite=True).release()
        assert offset_in(folder, scene) == seen[-1]
        assert not [name for name in names(folder) if name.startswith(".")]
        number += 1
    assert seen[0] == old and seen[-1] == 0.5 and set(seen) == {old, 0.5}
    assert seen == sorted(seen, key=lambda offset: offset == 0.5)  # once the new one counts it does so ever after


@needs_fork
def test_a_scene_is_the_old_or_the_new_one_wherever_replacing_stops(scene, tmp_path):
    """A folder that was moved aside is put back, by who writes it and by who reads it."""

    def write(folder: Path, text: str) -> None:
        with atomic_folder(folder, overwrite=True) as target:
            (target / "a").write_text(text)
            (target / "b").write_text(text)

    seen, number, put_back, died = [], 0, 0, True
    while died:
        folder = tmp_path / f"{number}" / "scene"
        write(folder, "old")
        died = dies_at(number, lambda folder=folder: write(folder, "new"))
        put_back += not folder.exists()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            prepare_folder(folder, overwrite=True).release()
        assert names(folder) == {"a", "b"} and (folder / "a").read_text() == (folder / "b").read_text()
        seen.append((folder / "a").read_text())
        assert names(folder.parent) == {"scene"}
        assert len(said) <= 2 and all(str(folder) in str(one.message) for one in said)
        number += 1
    assert seen[0] == "old" and seen[-1] == "new" and set(seen) == {"old", "new"} and put_back
    save_scene(scene, tmp_path / "real")
    os.replace(tmp_path / "real", tmp_path / f".old-{label_of(tmp_path / 'real')}-0123456789ab")
    with pytest.warns(UserWarning, match="it was put back"):
        assert load_scene(tmp_path / "real").frame_count == 3


@needs_fork
def test_a_file_is_the_old_or_the_new_one(tmp_path):
    """And what was left beside it is removed by the next run that writes it, not by one that writes another."""

    def write(path: Path, text: str) -> None:
        with atomic_write(path, "w") as stream:
            stream.write(text)

    path, number, left, died = tmp_path / "numbers.json", 0, 0, True
    write(path, "old")
    while died:
        died = dies_at(number, lambda: write(path, "new"))
        assert path.read_text() in ("old", "new")
        left += any(name.startswith(".tmp-") for name in names(tmp_path))
        before = names(tmp_path)
        prepare_file(tmp_path / "other.json").release()
        assert names(tmp_path) == before
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            prepare_file(path, overwrite=True).release()
        assert names(tmp_path) == {"numbers.json"}
        number += 1
    assert left and path.read_text() == "new"


def interrupted_while_moving(scene, folder: Path) -> None:
    """An old result, and a new one that is complete and of which two files are in their places."""
    save(make_result(scene, 0.25), folder)
    (folder / "mine.txt").write_text("mine")
    save(make_result(scene, 0.5), folder / "aside")
    complete = folder / ".new-0123456789ab"
    (folder / "aside").rename(complete)
    orders = {"move": ["poses.npz", "metrics.json", "history.csv", "config.json"], "remove": ["report.html"]}
    (complete / "moves.json").write_text(json.dumps(orders))
    os.replace(complete / "poses.npz", folder / "poses.npz")


def test_files_are_read_from_where_they_are_when_they_cannot_be_moved(scene, tmp_path):
    """The folder is another run's, or cannot be written to."""
    folder = tmp_path / "out"
    interrupted_while_moving(scene, folder)
    script = "import sys, pathlib; from warpprior.io.locks import OutputLock; l = OutputLock(pathlib.Path(sys.argv[1]))"
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-c", f"{script}; print('held', flush=True); sys.stdin.read()", str(folder)]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline().strip() == "held"
        assert offset_in(folder, scene) == 0.5 and (folder / ".new-0123456789ab").is_dir()
        other.kill()
    assert offset_in(folder, scene) == 0.5 and not (folder / ".new-0123456789ab").exists()
    assert names(folder) == {"poses.npz", "metrics.json", "history.csv", "config.json", "mine.txt"}


def test_the_next_run_says_what_it_finished_and_what_it_removed(scene, tmp_path):
    """One line each; a folder of another that was moved aside is its only copy and stays."""
    folder = tmp_path / "out"
    interrupted_while_moving(scene, folder)
    (folder / ".tmp-aaaaaaaaaaaa").mkdir()
    (folder / ".tmp-notes").write_text("of somebody")
    only_copy = folder / f".old-{label_of(folder / 'elsewhere')}-0123456789ab"
    only_copy.mkdir()
    with pytest.warns(UserWarning) as said:
        prepare_output(folder, overwrite=True).release()
    texts = [str(one.message) for one in said]
    assert [text for text in texts if "interrupted while it saved" in text]
    assert [text for text in texts if text.endswith("left was removed: .tmp-aaaaaaaaaaaa")]
    assert [text for text in texts if "the only copy" in text or "its only copy" in text] and len(texts) == 3
    assert {".tmp-notes", only_copy.name, "mine.txt"} <= names(folder) and only_copy.is_dir()


def test_orders_from_outside_stay_in_their_folder(scene, tmp_path):
    """What would move or remove files elsewhere is not taken for ours."""
    folder = tmp_path / "out"
    save(make_result(scene, 0.25), folder)
    (tmp_path / "precious").write_text("mine")
    for number, name in enumerate(["../precious", str(tmp_path / "precious"), "..", ".", "", ".lock", "a\\b", 3]):
        complete = folder / f".new-{number:012x}"
        complete.mkdir()
        (complete / "moves.json").write_text(json.dumps({"move": [], "remove": [name]}))
    assert offset_in(folder, scene) == 0.25
    with pytest.warns(UserWarning, match="left was removed"):
        prepare_output(folder, overwrite=True).release()
    assert (tmp_path / "precious").read_text() == "mine" and offset_in(folder, scene) == 0.25


@pytest.mark.parametrize("prepare", [prepare_file, prepare_folder])
def test_an_output_that_cannot_be_prepared_is_let_go(tmp_path, monkeypatch, prepare):
    """What the file system refuses is one error, and the same process can try again."""

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("warpprior.io.output.recover", refuse)
        with pytest.raises(InputError, match="cannot be made: Permission denied"):
            prepare(tmp_path / "out")
    prepare(tmp_path / "out").release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_orders_and_records_that_are_pipes_keep_nobody_waiting(scene, tmp_path):
    """Orders that are no regular file are none; such a record is none either, which is refused beside pictures."""
    folder = tmp_path / "out"
    save(make_result(scene, 0.25), folder)
    (folder / ".new-0123456789ab").mkdir()
    os.mkfifo(folder / ".new-0123456789ab" / "moves.json")
    assert offset_in(folder, scene) == 0.25
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    with pytest.raises(InputError, match=r"no config\.json"):
        load_result_poses(folder, scene)


@pytest.mark.parametrize("name", ["poses.npz", "metrics.json"])
def test_numbers_of_another_result_are_refused(scene, tmp_path, name):
    """By name, with the way out, which works."""
    one, other = tmp_path / "one", tmp_path / "other"
    save(make_result(scene, 0.25), one)
    save(make_result(scene, 0.5), other)
    shutil.copy(other / name, one / name)
    with pytest.raises(InputError, match=rf"its {name} is not the one .* config\.json .* give the file itself"):
        load_result_poses(one, scene)
    load_result_poses(one / "poses.npz", scene)


def test_folders_of_older_versions_and_pose_files_alone_are_read(scene, tmp_path):
    """Records that do not name their parts are believed; results without a record were stopped while saving."""
    folder = tmp_path / "out"
    save(make_result(scene, 0.25), folder)
    record = read_record(folder)
    del record["parts"]
    (folder / "config.json").write_text(json.dumps(record))
    load_result_poses(folder, scene)
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: is damaged; make the result again"):
        load_result_poses(folder, scene)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"out: holds metrics\.json and no config\.json: a run was stopped"):
        load_result_poses(folder, scene)
    for name in ("metrics.json", "history.csv"):
        (folder / name).unlink()
    load_result_poses(folder, scene)


def test_an_edited_picture_is_a_warning(scene, tmp_path):
    """The numbers are what they were; what was deleted is no one's concern."""
    folder = tmp_path / "out"
    save(make_result(scene, 0.25), folder)
    (folder / "scene.usdc").write_bytes(b"saved by a viewer")
    notes = []
    load_result_poses(folder, scene, notes=notes)
    assert notes == [f"{folder}: not the files that its config.json was written with: scene.usdc"]
    with pytest.warns(UserWarning, match=r"scene\.usdc"):
        load_result_poses(folder, scene)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RunError("no space left"), ValueError])
def test_what_stops_saving_leaves_the_old_result(scene, tmp_path, monkeypatch, stop):
    """Whole, and nothing else; the state to resume from stays too."""
    folder = tmp_path / "out"
    save(make_result(scene, 0.25), folder)
    (folder / "checkpoint.npz").write_bytes(b"state")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_):
        raise stop

    monkeypatch.setattr("warpprior.io.results._write_history", fail)
    with pytest.raises(stop if isinstance(stop, type) else RunError):
        save(make_result(scene, 0.5), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_interrupt_while_files_are_moved_lets_them_be_moved(scene, tmp_path, monkeypatch):
    """Ctrl-C after the new result counts is raised when it is in its place."""
    from warpprior.io import staging

    folder = tmp_path / "out"
    save(make_result(scene, 0.25), folder)
    move, calls = staging.move, []

    def interrupted(source: Path, target: Path) -> None:
        calls.append(target.name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        move(source, target)

    monkeypatch.setattr(staging, "move", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(make_result(scene, 0.5), folder)
    assert offset_in(folder, scene) == 0.5 and not [name for name in names(folder) if name.startswith(".")]


def test_saving_waits_for_nobody(scene, tmp_path):
    """Another process that holds the folder is named; this one may hold it already."""
    folder = tmp_path / "out"
    folder.mkdir()
    with prepare_output(folder):
        save(make_result(scene, 0.25), folder)
    lock = OutputLock(folder)
    lock._key = "elsewhere"  # as if another process had it
    from warpprior.io import locks

    locks._held.pop(locks._key(folder / ".lock"))
    try:
        with pytest.raises(InputError, match=rf"written by another run \(process {os.getpid()}\)"):
            save(make_result(scene, 0.5), folder)
    finally:
        locks._held["elsewhere"] = lock
        lock.release()
    assert offset_in(folder, scene) == 0.25


@pytest.mark.parametrize("kind", ["a pipe", "endless", "nested"])
def test_orders_of_odd_files_are_none(scene, tmp_path, kind):
    """They neither keep a reader waiting nor fill its memory."""
    folder = tmp_path / "out"
    save(make_result(scene, 0.25), folder)
    complete = folder / ".new-0123456789ab"
    complete.mkdir()
    if kind == "a pipe":
        os.mkfifo(complete / "moves.json")
    elif kind == "endless":
        (complete / "moves.json").symlink_to("/dev/zero")
    else:
        (complete / "moves.json").write_text("[" * 50_000)
    assert offset_in(folder, scene) == 0.25


def test_a_picture_of_another_size_is_not_read(scene, tmp_path):
    """It may be so large that reading takes hours."""
    folder = tmp_path / "out"
    save(make_result(scene, 0.25), folder)
    with open(folder / "overlay.mp4", "wb") as stream:
        stream.truncate(1 << 40)
    with pytest.warns(UserWarning, match=r"not the files .*: overlay\.mp4"):
        load_result_poses(folder, scene)


@pytest.mark.parametrize("name", ["overlay.mp4", "checkpoint.npz"])
def test_a_folder_in_the_place_of_a_file_is_refused_before_computing(tmp_path, name):
    """Not after an hour."""
    (tmp_path / "out" / name).mkdir(parents=True)
    with pytest.raises(InputError, match=f"{name}: is not a regular file"):
        prepare_output(tmp_path / "out", overwrite=True)


def test_what_a_lock_is_linked_to_is_left_alone(tmp_path):
    """A folder that was copied from somewhere may hold links, and pipes, under the names of our locks."""
    folder, precious = tmp_path / "out", tmp_path / "precious"
    folder.mkdir()
    precious.write_text("mine")
    for name in (".lock", ".lock.pid"):
        (folder / name).symlink_to(precious)
    with prepare_output(folder, overwrite=True), pytest.raises(InputError, match=f"process {os.getpid()}"):
        prepare_output(folder, overwrite=True)
    assert precious.read_text() == "mine" and names(folder) == set()
    os.mkfifo(folder / ".lock.pid")
    prepare_output(folder, overwrite=True).release()
    assert names(folder) == set()


@needs_fork
def test_a_copy_of_the_process_does_not_release_what_it_inherits(tmp_path):
    """Where it ends, and where it leaves the block that holds it."""
    with prepare_output(tmp_path / "out") as lock:
        child = os.fork()
        if child == 0:
            try:
                lock.release()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert {".lock", ".lock.pid"} == names(tmp_path / "out")
        with pytest.raises(InputError, match="another run"):
            prepare_output(tmp_path / "out")


def test_threads_save_one_after_the_other(scene, tmp_path):
    """Whatever they save over, its parts are of one result."""
    folder = tmp_path / "out"

    def save_some(offset: float) -> None:
        for _ in range(3):
            save(make_result(scene, offset), folder)

    for _ in range(6):
        with prepare_output(folder, overwrite=True), ThreadPoolExecutor(6) as threads:
            for done in [threads.submit(save_some, offset) for offset in (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)]:
                done.result()
        assert offset_in(folder, scene) >= 0.25
