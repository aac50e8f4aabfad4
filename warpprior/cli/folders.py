"""The commands that make and convert scenes, motions and models: their options, and how these are handed over."""

from __future__ import annotations

import argparse
from pathlib import Path

from warpprior.cli.options import add_command, add_device, add_num_frames, add_output, whole

# Spelt out, for help must not wait for the scenes to be imported; a test compares.
SCENES = ("robot_lift", "held_object", "grasp_lift", "in_hand_turn", "pour", "handover", "slip")


def add_simulate(commands) -> None:
    parser = add_command(commands, "simulate", "make a scene folder with known truth", _run_simulate)
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(SCENES)}")
    add_output(parser, "scene folder to write", required=True)
    add_num_frames(parser, "number of frames (default: 60)")
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="seed of all noise (default: 0)")
    parser.add_argument("--object", metavar="NAME", help="what is held: bottle, box, mug, can, bowl, drill, ...")
    parser.add_argument("--mesh", type=Path, metavar="FILE", help="mesh to hold instead (needed by held_object)")
    parser.add_argument("--side", choices=("right", "left"), help="side of the human hand (default: right)")
    parser.add_argument("--second-object", metavar="NAME", help="another object, beside the human hand's")
    parser.add_argument(
        "--occluded-frames",
        type=whole,
        nargs=2,
        metavar=("FIRST", "COUNT"),
        help="frames in which something hides everything, in scenes of human hands",
    )
    for option, levels in (("--pose-noise", "exact, rough or network"), ("--hand-noise", "exact, network or white")):
        whose = "objects'" if option == "--pose-noise" else "human hand's"
        parser.add_argument(option, metavar="LEVEL", help=f"errors of the {whose} initial poses: {levels}")
    parser.add_argument(
        "--mask-noise", metavar="LEVEL", default="M1", help="errors of the labels: M0 (none), M1 (default), M2 or M3"
    )
    parser.add_argument(
        "--point-noise", metavar="LEVEL", default="sensor", help="errors of points measured in space: exact or sensor"
    )
    parser.add_argument("--depth", action="store_true", help="depth images too, in scenes of human hands")
    add_device(parser)


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
        point_noise=options.point_noise,
        depth=options.depth,
        device=options.device,
        overwrite=options.overwrite,
        quiet=options.quiet,
    )


def add_export(commands) -> None:
    parser = add_command(commands, "export", "write a motion as a USD stage", _run_export)
    parser.add_argument("scene", type=Path, metavar="SCENE", help="scene folder")
    parser.add_argument(
        "--poses", type=Path, metavar="FILE", help="pose file or result folder (default: the scene's initial poses)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", required=True, help="stage to write (.usdc, .usda, .usd)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace --output if it exists")
    add_num_frames(parser, "use only the first N frames")


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


def add_convert_mano(commands) -> None:
    parser = add_command(commands, "convert-mano", "write a MANO pickle as .npz, without running it", _run_convert_mano)
    parser.add_argument("model", type=Path, metavar="IN.pkl", help="MANO_RIGHT.pkl or MANO_LEFT.pkl")
    parser.add_argument("output", type=Path, metavar="OUT.npz", help="file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT.npz if it exists")


def _run_convert_mano(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.convert_mano(options.model, options.output, overwrite=options.overwrite, quiet=options.quiet)
