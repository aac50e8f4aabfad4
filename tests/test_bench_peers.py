"""Others' libraries beside ours: the table, wrong answers, and what is not installed."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from warpprior.bench.harness import Trial
from warpprior.bench.peers import __main__ as program
from warpprior.bench.peers import build_drtk, harness, topics
from warpprior.bench.peers.harness import Comparison, Library, MissingLibraryError, Topic, Work, compare


def library(run, *, version=lambda: "1.2", name="Other"):
    """A library that answers topics of the kind ``sum`` by calling ``run``."""
    return Library(
        name, "pip install other", version, {"sum": lambda data: Work(lambda: run(data), lambda found: found)}
    )


def topic(ours=None, goal=None):
    """What is 1 + 2?"""
    trial = Trial(run=lambda: None, check=lambda: ours)
    return Topic(
        kind="sum",
        data=lambda: (1, 2),
        ours={"sum/ours": lambda: trial},
        check=lambda data, found: None if found == sum(data) else f"{found} is not {sum(data)}",
        goals={} if goal is None else {("sum/ours", "Other"): goal},
    )


def slow_sum(data):
    """Takes longer than doing nothing."""
    return sum(data) + sum(range(2000)) * 0


def test_a_library_is_set_beside_ours():
    """Both have a time, the ratio is of these, and the table says whether it is below what we mean to reach."""
    (row,) = compare(topic(goal=1e9), library(slow_sum), seconds=0.0)
    assert row.problem is None and not row.missing
    assert row.ratio == pytest.approx(row.theirs_ms / row.ours_ms) and row.ratio > 1.0
    lines = program.format_rows([row, dataclasses.replace(row, goal=1.0)])
    assert lines[1].endswith("below goal") and lines[2].split()[-1] == "1" and len(lines) == 3


def test_every_one_has_its_turn_in_every_round(monkeypatch):
    """Neither all of ours first nor all of theirs."""
    monkeypatch.setattr(harness, "SHORTEST_SAMPLE", 0.0)
    order = []
    ours = Trial(run=lambda: order.append("ours"), check=lambda: None)
    asked = dataclasses.replace(topic(), ours={"sum/ours": lambda: ours})
    compare(asked, library(lambda data: order.append("theirs") or 3), seconds=0.0)
    rounds = order[2 * (harness.WARM_UPS + 1) :]
    assert rounds == ["theirs", "theirs", "ours", "ours"] * harness.LEAST_ROUNDS  # the first of two is not timed


@pytest.mark.parametrize(
    ("asked", "answer", "said"),
    [
        (topic(), lambda data: 4, "Other 4 is not 3"),
        (topic(ours="off by 1"), lambda data: 3, "ours off by 1"),
        (topic(), lambda data: 1 // 0, "Other ZeroDivisionError"),
    ],
)
def test_wrong_answers_are_no_figures(asked, answer, said):
    """Whoever is wrong, or fails, is named, and the row is marked."""
    (row,) = compare(asked, library(answer), seconds=0.0)
    assert said in row.problem and not row.missing
    lines = program.format_rows([row])
    assert lines[1].endswith("WRONG") and lines[2].startswith("sum/ours: ")


@pytest.mark.parametrize("error", [ImportError("No module named 'other'"), MissingLibraryError("no LLVM")])
def test_what_is_not_installed_is_said_to_be_missing(error, capsys):
    """With the line that installs it; that is no failure."""

    def version():
        raise error

    (row,) = compare(topic(goal=2.0), library(slow_sum, version=version), seconds=0.0)
    assert row.missing and row.ratio is None
    lines = program.format_rows([row, row])
    assert lines[1].endswith("missing")
    assert lines[3:] == [f"Other is missing ({error}): pip install other"]


def test_a_library_is_asked_only_what_it_knows():
    """There is no row for the rest."""
    assert compare(dataclasses.replace(topic(), kind="product"), library(slow_sum), seconds=0.0) == []


def test_the_program_measures_each_in_its_own_process(monkeypatch, tmp_path, capsys):
    """What ends a process is that library's problem alone; the figures are kept as JSON."""
    known = {name: Library(name, f"pip install {name}", lambda: "1", {"distance": None}) for name in ("good", "bad")}

    def fake_run(command, **options):
        assert options["env"]["OMP_NUM_THREADS"] == "1"
        name = command[command.index("--library") + 1]
        if name == "bad":
            return program.subprocess.CompletedProcess(command, -6, "", "LLVM ERROR: cannot select\n")
        row = Comparison("distance/exact_778_points", name, 1.0, 3.0, 3.0, 1.5, None)
        kept = {"versions": {name: "7"}, "rows": [dataclasses.asdict(row)]}
        (tmp_path / "child.json").write_text(json.dumps(kept))
        file = command[command.index("--json") + 1]
        program.Path(file).write_text((tmp_path / "child.json").read_text())
        return program.subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(program.subprocess, "run", fake_run)
    assert program.main(["distance", "--json", str(tmp_path / "all.json")], known) == 1
    said = capsys.readouterr().out
    assert "ended with -6: LLVM ERROR: cannot select; its installation: pip install bad" in said
    kept = json.loads((tmp_path / "all.json").read_text())
    assert [row["library"] for row in kept["rows"]] == ["good", "bad", "bad"]
    assert kept["versions"]["good"] == "7" and kept["versions"]["warp-lang"]


def test_every_library_file_says_how_it_is_installed():
    """Each is found by listing the folder, and knows a topic that is asked; importing none of them needs them."""
    found = harness.load_libraries()
    assert {"open3d", "trimesh", "drtk", "mitsuba"} <= set(found)
    kinds = {each.kind for each in topics.TOPICS.values()}
    for one in found.values():
        assert "install" in one.install and set(one.topics) <= kinds and one.topics
    for asked in topics.TOPICS.values():
        assert {name for _, name in asked.goals} <= {one.name for one in found.values()}


def test_distances_are_checked():
    """To the sphere, with the sign that is positive outside."""
    data = topics.distance_data()
    assert topics.check_distances(data, data.truth + 1e-4) is None
    assert "off by" in topics.check_distances(data, -data.truth)
    assert "shape" in topics.check_distances(data, data.truth[:-1])


def test_a_mask_answer_is_checked():
    """The loss of labels where the bodies stand grows by as much per pixel as it is large for so many pixels."""
    data = topics.mask_data(64, 64, 141.5)
    assert data.target.shape == (2, 64, 64) and data.screen.shape == data.vertices.shape
    assert set(np.unique(data.body[data.faces[:, 0]])) == {0, 1}
    right = topics.MaskAnswer(data.loss, data.loss / data.shift)
    assert data.loss > 0.0 and topics.check_mask(data, right) is None
    for wrong in (dataclasses.replace(right, loss=0.0), dataclasses.replace(right, slope=-right.slope)):
        assert "are right" in topics.check_mask(data, wrong)


def test_functions_for_cuda_are_given_bodies_that_refuse():
    """What a header declares for CUDA is defined; comments and what is for a CPU are left alone."""
    header = """
#pragma once
// draw_cuda(int a); is not this
std::vector<torch::Tensor> draw_cuda(
    const torch::Tensor& v,
    int64_t height);
std::vector<torch::Tensor> draw_cpu(const torch::Tensor& v);
torch::Tensor draw_cuda_backward(const torch::Tensor& v);
"""
    code = build_drtk.refusals(header)
    assert code.count("throw") == 2 and "draw_cpu" not in code and "//" not in code
    assert "draw_cuda(\n    const torch::Tensor& v,\n    int64_t height) { throw" in code
    assert "torch::Tensor draw_cuda_backward(const torch::Tensor& v) { throw" in code
