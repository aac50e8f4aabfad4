"""The command line: parses, calls the function of the same name in :mod:`warpprior.commands`, and reports errors.

Exit codes: 0 done, 1 failed while running, 2 bad input or usage, 130 interrupted.
"""

from __future__ import annotations

import _thread
import argparse
import io
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

import warpprior
from warpprior.errors import WarppriorError, one_line

INTERRUPTED = 130

_EPILOG = """\
examples:
  warpprior demo
      a simulated hand lifts and turns a mug; refine both and look at the result
  warpprior refine recordings/mug --output-dir out/mug
      poses, numbers, a video and a USD stage from label images, a camera, a mesh and rough poses
  warpprior refine recordings/mug --output-dir out/free --without sliding --set align.sigma_contour_px=3
      the same without one term, and with another setting
  warpprior simulate robot_lift --output-dir out/scene --seed 3
      a scene folder with known truth

The same from Python: warpprior.refine, simulate, demo, evaluate, export_usd and info.
Exit codes: 0 done, 1 failed while running, 2 bad input or usage, 130 interrupted.
"""

# Spelt out, for help must not wait for the settings to be imported; a test compares.
_LEFT_OUT = (
    "a term (image, mask, far, sliding, penetration, consistency, smoothness, rest, pose, "
    "keypoints, boxes) or a step (initialise, align, hypotheses, polish)"
)
_SCENES = ("robot_lift", "held_object", "grasp_lift", "in_hand_turn", "pour", "handover", "slip")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after the program's name; None takes them from ``sys.argv``.

    Returns:
        The exit code.
    """
    try:
        _prepare_streams()
        sys.unraisablehook = _pass_interrupt_on
        warnings.showwarning = _show_warning
        return _answer(build_parser().parse_args(arguments))
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED


def _answer(options: argparse.Namespace) -> int:
    """The exit code of the command; what went wrong is said in one line."""
    try:
        return options.run(options)
    except WarppriorError as error:
        if options.debug:
            traceback.print_exc()
        _say(f"error: {error}")
        return error.exit_code
    except BrokenPipeError:  # the reader of our output, for instance `head`, has gone
        _silence_output()
        return 1
    except MemoryError:
        _say("error: out of memory; try fewer frames with --num-frames")
        return 1
    except OSError as error:  # a full disk, a vanished folder, a closed terminal
        if options.debug:
            traceback.print_exc()
        place = "the output" if error.filename is None else error.filename
        _say(f"error: {place}: {error.strerror or error}")
        _silence_output()
        return 1
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        summary = " ".join(str(error).split()) or "no message"
        _say(f"error: unexpected {type(error).__name__}: {summary}; please report it with the output of --debug")
        return 1


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets ``run``, a function from the parsed options to the exit code."""
    parser = argparse.ArgumentParser(
        prog="warpprior",
        description="Turn noisy per-frame estimates of hands and objects into physically consistent motion.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"warpprior {warpprior.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (
        _add_refine,
        _add_simulate,
        _add_demo,
        _add_evaluate,
        _add_ablate,
        _add_export,
        _add_convert_mano,
        _add_info,
        _add_bench,
    ):
        add(commands)
    return parser


def _add_refine(commands) -> None:
    parser = _add(commands, "refine", "estimate the motion of every body that is not known", _run_refine)
    parser.add_argument("scene", type=Path, metavar="SCENE", help="scene folder (the one with scene.toml)")
    _add_output(parser, "result folder", required=True)
    _add_solver(parser)
    _add_num_frames(parser, "use only the first N frames")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run in --output-dir")
    _add_device(parser)


def _run_refine(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.refine(
        options.scene,
        options.output_dir,
        device=options.device,
        iterations=options.iterations,
        seed=options.seed,
        num_frames=options.num_frames,
        without=options.without,
        assignments=options.set,
        paper_literal=options.paper_literal,
        resume=options.resume,
        overwrite=options.overwrite,
        quiet=options.quiet,
    )


def _add_simulate(commands) -> None:
    parser = _add(commands, "simulate", "make a scene folder with known truth", _run_simulate)
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(_SCENES)}")
    _add_output(parser, "scene folder to write", required=True)
    _add_num_frames(parser, "number of frames (default: 60)")
    parser.add_argument("--seed", type=_whole, default=0, metavar="N", help="seed of all noise (default: 0)")
    parser.add_argument("--object", metavar="NAME", help="what is held: bottle, box, mug, can, bowl, drill, ...")
    parser.add_argument("--mesh", type=Path, metavar="FILE", help="mesh to hold instead (needed by held_object)")
    parser.add_argument("--side", choices=("right", "left"), help="side of the human hand (default: right)")
    parser.add_argument("--second-object", metavar="NAME", help="another object, beside the human hand's")
    parser.add_argument(
        "--occluded-frames",
        type=_whole,
        nargs=2,
        metavar=("FIRST", "COUNT"),
        help="frames in which something hides everything, in scenes of human hands",
    )
    for option, levels in (("--pose-noise", "exact, rough or network"), ("--hand-noise", "exact or network")):
        whose = "objects'" if option == "--pose-noise" else "human hand's"
        parser.add_argument(option, metavar="LEVEL", help=f"errors of the {whose} initial poses: {levels}")
    parser.add_argument(
        "--mask-noise", metavar="LEVEL", default="M1", help="errors of the labels: M0 (none), M1 (default), M2 or M3"
    )
    parser.add_argument("--depth", action="store_true", help="depth images too, in scenes of human hands")
    _add_device(parser)


def _run_simulate(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.simulate(
        options.name,
        options.output_dir,
        seed=options.seed,
        num_frames=options.num_frames,
        object_name=options.object,
        mesh=options.mesh,
        side=options.side,
        second_object=options.second_object,
        occluded_frames=options.occluded_frames and tuple(options.occluded_frames),
        pose_noise=options.pose_noise,
        hand_noise=options.hand_noise,
        mask_noise=options.mask_noise,
        depth=options.depth,
        device=options.device,
        overwrite=options.overwrite,
        quiet=options.quiet,
    )


def _add_demo(commands) -> None:
    parser = _add(commands, "demo", "simulate a human hand that lifts and turns a mug, then refine both", _run_demo)
    _add_output(parser, "folder for the scene and the result (default: out/demo)", default=Path("out/demo"))
    _add_solver(parser, seed=7)
    _add_num_frames(parser, "number of frames (default: 40)")
    _add_device(parser)


def _run_demo(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.demo(
        options.output_dir,
        device=options.device,
        iterations=options.iterations,
        seed=options.seed,
        num_frames=options.num_frames,
        without=options.without,
        assignments=options.set,
        paper_literal=options.paper_literal,
        overwrite=options.overwrite,
        quiet=options.quiet,
    )


def _add_evaluate(commands) -> None:
    parser = _add(commands, "evaluate", "measure poses against labels, contact and truth", _run_evaluate)
    parser.add_argument("scene", type=Path, metavar="SCENE", help="scene folder")
    parser.add_argument(
        "--poses", type=Path, metavar="FILE", help="pose file or result folder (default: the scene's initial poses)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write all numbers as JSON, per frame too")
    parser.add_argument("--overwrite", action="store_true", help="replace --output if it exists")
    _add_num_frames(parser, "use only the first N frames")
    _add_device(parser)


def _run_evaluate(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.evaluate(
        options.scene,
        options.poses,
        output=options.output,
        device=options.device,
        num_frames=options.num_frames,
        overwrite=options.overwrite,
        quiet=options.quiet,
    )


def _add_ablate(commands) -> None:
    parser = _add(commands, "ablate", "refine scenes with parts left out, and make a table of the results", _run_ablate)
    parser.add_argument("scenes", type=Path, nargs="*", metavar="SCENE", help="scene folders with truth")
    parser.add_argument("--simulate", metavar="NAME", help="simulate this scene with each of --seeds, too")
    parser.add_argument("--seeds", type=_seeds, default="0-9", metavar="LIST", help="such as 0-9 (default) or 1,4,7-9")
    parser.add_argument("--object", metavar="NAME", help="what the simulated scene is about")
    parser.add_argument("--mask-noise", metavar="LEVEL", default="M1", help="M0, M1 (default), M2 or M3")
    _add_output(parser, "folder for runs and tables; runs that are in it are not repeated", required=True)
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="TEXT",
        help='only these, such as "without sliding"',
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of every variant")
    parser.add_argument("--jobs", type=_natural, default=1, metavar="N", help="processes side by side (default: 1)")
    _add_num_frames(parser, "use or simulate only N frames")
    _add_device(parser)


def _run_ablate(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.ablate(
        options.scenes,
        options.output_dir,
        simulated=options.simulate,
        seeds=options.seeds,
        object_name=options.object,
        mask_noise=options.mask_noise,
        variants=options.variant,
        assignments=options.set,
        num_frames=options.num_frames,
        jobs=options.jobs,
        device=options.device,
        overwrite=options.overwrite,
        quiet=options.quiet,
    )


def _add_export(commands) -> None:
    parser = _add(commands, "export", "write a motion as a USD stage", _run_export)
    parser.add_argument("scene", type=Path, metavar="SCENE", help="scene folder")
    parser.add_argument(
        "--poses", type=Path, metavar="FILE", help="pose file or result folder (default: the scene's initial poses)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", required=True, help="stage to write (.usdc, .usda, .usd)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace --output if it exists")
    _add_num_frames(parser, "use only the first N frames")


def _run_export(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.export(
        options.scene,
        options.poses,
        options.output,
        num_frames=options.num_frames,
        overwrite=options.overwrite,
        quiet=options.quiet,
    )


def _add_convert_mano(commands) -> None:
    parser = _add(commands, "convert-mano", "write a MANO pickle as .npz, without running it", _run_convert_mano)
    parser.add_argument("model", type=Path, metavar="IN.pkl", help="MANO_RIGHT.pkl or MANO_LEFT.pkl")
    parser.add_argument("output", type=Path, metavar="OUT.npz", help="file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT.npz if it exists")


def _run_convert_mano(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.convert_mano(options.model, options.output, overwrite=options.overwrite, quiet=options.quiet)


def _add_info(commands) -> None:
    parser = _add(commands, "info", "show versions, devices, extras and the kernel cache", _run_info)
    parser.add_argument("--json", action="store_true", help="as JSON")


def _run_info(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.info(as_json=options.json)


def _add_bench(commands) -> None:
    parser = _add(commands, "bench", "time the parts, from a source checkout", _run_bench)
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="cases whose name contains TEXT")
    parser.add_argument("--list", action="store_true", help="list the cases and stop")
    parser.add_argument(
        "--compare",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FILE",
        help="compare with a baseline (default: bench/baseline.json)",
    )
    parser.add_argument("--max-ratio", type=_positive, metavar="R", help="fail when a case takes R times its baseline")
    parser.add_argument("--update-baseline", action="store_true", help="write the times into bench/baseline.json")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers as JSON")
    _add_device(parser)


def _run_bench(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.bench(
        device=options.device,
        only=options.only,
        list_only=options.list,
        compare=options.compare,
        max_ratio=options.max_ratio,
        update_baseline=options.update_baseline,
        json_file=options.json,
        quiet=options.quiet,
    )


def _add(commands, name: str, summary: str, run) -> argparse.ArgumentParser:
    """A subparser with the options every command has."""
    parser = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors and warnings")
    parser.add_argument(
        "--debug",
        action="store_true",
        default=os.environ.get("WARPPRIOR_DEBUG", "") not in ("", "0"),
        help="show the traceback of an error (or set WARPPRIOR_DEBUG=1)",
    )
    parser.set_defaults(run=run)
    return parser


def _add_output(parser, meaning: str, *, required: bool = False, default: Path | None = None) -> None:
    parser.add_argument("--output-dir", type=Path, metavar="DIR", required=required, default=default, help=meaning)
    parser.add_argument("--overwrite", action="store_true", help="replace what is in --output-dir")


def _add_solver(parser, *, seed: int = 0) -> None:
    parser.add_argument("--iterations", type=_natural, metavar="N", help="iterations at most")
    parser.add_argument("--seed", type=_whole, default=seed, metavar="N", help=f"seed (default: {seed})")
    parser.add_argument(
        "--without", action="append", default=[], metavar="TERM", help=f"leave out {_LEFT_OUT}; repeatable"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, for instance align.sigma_contour_px=3; repeatable",
    )
    parser.add_argument(
        "--paper-literal", action="store_true", help="start from the paper's equations as printed, to compare"
    )


def _add_num_frames(parser, meaning: str) -> None:
    parser.add_argument("--num-frames", type=_natural, metavar="N", help=meaning)


def _add_device(parser) -> None:
    parser.add_argument("--device", metavar="NAME", help="auto, cpu, cuda or cuda:<n> (default: auto)")


def _prepare_streams() -> None:
    """Make standard input, output and errors usable whatever the caller did to them."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file opened would take its place and receive what was meant for a terminal
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):  # names of files may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")


def _pass_interrupt_on(event) -> None:
    """Repeat a Ctrl-C that came while a destructor ran: Python prints what is raised there and goes on."""
    if event.exc_type is not None and issubclass(event.exc_type, KeyboardInterrupt):
        timer = threading.Timer(0.01, _interrupt_main)
        timer.daemon = True
        timer.start()
    else:
        sys.__unraisablehook__(event)


def _interrupt_main() -> None:
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _silence_output() -> None:
    """Drop what is still to be printed where nothing can be, so that leaving does not fail on it again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _natural(text: str) -> int:
    value = _whole(text)
    if value == 0:
        raise argparse.ArgumentTypeError("give 1 or more")
    return value


def _whole(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2147483647")
    return int(text)


def _seeds(text: str) -> list[int]:
    from warpprior.ablation.sources import parse_seeds

    try:
        return parse_seeds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    _say(f"warning: {message}")


def _say(text: str) -> None:
    print(f"warpprior: {one_line(text)}", file=sys.stderr, flush=True)
