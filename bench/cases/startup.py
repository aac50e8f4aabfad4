"""How long a user waits before anything is computed."""

import subprocess
import sys
from pathlib import Path

from warpprior.bench.harness import Trial, case

ROOT = Path(__file__).resolve().parents[2]


def _timed_in_a_fresh_python(setup: str, statement: str) -> float:
    """Seconds ``statement`` takes in a new interpreter, after ``setup``."""
    script = f"import time; {setup}; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return float(found.stdout.split()[-1])


@case("startup/import", unit="ms", target=100.0, reference="import warp: 400 to 500 ms")
def prepare_import(device: str) -> Trial:
    """``import warpprior``, on top of ``import warp``."""
    return Trial(run=lambda: _timed_in_a_fresh_python("import warp", "import warpprior"), check=lambda: None)


@case("startup/import_refine", unit="ms", reference="import warp: 400 to 500 ms")
def prepare_import_refine(device: str) -> Trial:
    """What refining a folder imports, all kernels included, on top of ``import warp``."""
    names = "import warpprior; warpprior.load_scene, warpprior.refine, warpprior.save_result"
    return Trial(run=lambda: _timed_in_a_fresh_python("import warp", names), check=lambda: None)


@case("startup/version", unit="ms", reference="python -c pass: 10 to 20 ms")
def prepare_version(device: str) -> Trial:
    """The shortest command, ``warpprior --version``, as a process."""
    said: list[str] = []

    def run() -> None:
        command = [sys.executable, "-m", "warpprior", "--version"]
        said.append(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    return Trial(run=run, check=lambda: None if said[-1].startswith("warpprior ") else f"it said {said[-1]!r}")
