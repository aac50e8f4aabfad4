"""Rows of sequences, run one by one, and their figures as a table."""

from __future__ import annotations

import importlib
import pkgutil
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from warpprior.metrics import evaluate
from warpprior.result import Result
from warpprior.scene import Scene

ROWS: dict[str, Row] = {}

Sequences = dict[str, Callable[[], "Trial"]]
Score = Callable[[Result], dict[str, float]]
Run = Callable[[Scene], Result]


@dataclass(frozen=True)
class Trial:
    """One sequence with something wrong in it, and what to measure of the estimate.

    Attributes:
        scene: what is estimated.
        score: figures of the result, smaller is better.
        run: the estimator; None: :func:`warpprior.refine` on a CPU.
    """

    scene: Scene
    score: Score
    run: Run | None = None


@dataclass(frozen=True)
class Row:
    """A kind of wrong evidence: its name, what it is, and how each of its sequences is made."""

    name: str
    title: str
    trials: Sequences


def row(name: str, title: str) -> Callable:
    """Register what the decorated function returns, ``{sequence: function that makes its Trial}``, as a row."""

    def register(make: Callable[[], Sequences]) -> Callable:
        assert name not in ROWS, f"two rows are called {name!r}"
        ROWS[name] = Row(name, title, make())
        return make

    return register


def named(make: Callable[..., Trial], sequences: Iterable[tuple], **options: Any) -> Sequences:
    """A row's sequences, each named by what it is made from.

    Args:
        make: makes a trial of what a sequence is made from, and of the options.
        sequences: what each is made from.
        options: that all share.
    """
    return {" ".join(map(str, each)): partial(make, *each, **options) for each in sequences}


def each_twice(kinds: Iterable[tuple], first_seed: int) -> tuple[tuple, ...]:
    """Each kind of sequence with two seeds of its own behind it."""
    return tuple((*kind, first_seed + 2 * number + again) for number, kind in enumerate(kinds) for again in range(2))


def load_rows() -> dict[str, Row]:
    """All rows, by name."""
    package = importlib.import_module("warpprior.bench.robustness.rows")
    for module in sorted(found.name for found in pkgutil.iter_modules(package.__path__)):
        importlib.import_module(f"{package.__name__}.{module}")
    return ROWS


def refine_on_cpu(scene: Scene) -> Result:
    """The default refinement."""
    from warpprior.refinement.run import refine

    return refine(scene, device="cpu")


def run_trial(make: Callable[[], Trial]) -> dict[str, float]:
    """Figures of one sequence, and the seconds that its estimate took."""
    trial = make()
    began = time.perf_counter()
    result = (trial.run or refine_on_cpu)(trial.scene)
    seconds = time.perf_counter() - began
    return {**trial.score(result), "seconds": seconds}


def errors(scene: Scene, result: Result, body: str) -> dict[str, np.ndarray]:
    """Rows of :func:`warpprior.metrics.evaluate` of one body, per frame, NaN where a metric is not defined."""
    found = evaluate(scene, result.poses, device="cpu")["per_frame"][body]
    return {name: np.array(values, dtype=float) for name, values in found.items()}


def median_and_worst(figures: Iterable[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Median and largest of each figure over the sequences that have it."""
    found = list(figures)
    names = dict.fromkeys(name for each in found for name in each)
    values = {name: [each[name] for each in found if np.isfinite(each.get(name, np.nan))] for name in names}
    return {name: (statistics.median(each), max(each)) for name, each in values.items() if each}
