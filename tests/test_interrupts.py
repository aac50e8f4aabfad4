"""Ctrl-C at any moment: one line, exit code 130, soon, nothing left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from warpprior.support.interrupts import call_aside, postponed

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")

# The program, where something is said to the test at a certain moment, which then sends Ctrl-C.
PROGRAM = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from warpprior.cli.commands import load_command
def ready():
    os.write(1, b"ready")
def act(options):
{action}
    return 0
load_command("info").run = act
sys.argv = ["warpprior", "info"]
from warpprior.__main__ import main
main()
"""


def start(action):
    """The program, whose command does this."""
    script = PROGRAM.format(action=textwrap.indent(textwrap.dedent(action), "    "))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, **pipes)


def interrupted(process, times=1):
    """Exit code and words of a process that is interrupted when it is ready."""
    try:
        assert process.stdout.read(5) == b"ready"
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, said.decode()


ENDED = (130, "warpprior: interrupted\n")


@pytest.mark.parametrize(
    "action",
    [
        "ready(); time.sleep(600)",
        # Native code that does not look at signals, as a compiler does.
        "import ctypes\nready()\nwait = ctypes.CDLL(None).usleep\nfor _ in range(100000):\n    wait(999999)",
        # Code that drops it and comes to an end that looks good, as OpenUSD's import does.
        "try:\n    ready()\n    time.sleep(600)\nexcept BaseException:\n    pass",
        # Code that makes an error of its own of it.
        "try:\n    ready()\n    time.sleep(600)\nexcept BaseException:\n    raise ImportError('no numpy') from None",
        # Code that drops it whenever it comes.
        "ready()\nwhile True:\n    try:\n        time.sleep(600)\n    except BaseException:\n        pass",
    ],
    ids=["asleep", "native", "dropped", "translated", "deaf"],
)
def test_a_command_ends_whatever_it_is_at(action):
    """With one line, and nobody waits for a thread that compiles."""
    assert interrupted(start(action)) == ENDED


def test_who_is_impatient_gets_one_line_too():
    """Ctrl-C three times in a row."""
    assert interrupted(start("ready(); time.sleep(600)"), times=3) == ENDED


def test_what_is_at_stake_is_saved():
    """The first Ctrl-C leaves the time that saving takes; the second ends that, too."""
    action = """
        from warpprior.cli.interrupts import WATCH
        with WATCH.stake() as at_stake:
            at_stake(True)
            try:
                ready()
                time.sleep(600)
            except KeyboardInterrupt:
                {then}
        print("warpprior: interrupted; all is saved", file=sys.stderr)
        return 130
    """
    saving = "time.sleep(2.0)  # longer than the patience with those who have nothing to save"
    assert interrupted(start(textwrap.dedent(action).format(then=saving))) == (
        130,
        "warpprior: interrupted; all is saved\n",
    )
    waiting = textwrap.dedent(action).format(then="time.sleep(600)")
    assert interrupted(start(waiting), times=2) == ENDED


def test_a_program_that_ends_without_unwinding_leaves_no_lock(tmp_path):
    """Nor the folder that it had made for its output."""
    action = f"""
        import ctypes
        from warpprior.io import prepare_output
        with prepare_output({str(tmp_path / "out")!r}):
            ready()
            wait = ctypes.CDLL(None).usleep
            while True:
                try:
                    wait(999999)
                except BaseException:
                    pass
    """
    assert interrupted(start(action)) == ENDED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["-m", "warpprior"], ["-c", "from warpprior.__main__ import main; main()"]])
def test_starting_can_be_interrupted(command, tmp_path):
    """While the command line is imported, which says when it begins by what this folder shadows."""
    (tmp_path / "argparse.py").write_text("import os, time\nos.write(1, b'ready')\ntime.sleep(600)\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    words = [sys.executable, "-c", RESET, sys.executable, *command, "info"]
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert interrupted(process) == ENDED


RESET = (  # a shell's background jobs ignore it, and so do those that they start
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.mark.parametrize("after", [0.0, 0.3, 0.6])
def test_commands_can_be_interrupted(tmp_path, after):
    """From when they hold their output on: a simulation leaves nothing."""
    words = ["-m", "warpprior", "simulate", "grasp_lift", "--output-dir", str(tmp_path / "scene"), "--quiet"]
    words = [sys.executable, "-c", RESET, sys.executable, *words, "--num-frames", "400"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not any(tmp_path.iterdir()):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said.decode()) == ENDED
    assert list(tmp_path.iterdir()) == []


def test_what_is_postponed_comes_afterwards():
    """Once, and not within."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    done = []
    try:
        with pytest.raises(KeyboardInterrupt):
            with postponed():
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
                done.append("all of it")
        assert done == ["all of it"]
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_calls_aside_return_and_raise():
    """As if they were made here."""
    assert call_aside(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        call_aside(lambda: 1 // 0)
