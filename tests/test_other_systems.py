"""What Windows and macOS have not: the whole package loads and refines without it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.small_scene import write_scene
from warpprior.io.scene_writer import file_stems

ROOT = Path(__file__).resolve().parents[1]

# Modules, and names of os and signal, that Python has on POSIX only.
WITHOUT = """
import importlib, os, pkgutil, signal, sys, warnings

import cv2, imageio_ffmpeg, numpy, scipy.spatial, tqdm, warp
import multiprocessing, subprocess, tempfile, threadpoolctl
from pxr import Usd, UsdGeom, UsdPhysics, UsdShade

for name in ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog", "posix"):
    sys.modules[name] = None
names = "fork forkpty getuid geteuid getgid getegid getpgid setsid killpg pread pwrite preadv mkfifo mknod chown fchown"
names += " sched_getaffinity sched_setaffinity register_at_fork getloadavg nice statvfs fstatvfs sysconf"
names += " openpty setuid sync O_NOFOLLOW O_DIRECTORY O_NONBLOCK O_CLOEXEC O_SYNC O_NOCTTY"
for name in names.split():
    if hasattr(os, name):
        delattr(os, name)
kept = {"SIGINT", "SIGTERM", "SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV", "SIG_DFL", "SIG_IGN"}
for name in dir(signal):
    posix = name.startswith("SIG") and name not in kept
    if posix or name in ("pthread_kill", "pthread_sigmask", "alarm", "setitimer", "sigwait", "siginterrupt", "pause"):
        delattr(signal, name)

import warpprior
from warpprior.cli import main

packages = [warpprior]
while packages:
    package = packages.pop()
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if found.name in ("warpprior.torch", "warpprior.__main__"):
            continue
        outside = {"tests", "docs", "examples", "bench", "tasks", "conftest", "warpprior"}  # of a checkout
        if found.name.removeprefix("warpprior.").partition(".")[0] in outside:
            continue
        module = importlib.import_module(found.name)
        packages += [module] if found.ispkg else []
assert "warpprior.usd.check" in sys.modules and "warpprior.scenes.robot_lift" in sys.modules

scene, out = sys.argv[1:]
words = [scene, "--output-dir", out, "--device", "cpu"]
assert main(["refine", *words, "--iterations", "2"]) == 0
assert main(["refine", *words]) == 2
assert main(["refine", *words, "--iterations", "2", "--resume"]) == 0
assert main(["track", *words, "--overwrite", "--quiet"]) == 0
"""


def test_all_of_it_runs_without_what_is_posix_only(tmp_path):
    """Every module is imported; a result folder is written, locked, refused, resumed and replaced."""
    for module in ("pxr", "imageio_ffmpeg"):
        pytest.importorskip(module)
    command = [sys.executable, "-c", WITHOUT, write_scene(tmp_path / "scene"), tmp_path / "out"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "complete: nothing to resume" in done.stdout and "exists and is not empty" in done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"poses.npz", "overlay.mp4", "scene.usdc", "report.html", "config.json"} <= names
    assert not [name for name in names if name.startswith(".")]


def test_bodies_get_names_of_files_that_every_system_takes():
    """Reserved names, other characters, and names that differ by case alone."""
    names = ["con", "NUL", "Mug", "mug", "a_2", "a:b", "a?b", "a_b_7", "a.", "COM1", "labels", "aux.obj"]
    stems = file_stems(names)
    lowered = [stem.lower() for stem in stems.values()]
    assert len(set(lowered)) == len(names) and stems["Mug"] == "Mug"
    assert not set(lowered) & {"con", "nul", "com1", "labels", "aux"}
    assert all(stem.replace("_", "").replace("-", "").isalnum() for stem in stems.values())
