"""The guard: every body judged by itself, every frame with a bounded vote."""

from __future__ import annotations

import numpy as np
import pytest

from tests.estimator_scenes import make_block, make_motion, make_problem, make_scene
from warpprior.refinement.guard import Guard, robust_change


@pytest.fixture
def problem(device):
    """Two boxes side by side, six frames, where their labels are."""
    truths = [make_motion((-0.04, 0.0, 0.5)), make_motion((0.05, 0.0, 0.5))]
    scene = make_scene([make_block("left"), make_block("right")], truths, truths)
    return make_problem(scene, device)


def shifted(rows: np.ndarray, frames, metres: float) -> np.ndarray:
    """Transforms with some frames moved along x."""
    rows = rows.copy()
    rows[frames, 0] += metres
    return rows


def test_few_frames_cannot_outvote_the_others():
    """Three frames of twelve that lose everything weigh less than nine that gain a little."""
    before = np.full(12, 0.9)
    after = before + 0.03
    after[[1, 5, 11]] = 0.0
    assert robust_change(before, after) > 0.0
    assert robust_change(before, before - 0.03) == pytest.approx(-0.03)
    assert robust_change(np.full(3, np.nan), np.ones(3)) == 0.0


def test_one_bodys_gain_does_not_hide_anothers_loss(problem):
    """Left gets much better, right is led away: only right goes back, and is named with what it lost."""
    motion = problem.motion
    right = motion.read_transforms()["right"]
    true = motion.read_transforms()["left"]
    motion.assign_transforms({"left": shifted(true, slice(None), -0.02)})
    guard = Guard(problem)
    motion.assign_transforms({"left": true, "right": shifted(right, slice(None), 0.04)})
    (note,) = guard.check("middle")
    assert note.startswith("middle: right left its labels in 6 of 6 frames")
    np.testing.assert_array_equal(motion.read_transforms()["left"], true)
    np.testing.assert_array_equal(motion.read_transforms()["right"], right)


def test_what_two_frames_lose_is_kept_and_said(problem):
    """Two of six frames may leave their labels, for these may be wrong; in the end they are named."""
    motion = problem.motion
    guard = Guard(problem)
    moved = shifted(motion.read_transforms()["right"], [1, 4], 0.06)
    motion.assign_transforms({"right": moved})
    assert guard.check("fine") == []
    np.testing.assert_array_equal(motion.read_transforms()["right"], moved)
    (note,) = guard.notes()
    assert note.startswith("right: in frames 1, 4 its drawing and its label hardly agree (IoU 0.")


def test_what_became_infinite_goes_back_and_nothing_else_does(problem, nan_allowed):
    """Without the guard, too."""
    motion = problem.motion
    guard = Guard(problem)
    whole = motion.read_transforms()
    broken = shifted(whole["left"], 2, np.inf)
    motion.assign_transforms({"left": broken, "right": shifted(whole["right"], slice(None), 0.04)})
    (note,) = guard.check("fine", undo=False)
    assert note == "fine: left became infinite; what it did to left was undone."
    np.testing.assert_array_equal(motion.read_transforms()["left"], whole["left"])
    assert (motion.read_transforms()["right"][:, 0] > whole["right"][:, 0]).all()


def test_the_state_survives(problem):
    """What is handed out for a later run makes the same guard."""
    guard = Guard(problem)
    arrays = {name: np.array(values) for name, values in guard.arrays().items()}
    problem.motion.assign_transforms({"right": shifted(problem.motion.read_transforms()["right"], slice(None), 0.05)})
    other = Guard(problem)
    other.restore(arrays)
    assert len(other.check("fine")) == 1
