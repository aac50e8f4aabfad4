"""What the commands share that run studies over many seeds: their options, and their folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from warpprior.cli.options import option
from warpprior.cli.shared import Common, IntoFolder, OnDevice, folder
from warpprior.support.limits import MOST_WHOLE, number


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds of a text such as ``1,4,7-9``."""
    from warpprior.ablation.sources import parse_seeds

    return tuple(parse_seeds(text))


def seeds(count: int) -> tuple[int, ...]:
    """The option ``--seeds``, the first so many by default."""
    default = number(tuple(range(count)), 0, MOST_WHOLE)
    return option("such as 1,4,7-9", default, shown=f"0-{count - 1}", read=parse_seeds, metavar="LIST")


def changed_settings(whose: str) -> tuple[str, ...]:
    """The option ``--set`` of a study; ``whose`` the settings are."""
    return option(f"a setting of {whose}", (), flag="--set", metavar="KEY=VALUE")


@dataclass(frozen=True, kw_only=True)
class Study(IntoFolder, OnDevice, Common):
    """Options of a study."""

    output_dir: Path = folder("folder for runs and tables; runs that are in it are not repeated")
    jobs: int = option("processes side by side", number(1, 1, MOST_WHOLE), metavar="N")
    object: str | None = option("what the simulated scenes are about", metavar="NAME")


@contextmanager
def runs_in(folder: Path, overwrite: bool, protect: Sequence[Path] = ()) -> Iterator[None]:
    """Prepare the folder of a study: runs that are in it stay, unless they are to be repeated."""
    from warpprior.ablation.runs import RUNS_FOLDER, forget_runs
    from warpprior.cli.running import refuse_existing
    from warpprior.io import prepare_output

    if not (folder / RUNS_FOLDER).is_dir():
        refuse_existing(folder, overwrite)
    with prepare_output(folder, overwrite=True, protect=protect):
        if overwrite:
            forget_runs(folder)
        yield


def report_refused(errors: Iterable[str]) -> int:
    """Say in one line each what a study could not do, and give its exit code."""
    from warpprior.cli.messages import complain
    from warpprior.cli.running import BAD_INPUT, OK

    lines = list(dict.fromkeys(errors))
    for line in lines:
        complain(f"error: {line}")
    return BAD_INPUT if lines else OK
