"""Unknowns that all frames share: what is not clear is dropped, and what one body alone says is no bias."""

from dataclasses import replace

import numpy as np
import pytest

from tests.estimator_scenes import make_arm_scene, make_block, make_motion
from tests.test_shared import SIZE, make_hand_scene
from warpprior.bodies import read_hand
from warpprior.scene import SceneBody
from warpprior.system.misfit import Likeness, is_likeness
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.shared_unknowns import SharedUnknowns
from warpprior.system.unknown_settings import UnknownSettings


def make_shared(scene, device, likeness=None, **changes):
    """The shared unknowns of a scene."""
    state = MotionState(scene, device, point_count=16)
    picture = replace(observe_picture(state, 0.25), likeness=likeness)
    return SharedUnknowns(state, picture, UnknownSettings(**changes))


@pytest.fixture
def hand(device):
    """Of a hand of fixed shape, beside a block: bias and misfit."""
    return make_shared(beside_a_block(make_hand_scene(SIZE)), device, estimate_shape=False)


def beside_a_block(scene):
    """The scene with a block in it."""
    motion = make_motion((0.1, 0.0, 0.5), frames=scene.frame_count)
    return replace(scene, bodies=(*scene.bodies, SceneBody(make_block(), 9, known=False, initial=motion)))


@pytest.fixture
def shaped(device):
    """Of a hand whose shape is looked for: bias and shape."""
    return make_shared(make_hand_scene(SIZE), device)


@pytest.mark.parametrize(
    ("bias", "sigma", "kept"),
    [(0.3, 0.05, 0.0), (-0.3, 0.05, 0.0), (0.8, 0.1, 0.8), (-0.8, 0.1, -0.8), (0.8, 0.5, 0.0), (2.0, 0.5, 2.0)],
)
def test_biases_that_are_small_or_unsure_are_dropped(device, bias, sigma, kept):
    """Below 0.4 px, or within what noise does, labels are taken to be exact, and the bias moves no more."""
    shared = make_shared(make_arm_scene(2), device, estimate_misfit=False)
    assert shared.names == ("bias",)
    shared.assign([bias])
    shared.settle(np.array([[1.0 / sigma**2]]))
    assert shared.values[0] == kept
    assert shared.bias.numpy()[0] == pytest.approx(kept)
    low, high = shared.bounds
    assert (low[0] < 0.0 < high[0]) == (kept != 0.0)
    assert shared.sigmas[0] == pytest.approx(sigma if kept else 0.0)


def _solve(shared, rows, seen, sigma):
    """Information and most likely values where ``rows`` of them were ``seen``."""
    rows = np.atleast_2d(rows)
    information = np.diag(shared.prior.weight.numpy()[0]) + rows.T @ rows / sigma**2
    shared.assign(np.linalg.solve(information, rows.T @ np.atleast_1d(seen) / sigma**2))
    return information


def test_what_a_hand_alone_shows_is_its_own(hand):
    """4 px between a hand and its label, seen to 0.1 px: bias and misfit cannot be told apart, and none acts on others.

    A body whose surface is exact and whose place is known tells that it is the bias.
    """
    assert hand.names == ("bias", "hand misfit")
    per_metre = 1200.0
    information = _solve(hand, [1.0, per_metre], 4.0, 0.1)
    assert hand.values[0] > 0.5, "unsettled, a part of it counts as bias"
    hand.settle(information)
    assert hand.values[0] == 0.0 and hand.held[0]
    assert hand.values[1] * per_metre == pytest.approx(4.0, rel=0.02)
    assert hand.misfits["hand"].numpy()[0] == pytest.approx(hand.values[1])
    hand.held[:] = False
    hand.settle(_solve(hand, [[1.0, per_metre], [1.0, 0.0]], [4.0, 4.0], 0.1))
    np.testing.assert_allclose(hand.values, [4.0, 0.0], atol=0.05)
    assert hand.held.tolist() == [False, True]


def test_a_shape_is_kept_whole_or_not_at_all(shaped):
    """One parameter far off keeps all ten, which the others' small changes go with; noise in all leaves the first."""
    information = np.diag(np.concatenate([[100.0], np.full(10, 9.0)]))
    values = np.array([0.0, 2.0, *np.full(9, 0.2)])
    shaped.assign(values)
    shaped.settle(information)
    np.testing.assert_allclose(shaped.values, values)
    noise = 0.3 * np.array([1.0, -1.0, 0.5, 1.5, -0.5, 1.0, -1.5, 0.8, -0.2, 0.6])
    shaped.assign([2.0, *noise])
    shaped.settle(information)
    np.testing.assert_array_equal(shaped.values, [2.0, *np.zeros(10)])


def test_shapes_that_were_asked_for_are_kept(device):
    """``estimate_shape=True``: however small."""
    shared = make_shared(make_hand_scene(SIZE), device, estimate_shape=True, estimate_mask_bias=False)
    shared.assign(np.full(10, 0.1))
    shared.settle(np.eye(10))
    np.testing.assert_array_equal(shared.values, np.full(10, 0.1))


def test_the_others_make_the_best_of_what_is_dropped(shaped):
    """A bias that is dropped leaves its part to the shape: the cost's gradient by what is free is zero."""
    random = np.random.default_rng(3)
    rows, seen = random.normal(size=(30, 11)), random.normal(size=30)
    information = _solve(shaped, rows, seen + rows[:, 1:] @ np.full(10, 2.0), 0.5)
    assert 0.0 < abs(shaped.values[0]) < 0.4
    before = shaped.values.copy()
    shaped.settle(information)
    assert shaped.values[0] == 0.0 and not shaped.held[1:].any()
    np.testing.assert_allclose((information @ (shaped.values - before))[1:], 0.0, atol=1e-6)


def test_what_was_dropped_stays_so_in_a_run_that_goes_on(device, shaped):
    """Arrays that were kept bring back values, what is held, and how sure they are."""
    shaped.assign([2.0, *np.full(10, 0.1)])
    shaped.settle(np.eye(11) * 100.0)
    other = make_shared(make_hand_scene(SIZE), device)
    other.restore(shaped.arrays())
    for name in ("values", "held", "sigmas"):
        np.testing.assert_array_equal(getattr(other, name), getattr(shaped, name))
    assert other.bias.numpy()[0] == 2.0


@pytest.mark.parametrize(("length", "mean"), [(1e-3, 3.0), (150.0, 1.5), (1e6, 0.0)])
def test_known_surfaces_that_may_be_wrong_tell_a_part_of_the_bias(device, length, mean):
    """3 px beyond a known hand: a bias where the hand is exact, half of it where both are as unsure, none where not."""
    seen = Likeness("hand", 3.0, length)
    shared = make_shared(make_arm_scene(2), device, seen, sigma_misfit=0.01, estimate_misfit=False)
    np.testing.assert_allclose(shared.values, [mean], atol=1e-6)
    assert shared.bias.numpy()[0] == pytest.approx(mean, abs=1e-6)


def test_links_and_rigid_bodies_are_what_they_are():
    """A hand is a likeness; a body whose vertices follow one link each is not."""
    hand = read_hand()
    assert is_likeness(hand)
    links = replace(
        hand,
        skin_links=hand.skin_links[:, :1],
        skin_weights=np.ones_like(hand.skin_weights[:, :1]),
        shape_directions=hand.shape_directions[..., :0],
        joint_shape_directions=hand.joint_shape_directions[..., :0],
    )
    assert not is_likeness(links)


def test_a_body_alone_has_no_misfit(device):
    """What lies between it and its label is a bias, which is likelier and acts on nobody else."""
    assert make_shared(make_hand_scene(SIZE), device, estimate_shape=False).names == ("bias",)
