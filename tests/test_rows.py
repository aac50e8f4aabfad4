"""Rows of a Jacobian: what they gather, add and forget, for which use; points carried by a pose; robust functions."""

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.fit_samples import as_device
from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.reference.camera import advance_pose
from tests.reference.equations import assemble
from warpprior.kernels.robust import log_one_plus, trust_of
from warpprior.kernels.rows import (
    COSTS,
    GRADIENT,
    ROWS,
    System,
    add_entry,
    add_root,
    add_share,
    close_pair,
    close_row,
    point_derivative,
    vec6d,
)

WIDTH, LANES = 10, 4


@wp.kernel(enable_backward=False)
def _add_residuals(
    system: System,
    roots: wp.array2d[wp.float32],  # [frame, 6]
    directions: wp.array[wp.vec3],  # [frame]
    residuals: wp.array[wp.float32],  # [frame]
    counts_out: wp.array2d[wp.int32],  # [frame, 2] entries of the rows of a frame
):
    """One residual that depends on a root, a chain that overlaps with it and one entry, now and the frame before."""
    frame = wp.tid()
    root = vec6d()
    for i in range(6):
        root[i] = wp.float64(roots[frame, i])
    weight = wp.float64(2.0)
    pull = weight * wp.float64(residuals[frame])
    count = add_root(system, frame, frame, 0, 0, 1, root, pull)
    count = add_share(system, frame, frame, 0, count, 1, directions[frame], 1.0, pull)
    count = add_entry(system, frame, frame, 0, count, 9, 0.5, pull)
    count = add_entry(system, frame, frame, 0, count, 9, 0.25, pull)
    counts_out[frame, 0] = count
    if frame > 0:
        before = add_share(system, frame, frame - 1, 3, 0, 0, directions[frame], 0.5, pull)
        before = add_entry(system, frame, frame - 1, 3, before, 0, 1.5, pull)
        counts_out[frame, 1] = before
        close_pair(system, frame, 0, count, 3, before, weight, pull)
    else:
        close_row(system, frame, 0, count, weight, pull)


class Rowed:
    """Residuals of three frames, what the rows made of them, and the dense Jacobian they should have had."""

    def __init__(self, device):
        random, frames = np.random.default_rng(2), 3
        self.columns = np.array([8, 5, 7, 5, 8])  # of the entries: one in two chains, one twice in a chain
        starts = np.array([0, 2, 5])  # two places
        self.chain_values = random.normal(size=(frames, 5, 3)).astype(np.float32)
        roots = random.normal(size=(frames, 6)).astype(np.float32)
        self.directions = random.normal(size=(frames, 3)).astype(np.float32)
        residuals = random.normal(size=frames).astype(np.float32)
        self.seeds = random.uniform(0.5, 2.0, frames).astype(np.float32)
        system = self.system = System()
        system.mode = ROWS
        system.chain_starts, system.chain_columns = (as_device(v, wp.int32, device) for v in (starts, self.columns))
        system.chain_values = as_device(self.chain_values, wp.vec3, device)
        shape = (frames, LANES, WIDTH)
        system.values = wp.full(shape, POISON, dtype=wp.float32, device=device)
        system.marks = wp.zeros(shape, dtype=wp.int32, device=device)
        system.active = wp.full(shape, 2**30, dtype=wp.int32, device=device)
        system.hessian = wp.zeros((frames, 4, WIDTH, WIDTH), dtype=wp.float64, device=device)
        system.gradient = wp.zeros((frames, 2, WIDTH), dtype=wp.float64, device=device)
        system.seeds = as_device(self.seeds, float, device)
        system.place_gradients = wp.zeros((frames, 2), dtype=wp.vec3, device=device)
        system.unknown_gradients = wp.zeros((frames, WIDTH), dtype=wp.float32, device=device)
        self.counts = wp.full((frames, 2), 77, dtype=wp.int32, device=device)
        self._inputs = [
            as_device(roots, float, device), as_device(self.directions, wp.vec3, device),
            as_device(residuals, float, device),
        ]  # fmt: skip
        self.jacobian, self.residuals = np.zeros((frames, frames, WIDTH)), residuals.astype(float)
        for frame in range(frames):
            own = self.jacobian[frame, frame]
            own[1:7] += roots[frame]
            np.add.at(own, self.columns[2:], self.slopes(frame, frame)[2:])
            own[9] += 0.75
            if frame > 0:
                np.add.at(self.jacobian[frame, frame - 1], self.columns[:2], 0.5 * self.slopes(frame, frame - 1)[:2])
                self.jacobian[frame, frame - 1, 0] += 1.5

    def slopes(self, frame, moment):
        """Of all entries of a moment, along the direction of a frame (entry,)."""
        return self.chain_values[moment].astype(float) @ self.directions[frame]

    def launch(self, mode=ROWS):
        """Add all residuals."""
        self.system.mode = mode
        inputs = [self.system, *self._inputs]
        wp.launch(_add_residuals, dim=3, inputs=inputs, outputs=[self.counts], device=self.counts.device)

    @property
    def sums(self):
        """Copies of the normal equations, and of the gradients of the energy."""
        names = ("hessian", "gradient", "place_gradients", "unknown_gradients")
        return {name: getattr(self.system, name).numpy().copy() for name in names}


@pytest.fixture
def rowed(device):
    """Residuals added once."""
    found = Rowed(device)
    found.launch()
    return found


def test_rows_make_the_normal_equations(rowed):
    """Twice J^T J and twice J^T r: entries of one column are summed before they are squared."""
    matrix, gradient = assemble(rowed.system.hessian.numpy(), rowed.system.gradient.numpy())
    jacobian = rowed.jacobian.reshape(3, -1)
    np.testing.assert_allclose(matrix, 2.0 * jacobian.T @ jacobian, atol=1e-5)
    np.testing.assert_allclose(gradient.ravel(), 2.0 * jacobian.T @ rowed.residuals, atol=1e-5)


def test_each_column_is_counted_once(rowed):
    """Six of the root, of which the chain meets one, two more of the chain, and the last."""
    np.testing.assert_array_equal(rowed.counts.numpy(), [[9, 77], [9, 3], [9, 3]])


def test_rows_are_forgotten(rowed):
    """No mark is left, and a second round, in workspaces full of the first, adds the same again."""
    once = rowed.system.hessian.numpy().copy(), rowed.system.gradient.numpy().copy()
    assert not rowed.system.marks.numpy().any()
    rowed.launch()
    assert not rowed.system.marks.numpy().any()
    np.testing.assert_allclose(rowed.system.hessian.numpy(), 2.0 * once[0], rtol=1e-12)
    np.testing.assert_allclose(rowed.system.gradient.numpy(), 2.0 * once[1], rtol=1e-12)


def test_lanes_that_are_not_used_are_not_touched(rowed):
    """Each thread keeps to the lanes it was given."""
    for array, rubbish in ((rowed.system.values, POISON), (rowed.system.active, 2**30)):
        np.testing.assert_array_equal(array.numpy()[:, 1:3], rubbish)


def test_only_lower_triangles_of_own_blocks_are_written(rowed):
    """Above the diagonal of a frame's blocks with itself all stays zero; products with the frame before are full."""
    blocks = rowed.system.hessian.numpy()
    assert not np.triu(blocks[:, 0], 1).any() and not np.triu(blocks[:, 3], 1).any()
    assert np.triu(blocks[1:, 1], 1).any() and np.tril(blocks[1:, 1], -1).any()
    assert not blocks[:, 2].any() and not blocks[0, 1:].any()


@pytest.mark.parametrize("mode", [COSTS, GRADIENT], ids=["costs", "gradient"])
def test_rows_are_gathered_for_the_equations_alone(rowed, mode):
    """In the other uses rows stay empty: no entry, no mark, nothing new in the equations."""
    before = rowed.sums
    rowed.launch(mode)
    np.testing.assert_array_equal(rowed.counts.numpy(), [[0, 77], [0, 0], [0, 0]])
    assert not rowed.system.marks.numpy().any()
    for name, values in rowed.sums.items():
        if mode == COSTS or name in ("hessian", "gradient"):
            np.testing.assert_array_equal(values, before[name], err_msg=name)


def test_equations_leave_the_energy_alone(rowed):
    """Its gradients are not touched by rows."""
    assert not rowed.sums["place_gradients"].any() and not rowed.sums["unknown_gradients"].any()


def test_the_energy_s_gradient_is_the_rows_before_the_chains(rowed):
    """Twice weight x residual x derivative x seed: of places at the moment they are in, of unknowns directly."""
    rowed.launch(GRADIENT)
    pulls = 2.0 * 2.0 * rowed.residuals * rowed.seeds
    unknowns, places = np.zeros((3, WIDTH)), np.zeros((3, 2, 3))
    for frame in range(3):
        direct = rowed.jacobian[frame].copy()
        np.add.at(direct[frame], rowed.columns[2:], -rowed.slopes(frame, frame)[2:])
        places[frame, 1] += pulls[frame] * rowed.directions[frame]
        if frame > 0:
            np.add.at(direct[frame - 1], rowed.columns[:2], -0.5 * rowed.slopes(frame, frame - 1)[:2])
            places[frame - 1, 0] += 0.5 * pulls[frame] * rowed.directions[frame]
        unknowns += pulls[frame] * direct
    np.testing.assert_allclose(rowed.sums["place_gradients"], places, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(rowed.sums["unknown_gradients"], unknowns, rtol=1e-5, atol=1e-5)


@wp.kernel(enable_backward=False)
def _differentiate_points(
    poses: wp.array[wp.transform],  # [case]
    offsets: wp.array[wp.vec3],  # [case]
    directions: wp.array[wp.vec3],  # [case]
    derivative_out: wp.array2d[wp.float64],  # [case, 6]
):
    case = wp.tid()
    found = point_derivative(poses[case], offsets[case], directions[case])
    for i in range(6):
        derivative_out[case, i] = found[i]


@pytest.mark.parametrize("angle", [0.0, 1e-6, 1.0, np.pi])
def test_points_carried_by_a_pose(device, angle):
    """All six increments, at no rotation, next to none, some and half a turn; far to the side and close by."""
    random = np.random.default_rng(7)
    position = np.array([[0.1, -0.2, 0.6], [-1.0, 0.7, 0.8], [0.02, 0.03, 0.06], [0.0, 0.0, 2.0]])
    axes = random.normal(size=(4, 3))
    turn = Rotation.from_rotvec(angle * axes / np.linalg.norm(axes, axis=1, keepdims=True))
    poses = np.hstack([position, turn.as_quat()]).astype(np.float32)
    offsets, directions = (random.normal(size=(4, 3)).astype(np.float32) for _ in range(2))
    found = wp.full((4, 6), POISON, dtype=wp.float64, device=device)
    inputs = [as_device(poses, wp.transform, device), *(as_device(v, wp.vec3, device) for v in (offsets, directions))]
    wp.launch(_differentiate_points, dim=4, inputs=inputs, outputs=[found], device=device)
    numeric = []
    for pose, offset, direction in zip(poses.astype(float), offsets, directions, strict=True):
        pose[3:] /= np.linalg.norm(pose[3:])
        rest = Rotation.from_quat(pose[3:]).inv().apply(offset)

        def along(step, pose=pose, rest=rest, direction=direction):
            moved = advance_pose(pose, step)
            return direction @ (moved[:3] + Rotation.from_quat(moved[3:]).apply(rest))

        numeric.append(finite_difference(along, np.zeros(6), 1e-4))
    compare_gradients(found.numpy(), np.array(numeric), name=f"point_derivative turn {angle}", worst=1e-4)


@wp.kernel(enable_backward=False)
def _take_logarithm(
    x: wp.array[wp.float64],  # [case]
    found_out: wp.array[wp.float64],  # [case]
):
    case = wp.tid()
    found_out[case] = log_one_plus(x[case])


def test_the_robust_logarithm_is_precise_near_zero(device):
    """log(1 + x) from zero over where its series ends to very large, to 1e-10 of itself."""
    x = np.concatenate([[0.0], 10.0 ** np.linspace(-30.0, 12.0, 200), [0.99999e-5, 1e-5, 1.00001e-5]])
    found = wp.full(len(x), POISON, dtype=wp.float64, device=device)
    inputs = [wp.array(x, dtype=wp.float64, device=device)]
    wp.launch(_take_logarithm, dim=len(x), inputs=inputs, outputs=[found], device=device)
    np.testing.assert_allclose(found.numpy(), np.log1p(x), rtol=2e-10, atol=0.0)


@wp.kernel(enable_backward=False)
def _take_trust(
    misses: wp.array[wp.float32],  # [case]
    trusts_out: wp.array[wp.float32],  # [case]
):
    case = wp.tid()
    trusts_out[case] = trust_of(misses[case], 3.0)


def test_trust_falls_with_the_square_of_what_is_missed(device):
    """Geman-McClure: whole at zero, one half at the reach, on both sides alike, and never below zero."""
    misses = np.array([0.0, 3.0, -3.0, 6.0, 3e4])
    found = wp.full(len(misses), POISON, dtype=wp.float32, device=device)
    inputs = [as_device(misses, float, device)]
    wp.launch(_take_trust, dim=len(misses), inputs=inputs, outputs=[found], device=device)
    np.testing.assert_allclose(found.numpy(), [1.0, 0.5, 0.5, 0.2, 1e-8], rtol=1e-6)
