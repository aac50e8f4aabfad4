"""Sliding: gradient, curvature and couplings of both bodies, for rows and energy, against a float64 twin."""

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.contact_samples import NO_PUSH, PACES, PAIRS, SLIP, TREE, Pair
from tests.fit_samples import Spread, check_equations, fold
from tests.gradcheck import POISON
from tests.solver_samples import solve_equations
from warpprior.kernels.sliding import Slip


@pytest.fixture(scope="module")
def pairs():
    """Pairs of bodies, made once for each kind and device: their twins remember what they have computed."""
    made = {}

    def pair(kind, device):
        if (kind, device) not in made:
            made[kind, device] = Pair(device, kind)
        found = made[kind, device]
        found.sample.clear()
        return found

    return pair


CASES = {
    "slip": {"push": NO_PUSH},
    "slip at uneven times": {"push": NO_PUSH, "paces": PACES},
    "slip, normal half free": {"slip": (*SLIP[:2], 0.5), "push": NO_PUSH},
    "slip, normal free": {"slip": (*SLIP[:2], 1.0), "push": NO_PUSH},
    "small slip": {"push": NO_PUSH, "slip": (1.0e4, 10.0, 0.0)},
    "slides": {"push": NO_PUSH, "slip": (*SLIP[:2], 0.5), "paces": PACES, "drifts": {"size": 0.01, "weight": 0.1}},
    "both": {"slip": (*SLIP[:2], 0.5)},
    "both at uneven times": {"slip": (*SLIP[:2], 0.5), "paces": PACES},
}


@pytest.mark.parametrize("name", CASES)
def test_gradient_and_curvature_match_the_twin(device, pairs, name):
    """Joints of all types on a rigid body, both estimated: six frames in three sequences, one of a single frame."""
    pair = pairs("both move", device)
    pair.add(**CASES[name])
    check_equations(pair.sample, pair.twin(**CASES[name]), f"sliding {name}")


@pytest.mark.parametrize("kind", PAIRS)
def test_rows_and_sums_by_links_are_the_same(device, kind):
    """Unknowns reached by each residual itself, and by the sums of what links carry: to rounding of float32."""
    found = []
    for by_links in (True, False):
        pair = Pair(device, kind, by_links=by_links)
        pair.add(**CASES["slides"])
        found.append(pair.sample.bits())
    np.testing.assert_array_equal(found[0][2], found[1][2])
    for sums, rows in zip(*found, strict=True):
        assert rows.any()
        np.testing.assert_allclose(sums, rows, rtol=1e-4, atol=1e-6 * np.abs(rows).max())


@pytest.mark.parametrize("kind", [kind for kind in PAIRS if kind != "both move"])
def test_either_body_may_be_known(device, pairs, kind):
    """The columns of what is estimated only; of the rest, what is known stays out of it."""
    pair = pairs(kind, device)
    pair.add(**CASES["both"])
    check_equations(pair.sample, pair.twin(**CASES["both"]), f"sliding {kind}")


@pytest.mark.parametrize("bend", ["zero", "pi"])
def test_hard_joint_angles(device, bend):
    """Joints at zero and at half a turn."""
    pair = Pair(device, segments=[0, 0], bend=bend)
    pair.add(**CASES["both"])
    check_equations(pair.sample, pair.twin(**CASES["both"]), f"sliding joints at {bend}")


def test_blocks_couple_frames_of_one_sequence_only(device, pairs):
    """Neighbours of a sequence are coupled; across borders and over two frames nothing is."""
    pair = pairs("both move", device)
    pair.add()
    coupled = np.abs(pair.sample.system.hessian.numpy()[:, 1]).max(axis=(1, 2)) > 0.0
    np.testing.assert_array_equal(coupled, [False, True, True, False, True, False])
    assert not pair.sample.system.hessian.numpy()[:, 2].any()
    for block in (3, 1):
        np.testing.assert_array_equal(pair.sample.system.hessian.numpy()[:, block].any(axis=(1, 2)), coupled)


def test_what_moves_both_bodies_alike_is_not_felt(device):
    """Two rigid bodies turned together, frame by frame, about one place: the normal matrix does not see it."""
    pair = Pair(device, "two rigid bodies")
    pair.add()
    matrix, gradient, _ = pair.sample.read()
    state, width = pair.sample.state, pair.sample.width
    together = []
    for frame in range(6):
        for motion in np.eye(6):  # camera-frame translations and turns about the camera
            row = np.zeros((6, width))
            for name in ("stone", "block"):
                pose = state.states[name].poses.numpy()[frame].astype(float)
                row[frame, pair.sample.equations.starts[name] + np.arange(6)] = increments_of(pose, motion)
            together.append(row.ravel())
    together = np.array(together)
    size = np.sqrt(np.diag(matrix))
    felt = together @ matrix @ together.T
    blind = np.abs(together * size).sum(axis=1)
    assert np.abs(np.diag(felt)).max() < 1e-5 * (blind**2).max()
    pull = np.abs(together) @ np.abs(gradient.ravel())
    assert (np.abs(together @ gradient.ravel()) < 1e-4 * pull + 1e-9).all()


def increments_of(pose, motion):
    """Increments (6,) of a pose (7,) under a velocity and a turn rate (6,) of the world about the camera."""
    position, velocity = pose[:3], motion[:3] + np.cross(motion[3:], pose[:3])
    bearings = (velocity[:2] - position[:2] / position[2] * velocity[2]) / position[2]
    turn = Rotation.from_quat(pose[3:]).inv().apply(motion[3:])
    return np.concatenate([bearings, [velocity[2] / position[2]], turn])


def test_many_lanes_add_up_to_the_same(device, pairs):
    """Sharing the points among seven threads changes no more than the order of sums."""
    pair = pairs("both move", device)
    pair.add()
    one = pair.sample.bits()
    pair.sample.clear()
    pair.add(lanes=7)
    pair.sample.read()
    for few, many in zip(one, pair.sample.bits(), strict=True):
        np.testing.assert_allclose(many, few, rtol=1e-9, atol=1e-9 * np.abs(few).max())


def test_adding_twice_adds_twice(device, pairs):
    """Outputs are added to; nothing in the workspace is carried over."""
    pair = pairs("both move", device)
    pair.add()
    once = pair.sample.bits()
    pair.add()
    for first, both in zip(once, pair.sample.bits(), strict=True):
        np.testing.assert_allclose(both, 2.0 * first, rtol=1e-12, atol=1e-12 * np.abs(first).max())


def test_threads_give_the_same_bits(monkeypatch):
    """Nine frames on one thread and on two."""
    pair, found = Pair("cpu", segments=[0] * 9), []
    for threads in ("1", "2"):
        monkeypatch.setenv("WARPPRIOR_THREADS", threads)
        pair.sample.clear()
        pair.add()
        found.append(pair.sample.bits())
    for one, two in zip(*found, strict=True):
        assert one.any()
        np.testing.assert_array_equal(two, one)


def test_slip_is_by_the_time_that_passed(device):
    """Twice the time for the same small slip costs a quarter; a pace of one changes no bit."""
    found = []
    for pace in (None, 1.0, 0.5):
        pair = Pair(device, segments=[0, 0, 0])
        pair.add(slip=(1.0e4, 10.0, 0.0), push=NO_PUSH, paces=None if pace is None else np.full(3, pace))
        found.append(pair.sample.bits())
    for one, other in zip(*found[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(found[2][2], 0.25 * found[0][2], rtol=1e-3)


@pytest.mark.parametrize("weight", [0.0, 1e-13])
def test_without_contacts_nothing_is_added(device, pairs, weight):
    """Points outside with no weight, or as good as none: exact zeros, no NaN."""
    pair = pairs("both move", device)
    pair.add(weights=weight, push=(2.5e5, 0.1))
    pair.sample.read()
    for values in pair.sample.bits():
        np.testing.assert_array_equal(values, 0.0)


def test_exact_stick_costs_nothing_and_pulls_nothing(device):
    """Contacts at rest on the object have curvature, which holds them there, but neither cost nor gradient."""
    pair = Pair(device, segments=[0, 0, 0], still=True)
    pair.add(push=NO_PUSH)
    _, gradient, cost = pair.sample.read()
    np.testing.assert_array_equal(cost, 0.0)
    np.testing.assert_array_equal(gradient, 0.0)
    assert np.isfinite(pair.sample.system.hessian.numpy()).all() and pair.sample.system.hessian.numpy()[1, 0].any()


@pytest.mark.parametrize("name", CASES)
def test_a_shape_that_is_estimated_moves_points_in_both_frames(device, name):
    """What sticks depends on the shape now and in the frame before: gradient, curvature and couplings of all three."""
    pair = Pair(device, shapes=(TREE.name,))
    pair.add(**CASES[name])
    check_equations(pair.sample, Spread(pair.twin(**CASES[name]), pair.sample.inner), f"sliding and shape, {name}")


def test_the_solution_knows_what_couples_a_shape_with_two_frames(device):
    """Steps of all frames and of the shape equal the dense solution, to 1e-7 of it; steps that are cut stay cut."""
    pair = Pair(device, shapes=(TREE.name,))
    pair.add(**CASES["both"])
    sample, frames = pair.sample, pair.sample.frames
    matrix, gradient, _ = sample.read()
    inner, shared = sample.inner, sample.width - sample.inner
    keep = np.ones((frames, sample.width), dtype=bool)
    keep[1:, inner:] = False
    keep = np.flatnonzero(keep.ravel())
    gradient[0, inner:] = gradient[:, inner:].sum(axis=0)
    gradient[0, inner:] += 3.0
    full = fold(matrix, frames, sample.width, inner) + 10.0 * np.eye(matrix.shape[0])
    expected = np.zeros(frames * sample.width)
    expected[keep] = np.linalg.solve(full[np.ix_(keep, keep)], -gradient.ravel()[keep])
    expected = expected.reshape(frames, sample.width)
    given = (sample.equations, slice(0, inner), 0.0, np.full(inner, 10.0), np.full(shared, 10.0))
    steps, shapes = solve_equations(*given, pull=3.0)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(shapes[0], expected[0, inner:], atol=1e-7 * largest)
    np.testing.assert_allclose(steps, expected[:, :inner], atol=1e-7 * largest)
    cut, cut_shapes = solve_equations(*given, pull=3.0, bounds=(-1e-3, 1e-3))
    assert (np.abs(cut_shapes) <= 1e-3 + 1e-12).all()
    (cut_shapes,) = cut_shapes
    held = np.abs(np.abs(cut_shapes) - 1e-3) < 1e-12
    assert held.any()
    # Those at their bounds stay there, and all else is solved again.
    own = np.flatnonzero(np.arange(frames * sample.width) % sample.width < inner)
    free = np.concatenate([own, inner + np.flatnonzero(~held)])
    rest = full[np.ix_(free, inner + np.flatnonzero(held))] @ cut_shapes[held]
    expected = np.linalg.solve(full[np.ix_(free, free)], -gradient.ravel()[free] - rest)
    np.testing.assert_allclose(cut.ravel(), expected[: len(own)], atol=1e-7 * np.abs(expected).max())
    np.testing.assert_allclose(cut_shapes[~held], expected[len(own) :], atol=1e-7 * np.abs(expected).max())


def test_normals_are_held_with_the_weights(device):
    """The free share of slip is along the normals where contacts were found, whatever has been looked up since."""
    pair, found = Pair(device, segments=[0, 0, 0]), []
    for looked_up_again in (False, True):
        sample = pair.sample
        sample.clear()
        contacts, _ = pair.contacts(pair.weights)
        if looked_up_again:
            contacts.samples = wp.full(pair.weights.shape, wp.vec4(POISON), dtype=wp.vec4, device=device)
        drifts = sample.constants(pair.drifts(), wp.vec4)
        slip = sample.one(Slip, weight=SLIP[0], width=SLIP[1], free_normal=0.5)
        paces = sample.constants(np.ones(3))
        sample.add(pair.add_sliding, contacts, drifts, sample.state.segments, paces, slip, lanes=1)
        found.append(sample.bits())
    for one, other in zip(*found, strict=True):
        assert one.any()
        np.testing.assert_array_equal(other, one)
