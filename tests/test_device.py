"""Choosing a device, and a kernel cache that is damaged or cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import warp as wp

from warpprior.support.device import resolve_device, self_healing
from warpprior.support.errors import InputError

ROOT = Path(__file__).resolve().parents[1]

KERNEL = """
import warp as wp

@wp.kernel
def _write_answer(answer_out: wp.array[wp.float32]):
    answer_out[wp.tid()] = 42.0
"""

PROGRAM = """
import warp as wp
from warpprior.support.device import prepare_kernel_cache, self_healing

print("cache", prepare_kernel_cache())
import answer

def compute():
    answers = wp.zeros(3, dtype=wp.float32, device="cpu")
    wp.launch(answer._write_answer, dim=3, inputs=[], outputs=[answers], device="cpu")
    return answers.numpy()

print("answer", *self_healing(compute))
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A folder with a program, its kernel, and a cache in which the kernel is compiled."""
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "answer.py").write_text(KERNEL)
    (folder / "program.py").write_text(PROGRAM)
    found = run_program(folder, folder / "cache")
    assert found.returncode == 0 and "answer 42.0" in found.stdout and not found.stderr, found.stderr
    return folder


def run_program(folder: Path, cache: Path) -> subprocess.CompletedProcess:
    """Run the program with a cache of its own."""
    environment = {**os.environ, "WARP_CACHE_PATH": str(cache), "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    command = [sys.executable, "program.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("suffix", "keep"), [(".o", 0), (".o", 200), (".meta", 10)])
def test_a_damaged_module_is_rebuilt_once(compiled, tmp_path, suffix, keep):
    """A cached binary or description cut short is compiled again, with a warning, and stays mended."""
    cache = tmp_path / "cache"
    shutil.copytree(compiled / "cache", cache)
    damaged = list(cache.rglob(f"*{suffix}"))
    assert damaged
    for path in damaged:
        path.write_bytes(path.read_bytes()[:keep])
    found = run_program(compiled, cache)
    assert found.returncode == 0 and "answer 42.0" in found.stdout, found.stderr
    assert "damaged kernels in the cache are compiled again: wp_answer_" in found.stderr
    again = run_program(compiled, cache)
    assert again.returncode == 0 and "damaged" not in again.stderr


def test_an_unwritable_cache_is_replaced(compiled, tmp_path):
    """A cache path below a file gives a private cache in the temporary folder, and a warning that names both."""
    (tmp_path / "file").write_text("")
    found = run_program(compiled, tmp_path / "file" / "cache")
    assert found.returncode == 0 and "answer 42.0" in found.stdout, found.stderr
    assert "cannot be used" in found.stderr and str(tmp_path / "file") in found.stderr
    assert "CUDA driver" not in found.stderr
    used = Path(found.stdout.splitlines()[0].removeprefix("cache "))
    private = next(path for path in (used, *used.parents) if path.name.startswith("warpprior-kernels-"))
    assert private.parent == compiled and private.stat().st_mode & 0o077 == 0


def test_other_errors_pass_through():
    """Healing is for the cache only: the caller's own errors arrive unchanged, after one call."""
    calls = []

    def fail():
        calls.append(1)
        raise ValueError("Failed to load the mesh 'mug'")

    with pytest.raises(ValueError, match="mug"):
        self_healing(fail)
    assert len(calls) == 1
    assert self_healing(lambda: 7) == 7


def test_the_cpu_is_always_there():
    """cpu is found by name in any case; auto and None choose something that exists."""
    assert resolve_device("cpu") == resolve_device(" CPU ") == "cpu"
    assert resolve_device(None) == resolve_device("auto")
    assert wp.get_device(resolve_device(None)).alias == resolve_device(None)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "cpu:0", "cuda:-1"])
def test_names_that_are_no_device_are_refused(name):
    """A name that can be no device is refused with the names that can."""
    with pytest.raises(InputError, match="auto, cpu, cuda or cuda:<n>"):
        resolve_device(name)


def test_an_absent_device_is_named():
    """A CUDA device that is not there gives advice; with CUDA, the list of devices."""
    with pytest.raises(InputError, match="run with --device cpu|this machine has") as caught:
        resolve_device("cuda:99")
    assert caught.value.exit_code == 2


@pytest.mark.skipif(wp.is_cuda_available(), reason="this machine has CUDA")
def test_cuda_without_cuda_gives_advice():
    """Asking for CUDA where there is none says how to run without."""
    with pytest.raises(InputError, match="no CUDA device was found; run with --device cpu"):
        resolve_device("cuda")


def printed_by(script: str, **variables: str) -> tuple[str, str]:
    """What a program prints, on standard output and on standard error, with these variables set."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return found.stdout, found.stderr


FIRST_USE = "import warpprior, numpy as np; body = warpprior.rigid_body('box', np.eye(3), np.array([[0, 1, 2]]));"
FIRST_USE += "warpprior.geometry.skin(body, np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0, 1.0]]));"


def test_warp_is_silent_where_nobody_asked_it_to_speak():
    """Neither banner nor modules, whoever imported Warp; who started it keeps what it prints."""
    assert printed_by(f"import warp; {FIRST_USE}") == ("", "")
    out, _ = printed_by(f"import warp; warp.init(); print('started'); {FIRST_USE}")
    assert out.startswith("Warp ") and "warpprior.kernels" in out.partition("started")[2]
    settings = "{name: getattr(warp.config, name, None) for name in ('log_level', 'quiet', 'verbose')}"
    untouched = f"import warp; before = {settings}; import warpprior; print(before == {settings})"
    assert printed_by(untouched) == ("True\n", "")


@pytest.mark.parametrize("home", ["", "relative"])
def test_a_cache_home_that_is_no_place_is_as_good_as_none(tmp_path, home):
    """By the specification of XDG_CACHE_HOME; it would be a folder wherever one is."""
    script = f"os.chdir({str(tmp_path)!r}); from warpprior.support.device import warp_device; import warp; "
    script += "warp_device('cpu'); print(warp.config.kernel_cache_dir)"
    environment = {"XDG_CACHE_HOME": home, "HOME": str(tmp_path / "home"), "WARP_CACHE_PATH": ""}
    out, _ = printed_by(f"import os; {script}", **environment)
    assert Path(out.strip()).is_relative_to(tmp_path / "home" / ".cache")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize("change", ["sys.stderr = None", "os.close(2)"])
def test_warp_starts_without_standard_error(change):
    """A program with windows has none, and others close it."""
    script = f"import os, sys; {change}; from warpprior.support.device import *"
    script += "; print(resolve_device('cpu'))"
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "cpu\n"), found.stderr
