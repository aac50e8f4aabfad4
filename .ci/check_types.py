"""Check the types of the package as it is imported: kernels/, scenes/ and bench/ inside it, by pyproject.toml's rules.

A type checker takes folders as they lie, and three of ours lie beside the package.  So it is shown a copy in which they
lie inside, and what it says of the copy is printed as said of the sources.
"""

import json
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
# What Warp's annotations leave out: the dtype of ``wp.empty`` may be any type, and ``@wp.struct`` makes a class that is
# a type to annotate with and a dtype.
NOT_OURS = re.compile(
    r'is not assignable to "type\[float\]"'
    r'|Expected class but received "Struct"'
    r'|"Struct" is not assignable to "type"'
)


def copy_package() -> None:
    """Lay the sources as a wheel has them."""
    shutil.rmtree(COPY, ignore_errors=True)
    for place in sorted(FOLDERS):
        ignored = shutil.ignore_patterns("__pycache__", "assets")
        shutil.copytree(ROOT / FOLDERS[place], COPY / place, ignore=ignored)
    shutil.copytree(ROOT / ".ci" / "stubs", COPY / "stubs")
    shutil.copy(ROOT / "pyproject.toml", COPY)


def source_of(file: str) -> Path:
    """The source of which a file is the copy."""
    path = Path(file).relative_to(COPY)
    place = max((place for place in FOLDERS if path.is_relative_to(place)), key=len)
    return ROOT / FOLDERS[place] / path.relative_to(place)


def findings(report: dict) -> list[str]:
    """A line for each error, without those that are Warp's."""
    lines = []
    for finding in report["generalDiagnostics"]:
        if finding["severity"] != "error" or NOT_OURS.search(finding["message"]):
            continue
        place, line = source_of(finding["file"]).relative_to(ROOT), finding["range"]["start"]["line"] + 1
        lines.append(f"{place}:{line}: {finding['message']} ({finding.get('rule', 'syntax')})")
    return lines


if __name__ == "__main__":
    copy_package()
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    found = subprocess.run(command, cwd=COPY, capture_output=True, text=True, check=False)
    if found.returncode not in (0, 1):
        sys.exit(found.stdout + found.stderr)
    lines = findings(json.loads(found.stdout))
    print(*lines, f"types: {len(lines)} errors" if lines else "types: all checks passed", sep="\n")
    sys.exit(bool(lines))
