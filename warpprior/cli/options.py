"""Options that several commands share, and how their texts are read."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

# Spelt out, for help must not wait for the settings to be imported; a test compares.
LEFT_OUT = (
    "a term (image, mask, far, sliding, penetration, consistency, smoothness, rest, pose, "
    "keypoints, boxes) or a step (initialise, align, hypotheses, polish)"
)


def add_command(commands, name: str, summary: str, run) -> argparse.ArgumentParser:
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


def add_output(parser, meaning: str, *, required: bool = False, default: Path | None = None) -> None:
    parser.add_argument("--output-dir", type=Path, metavar="DIR", required=required, default=default, help=meaning)
    parser.add_argument("--overwrite", action="store_true", help="replace what is in --output-dir")


def add_solver(parser, *, seed: int = 0) -> None:
    parser.add_argument("--iterations", type=natural, metavar="N", help="iterations at most")
    parser.add_argument("--seed", type=whole, default=seed, metavar="N", help=f"seed (default: {seed})")
    parser.add_argument(
        "--without", action="append", default=[], metavar="TERM", help=f"leave out {LEFT_OUT}; repeatable"
    )
    add_settings(parser, "align.sigma_contour_px=3")


def add_settings(parser, example: str) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"change a setting, for instance {example}; repeatable",
    )
    parser.add_argument(
        "--paper-literal", action="store_true", help="start from the paper's equations as printed, to compare"
    )


def add_initial(parser) -> None:
    parser.add_argument(
        "--initial",
        type=Path,
        metavar="RESULT",
        help="start from the poses of this result folder or pose file (default: the scene's initial poses)",
    )


def add_study(parser, *, default_seeds: str, whose: str) -> None:
    """Options of what is run over many seeds; ``whose`` the settings are that can be changed."""
    parser.add_argument(
        "--seeds",
        type=seeds,
        default=default_seeds,
        metavar="LIST",
        help=f"such as {default_seeds} (default) or 1,4,7-9",
    )
    add_output(parser, "folder for runs and tables; runs that are in it are not repeated", required=True)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=f"a setting of {whose}")
    parser.add_argument("--jobs", type=natural, default=1, metavar="N", help="processes side by side (default: 1)")


def add_num_frames(parser, meaning: str) -> None:
    parser.add_argument("--num-frames", type=natural, metavar="N", help=meaning)


def add_device(parser) -> None:
    parser.add_argument("--device", metavar="NAME", help="auto, cpu, cuda or cuda:<n> (default: auto)")


def natural(text: str) -> int:
    value = whole(text)
    if value == 0:
        raise argparse.ArgumentTypeError("give 1 or more")
    return value


def whole(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2147483647")
    return int(text)


def seeds(text: str) -> list[int]:
    from warpprior.ablation.sources import parse_seeds

    try:
        return parse_seeds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def names(text: str) -> list[str]:
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of names, separated by commas")
    return found


def positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value
