"""Rows of a Jacobian: what they gather, add and forget; points carried by a pose's increment; the robust logarithm."""

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.fit_samples import as_device
from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.reference.camera import advance_pose
from tests.reference.equations import assemble
from warpprior.kernels.robust import log_one_plus
from warpprior.kernels.rows import (
    BEFORE,
    OWN,
    Chains,
    Rows,
    add_chain,
    add_entry,
    add_gradient,
    add_product,
    add_root,
    add_square,
    clear_row,
    point_derivative,
    vec6d,
)

WIDTH, LANES = 10, 4


@wp.kernel(enable_backward=False)
def _add_residuals(
    chains: Chains,
    rows: Rows,
    roots: wp.array2d[wp.float32],  # [frame, 6]
    directions: wp.array[wp.vec3],  # [frame]
    residuals: wp.array[wp.float32],  # [frame]
    counts_out: wp.array2d[wp.int32],  # [frame, 2] entries of the rows of a frame
    hessian_out: wp.array4d[wp.float64],  # [frame, 4, column, column]
    gradient_out: wp.array3d[wp.float64],  # [frame, 2, column]
):
    """One residual that depends on a root, a chain that overlaps with it and one entry, now and the frame before."""
    frame = wp.tid()
    root = vec6d()
    for i in range(6):
        root[i] = wp.float64(roots[frame, i])
    weight = wp.float64(2.0)
    scaled = weight * wp.float64(residuals[frame])
    count = add_root(rows, frame, 0, 0, 1, root)
    count = add_chain(rows, chains, frame, 0, count, 1, directions[frame])
    count = add_entry(rows, frame, 0, count, 9, 0.5)
    count = add_entry(rows, frame, 0, count, 9, 0.25)
    counts_out[frame, 0] = count
    add_square(rows, frame, 0, count, weight, OWN, hessian_out)
    add_gradient(rows, frame, 0, count, scaled, 0, gradient_out)
    if frame > 0:
        before = add_chain(rows, chains, frame, 3, 0, 0, directions[frame])
        before = add_entry(rows, frame, 3, before, 0, 1.5)
        counts_out[frame, 1] = before
        add_square(rows, frame, 3, before, weight, BEFORE, hessian_out)
        add_product(rows, frame, 0, count, 3, before, weight, hessian_out)
        add_gradient(rows, frame, 3, before, scaled, 1, gradient_out)
        clear_row(rows, frame, 3, before)
    clear_row(rows, frame, 0, count)


class Rowed:
    """Residuals of three frames, what the rows made of them, and the dense Jacobian they should have had."""

    def __init__(self, device):
        random, frames = np.random.default_rng(2), 3
        self.columns = np.array([8, 5, 7, 5, 8])  # of the entries: one in two chains, one twice in a chain
        starts = np.array([0, 2, 5])  # two vertices
        values = random.normal(size=(frames, 5, 3)).astype(np.float32)
        roots = random.normal(size=(frames, 6)).astype(np.float32)
        directions = random.normal(size=(frames, 3)).astype(np.float32)
        residuals = random.normal(size=frames).astype(np.float32)
        chains, self.rows = Chains(), Rows()
        chains.starts, chains.columns = (as_device(v, wp.int32, device) for v in (starts, self.columns))
        chains.values = as_device(values, wp.vec3, device)
        shape = (frames, LANES, WIDTH)
        self.rows.values = wp.full(shape, POISON, dtype=wp.float32, device=device)
        self.rows.marks = wp.zeros(shape, dtype=wp.int32, device=device)
        self.rows.active = wp.full(shape, 2**30, dtype=wp.int32, device=device)
        self.hessian = wp.zeros((frames, 4, WIDTH, WIDTH), dtype=wp.float64, device=device)
        self.gradient = wp.zeros((frames, 2, WIDTH), dtype=wp.float64, device=device)
        self.counts = wp.full((frames, 2), 77, dtype=wp.int32, device=device)
        self._inputs = [
            chains, self.rows, as_device(roots, float, device), as_device(directions, wp.vec3, device),
            as_device(residuals, float, device),
        ]  # fmt: skip
        self.jacobian, self.residuals = np.zeros((frames, frames, WIDTH)), residuals.astype(float)
        for frame in range(frames):
            own = self.jacobian[frame, frame]
            own[1:7] += roots[frame]
            slopes = values[frame].astype(float) @ directions[frame]
            np.add.at(own, self.columns[2:], slopes[2:])
            own[9] += 0.75
            if frame > 0:
                np.add.at(self.jacobian[frame, frame - 1], self.columns[:2], slopes[:2])
                self.jacobian[frame, frame - 1, 0] += 1.5

    def launch(self):
        """Add all residuals."""
        outputs = [self.counts, self.hessian, self.gradient]
        wp.launch(_add_residuals, dim=3, inputs=self._inputs, outputs=outputs, device=self.hessian.device)


@pytest.fixture
def rowed(device):
    """Residuals added once."""
    found = Rowed(device)
    found.launch()
    return found


def test_rows_make_the_normal_equations(rowed):
    """Twice J^T J and twice J^T r: entries of one column are summed before they are squared."""
    matrix, gradient = assemble(rowed.hessian.numpy(), rowed.gradient.numpy())
    jacobian = rowed.jacobian.reshape(3, -1)
    np.testing.assert_allclose(matrix, 2.0 * jacobian.T @ jacobian, atol=1e-5)
    np.testing.assert_allclose(gradient.ravel(), 2.0 * jacobian.T @ rowed.residuals, atol=1e-5)


def test_each_column_is_counted_once(rowed):
    """Six of the root, of which the chain meets one, two more of the chain, and the last."""
    np.testing.assert_array_equal(rowed.counts.numpy(), [[9, 77], [9, 3], [9, 3]])


def test_rows_are_forgotten(rowed):
    """No mark is left, and a second round, in workspaces full of the first, adds the same again."""
    once = rowed.hessian.numpy().copy(), rowed.gradient.numpy().copy()
    assert not rowed.rows.marks.numpy().any()
    rowed.launch()
    assert not rowed.rows.marks.numpy().any()
    np.testing.assert_allclose(rowed.hessian.numpy(), 2.0 * once[0], rtol=1e-12)
    np.testing.assert_allclose(rowed.gradient.numpy(), 2.0 * once[1], rtol=1e-12)


def test_lanes_that_are_not_used_are_not_touched(rowed):
    """Each thread keeps to the lanes it was given."""
    for array, rubbish in ((rowed.rows.values, POISON), (rowed.rows.active, 2**30)):
        np.testing.assert_array_equal(array.numpy()[:, 1:3], rubbish)


def test_only_lower_triangles_of_own_blocks_are_written(rowed):
    """Above the diagonal of a frame's blocks with itself all stays zero; products with the frame before are full."""
    blocks = rowed.hessian.numpy()
    assert not np.triu(blocks[:, 0], 1).any() and not np.triu(blocks[:, 3], 1).any()
    assert np.triu(blocks[1:, 1], 1).any() and np.tril(blocks[1:, 1], -1).any()
    assert not blocks[:, 2].any() and not blocks[0, 1:].any()


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
