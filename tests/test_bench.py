"""The benchmark harness: what it measures, and that a wrong answer fails."""

from __future__ import annotations

import json
import math
import sys

import pytest

from warpprior.bench import baseline, program
from warpprior.bench.harness import CASES, Case, Measurement, Trial, case, load_cases, measure
from warpprior.cli import main
from warpprior.support.errors import InputError


@pytest.fixture
def no_cases(monkeypatch):
    """An empty registry in which a test registers its own cases."""
    from warpprior.bench import harness

    monkeypatch.setattr(harness, "CASES", {})
    monkeypatch.setattr(program, "load_cases", lambda: harness.CASES)
    return harness.CASES


def measurement(name: str = "a/b", median: float = 1.0, problem: str | None = None, target: float | None = None):
    """A result as the harness makes it."""
    return Measurement(name, "ms", target, "", "cpu", median, 0.9 * median, 1.1 * median, 7, problem)


def test_the_median_of_what_run_reports_is_scaled():
    """Seconds the case measured itself are divided by ``per`` and given in the unit, with quartiles."""
    seconds = iter([9.0, 9.0, *([0.010, 0.020, 0.030] * 7)])
    chosen = Case("a", "ms", None, "", lambda device: Trial(lambda: next(seconds), lambda: None, per=10.0))
    found = measure(chosen, "cpu", seconds=0.0, least_samples=21)
    assert found.samples == 21 and found.problem is None
    assert found.median == pytest.approx(2.0) and found.low == pytest.approx(1.0) and found.high == pytest.approx(3.0)


def test_short_calls_are_repeated_within_a_sample():
    """A call of microseconds is called many times per sample, and warmed up first."""
    calls = []
    found = measure(
        Case("a", "us", None, "", lambda device: Trial(lambda: calls.append(1), lambda: None)),
        "cpu",
        seconds=0.0,
        least_samples=3,
    )
    assert found.samples == 3 and len(calls) > 50
    assert 0.0 < found.median < 1000.0


def test_a_case_that_raises_is_reported_and_the_next_one_runs(no_cases, capsys):
    """An exception becomes the case's problem; the run fails but goes on."""

    @case("first/broken")
    def prepare_broken(device):
        raise ValueError("no such data")

    @case("second/fine")
    def prepare_fine(device):
        return Trial(lambda: 1e-3, lambda: None)

    assert program.run("cpu") == 1
    said = capsys.readouterr().out
    assert "WRONG: ValueError: no such data" in said and "second/fine" in said
    assert said.endswith("wrong: first/broken\n")


def test_a_fast_wrong_answer_fails(no_cases, tmp_path):
    """What the check says fails the run and is not taken into the baseline."""

    @case("quick/wrong", target=5.0)
    def prepare(device):
        return Trial(lambda: 1e-6, lambda: "off by 3 mm")

    assert program.run("cpu", quiet=True, json_file=tmp_path / "out.json") == 1
    row = json.loads((tmp_path / "out.json").read_text())["cases"][0]
    assert row["problem"] == "off by 3 mm" and row["median"] == pytest.approx(1e-3)


def test_names_and_units_are_checked(no_cases):
    """A case with an unknown unit or a name that is taken cannot be registered."""
    with pytest.raises(ValueError, match="unit 'min' is not one of s, ms, us"):
        case("a/b", unit="min")
    case("a/b")(lambda device: None)
    with pytest.raises(ValueError, match="two cases called a/b"):
        case("a/b")(lambda device: None)


def test_the_baseline_keeps_other_devices_and_cases(tmp_path):
    """Updating replaces the measured cases only, and never by a wrong one."""
    path = tmp_path / "baseline.json"
    path.write_text(json.dumps({"devices": {"H200": {"cases": {"a/b": {"median": 0.1, "unit": "ms"}}}}}))
    baseline.write_baseline(path, [measurement("a/b", 2.0), measurement("c/d", 3.0)], "cpu")
    baseline.write_baseline(path, [measurement("a/b", 4.0), measurement("c/d", 9.0, problem="wrong")], "cpu")
    assert baseline.read_baseline(path, "cpu") == {"a/b": 4.0, "c/d": 3.0}
    assert json.loads(path.read_text())["devices"]["H200"]["cases"]["a/b"]["median"] == 0.1
    assert [entry.name for entry in tmp_path.iterdir()] == ["baseline.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"devices": {"cpu": {"cases": {"a": 3}}}}', "nonsense"])
def test_a_damaged_baseline_is_named(tmp_path, text):
    """A file that is no baseline raises an error with its path and the remedy."""
    path = tmp_path / "baseline.json"
    path.write_text(text)
    with pytest.raises(InputError, match="--update-baseline") as caught:
        baseline.read_baseline(path, "cpu")
    assert str(path) in str(caught.value)


def test_slower_cases_fail_on_demand(no_cases, tmp_path, capsys):
    """--max-ratio compares with the baseline; a case without one passes."""

    @case("a/b")
    def prepare(device):
        return Trial(lambda: 3e-3, lambda: None)

    path = tmp_path / "baseline.json"
    baseline.write_baseline(path, [measurement("a/b", 1.0)], "cpu")
    assert program.run("cpu", compare=path) == 0
    assert "3.00" in capsys.readouterr().out
    assert program.run("cpu", compare=path, max_ratio=2.0) == 1
    assert "more than 2.0 times their baseline: a/b" in capsys.readouterr().out
    assert baseline.slower_cases([measurement("new", 5.0)], {"a/b": 1.0}, 2.0) == []


def test_rows_show_target_and_trouble():
    """A row marks what is over its target, and what is wrong."""
    assert baseline.format_row(measurement(median=2.0, target=1.0), None).endswith("over target")
    assert not baseline.format_row(measurement(median=0.5, target=1.0), None).endswith("over target")
    assert "WRONG: off" in baseline.format_row(measurement(median=math.nan, problem="off"), {})


def test_results_are_plain_json():
    """A time that could not be measured is null, so that any JSON reader takes the file."""
    data = baseline.as_data([measurement(median=math.nan, problem="ValueError: x")])
    assert json.loads(json.dumps(data, allow_nan=False))["cases"][0]["median"] is None


def test_every_case_is_right():
    """Each committed case runs on the CPU and passes its own check; processes are timed by `make bench` only."""
    chosen = {name: one for name, one in load_cases().items() if not name.startswith("startup/")}
    assert chosen and set(chosen) <= set(CASES)
    found = [measure(one, "cpu", seconds=0.0, least_samples=2) for one in chosen.values()]
    assert [(result.name, result.problem) for result in found if result.problem is not None] == []


def test_listing_runs_nothing(capsys):
    """--list names the cases and what others need for the same."""
    assert main(["bench", "--list", "--only", "distance"]) == 0
    said = capsys.readouterr().out
    assert "distance/exact_778_points" in said and "Open3D" in said and "skinning" not in said


def test_without_a_checkout_it_says_so(monkeypatch, capsys):
    """An installed package has no benchmark and says where it is."""
    for name in ("warpprior.bench", "warpprior.bench.program"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["bench"]) == 2
    assert "clone the repository" in capsys.readouterr().err
