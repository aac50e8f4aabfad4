"""The commands that measure: motions, ingredients, this machine.  Their options, and how these are handed over."""

from __future__ import annotations

import argparse
from pathlib import Path

from warpprior.cli.options import add_command, add_device, add_num_frames, add_study, positive


def add_evaluate(commands) -> None:
    parser = add_command(commands, "evaluate", "measure poses against labels, contact and truth", _run_evaluate)
    parser.add_argument("scene", type=Path, metavar="SCENE", help="scene folder")
    parser.add_argument(
        "--poses", type=Path, metavar="FILE", help="pose file or result folder (default: the scene's initial poses)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write all numbers as JSON, per frame too")
    parser.add_argument("--overwrite", action="store_true", help="replace --output if it exists")
    add_num_frames(parser, "use only the first N frames")
    add_device(parser)


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


def add_ablate(commands) -> None:
    parser = add_command(
        commands, "ablate", "refine scenes with parts left out, and make a table of the results", _run_ablate
    )
    parser.add_argument("scenes", type=Path, nargs="*", metavar="SCENE", help="scene folders with truth")
    parser.add_argument("--simulate", metavar="NAME", help="simulate this scene with each of --seeds, too")
    parser.add_argument("--object", metavar="NAME", help="what the simulated scene is about")
    parser.add_argument("--mask-noise", metavar="LEVEL", default="M1", help="M0, M1 (default), M2 or M3")
    add_study(parser, default_seeds="0-9", whose="every variant")
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="TEXT",
        help='only these, such as "without sliding"',
    )
    add_num_frames(parser, "use or simulate only N frames")
    add_device(parser)


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


def add_ablate_tracking(commands) -> None:
    parser = add_command(
        commands,
        "ablate-tracking",
        "track simulated scenes with other filters, observations and troubles, and make tables of the results",
        _run_ablate_tracking,
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="scenes of a human hand, such as grasp_lift")
    parser.add_argument("--object", metavar="NAME", help="what the simulated scenes are about")
    add_study(parser, default_seeds="0-19", whose="our filter")
    add_num_frames(parser, "simulate only N frames")
    add_device(parser)


def _run_ablate_tracking(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.ablate_tracking(
        options.names,
        options.output_dir,
        seeds=options.seeds,
        object_name=options.object,
        assignments=options.set,
        num_frames=options.num_frames,
        jobs=options.jobs,
        device=options.device,
        overwrite=options.overwrite,
        quiet=options.quiet,
    )


def add_info(commands) -> None:
    parser = add_command(commands, "info", "show versions, devices, extras and the kernel cache", _run_info)
    parser.add_argument("--json", action="store_true", help="as JSON")


def _run_info(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.info(as_json=options.json)


def add_bench(commands) -> None:
    parser = add_command(commands, "bench", "time the parts, from a source checkout", _run_bench)
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
    parser.add_argument("--max-ratio", type=positive, metavar="R", help="fail when a case takes R times its baseline")
    parser.add_argument("--update-baseline", action="store_true", help="write the times into bench/baseline.json")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers as JSON")
    add_device(parser)


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
