"""Send Ctrl-C to commands at random moments, and print how each ends: exit code, seconds until it does, and its words.

    .ci/interrupt_commands.py --times 30 [--cold --within 20] [--seed 0]

Every command starts afresh, into an empty folder; ``--cold`` gives it an empty kernel cache, too.  The moments are any
until its end, or those within so many seconds.  Exits with 1 where
one ended otherwise than by exit code 130 with one line, or 0 where it had done all before.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "refine": ["refine", "{scene}", "--output-dir", "{out}"],
    "track": ["track", "{scene}", "--output-dir", "{out}"],
    "export": ["export", "{scene}", "--output", "{out}/scene.usdc"],
    "simulate": ["simulate", "grasp_lift", "--num-frames", "4", "--output-dir", "{out}"],
}


def start(words: list[str], scene: Path, out: Path, cache: Path | None) -> subprocess.Popen:
    """One command, which hears Ctrl-C."""
    filled = [word.format(scene=scene, out=out) for word in words]
    environment = os.environ if cache is None else {**os.environ, "WARP_CACHE_PATH": str(cache)}
    command = [sys.executable, "-m", "warpprior", *filled]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def interrupt(words: list[str], scene: Path, out: Path, cache: Path | None, after: float) -> tuple[int, float, str]:
    """Exit code, seconds until the end, and what was said, of a command that is interrupted after some seconds."""
    process = start(words, scene, out, cache)
    time.sleep(after)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    return process.returncode, time.monotonic() - sent, said


def main() -> int:
    """Interrupt every command as often as asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--commands", nargs="+", default=list(COMMANDS), choices=list(COMMANDS))
    parser.add_argument("--within", type=float, metavar="SECONDS")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and theirs
    draw, bad = random.Random(given.seed), 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        scene = folder / "scene"
        start([*COMMANDS["simulate"][:-1], str(scene)], scene, scene, None).communicate()
        for name in given.commands:
            cache = folder / "cache" if given.cold else None
            begun = time.monotonic()
            if given.within is None:
                start(COMMANDS[name], scene, folder / "out", cache).communicate()
            whole = given.within or time.monotonic() - begun
            for number in range(given.times):
                for left in (folder / "out", folder / "cache"):
                    shutil.rmtree(left, ignore_errors=True)
                after = 0.05 + draw.random() * (whole - 0.05)
                code, seconds, said = interrupt(COMMANDS[name], scene, folder / "out", cache, after)
                debris = [path.name for path in folder.rglob("*") if path.name.startswith((".tmp", ".old", ".lock"))]
                debris += [path.name for path in folder.glob("cache/*/*_p*_t*")]
                ends = {(130, 1): "warpprior: interrupted", (0, 0): ""}
                right = said.startswith(ends.get((code, said.count("\n")), "nothing of the kind"))
                bad += not right
                moment = f"{name:9} {number:3} of {whole:5.2f} s after {after:5.2f}"
                words = " ".join([said.strip()[:100], *debris])
                print(f"{' ' if right else '!'} {moment}: {code:4} in {seconds:5.2f} s  {words}", flush=True)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
