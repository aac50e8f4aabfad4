"""The command line: parsing, exit codes, and what it says when something is wrong."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pytest

import warpprior
from warpprior.cli import build_parser, commands, main
from warpprior.cli.options import Parser, option
from warpprior.cli.own_terms import load_term
from warpprior.formats.place import Place
from warpprior.support.errors import InputError, RunError

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    *("check", "refine", "batch", "track", "simulate", "demo", "evaluate", "ablate", "contact"),
    *("ablate-tracking", "predict-contact", "export", "convert-mano", "info", "bench", "formats", "import", "repair"),
)


@pytest.fixture
def replaced(monkeypatch):
    """Replace what a command does by a function that records its options and acts as asked."""

    def replace(name: str, action=lambda: 0):
        calls = []

        def stand_in(options):
            calls.append(options)
            return action()

        monkeypatch.setattr(commands.load_command(name), "run", stand_in)
        return calls

    return replace


def failing(error: BaseException):
    """An action that raises."""

    def action(*_):
        raise error

    return action


@pytest.mark.parametrize(
    ("words", "says", "unloaded"),
    [
        ("--version", f"warpprior {warpprior.__version__}", "warp numpy"),
        ("--help", "examples:", "warp numpy"),
        ("evaluate --help", "--num-frames N", "warp numpy"),
        ("convert-mano --help", "OUT.npz", "warp numpy"),
        ("track --help", "keypoints3d", "warpprior.settings"),
        ("info", "kernel cache", "scipy warpprior.settings warpprior.bodies warpprior.scenes"),
    ],
)
def test_nothing_is_imported_that_is_not_needed(words, says, unloaded):
    """--version and --help answer without importing warp or numpy, unless what they list is there; info needs Warp."""
    script = (
        "import sys\n"
        "from warpprior.cli import main\n"
        "try:\n    code = main(sys.argv[2:])\nexcept SystemExit as done:\n    code = done.code\n"
        "assert code == 0\n"
        "assert not set(sys.argv[1].split()) & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", script, unloaded, *words.split()]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert says in found.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    """Each command has help that describes every option."""
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])
    assert done.value.code == 0
    assert f"usage: warpprior {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fold"],
        ["refine"],
        ["refine", "scene"],
        ["refine", "scene", "--output-dir"],
        ["refine", "scene", "--output-dir", "out", "--iterations", "0"],
        ["refine", "scene", "--output-dir", "out", "--iterations", "-5"],
        ["refine", "scene", "--output-dir", "out", "--seed", "1.5"],
        ["refine", "scene", "--output-dir", "out", "--num-frames", "many"],
        ["refine", "scene", "--output-dir", "out", "--frobnicate"],
        ["simulate", "robot_lift", "--output-dir", "out", "--seed", str(2**31)],
        ["ablate", "scene", "--output-dir", "out", "--seeds", "5-1"],
        ["track", "scene"],
        ["track", "scene", "--output-dir", "out", "--lag", "0"],
        ["track", "scene", "--output-dir", "out", "--lag", "3", "--smooth"],
        ["track", "scene", "--output-dir", "out", "--observe", "center,,box"],
        ["bench", "--max-ratio", "nan"],
    ],
)
def test_bad_usage_exits_with_2(words, capsys):
    """Unknown commands, missing and malformed options say so on standard error."""
    with pytest.raises(SystemExit) as done:
        main(words)
    said = capsys.readouterr()
    assert done.value.code == 2 and "error:" in said.err and "Traceback" not in said.err


def test_refine_hands_over_every_option(replaced):
    """What is typed arrives at the function, repeated options as lists."""
    calls = replaced("refine")
    words = "refine scene --output-dir out --device cpu --iterations 7 --seed 3 --num-frames 5 --without sliding"
    words += " --without image --set a=1 --set b.c=2 --paper-literal --initial out/t --resume --overwrite --quiet"
    assert main([*words.split(), "--no-check", "--strict", "--memory", "4GiB"]) == 0
    (options,) = calls
    assert asdict(options) == {
        "scenes": (vars(Place(Path("scene"))),),
        "memory": "4GiB",
        "output_dir": Path("out"),
        "initial": Path("out/t"),
        "no_check": True,
        "strict": True,
        "together": False,
        "device": "cpu",
        "iterations": 7,
        "seed": 3,
        "num_frames": 5,
        "without": ("sliding", "image"),
        "own_terms": (),
        "assignments": ("a=1", "b.c=2"),
        "paper_literal": True,
        "resume": True,
        "overwrite": True,
        "quiet": True,
        "debug": False,
    }


def help_of(command: str, capsys) -> str:
    """The help of a command on one line."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return " ".join(capsys.readouterr().out.split())


def test_help_lists_what_there_is(capsys):
    """Sensors, scenes, objects and levels of noise in help are those of the code, in its order."""
    from warpprior.scenes import noise, objects, registry
    from warpprior.tracking.sensors import SENSORS

    assert f"separated by commas: {', '.join(SENSORS)}; or auto" in help_of("track", capsys)
    levels = (noise.MASK_NOISE, noise.POSE_NOISE, noise.HAND_NOISE, noise.POINT_NOISE)
    for table in (registry.SCENES, objects.OBJECTS, *levels):
        assert f"one of {', '.join(table)}" in help_of("simulate", capsys)


def test_track_hands_over_every_option(replaced):
    """What is typed arrives at the function, the observations as a list."""
    calls = replaced("track")
    words = "track scene --output-dir out --observe fingertips,center --lag 4 --initial out/t/poses.npz --device cpu"
    words += " --num-frames 5 --set center_m=0.01 --set gate=0.9 --paper-literal --overwrite --quiet"
    assert main(words.split()) == 0
    (options,) = calls
    assert asdict(options) == {
        "scene": vars(Place(Path("scene"))),
        "output_dir": Path("out"),
        "observe": ("fingertips", "center"),
        "lag": 4,
        "initial": Path("out/t/poses.npz"),
        "device": "cpu",
        "num_frames": 5,
        "assignments": ("center_m=0.01", "gate=0.9"),
        "paper_literal": True,
        "overwrite": True,
        "quiet": True,
        **dict.fromkeys(("smooth", "no_check", "strict", "debug"), False),
    }


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("simulate robot_lift --output-dir out --seed 1 --num-frames 4 --mesh mug.obj --overwrite", "simulate"),
        ("track scene --output-dir out --smooth", "track"),
        ("demo", "demo"),
        ("evaluate scene --poses p.npz --output m.json --device cpu --num-frames 3", "evaluate"),
        ("ablate scene --simulate robot_lift --seeds 0-2,5 --output-dir out --variant full --jobs 2", "ablate"),
        ("ablate-tracking pour slip --seeds 0-2,5 --output-dir out --set gate=0.9 --jobs 2", "ablate-tracking"),
        ("export scene --poses p.npz --output s.usdc --overwrite", "export"),
        ("convert-mano MANO_RIGHT.pkl right.npz --overwrite --quiet", "convert-mano"),
        ("info --json", "info"),
        ("bench --only skinning --compare --max-ratio 2 --json out.json", "bench"),
    ],
)
def test_each_command_gets_its_options(words, name, replaced):
    """A command is run once, with options of its own class."""
    calls = replaced(name)
    assert main(words.split()) == 0
    (options,) = calls
    assert type(options) is commands.load_command(name).Options


def test_seeds_and_files_become_values(replaced):
    """Lists of seeds, several folders and pairs of numbers are read; what is not given keeps its default."""
    calls = replaced("ablate")
    assert main("ablate one two --simulate pour --seeds 0-2,5 --output-dir out".split()) == 0
    assert calls[0].scenes == (Place(Path("one")), Place(Path("two"))) and calls[0].seeds == (0, 1, 2, 5)
    assert calls[0].jobs == 1 and calls[0].variant == () and calls[0].mask_noise == "M1"
    assert main("ablate --simulate pour --output-dir out".split()) == 0
    assert calls[1].scenes == () and calls[1].seeds == tuple(range(10))
    calls = replaced("simulate")
    assert main("simulate pour --output-dir out --occluded-frames 3 4 --side left".split()) == 0
    assert calls[0].occluded_frames == (3, 4) and calls[0].side == "left" and calls[0].frame_count == 60
    calls = replaced("bench")
    assert main(["bench", "--compare"]) == main(["bench"]) == 0 and [one.compare for one in calls] == [Path(), None]


NEW_COMMAND = """
from dataclasses import dataclass
from warpprior.cli.options import argument, option
from warpprior.cli.shared import Common
from warpprior.support.limits import number

SUMMARY = "count to a number"

@dataclass(frozen=True, kw_only=True)
class Options(Common):
    number: int = argument("N", "how far", number(3, 1, 9), nargs="?")
    word: str = option("what to say", "tick", metavar="TEXT")

def run(options):
    print(*[options.word] * options.number)
    return 0
"""


def test_a_command_is_one_file(tmp_path, monkeypatch, capsys):
    """A module in the folder of commands is a command: listed, explained, parsed, held to its ranges, and run."""
    (tmp_path / "count_up.py").write_text(NEW_COMMAND)
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "warpprior.cli.commands.count_up", raising=False)
    lines = build_parser().format_help().splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("    ") and line[4] != " "]
    assert listed == [*COMMANDS, "count-up"]
    text = help_of("count-up", capsys)
    assert "Count to a number." in text and "--word TEXT what to say (default: tick)" in text and "--quiet" in text
    assert main(["count-up", "2", "--word", "tock"]) == 0
    assert capsys.readouterr().out == "tock tock\n"
    with pytest.raises(SystemExit):
        main(["count-up", "10"])
    assert "argument N: '10' is not a whole number from 1 to 9" in capsys.readouterr().err
    with pytest.raises(InputError, match="options: number: 0; a whole number from 1 to 9"):
        commands.load_command("count-up").Options(number=0)
    monkeypatch.delitem(sys.modules, "warpprior.cli.commands.count_up")


def test_an_option_without_a_range_says_which_it_is():
    """What a new command most easily forgets."""

    @dataclass(frozen=True)
    class Forgetful:
        """Options of a command."""

        count: int = option("how many", 1)

    with pytest.raises(TypeError, match="option 'count': a number without a range"):
        Parser().add_options(Forgetful)


OWN_TERM = """
from warpprior.terms import Term

class Broken(Term):
    name = "broken"

    def bind(self, problem):
        raise LookupError("no plane")
"""


def test_an_error_in_a_users_term_names_its_line(tmp_path, replaced, capsys):
    """It is not to be reported to this project."""
    (tmp_path / "broken.py").write_text(OWN_TERM)
    term = load_term(f"{tmp_path / 'broken.py'}:Broken")
    replaced("refine", lambda: term.bind(None))
    assert main(["refine", "S", "--output-dir", "O"]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path / 'broken.py'}, line 8: LookupError: no plane; --debug" in said and "report it" not in said


def test_a_name_that_the_file_does_not_have_is_refused(tmp_path):
    """With the name."""
    (tmp_path / "broken.py").write_text(OWN_TERM)
    with pytest.raises(InputError, match="nothing is called 'Brokn' there"):
        load_term(f"{tmp_path / 'broken.py'}:Brokn")


def test_every_number_of_a_command_has_a_range():
    """Options made in Python are held to the ranges that the command line has."""
    from warpprior.support.limits import without_range

    for name, command in commands.load_commands().items():
        required = [field.name for field in fields(command.Options) if field.default is field.default_factory]
        options = command.Options(**dict.fromkeys(required, Path("x")))
        assert without_range(options) == [], name


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (InputError("scene.toml", "no cameras", "one camera"), 2, "error: scene.toml: no cameras; one camera"),
        (RunError("disk full"), 1, "error: disk full"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "out of memory"),
        (ZeroDivisionError("division\nby zero"), 1, "unexpected ZeroDivisionError: division by zero; please report"),
        (RuntimeError(), 1, "unexpected RuntimeError: no message"),
    ],
)
def test_errors_become_one_line_and_an_exit_code(error, code, says, replaced, capsys):
    """Whatever a command raises, the user sees one line without a traceback."""
    replaced("info", failing(error))
    assert main(["info"]) == code
    said = capsys.readouterr().err
    assert says in said and said.startswith("warpprior: ") and said.count("\n") == 1


def test_debug_shows_the_traceback(replaced, capsys, monkeypatch):
    """--debug and WARPPRIOR_DEBUG=1 add the traceback."""
    replaced("info", failing(ZeroDivisionError("oops")))
    assert main(["info", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("WARPPRIOR_DEBUG", "1")
    assert main(["info"]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("WARPPRIOR_DEBUG", "0")
    assert main(["info"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_warnings_are_one_line(replaced, capsys):
    """A Python warning reads like the program's own messages, without file and line."""
    import warnings

    def action():
        warnings.warn("the masks are empty", stacklevel=1)
        return 0

    replaced("info", action)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["info"]) == 0
    assert capsys.readouterr().err == "warpprior: warning: the masks are empty\n"


def test_a_closed_pipe_is_no_traceback():
    """Output into a reader that has gone ends quietly."""
    command = f"'{sys.executable}' -m warpprior info --json | true; exit ${{PIPESTATUS[0]}}"
    found = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode in (0, 1) and "Traceback" not in found.stderr


def test_an_interrupt_while_parsing_is_one_line(monkeypatch, capsys):
    """Ctrl-C right at the start is an interruption like any other."""
    monkeypatch.setattr("warpprior.cli.program.build_parser", failing(KeyboardInterrupt()))
    assert main(["info"]) == 130
    assert capsys.readouterr().err == "warpprior: interrupted\n"


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&- <&-"])
def test_closed_streams_do_not_matter(closed):
    """A caller without a terminal may close any standard stream; the answer is the exit code."""
    command = f"'{sys.executable}' -m warpprior info {closed}; exit $?"
    found = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0 and found.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs a device that is always full")
def test_output_onto_a_full_disk_is_one_line():
    """What cannot be printed is said where it can, once."""
    command = f"'{sys.executable}' -m warpprior info >/dev/full"
    found = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stderr == "warpprior: error: the output: No space left on device\n"


def test_an_interrupt_in_a_destructor_is_not_lost():
    """Python drops exceptions that destructors raise; Ctrl-C must end the run all the same."""
    script = """
        import signal, sys, time
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        from warpprior import cli
        from warpprior.cli.commands import load_command
        class Held:
            def __del__(self):
                signal.raise_signal(signal.SIGINT)
                time.sleep(0)
        def action(options):
            Held()
            time.sleep(30)
            return 0
        load_command("info").run = action
        sys.exit(cli.main(["info"]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert found.returncode == 130 and found.stderr == "warpprior: interrupted\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["refine", "missing", "--output-dir", "{out}", "--device", "cpu"], "missing"),
        (["refine", "missing", "--output-dir", "{out}", "--device", "abacus"], "'abacus' is not a device"),
        (["refine", "missing", "--output-dir", "{out}", "--set", "iterations=many"], "give a whole number"),
        (["refine", "missing", "--output-dir", "{out}", "--set", "zzzz=1"], "there is no such setting"),
        (["refine", "missing", "--output-dir", "{out}", "--without", "gravity"], "gravity"),
        (["refine", "missing", "--output-dir", "{full}"], "exists and is not empty"),
        (["refine", "missing", "--output-dir", "{file}"], "is a file"),
        (["refine", "{full}", "--output-dir", "{full}", "--overwrite"], "is the input folder"),
        (["track", "missing", "--output-dir", "{out}", "--device", "cpu"], "missing"),
        (["track", "missing", "--output-dir", "{out}", "--set", "centre_m=0.1"], "did you mean 'center_m'?"),
        (["track", "missing", "--output-dir", "{full}"], "exists and is not empty"),
        (["simulate", "juggling", "--output-dir", "{out}"], "juggling"),
        (["simulate", "robot_lift", "--output-dir", "{full}"], "exists"),
        (["evaluate", "missing"], "missing"),
        (["evaluate", "missing", "--output", "{file}"], "exists"),
        (["export", "missing", "--output", "{file}"], "exists"),
        (["bench", "--only", "nothing-like-it"], "no case is called like"),
        (["bench", "--only", "version", "--compare", "{out}/none.json"], "there is no such file"),
    ],
)
def test_bad_input_is_refused_before_computing(words, says, tmp_path, capsys):
    """Each real command turns bad input into one line, exit code 2, and leaves no new folder with files behind."""
    places = {"out": tmp_path / "out", "full": tmp_path / "full", "file": tmp_path / "file"}
    places["full"].mkdir()
    (places["full"] / "notes.txt").write_text("mine")
    places["file"].write_text("mine")
    words = [word.format(**places) for word in words]
    assert main(words) == 2, capsys.readouterr().err
    said = capsys.readouterr()
    assert says in said.err and "Traceback" not in said.err
    assert (places["full"] / "notes.txt").read_text() == places["file"].read_text() == "mine"
    assert not places["out"].is_dir() or not any(places["out"].iterdir())


def test_an_old_setting_says_its_new_name(tmp_path, capsys):
    """A renamed setting is taken, and the command line says what it is called now."""
    words = ["refine", "missing", "--output-dir", str(tmp_path / "out"), "--set", "align.seek_focal=true"]
    assert main(words) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "warpprior: warning: --set align.seek_focal: this setting is called unknowns.estimate_focal now"
    assert said[1].startswith("warpprior: error: missing")


def test_the_console_script_is_the_same_program():
    """``python -m warpprior`` exits with main's code."""
    environment = {**os.environ, "WARPPRIOR_DEBUG": ""}
    command = [sys.executable, "-m", "warpprior", "evaluate", "no-such-scene"]
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith("warpprior: error: ") and found.stderr.count("\n") == 1


def test_the_parser_names_every_command():
    """The help of the program lists all commands."""
    lines = build_parser().format_help().splitlines()
    assert all(any(line.split()[:1] == [command] and line.startswith("    ") for line in lines) for command in COMMANDS)


def test_a_program_that_calls_it_gets_its_hooks_back(capsys):
    """What shows warnings and errors of destructors is its own again, after errors too."""
    before = sys.unraisablehook, warnings.showwarning
    assert main(["--version"]) == 0 and main(["evaluate", "nowhere"]) == 2
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert before == (sys.unraisablehook, warnings.showwarning)


def test_errors_that_nobody_reads_do_not_fail_themselves(monkeypatch):
    """The terminal is gone: the exit code says it all."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as gone:
        monkeypatch.setattr(sys, "stderr", gone)
        assert main(["evaluate", "nowhere"]) == 2
        with contextlib.suppress(OSError):
            gone.close()
