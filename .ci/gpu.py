"""All that a GPU is needed for, in some minutes, on a machine with nothing but Python and pip, and no internet.

    python .ci/gpu.py --output-dir out/gpu [--wheels FOLDER ...] [--device cuda]

What is missing is installed from wheels into a folder of its own, outside the tree; a wheel in pieces (NAME.whl.00,
NAME.whl.01 ...) is put together.  Then kernels are compiled, results compared with a CPU's, times taken, and tests that
take a device run on it.  Each part has a time limit, and one that fails does not stop the next.  The last thing printed
is all that was found, as JSON, which is in the output folder, too, with a log of each part.  Exit code 1 where anything
is wrong.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULE = [sys.executable, "-m"]
LIMITS_S = {
    **{"install": 90, "machine": 30, "compile": 150, "solve": 45, "copies": 60},
    **{"compare": 120, "table": 120, "tests": 300, "peers": 90},
}
LEAST_S = 5.0  # what has less time left is not begun
BRIEF_TESTS = ("tests/test_rotations.py",)
OUTCOME = "(PASSED|FAILED|ERROR|SKIPPED)"
# With several processes, and with one.
TEST_LINE = re.compile(rf"%\] {OUTCOME} (tests/.+?)\s*$|^(tests/.+?) {OUTCOME}\s", re.MULTILINE)
TEST_REASON = re.compile(r"^(?:FAILED|ERROR) (tests/.+?) - (.*)$", re.MULTILINE)


def put_together(folders: list[Path], place: Path) -> list[Path]:
    """The wheels of the folders; those in pieces are written to ``place`` whole."""
    wheels = [file for folder in folders for file in sorted(folder.glob("*.whl"))]
    pieces: dict[str, list[Path]] = {}
    for file in (file for folder in folders for file in folder.glob("*.whl.*")):
        pieces.setdefault(file.name.rpartition(".")[0], []).append(file)
    for name, parts in pieces.items():
        whole = place / name
        with open(whole, "wb") as stream:
            for part in sorted(parts, key=lambda part: part.name):
                stream.write(part.read_bytes())
        wheels.append(whole)
    return wheels


def run_limited(command: list[str], log: Path, seconds: float, environment: dict[str, str]) -> str | None:
    """Run to the end or to the limit, with all that it starts; what went wrong, or None."""
    with open(log, "wb") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"stopped after {seconds:.0f} s"
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return None if code == 0 else f"ended with {code}: {' | '.join(lines[-3:])[-600:]}"


def tests_command(device: str, brief: bool) -> list[str]:
    """Pytest on what takes a device, in several processes where that can be."""
    several = ["-n", str(min(8, os.cpu_count() or 1)), "--dist", "loadfile"]
    command = [
        *MODULE,
        "pytest",
        "-v",
        "--tb=short",
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
        "-k",
        device.partition(":")[0],
    ]
    return command + (list(BRIEF_TESTS) if brief else several if importlib.util.find_spec("xdist") else [])


def read_tests(log: str) -> dict:
    """Outcomes of the tests that a log of pytest names, also of one that was stopped."""
    outcomes: dict[str, str] = {}
    for found in TEST_LINE.finditer(log):
        outcome, name = (found[1], found[2]) if found[1] else (found[4], found[3])
        outcomes[name] = outcome.lower()
    counts = {kind: list(outcomes.values()).count(kind) for kind in ("passed", "failed", "error", "skipped")}
    reasons = {name: text[:200] for name, text in TEST_REASON.findall(log)}
    bad = sorted(name for name, outcome in outcomes.items() if outcome in ("failed", "error"))
    return {**counts, "wrong": {name: reasons.get(name, "") for name in bad}}


class Run:
    """The parts, one after the other, within a time for all."""

    def __init__(self, options: argparse.Namespace):
        self.folder: Path = options.output_dir.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.device, self.brief = options.device, options.brief
        self.began = time.monotonic()
        self.end = self.began + options.seconds
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        self.parts: dict[str, dict] = {}
        self.installed: Path | None = None

    def install(self, folders: list[Path]) -> None:
        """Install the wheels where this Python finds them first."""
        place = self.installed = Path(tempfile.mkdtemp(prefix="warpprior-gpu-"))
        wheels = [str(wheel) for wheel in put_together(folders, place)]
        site = place / "site"
        words = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check"]
        self.part("install", [*MODULE, "pip", "install", *words, "--target", str(site), *wheels])
        self.environment["PYTHONPATH"] = os.pathsep.join([str(site), self.environment["PYTHONPATH"]])

    def part(self, name: str, command: list[str], found: Path | None = None) -> None:
        """Run a part within its limit, and keep what it found."""
        seconds = min(LIMITS_S[name], self.end - time.monotonic())
        if seconds < LEAST_S:
            self.parts[name] = {"problem": "no time was left"}
            return
        print(f"{name} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        problem = run_limited(command, self.folder / f"{name}.log", seconds, self.environment)
        self.parts[name] = {"seconds": round(time.monotonic() - began, 1), "problem": problem}
        if found is not None and found.is_file():
            self.parts[name] |= json.loads(found.read_text(encoding="utf-8"))
        self.write()

    def all(self, wheels: list[Path], chosen: list[str]) -> None:
        """Every part that is chosen."""
        if wheels:
            self.install(wheels)
        for name in chosen:
            file = self.folder / f"{name}.json"
            file.unlink(missing_ok=True)
            if name == "tests":
                self.part(name, tests_command(self.device, self.brief))
                log = self.folder / "tests.log"
                self.parts[name] |= (
                    read_tests(log.read_text(encoding="utf-8", errors="replace")) if log.is_file() else {}
                )
            elif name == "peers":
                words = ["distance", "--seconds", "0.1"] if self.brief else []
                self.part(name, [*MODULE, "warpprior.bench.peers", *words, "--json", str(file)], file)
            else:
                words = [name, "--device", self.device, "--json", str(file), *(["--brief"] if self.brief else [])]
                self.part(name, [*MODULE, "warpprior.bench.gpu", *words], file)

    def write(self) -> str:
        """What was found so far, as JSON, which is kept, too."""
        seconds = round(time.monotonic() - self.began, 1)
        text = json.dumps({"device": self.device, "seconds": seconds, "parts": self.parts}, indent=1)
        (self.folder / "gpu.json").write_text(text + "\n", encoding="utf-8")
        return text


def main(arguments: list[str] | None = None) -> int:
    """Run the parts; 1 where one has a problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [name for name in LIMITS_S if name != "install"]
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument("--wheels", type=Path, nargs="*", default=[], metavar="FOLDER", help="install what is in these")
    parser.add_argument("--device", default="cuda", help="cpu shows that the script runs (default: cuda)")
    parser.add_argument("--seconds", type=float, default=480.0, help="for all parts together (default: 480)")
    parser.add_argument("--parts", nargs="*", default=names, choices=names, help="only these")
    parser.add_argument("--brief", action="store_true", help="as little of each part as shows that it runs")
    options = parser.parse_args(arguments)
    run = Run(options)
    try:
        run.all(options.wheels, options.parts)
    finally:
        if run.installed is not None:
            shutil.rmtree(run.installed, ignore_errors=True)
    print(run.write())
    return 1 if any(part["problem"] for part in run.parts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
