"""What `make` does most often, on any system: python tasks.py install, demo or test.  The environment is made first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / ".installed"
TASKS = {
    "install": (),
    "demo": ("warpprior", "demo", "--output-dir", "out/demo", "--overwrite"),
    "test": ("pytest", "-n", "2", "--dist", "loadfile"),
}


def environment_python() -> Path:
    """The Python of the environment."""
    return VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def install() -> int:
    """Make the environment, and install the checkout with all extras, unless both are done; the exit code."""
    if STAMP.is_file() and STAMP.stat().st_mtime >= (ROOT / "pyproject.toml").stat().st_mtime:
        return 0
    if sys.version_info < (3, 10):  # noqa: UP036 - whoever runs this may have an older one
        print("warpprior needs Python 3.10 or newer; run this with another (make PYTHON=/path/to/python3)")
        return 1
    if not environment_python().is_file():
        made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False)
        if made.returncode != 0:
            print("this Python cannot make virtual environments; on Debian or Ubuntu: apt install python3-venv")
            return 1
    words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", ".[all,dev]"]
    done = subprocess.run([str(environment_python()), *words], cwd=ROOT, check=False)
    if done.returncode == 0:
        STAMP.touch()
    return done.returncode


def main(words: list[str]) -> int:
    """Do a task; more words are passed on to it."""
    if not words or words[0] not in TASKS:
        print(f"python tasks.py {'|'.join(TASKS)}")
        return 2
    code = install()
    module = TASKS[words[0]]
    if code != 0 or not module:
        return code
    command = [str(environment_python()), "-m", *module, *words[1:]]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
