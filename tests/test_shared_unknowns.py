"""Unknowns that all frames share: a bias of the labels that is too small to be told is dropped and stays dropped."""

import numpy as np
import pytest

from tests.estimator_scenes import make_arm_scene
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.shared_unknowns import SharedUnknowns
from warpprior.system.unknown_settings import UnknownSettings


@pytest.fixture
def shared(device):
    """Of an arm whose labels may be biased."""
    state = MotionState(make_arm_scene(2), device, point_count=16)
    return SharedUnknowns(state, observe_picture(state, 0.25), UnknownSettings())


@pytest.mark.parametrize(("bias", "kept"), [(0.3, 0.0), (-0.3, 0.0), (0.8, 0.8), (-0.8, -0.8)])
def test_small_biases_are_dropped(shared, bias, kept):
    """Below 0.4 px labels are taken to be exact, and the bias moves no more; above, it goes on being estimated."""
    place = shared.names.index("bias")
    shared.assign(np.full(len(shared.names), bias))
    shared.drop_small_bias()
    assert shared.values[place] == kept
    assert shared.bias.numpy()[0] == pytest.approx(kept)
    low, high = shared.bounds
    assert (low[place] < 0.0 < high[place]) == (kept != 0.0)
