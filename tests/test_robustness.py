"""The program that measures estimates from wrong evidence: its rows, its figures, and what it keeps."""

from __future__ import annotations

import json

import numpy as np
import pytest

from warpprior.bench.robustness import harness
from warpprior.bench.robustness.__main__ import main
from warpprior.result import Result
from warpprior.scenes import simulate


@pytest.fixture
def no_rows(monkeypatch):
    """An empty registry in which a test registers its own rows."""
    monkeypatch.setattr(harness, "ROWS", {})
    monkeypatch.setattr("warpprior.bench.robustness.__main__.load_rows", lambda: harness.ROWS)
    return harness.ROWS


def test_every_row_has_ten_sequences_or_more():
    """Fewer say little of the median, and less of the worst."""
    rows = harness.load_rows()
    assert "clean" in rows
    assert {name: len(row.trials) for name, row in rows.items() if len(row.trials) < 10} == {}


def test_a_row_is_run_printed_and_kept(no_rows, tmp_path, capsys):
    """Each sequence is estimated and scored; medians and worst values are of those that have a figure."""
    scene = simulate("robot_lift", frame_count=2, images=False)
    poses = {body.name: body.truth for body in scene.bodies}

    def trial(error: float) -> harness.Trial:
        def score(result: Result) -> dict[str, float]:
            add = harness.errors(scene, result, scene.bodies[-1].name)["add_mm"]
            return {"frames": float(len(add)), "error_mm": error + add.max()}

        return harness.Trial(scene, score, lambda scene: Result(scene, poses, {}))

    @harness.row("drift", "something drifts")
    def trials():
        return {"a": lambda: trial(1.0), "b": lambda: trial(4.0), "c": lambda: trial(np.nan), "d": lambda: trial(2.0)}

    assert main(["drift", "--json", str(tmp_path / "kept.json")]) == 0
    kept = json.loads((tmp_path / "kept.json").read_text(encoding="utf-8"))
    assert kept["drift"]["summary"]["error_mm"] == pytest.approx([2.0, 4.0], abs=1e-3)
    assert kept["drift"]["sequences"]["b"]["frames"] == scene.frame_count
    assert "median, worst" in capsys.readouterr().out


def test_a_row_that_is_not_there_is_named(no_rows, capsys):
    """With those that are."""
    harness.row("drift", "something drifts")(lambda: {})
    with pytest.raises(SystemExit) as ended:
        main(["dirft"])
    assert ended.value.code == 2
    assert "no row 'dirft'; there are drift" in capsys.readouterr().err
