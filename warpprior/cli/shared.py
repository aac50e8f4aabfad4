"""Options that several commands share; a command's options inherit what they need."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warpprior.cli.options import REQUIRED, argument, option
from warpprior.formats.place import Place
from warpprior.support.errors import InputError
from warpprior.support.limits import MOST_WHOLE, check_ranges, number


def as_place(text: str) -> Place:
    """The scene folder or ``FORMAT:PATH`` that was typed.

    Raises:
        ValueError: no such format.
    """
    try:
        return Place.parse(text)
    except InputError as error:
        raise ValueError(str(error)) from None


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every command takes."""

    quiet: bool = option("print nothing but errors and warnings", False)
    debug: bool = option(
        "show the traceback of an error (or set WARPPRIOR_DEBUG=1)",
        lambda: os.environ.get("WARPPRIOR_DEBUG", "") not in ("", "0"),
    )

    def __post_init__(self):
        check_ranges(self, "options")


@dataclass(frozen=True, kw_only=True)
class OnDevice:
    """Of commands that compute."""

    device: str | None = option("auto, cpu, cuda or cuda:<n> (default: auto)", metavar="NAME")


@dataclass(frozen=True, kw_only=True)
class OneScene:
    """Of commands that read a scene folder, the whole sequence or its first frames."""

    scene: Place = argument("SCENE", "scene folder (the one with scene.toml), or FORMAT:PATH", read=as_place)
    num_frames: int | None = option("use only the first N frames", number(None, 1, MOST_WHOLE), metavar="N")


@dataclass(frozen=True, kw_only=True)
class ManyScenes:
    """Of commands that read one scene folder or several."""

    scenes: tuple[Place, ...] = argument(
        "SCENE",
        "scene folders (those with scene.toml), or FORMAT:PATH; of several, each has a folder in --output-dir",
        read=as_place,
        nargs="+",
    )
    num_frames: int | None = option("use only the first N frames", number(None, 1, MOST_WHOLE), metavar="N")


@dataclass(frozen=True, kw_only=True)
class IntoFolder:
    """Of commands that write a folder, which ``output_dir`` names."""

    overwrite: bool = option("replace what is in --output-dir", False)


@dataclass(frozen=True, kw_only=True)
class IntoFile:
    """Of commands that write a file, which ``output`` names."""

    overwrite: bool = option("replace --output if it exists", False)


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """Of commands whose settings can be changed."""

    assignments: tuple[str, ...] = option(
        "change a setting, for instance contour.sigma_px=3; repeatable", (), flag="--set", metavar="KEY=VALUE"
    )
    paper_literal: bool = option("start from the paper's equations as printed, to compare", False)


@dataclass(frozen=True, kw_only=True)
class Refined(Tuned):
    """Of commands that refine."""

    iterations: int | None = option("iterations at most", number(None, 1, MOST_WHOLE), metavar="N")
    seed: int = option("seed", number(0, 0, MOST_WHOLE), metavar="N")
    own_terms: tuple[str, ...] = option(
        "add a term of your own, FILE.py:NAME or MODULE:NAME; repeatable", (), flag="--term", metavar="PLACE"
    )
    without: tuple[str, ...] = option(lambda: f"leave out {parts_of_refinement()}; repeatable", (), metavar="TERM")


@dataclass(frozen=True, kw_only=True)
class Started:
    """Of commands that estimate, from the scene's initial poses or others."""

    initial: Path | None = option(
        "start from the poses of this result folder or pose file (default: the scene's initial poses)",
        metavar="RESULT",
    )


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Of commands that check their scene first."""

    no_check: bool = option("do not check first whether the scene's data is what it is taken for", False)
    strict: bool = option(
        "end with exit code 2 where the check finds an error, before computing, and with 3 where the result fits badly",
        False,
    )


@dataclass(frozen=True, kw_only=True)
class Measured(OneScene):
    """Of commands that look at a motion of a scene."""

    poses: Path | None = option("pose file or result folder (default: the scene's initial poses)", metavar="FILE")


@dataclass(frozen=True, kw_only=True)
class NamingFormats:
    """Of commands that name formats beside those of ``FORMAT:PATH``; the options that were given, by their names."""

    format_options: Mapping[str, Any] = field(default_factory=dict)


def folder(meaning: str, default: Any = REQUIRED) -> Any:
    """The folder that is written."""
    return option(meaning, default, metavar="DIR")


def parts_of_refinement() -> str:
    """The terms and steps that can be left out, in words."""
    from warpprior.settings import STEPS, TERMS

    return f"a term ({', '.join(TERMS)}) or a step ({', '.join(STEPS)})"
