"""Kill runs at random moments, and check that each leaves the former output or the new, and no burden to the next.

    python .ci/kill_runs.py [--moments 20] [--seed 0] [--commands refine,track,export,simulate]

Each command is killed (SIGKILL; TerminateProcess on Windows) while it writes to a fresh place and over an old result,
half of the times anywhere in the run, half while it saves.  It prints a table, and fails if anything is not as it must
be.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PROGRAM = [sys.executable, "-m", "warpprior"]
FRESH, OVER = "fresh", "over an old one"
OUTCOMES = ("nothing", "old", "new")
LONGEST_S = 120.0


@dataclass(frozen=True)
class Command:
    """What is killed: words that write the new, words that had written the old, and what is written."""

    name: str
    scene: str
    new: tuple[str, ...]
    old: tuple[str, ...]
    output: str  # beside the scene
    flag: str
    moves: bool = True  # more than one file or folder


_TWO = ("--num-frames", "2")
COMMANDS = {
    command.name: command
    for command in (
        Command("refine", "small", ("refine", "scene"), ("refine", "scene", *_TWO), "refined", "--output-dir"),
        Command("track", "small", ("track", "scene"), ("track", "scene", *_TWO), "tracked", "--output-dir"),
        # A hand in text takes long enough to write to be killed meanwhile.
        Command("export", "hand", ("export", "scene"), ("export", "scene", *_TWO), "stage.usda", "--output", False),
        Command(
            "simulate",
            "small",
            ("simulate", "robot_lift", "--num-frames", "3"),
            ("simulate", "robot_lift", *_TWO),
            "simulated",
            "--output-dir",
        ),
    )
}


@dataclass
class Row:
    """What came of the kills of one command at one kind of place."""

    command: str
    place: str
    kills: int = 0
    saving: int = 0
    moving: int = 0
    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    mixed: int = 0
    failed: int = 0
    littered: int = 0
    silent: int = 0
    said: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is as it must not be."""
        return not (self.mixed or self.failed or self.littered or self.silent)


class Site:
    """A folder in which one command is run and killed."""

    def __init__(self, command: Command, folder: Path, source: Path):
        from warpprior.io import load_scene

        self.command, self.folder = command, folder
        folder.mkdir()
        shutil.copytree(source, folder / "scene")
        self.output = folder / command.output
        self.scene = load_scene(folder / "scene")
        self.old = self._reference(command.old)
        started = time.monotonic()
        self.new = self._reference(command.new)
        self.seconds = time.monotonic() - started

    def words(self, words: tuple[str, ...], *more: str) -> list[str]:
        """The command line."""
        device = () if self.command.name == "export" else ("--device", "cpu")
        return [*PROGRAM, *words, self.command.flag, self.command.output, *device, *more]

    def run(self, words: tuple[str, ...], *more: str) -> subprocess.CompletedProcess:
        """Run to the end."""
        command = self.words(words, *more)
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=LONGEST_S, check=False)

    def start(self, words: tuple[str, ...], *more: str) -> subprocess.Popen:
        """Run, to be killed."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(self.words(words, *more), cwd=self.folder, **quiet)

    def reset(self, place: str) -> None:
        """Nothing at the place of the output, or the old result."""
        for path in self.folder.iterdir():
            if path.name not in ("scene", "kept old", "kept new"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if place == OVER:
            kept = self.folder / "kept old"
            shutil.copytree(kept, self.output) if kept.is_dir() else shutil.copyfile(kept, self.output)

    def stage(self) -> str:
        """How far saving is: nothing, ``saving`` or ``moving``."""
        found = ""
        for folder in (self.folder, self.output):
            try:
                names = os.listdir(folder)
            except OSError:
                continue
            if any(name.startswith((".new-", ".old-")) for name in names):
                return "moving"
            if any(name.startswith(".tmp-") and not name.startswith(".tmp-checkpoint") for name in names):
                found = "saving"
        return found

    def litter(self) -> list[str]:
        """What runs leave when they are killed, beside and in the output."""
        kept = {"scene", "kept old", "kept new", self.command.output}
        beside = [path.name for path in self.folder.iterdir() if path.name not in kept]
        inside = [path.name for path in self.output.iterdir()] if self.output.is_dir() else []
        return beside + [name for name in inside if name.startswith(".")]

    def outcome(self) -> str:
        """What is at the place, read as our readers do: ``nothing``, ``old``, ``new``, or why it is none of these."""
        read = {"export": self._read_stage, "simulate": self._read_scene}.get(self.command.name, self._read_result)
        try:
            found = read()
        except Exception as error:
            return f"cannot be read: {error}"
        if found is None:
            return "nothing"
        return {self.old: "old", self.new: "new"}.get(found, "a mix, or neither")

    def _reference(self, words: tuple[str, ...]) -> object:
        """Run the command undisturbed; what its output says.  Old output is kept to start from."""
        done = self.run(words)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(words)}: {done.stderr}")
        read = {"export": self._read_stage, "simulate": self._read_scene}.get(self.command.name, self._read_result)
        found = read()
        kept = self.folder / ("kept old" if words == self.command.old else "kept new")
        self.output.rename(kept)
        return found

    def _read_result(self) -> object:
        """Frames of every part that says so, where the parts are those of the record and no others are there."""
        from warpprior.io import load_result_poses
        from warpprior.io.result_folder import RESULT_FILES, describe_parts, read_record

        if not self.output.is_dir():
            return None
        record = read_record(self.output)
        there = [name for name in RESULT_FILES if (self.output / name).exists()]
        if record is None and not there:
            return None
        assert record is not None, f"{there} without a record"
        frames = record["scene"]["frames"]
        scene = self.scene.first_frames(frames)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of parts that are not the record's
            poses = load_result_poses(self.output, scene)
        assert describe_parts(self.output) == record["parts"], "parts are not the record's"
        return frames, tuple(there), tuple(motion.position.tobytes() for motion in poses.values())

    def _read_scene(self) -> object:
        from warpprior.io import load_scene

        try:
            scene = load_scene(self.output)
        except Exception as error:
            if "does not exist" in str(error):
                return None
            raise
        images = sum(1 for _ in self.output.glob("*/*.png"))
        return scene.frame_count, images, scene.labels.tobytes()

    def _read_stage(self) -> object:
        from pxr import Usd

        if not self.output.exists():
            return None
        text = self.output.read_text(encoding="utf-8")
        assert Usd.Stage.Open(str(self.output)), "no stage"
        return text


def kill_once(site: Site, place: str, at: Callable[[subprocess.Popen], None], row: Row, number: int) -> None:
    """Start, kill at a moment, look, run again, look again."""
    site.reset(place)
    process = site.start(site.command.new, "--overwrite")
    try:
        at(process)
    finally:
        process.kill()
        process.wait()
    stage, litter = site.stage(), site.litter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = site.outcome()
    row.kills += 1
    row.saving += stage == "saving"
    row.moving += stage == "moving"
    allowed = {"new", "old" if place == OVER else "nothing"}
    if outcome in allowed:
        row.outcomes[outcome] += 1
    else:
        row.mixed += 1
        row.said.append(f"{site.command.name}, {place}, kill {number}: {outcome}; there was {litter}")
    again = "--overwrite"
    if site.command.name == "refine" and number % 2 and (site.output / "checkpoint.npz").is_file():
        again = "--resume"
    debris = [name for name in site.litter() if name.startswith((".tmp-", ".old-", ".new-"))]
    done = site.run(site.command.new, again)
    if done.returncode != 0 or site.outcome() != "new":
        row.failed += 1
        row.said.append(f"{site.command.name}, {place}, kill {number}: then {again} said {done.stderr.strip()!r}")
    if site.litter():
        row.littered += 1
        row.said.append(f"{site.command.name}, {place}, kill {number}: left by the next run: {site.litter()}")
    if debris and done.stderr.count("interrupted run had left") != 1:
        row.silent += 1
        row.said.append(f"{site.command.name}, {place}, kill {number}: of {debris} was said {done.stderr.strip()!r}")


def anywhere(site: Site, random_: random.Random) -> Callable[[subprocess.Popen], None]:
    """Any moment of the run."""
    delay = random_.uniform(0.0, site.seconds)
    return lambda process: time.sleep(delay)


def while_it(site: Site, stage: str, delay: float) -> Callable[[subprocess.Popen], None]:
    """So many seconds after saving, or moving files to their places, begins."""

    def wait(process: subprocess.Popen) -> None:
        before = time.monotonic()
        while process.poll() is None and time.monotonic() - before < LONGEST_S:
            if site.stage() in (stage, "moving"):
                break
        time.sleep(delay)

    return wait


def saving_seconds(site: Site) -> float:
    """How long saving takes, undisturbed."""
    site.reset(FRESH)
    process = site.start(site.command.new, "--overwrite")
    first = last = 0.0
    while process.poll() is None:
        if site.stage():
            last = time.monotonic()
            first = first or last
    return max(last - first, 0.002)


def kill_all(names: list[str], moments: int, seed: int, folder: Path, sources: dict[str, Path]) -> list[Row]:
    """Kill each command so many times, half of them over an old result, and half of these and those while it saves."""
    rows = []
    for name in names:
        site = Site(COMMANDS[name], folder / name, sources[COMMANDS[name].scene])
        seconds = saving_seconds(site)
        for place in (FRESH, OVER):
            random_ = random.Random(f"{seed} {name} {place}")
            row = Row(name, place)
            for number in range(moments // 2):
                if number % 2 == 0:
                    at = anywhere(site, random_)
                elif number % 4 == 1 or not site.command.moves:
                    at = while_it(site, "saving", random_.uniform(0.0, 0.7 * seconds))
                else:
                    at = while_it(site, "moving", random_.uniform(0.0, 0.001))
                kill_once(site, place, at, row, number)
            rows.append(row)
            print(format_rows([row])[-1], flush=True)
    return rows


def format_rows(rows: list[Row]) -> list[str]:
    """A table in Markdown."""
    heading = "| command | place | kills | while saving | while moving | nothing | old | new | mixed "
    heading += "| next run failed | left over | not told |"
    lines = [heading, "|---" * 12 + "|"]
    for row in rows:
        cells = [row.command, row.place, row.kills, row.saving, row.moving, *row.outcomes.values()]
        cells += [row.mixed, row.failed, row.littered, row.silent]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def main() -> int:
    """Kill, print the table, and say what was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=20, help="kills of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default=",".join(COMMANDS))
    options = parser.parse_args()
    from tests.small_scene import write_scene
    from warpprior.io import save_scene
    from warpprior.scenes import simulate

    with tempfile.TemporaryDirectory(prefix="warpprior-kill-") as name:
        folder = Path(name)
        sources = {"small": write_scene(folder / "small"), "hand": folder / "hand"}
        save_scene(simulate("grasp_lift", frame_count=6, device="cpu"), sources["hand"])
        rows = kill_all(options.commands.split(","), options.moments, options.seed, folder, sources)
    print("", *format_rows(rows), *(text for row in rows for text in row.said), sep="\n")
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    sys.exit(main())
