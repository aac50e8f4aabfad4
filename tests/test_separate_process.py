"""Functions in a process of their own: what comes back, and how every bad end becomes one line."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hostile_usd import ABORTS, ENDLESS, write_deep
from tests.separate_functions import make_arrays
from warpprior.bodies import read_animated
from warpprior.support.errors import InputError, RunError
from warpprior.support.separate_process import Limits, run_separately
from warpprior.usd import check_stage

ROOT = Path(__file__).resolve().parents[1]
FEW = Limits(cpu_s=1.0, memory_bytes=1 << 30, wall_s=60.0, answer_bytes=1 << 20)


def run(name, limits=FEW, **arguments):
    """A function of :mod:`separate_functions`, elsewhere."""
    called = f"tests.separate_functions:{name}"
    return run_separately(called, arguments, where="scene.usd", accepted="give a whole one", limits=limits)


def is_running(process):
    """Whether a process of this number runs; one that has ended and waits for its parent does not."""
    try:
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False


def test_arrays_come_back(capfd):
    """Bit for bit, whatever was printed there, and without importing what is not needed."""
    arrays, modules = run("return_arrays", scale=0.1)
    expected = make_arrays(0.1)
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        assert arrays[name].tobytes() == array.tobytes()
    assert not {"site", "warp", "scipy", "pxr", "warpprior.bodies"} & {*modules}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("refuse", "scene.usd: holds no mesh; give a mesh"),
        ("fail", "cannot be read (it has no 'points\\nof nothing', which it refers to or needs); give a whole one"),
        ("abort", "cannot be read (its reader crashed: SIGABRT); give a whole one"),
        ("read_nowhere", "its reader crashed: SIGSEGV, as damage or too many levels make it"),
        ("leave", "its reader crashed: 3"),
        ("compute_for_ever", "its reader found no end within 1 s of computing"),
        ("ask_for_memory", "asks for more than 1.0 GiB of memory"),
        ("answer_too_much", "beyond 1048576 bytes"),
        ("answer_objects", "its reader's answer makes no sense"),
    ],
)
def test_every_bad_end_is_one_line(name, says, capfd):
    """What the function raises, or how the process ended, with the name of the file."""
    with pytest.raises(InputError) as refusal:
        run(name)
    text = str(refusal.value)
    assert text.startswith("scene.usd: ") and "\n" not in text and len(text) <= 300
    assert says in text
    assert capfd.readouterr() == ("", "")


def test_who_waits_for_ever_is_ended(tmp_path):
    """Time runs out, even where no computing is done; the process is gone."""
    note = tmp_path / "note"
    with pytest.raises(InputError, match="gave no answer within 2 s"):
        run("wait_for_ever", Limits(wall_s=2.0), note=str(note))
    assert not is_running(note.read_text())


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_it_ends_with_who_asked(tmp_path, sign):
    """Ctrl-C ends both, and the process does not outlive a parent that is killed."""
    note = tmp_path / "note"
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from tests.test_separate_process import run\n"
        f"run('wait_for_ever', note={str(note)!r})"
    )
    asking = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE)
    try:
        while not (note.is_file() and note.read_text()):
            assert asking.poll() is None
            time.sleep(0.02)
        asking.send_signal(sign)
        assert asking.wait(timeout=30) != 0
        deadline = time.monotonic() + 30.0
        while is_running(note.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not is_running(note.read_text())
    finally:
        asking.kill()


def test_programs_that_embed_python_find_one(monkeypatch):
    """sys.executable may be anything; what lies in the environment's folder is taken."""
    monkeypatch.setattr(sys, "executable", "/opt/omniverse/kit/kit")
    monkeypatch.setattr(sys, "_base_executable", "/opt/omniverse/kit/kit")
    arrays, _ = run("return_arrays", scale=1.0)
    assert arrays["one"]


def test_without_a_python_it_is_said_how_to_name_one(monkeypatch, tmp_path):
    """In an environment without one, or of another version."""
    for name in ("executable", "_base_executable"):
        monkeypatch.setattr(sys, name, "/opt/omniverse/kit/kit")
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
        monkeypatch.setattr(sys, name, str(tmp_path))
    with pytest.raises(RunError, match=r"no Python beside .*kit.*; set WARPPRIOR_PYTHON to a python3"):
        run("refuse")
    monkeypatch.setenv("WARPPRIOR_PYTHON", str(tmp_path / "python"))
    with pytest.raises(RunError, match=r"cannot be started: .*; set WARPPRIOR_PYTHON"):
        run("refuse")


@pytest.mark.parametrize("reader", [lambda path: read_animated(path, "hand", frame_count=3), check_stage])
def test_hostile_stages_are_refused(tmp_path, capfd, reader):
    """Those that abort OpenUSD, keep it busy or overflow its stack: one line each, and this process goes on."""
    pytest.importorskip("pxr", reason="OpenUSD is not installed")
    paths = [ABORTS, write_deep(tmp_path / "deep.usda")]
    if reader is not check_stage:  # which may take longer
        paths.append(ENDLESS)
    for path in paths:
        try:
            assert reader(path) != []
        except InputError as refusal:
            assert path.name in str(refusal) and "\n" not in str(refusal) and len(str(refusal)) <= 300
        else:
            assert reader is check_stage, "no body can come of it"
    assert capfd.readouterr() == ("", "")
