"""Times small pieces of the project and checks what they compute: a fast wrong answer fails.

A case is a function that prepares its data on a device and returns a :class:`Trial`; see ``bench/cases/``.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

CASES: dict[str, Case] = {}
SECONDS_PER_UNIT = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
WARM_UPS = 2
SHORTEST_SAMPLE = 2e-3  # shorter calls are repeated within a sample, so that the clock's steps do not matter [s]


@dataclass(frozen=True)
class Trial:
    """What to time and how to know that it is right.

    Attributes:
        run: the work; its time is measured from outside.  It may return seconds it measured itself instead.
        check: called after the timing; returns None when the answer is right, else a sentence saying what is wrong.
        per: the time is divided by this, for instance the frame count for a time per frame.
    """

    run: Callable[[], float | None]
    check: Callable[[], str | None]
    per: float = 1.0


@dataclass(frozen=True)
class Case:
    """A registered case: its key, how it is reported, and what it is measured against."""

    name: str
    unit: str
    target: float | None
    reference: str
    prepare: Callable[[str], Trial]


@dataclass(frozen=True)
class Measurement:
    """Times of one case on one device, in the case's unit.

    Attributes:
        name, unit, target, reference: as registered.
        device: the Warp device.
        median, low, high: median and quartiles of the samples; NaN when it could not run.
        samples: number of samples.
        problem: what is wrong with the answer, or None.
    """

    name: str
    unit: str
    target: float | None
    reference: str
    device: str
    median: float
    low: float
    high: float
    samples: int
    problem: str | None


def case(name: str, *, unit: str = "ms", target: float | None = None, reference: str = "") -> Callable:
    """Register the decorated function, ``prepare(device) -> Trial``, as a case.

    Args:
        name: unique key, ``topic/what``.
        unit: ``s``, ``ms`` or ``us``.
        target: what it should not exceed, in that unit.
        reference: what others need for the same, in words.
    """
    if unit not in SECONDS_PER_UNIT:
        raise ValueError(f"case {name}: unit {unit!r} is not one of {', '.join(SECONDS_PER_UNIT)}")

    def register(prepare: Callable[[str], Trial]) -> Callable[[str], Trial]:
        if name in CASES:
            raise ValueError(f"there are two cases called {name}")
        CASES[name] = Case(name, unit, target, reference, prepare)
        return prepare

    return register


def load_cases() -> dict[str, Case]:
    """Import every file of ``bench/cases`` and return what they registered, by name."""
    from warpprior.bench import cases

    for found in sorted(pkgutil.iter_modules(cases.__path__), key=lambda module: module.name):
        importlib.import_module(f"{cases.__name__}.{found.name}")
    return CASES


def measure(chosen: Case, device: str, *, seconds: float = 1.0, least_samples: int = 7) -> Measurement:
    """Run one case: warm up, take samples for about ``seconds``, then check the answer.

    Whatever the case raises becomes its ``problem``; the other cases still run.
    """
    import warp as wp

    wp.init()
    times: list[float] = []
    try:
        trial = chosen.prepare(device)
        times = _sample(trial, device, seconds, least_samples)
        problem = trial.check()
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    scaled = [value / trial.per / SECONDS_PER_UNIT[chosen.unit] for value in times] or [float("nan")] * 2
    low, _, high = statistics.quantiles(scaled, n=4)
    return Measurement(
        name=chosen.name,
        unit=chosen.unit,
        target=chosen.target,
        reference=chosen.reference,
        device=device,
        median=statistics.median(scaled),
        low=low,
        high=high,
        samples=len(times),
        problem=problem,
    )


def run_cases(chosen: Iterable[Case], device: str, report: Callable[[Measurement], None]) -> list[Measurement]:
    """Measure the cases one after the other, handing each result to ``report`` as it comes."""
    results = []
    for one in chosen:
        results.append(measure(one, device))
        report(results[-1])
    return results


def _sample(trial: Trial, device: str, seconds: float, least_samples: int) -> list[float]:
    """Seconds per call, one value per sample."""
    for _ in range(WARM_UPS):
        once = _time_calls(trial, device, 1)
    calls = max(1, round(SHORTEST_SAMPLE / max(once, 1e-9)))
    times: list[float] = []
    end = time.perf_counter() + seconds
    gc.collect()
    gc.disable()
    try:
        while len(times) < least_samples or time.perf_counter() < end:
            times.append(_time_calls(trial, device, calls))
    finally:
        gc.enable()
    return times


def _time_calls(trial: Trial, device: str, calls: int) -> float:
    """Mean seconds of one of ``calls`` calls, with the device idle before and after."""
    import warp as wp

    wp.synchronize_device(device)
    start = time.perf_counter()
    own = [trial.run() for _ in range(calls)]
    wp.synchronize_device(device)
    elapsed = time.perf_counter() - start
    stated = [seconds for seconds in own if seconds is not None]
    return (sum(stated) if stated else elapsed) / calls
