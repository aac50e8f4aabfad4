"""How far bodies have yet to go, as their last two steps foretell."""

import numpy as np
import pytest

from tests.estimator_scenes import make_grasp
from warpprior.refinement.stillness import SHARE, Stillness
from warpprior.system.motion import MotionState


def walked(device, places):
    """What is told of a box after it stood at each of these depths (place, frame) [m]."""
    motion = MotionState(make_grasp(len(places[0])), device)
    start, still = motion.read_transforms()["box"], None
    for place in places:
        rows = start.copy()
        rows[:, 2] = place
        motion.assign_transforms({"box": rows})
        if still is None:
            still = Stillness(motion)
        else:
            still.keep()
    return motion.focal[0], still.read()


@pytest.mark.parametrize("shrink", [0.5, 0.8])
def test_steps_that_shrink_add_up(device, shrink):
    """A geometric series, though it goes along the camera's axis, where a picture shows hardly anything of it."""
    steps = 0.001 * shrink ** np.arange(3)
    places = 0.6 + np.cumsum([0.0, *steps])[:, None] * np.ones(4)
    focal, (step, left) = walked(device, places)
    assert step == pytest.approx(focal * steps[-1] / 0.6, rel=0.05)
    assert left == pytest.approx(step * shrink / (1.0 - shrink), rel=0.02)


def test_to_and_fro_leads_nowhere(device):
    """However far apart two states are; and before two steps nothing is foretold."""
    _, (step, left) = walked(device, [[0.6] * 3, [0.61] * 3, [0.6] * 3])
    assert step > 3.0
    assert left == 0.0
    _, told = walked(device, [[0.6] * 3, [0.6] * 3])
    assert told == (np.inf, np.inf)


def test_a_few_frames_may_go_on(device):
    """One frame in twenty does not keep all others from being at rest; three do."""
    for restless, rests in ((1, True), (3, False)):
        places = np.full((3, 20), 0.6)
        places[:, :restless] += np.array([[0.0], [0.02], [0.04]])
        _, (step, _) = walked(device, places)
        assert (step < 1e-3) == rests
    assert SHARE == 0.9
