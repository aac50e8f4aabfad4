"""What is measured and by whom, in turn, and what came of it."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from warpprior.bench.harness import SHORTEST_SAMPLE, WARM_UPS, Trial

LEAST_ROUNDS = 7


class MissingLibraryError(Exception):
    """A library, or something that it needs, is not installed; the message says what."""


@dataclass(frozen=True)
class Work:
    """A library's work on one topic.

    Attributes:
        run: the work, whose time is measured.
        read: makes of what ``run`` returned an answer in the topic's form.
    """

    run: Callable[[], Any]
    read: Callable[[Any], Any]


@dataclass(frozen=True)
class Library:
    """A library of others.

    Attributes:
        name: as it calls itself.
        install: the line that installs it.
        version: says which one is there; raises :class:`MissingLibraryError` or ImportError where it is missing.
        topics: by topic, the function that takes the topic's data and makes the :class:`Work`.
    """

    name: str
    install: str
    version: Callable[[], str]
    topics: Mapping[str, Callable[[Any], Work]]


@dataclass(frozen=True)
class Topic:
    """One question with its data, our ways to answer it, and how to know that an answer is right.

    Attributes:
        kind: what libraries register for; several topics may have one.
        data: makes what libraries get.
        ours: our own trials by name.
        check: of data and answer: None where it is right, else what is wrong.
        goals: by our name and library, how many times faster we mean to be.
    """

    kind: str
    data: Callable[[], Any]
    ours: Mapping[str, Callable[[], Trial]]
    check: Callable[[Any, Any], str | None]
    goals: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """One of our ways beside one library.

    Attributes:
        name, library: ours and theirs.
        ours_ms, theirs_ms: CPU time of one call, medians [ms]; None where there was no answer.
        ratio: theirs over ours.
        goal: what the ratio should not be below, if we say so.
        problem: what is wrong with either answer, or what is missing and how it is installed.
        missing: whether the library is not there, which is no fault.
    """

    name: str
    library: str
    ours_ms: float | None
    theirs_ms: float | None
    ratio: float | None
    goal: float | None
    problem: str | None
    missing: bool = False


def installed(module: str) -> Any:
    """A library's module, by its name.

    Raises:
        ImportError: it is not there.
    """
    return importlib.import_module(module)


def load_libraries() -> dict[str, Library]:
    """What the files of ``libraries/`` describe, by name of the file."""
    package = importlib.import_module("warpprior.bench.peers.libraries")
    names = sorted(found.name for found in pkgutil.iter_modules(package.__path__))
    return {name: importlib.import_module(f"{package.__name__}.{name}").LIBRARY for name in names}


def compare(topic: Topic, library: Library, seconds: float = 5.0) -> list[Comparison]:
    """Measure ours and a library's in turn, and check every answer.

    Args:
        topic: what is asked.
        library: whose answer is sought; none of one that does not know this kind of topic.
        seconds: for how long rounds go on, in CPU time; there are seven in any case.
    """
    if topic.kind not in library.topics:
        return []
    data = topic.data()
    try:
        library.version()
        work = library.topics[topic.kind](data)
    except (ImportError, MissingLibraryError) as error:
        return failed(topic, library, f"{library.name} is missing ({error}): {library.install}", missing=True)
    except Exception as error:
        return failed(topic, library, _words(error))
    trials = {name: make() for name, make in topic.ours.items()}
    calls = {library.name: work.run, **{name: trial.run for name, trial in trials.items()}}
    times, answers, problems = _in_turn(calls, seconds)
    checks = {name: trial.check for name, trial in trials.items()}
    checks[library.name] = lambda: topic.check(data, work.read(answers[library.name]))
    for name in answers:
        try:
            problem = checks[name]()
        except Exception as error:
            problem = _words(error)
        if problem is not None:
            problems[name] = problem
    medians = {name: 1e3 * statistics.median(values) for name, values in times.items()}
    rows = []
    for name in trials:
        ours, theirs = medians.get(name), medians.get(library.name)
        said = [
            f"{who} {problems[key]}" for who, key in (("ours", name), (library.name, library.name)) if key in problems
        ]
        rows.append(
            Comparison(
                name=name,
                library=library.name,
                ours_ms=ours,
                theirs_ms=theirs,
                ratio=theirs / ours if ours and theirs else None,
                goal=topic.goals.get((name, library.name)),
                problem="; ".join(said) or None,
            )
        )
    return rows


def failed(topic: Topic, library: Library, problem: str, *, missing: bool = False) -> list[Comparison]:
    """Rows that say why there are no figures; none of a library that does not know the topic."""
    names = topic.ours if topic.kind in library.topics else ()
    return [
        Comparison(name, library.name, None, None, None, topic.goals.get((name, library.name)), problem, missing)
        for name in names
    ]


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _in_turn(
    calls: Mapping[str, Callable[[], Any]], seconds: float
) -> tuple[dict[str, list[float]], dict[str, Any], dict[str, str]]:
    """CPU seconds of one call by name, sample after sample in turn; what was returned last; who failed and how.

    A call that is not timed goes before each sample: as in a loop, everybody finds his own data in the caches.
    """
    answers, repeats, faults = {}, {}, {}
    for name, call in calls.items():
        try:
            for _ in range(WARM_UPS):
                call()
            began = time.process_time()
            answers[name] = call()
            repeats[name] = max(1, round(SHORTEST_SAMPLE / max(time.process_time() - began, 1e-9)))
        except Exception as error:
            faults[name] = _words(error)
    times: dict[str, list[float]] = {name: [] for name in repeats}
    rounds, first = 0, time.process_time()
    gc.collect()
    gc.disable()
    try:
        while rounds < LEAST_ROUNDS or time.process_time() - first < seconds:
            rounds += 1
            for name, count in repeats.items():
                calls[name]()
                began = time.process_time()
                for _ in range(count):
                    answers[name] = calls[name]()
                times[name].append((time.process_time() - began) / count)
    finally:
        gc.enable()
    return times, answers, faults
