"""Check the types of the package as it is imported: kernels/, scenes/ and bench/ inside it, by pyproject.toml's rules.

A type checker takes folders as they lie, and three of ours lie beside the package.  So it is shown a copy in which they
lie inside, and what it says of the copy is printed as said of the sources.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / "out" / "types"
FOLDERS = {
    "warpprior": "warpprior",
    "warpprior/kernels": "kernels",
    "warpprior/scenes": "scenes",
    "warpprior/bench": "bench",
}


def copy_package() -> None:
    """Lay the sources as a wheel has them."""
    shutil.rmtree(COPY, ignore_errors=True)
    for place in sorted(FOLDERS):
        ignored = shutil.ignore_patterns("__pycache__", "assets")
        shutil.copytree(ROOT / FOLDERS[place], COPY / place, ignore=ignored)
    shutil.copytree(ROOT / ".ci" / "stubs", COPY / "stubs")
    shutil.copy(ROOT / "pyproject.toml", COPY)


def as_sources(text: str) -> str:
    """The checker's words, with the places of the sources instead of those of the copy."""
    for place in sorted(FOLDERS, key=len, reverse=True):
        text = re.sub(rf"{re.escape(str(COPY))}/{place}(?=/)", str(ROOT / FOLDERS[place]), text)
    return text


if __name__ == "__main__":
    copy_package()
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, *sys.argv[1:]]
    found = subprocess.run(command, cwd=COPY, capture_output=True, text=True, check=False)
    print(as_sources(found.stdout), as_sources(found.stderr), sep="", end="")
    sys.exit(found.returncode)
