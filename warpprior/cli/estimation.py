"""The commands that estimate motion: their options, and how these are handed over."""

from __future__ import annotations

import argparse
from pathlib import Path

from warpprior.cli.options import (
    add_command,
    add_device,
    add_initial,
    add_num_frames,
    add_output,
    add_settings,
    add_solver,
    names,
    natural,
)

# Spelt out, for help must not wait for NumPy to be imported; a test compares.
OBSERVATIONS = (
    *("keypoints3d", "fingertips", "keypoints2d", "joints", "center", "center2d", "area", "moments", "box", "mask"),
    "depth",
)


def add_refine(commands) -> None:
    parser = add_command(commands, "refine", "estimate the motion of every body that is not known", _run_refine)
    parser.add_argument("scene", type=Path, metavar="SCENE", help="scene folder (the one with scene.toml)")
    add_output(parser, "result folder", required=True)
    add_solver(parser)
    add_initial(parser)
    add_num_frames(parser, "use only the first N frames")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run in --output-dir")
    add_device(parser)


def _run_refine(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.refine(
        options.scene,
        options.output_dir,
        initial=options.initial,
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


def add_track(commands) -> None:
    summary = "track hands and objects frame by frame, with a covariance for each pose"
    parser = add_command(commands, "track", summary, _run_track)
    parser.add_argument("scene", type=Path, metavar="SCENE", help="scene folder (the one with scene.toml)")
    add_output(parser, "result folder", required=True)
    parser.add_argument(
        "--observe",
        type=names,
        default="auto",
        metavar="LIST",
        help=f"observations, separated by commas: {', '.join(OBSERVATIONS)}; or auto, what the scene offers (default)",
    )
    later = parser.add_mutually_exclusive_group()
    later.add_argument("--smooth", action="store_true", help="afterwards, let later frames correct earlier ones")
    later.add_argument("--lag", type=natural, metavar="N", help="let the next N frames correct each frame")
    add_settings(parser, "center_m=0.01")
    add_initial(parser)
    add_num_frames(parser, "use only the first N frames")
    add_device(parser)


def _run_track(options: argparse.Namespace) -> int:
    from warpprior import commands

    return commands.track(
        options.scene,
        options.output_dir,
        observe=options.observe,
        smooth=options.smooth,
        lag=options.lag,
        initial=options.initial,
        device=options.device,
        num_frames=options.num_frames,
        assignments=options.set,
        paper_literal=options.paper_literal,
        overwrite=options.overwrite,
        quiet=options.quiet,
    )


def add_demo(commands) -> None:
    parser = add_command(
        commands, "demo", "simulate a human hand that lifts and turns a mug, then refine both", _run_demo
    )
    add_output(parser, "folder for the scene and the result (default: out/demo)", default=Path("out/demo"))
    add_solver(parser, seed=7)
    add_num_frames(parser, "number of frames (default: 40)")
    add_device(parser)


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
