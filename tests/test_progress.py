"""How far a command has come: one bar that goes evenly, lines that fit, and logs that stay short."""

import itertools
import os
import re
import sys
import warnings

import pytest

from tests.small_scene import write_scene
from warpprior.cli import main
from warpprior.support import progress as module
from warpprior.support.progress import Course, _fitted, progress_bar, time_left


class Clock:
    """Time that passes when told to."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        """The time [s]."""
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """A clock in place of the machine's."""
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Standard error as a terminal of some width; gives the lines that were drawn, what was cleared left out."""
    monkeypatch.setattr(module, "REDRAWN_EVERY", 0.0)

    def lines(columns, work):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        work()
        return [line for line in re.split(r"[\r\n]", capsys.readouterr().err) if line.strip()]

    return lines


def test_parts_take_their_shares():
    """Each part reports from nothing to all of its own; the whole goes from 0 to 1 by what each takes."""
    said = []
    course = Course(lambda *what: said.append(what), {"long": 3.0, "none": 0.0, "short": 1.0})
    for name, text in (("long", "a"), ("none", "b"), ("short", "c")):
        for done in (0, 1, 2):
            course.part(name)(done, 2, text)
    assert [share for share, total, _ in said] == [0.0, 0.375, 0.75, 0.75, 0.75, 0.75, 0.75, 0.875, 1.0]
    assert {total for _, total, _ in said} == {1.0} and [text for *_, text in said] == [*"aaabbbccc"]


def test_courses_within_courses():
    """A part may have parts; more than all, or nothing of nothing, is all; nobody need listen."""
    said = []
    outer = Course(lambda *what: said.append(what[0]), {"first": 1.0, "second": 1.0})
    Course(outer.part("second"), {"one": 1.0, "two": 1.0}).part("two")(1, 2, "")
    outer.part("first")(3, 2, "")
    outer.part("first")(0, 0, "")
    assert said == [0.875, 0.5, 0.5]
    Course(None, {"first": 1.0}).part("first")(1, 1, "")


def test_the_rest_is_foretold_only_when_it_can_be():
    """Not in the first seconds, nor from next to nothing; then in figures that do not pretend to be exact."""
    assert time_left(1.0, 0.5) == time_left(100.0, 0.01) == time_left(10.0, 1.0) == ""
    assert time_left(4.0, 0.5) == "4 s left" and time_left(30.0, 0.5) == "30 s left"
    assert time_left(37.0, 0.5) == "35 s left" and time_left(1000.0, 0.5) == "17 min left"
    assert time_left(20000.0, 0.5) == "6 h left"


def test_words_fit():
    """The end of the text goes before the time does, a phrase at a time."""
    text = "Gauss-Newton, stage 2 (middle)"
    found = [_fitted(text, "10 s left", room) for room in (60, 40, 30, 25, 12, 5)]
    assert found == [
        "Gauss-Newton, stage 2 (middle), 10 s left",
        "Gauss-Newton, stage 2, 10 s left",
        "Gauss-Newton, 10 s left",
        "Gauss-Newton, 10 s left",
        "10 s left",
        "",
    ]
    assert _fitted(text, "", 24) == "Gauss-Newton, stage 2" and _fitted("measuring", "", 5) == ""


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_lines_fit_the_terminal(terminal, clock, columns):
    """Whatever is said, braces too, no line is wider than the terminal, and the bar does not go back."""

    def work():
        with progress_bar("refine") as progress:
            for done in (1, 5, 3, 9):
                clock.now += 3.0
                progress(done, 10, "drawing {a scene}, with a name " + "x" * 300)

    lines = terminal(columns, work)
    assert len(lines) == 5 and max(map(len, lines)) <= columns
    assert [int(share) for line in lines for share in re.findall(r"(\d+) %", line)] == [0, 10, 50, 50, 90]
    assert ("{a scene}" in lines[-1]) == (columns > 40) and ("1 s left" in lines[-1]) == (columns > 20)


def test_quiet_draws_nothing(terminal):
    """On a terminal either."""

    def work():
        with progress_bar("refine", quiet=True) as progress:
            progress(1, 3, "words")

    assert terminal(80, work) == []


def test_a_warning_has_a_line_of_its_own(terminal, monkeypatch):
    """What is said while the bar is drawn does not land in it."""
    monkeypatch.setattr(
        warnings, "showwarning", lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    )

    def work():
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            with progress_bar("refine") as progress:
                progress(1, 3, "words")
                warnings.warn("look out", stacklevel=1)
                progress(2, 3, "words")

    told = warnings.showwarning
    assert "warning: look out" in terminal(80, work)
    assert warnings.showwarning is told


def test_logs_stay_short(capsys, clock):
    """Short work says nothing; long work one line for each thing that is done, and none within half a minute."""
    with progress_bar("refine") as progress:
        for second in range(200):
            clock.now += 1.0
            progress(second + 1, 200, ("start", "aligning", "measuring", "writing")[second // 50])
    assert capsys.readouterr().err.splitlines() == [
        "warpprior: refine: 15 % after 30 s: start",
        "warpprior: refine: 30 % after 60 s: aligning",
        "warpprior: refine: 50 % after 2 min: measuring",
        "warpprior: refine: 76 % after 3 min: writing",
    ]
    with progress_bar("refine") as progress:
        clock.now += 29.0
        progress(1, 2, "start")
        clock.now += 0.5
        progress(2, 2, "more")
    assert capsys.readouterr().err == ""


def test_one_bar_for_the_whole_command(terminal, tmp_path):
    """Refining, measuring, the stage, the video, plots and the page are one bar, which ends full and is taken away."""
    write_scene(tmp_path / "scene")
    words = ["refine", str(tmp_path / "scene"), "--output-dir", str(tmp_path / "out"), "--device", "cpu"]
    lines = terminal(100, lambda: main([*words, "--iterations", "2"]))
    drawn = [re.fullmatch(r"refine +(\d+) % \|.*\| ?(.*?) *", line) for line in lines if line.startswith("refine")]
    shares = [int(match[1]) for match in drawn]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 100
    assert max(b - a for a, b in itertools.pairwise(shares)) <= 25
    texts = list(dict.fromkeys(match[2].partition(",")[0] for match in drawn))
    assert texts[0] == "" and [text for text in texts[1:] if text not in ("compiling kernels", "done")] == [
        *("preparing", "closed-form start", "Gauss-Newton", "measuring", "writing the stage"),
        *("drawing the video", "drawing plots", "writing the report"),
    ]


def test_a_real_terminal(tmp_path):
    """In a pseudo-terminal of 40 columns nothing wraps, and nothing of the bar is left behind."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")
    import fcntl
    import struct
    import subprocess
    import termios

    code = (
        "from warpprior.support.progress import progress_bar\n"
        "with progress_bar('refine') as progress:\n"
        "    for done in range(5): progress(done + 1, 5, 'drawing the video of a long scene')\n"
        "print('end')"
    )
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True, check=True)
    os.close(theirs)
    said = os.read(ours, 65536).decode()
    os.close(ours)
    lines = [line for line in re.split(r"[\r\n]+", said) if line]
    assert max(map(len, lines)) <= 40 and any(line.startswith("refine   0 %") for line in lines)
    assert lines[-1].strip() == "" and done.stdout == "end\n"
