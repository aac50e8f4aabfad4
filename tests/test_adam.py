"""Adam against its float64 twin, with frames that must be skipped, and replayed from a graph."""

import numpy as np
import pytest
import warp as wp

from tests.reference.adam import Adam
from warpprior.kernels.adam import adam_step

FRAMES, COORDINATES = 5, 8
SCALES = np.array([1e-3, 1e-3, 2e-3, 0.01, 0.01, 0.01, 0.05, 1.0], dtype=np.float32)
DECAYS = np.array([0.9, 0.999], dtype=np.float32)


class Device:
    """Everything one optimiser keeps on a device; increments start as NaN."""

    def __init__(self, device, clip=0.0, active=None):
        shape = (FRAMES, COORDINATES)
        zeros = lambda shape, dtype=wp.float32: wp.zeros(shape, dtype=dtype, device=device)  # noqa: E731
        self.gradients, self.increments = zeros(shape), wp.full(shape, np.nan, dtype=wp.float32, device=device)
        self.first, self.second = zeros(shape), zeros(shape)
        self.steps, self.skipped = zeros(FRAMES, wp.int32), zeros(FRAMES, wp.int32)
        self.scales = wp.array(SCALES, dtype=wp.float32, device=device)
        self.decays = wp.array(DECAYS, dtype=wp.float32, device=device)
        self.rate = wp.full(1, 0.5, dtype=wp.float32, device=device)
        self.clip = wp.full(1, clip, dtype=wp.float32, device=device)
        flags = np.ones(FRAMES) if active is None else active
        self.active = wp.array(np.asarray(flags, dtype=np.int32), dtype=wp.int32, device=device)

    def launch(self):
        """One step with the gradients that are there."""
        adam_step(
            self.gradients,
            self.scales,
            self.rate,
            self.decays,
            self.clip,
            self.active,
            steps_out=self.steps,
            first_moment_out=self.first,
            second_moment_out=self.second,
            increments_out=self.increments,
            skipped_out=self.skipped,
        )

    def step(self, gradients):
        """Increments after one step along these gradients."""
        self.gradients.assign(np.asarray(gradients, dtype=np.float32))
        self.launch()
        return self.increments.numpy()


@pytest.fixture
def gradients():
    """Twenty gradients of very different sizes, drifting and noisy (step, frame, coordinate)."""
    random = np.random.default_rng(3)
    size = 10.0 ** random.uniform(-6.0, 6.0, (1, FRAMES, COORDINATES))
    return (size * (1.0 + random.normal(size=(20, FRAMES, COORDINATES)))).astype(np.float32)


@pytest.mark.parametrize("clip", [0.0, 0.3])
def test_twenty_steps_equal_the_twin(device, gradients, clip):
    """Increments, moments and counts follow the twin over twenty steps while the rate changes on the device."""
    optimiser, twin = Device(device, clip), Adam((FRAMES, COORDINATES))
    for step, gradient in enumerate(gradients):
        rate = 0.5 * 0.9**step
        optimiser.rate.fill_(rate)
        found = optimiser.step(gradient)
        clip32, decays = float(np.float32(clip)), DECAYS.astype(np.float64)
        expected = twin.step(gradient, SCALES.astype(np.float64), float(np.float32(rate)), decays, clip32)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max(axis=0).min())
    np.testing.assert_allclose(optimiser.second.numpy(), twin.second, rtol=1e-5)
    np.testing.assert_array_equal(optimiser.steps.numpy(), 20)
    np.testing.assert_array_equal(optimiser.skipped.numpy(), 0)


def test_the_first_step_is_one_unit_step_against_the_gradient(device):
    """Whatever the gradient's size, the first increment is the rate times the unit step."""
    gradient = np.geomspace(1e-6, 1e12, FRAMES * COORDINATES).reshape(FRAMES, COORDINATES)
    gradient[::2] = -gradient[::2]
    found = Device(device).step(gradient)
    np.testing.assert_allclose(found, -0.5 * SCALES * np.sign(gradient), rtol=2e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e38])
def test_frames_with_unusable_gradients_stay_and_are_counted(device, gradients, bad):
    """A bad element stops its own frame for that step alone; moments, count and later steps are as if it never was."""
    optimiser, clean = Device(device), Device(device)
    for step, gradient in enumerate(gradients[:6]):
        spoilt = gradient.copy()
        if step == 2:
            spoilt[1, COORDINATES - 1] = bad
        found = optimiser.step(spoilt)
        keeps = np.arange(FRAMES) != 1
        if step == 2:
            np.testing.assert_array_equal(found[1], 0.0)
            np.testing.assert_array_equal(found[keeps], clean.step(gradient)[keeps])
        else:
            np.testing.assert_array_equal(found[keeps], clean.step(gradient)[keeps])
    twin = Adam((FRAMES, COORDINATES))
    for step in (0, 1, 3, 4, 5):
        expected = twin.step(gradients[step], SCALES.astype(np.float64), 0.5, DECAYS.astype(np.float64))
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5)
    np.testing.assert_array_equal(optimiser.skipped.numpy(), [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(optimiser.steps.numpy(), [6, 5, 6, 6, 6])


def test_inactive_frames_stay_without_being_counted(device, gradients):
    """Frames switched off get zero increments, even with bad gradients, and keep all their state."""
    optimiser = Device(device, active=[1, 0, 1, 1, 1])
    spoilt = gradients[0].copy()
    spoilt[1] = np.nan
    found = optimiser.step(spoilt)
    np.testing.assert_array_equal(found[1], 0.0)
    assert (found[[0, 2, 3, 4]] != 0.0).all()
    np.testing.assert_array_equal(optimiser.skipped.numpy(), 0)
    np.testing.assert_array_equal(optimiser.steps.numpy(), [1, 0, 1, 1, 1])
    np.testing.assert_array_equal(optimiser.first.numpy()[1], 0.0)


def test_zero_gradients_move_nothing(device):
    """Zero gradients give zero increments with and without clipping, not NaN."""
    for clip in (0.0, 1.0):
        np.testing.assert_array_equal(Device(device, clip).step(np.zeros((FRAMES, COORDINATES))), 0.0)


def test_one_outlier_is_clipped_to_the_limit(device):
    """A gradient a million times the limit enters the moments with the limit's length."""
    optimiser = Device(device, clip=2.0)
    optimiser.step(np.full((FRAMES, COORDINATES), 1e9))
    np.testing.assert_allclose(np.linalg.norm(optimiser.first.numpy(), axis=1), 0.1 * 2.0, rtol=1e-5)


def test_a_replayed_graph_equals_launches(device, gradients, graphs_or_skip):
    """Steps replayed from a captured graph equal eager ones bit for bit, the counter and a new rate included."""
    eager, replayed = Device(device), Device(device)
    wp.load_module("warpprior.kernels.adam", device=device)
    with graphs_or_skip():
        with wp.ScopedCapture(device=device) as capture:
            replayed.launch()
        if capture.graph is None:
            raise RuntimeError("none was made")
    # Older versions run launches while they capture on the CPU; start from the same state in any case.
    for array in (replayed.first, replayed.second, replayed.steps, replayed.skipped):
        array.zero_()
    for step, gradient in enumerate(gradients[:5]):
        eager.rate.fill_(0.5 + step)
        replayed.rate.fill_(0.5 + step)
        expected = eager.step(gradient)
        replayed.gradients.assign(gradient)
        wp.capture_launch(capture.graph)
        np.testing.assert_array_equal(replayed.increments.numpy(), expected)
    np.testing.assert_array_equal(replayed.steps.numpy(), 5)
