"""Steps of shared unknowns on the device: as on the host, within their bounds, for each segment."""

import numpy as np
import pytest
import warp as wp

from warpprior.kernels.block_rows import Prior, step_shared
from warpprior.system.host_solver import bounded_solution
from warpprior.system.shared_prior import SharedPrior

SEGMENTS, COUNT = 6, 5


def step(sums, prior, device):
    """Steps (segment, shared), and of which segments they could not be found (segment,)."""

    def zeros(*shape, dtype=wp.float64):
        return wp.zeros(shape, dtype=dtype, device=device)

    given, failed, steps = Prior(), zeros(SEGMENTS, dtype=wp.int32), zeros(SEGMENTS, COUNT)
    for name in Prior.vars:
        setattr(given, name, getattr(prior, name))
    step_shared(
        wp.array(sums, dtype=wp.float64, device=device),
        given,
        failed_out=failed,
        free_out=zeros(SEGMENTS, COUNT, dtype=wp.int32),
        factor_out=zeros(SEGMENTS, COUNT, COUNT + 1),
        steps_out=steps,
    )
    return steps.numpy(), failed.numpy() != 0


@pytest.mark.parametrize("reach", [0.05, 0.5, 50.0])
def test_shared_steps_are_those_of_the_host(device, reach):
    """To 1e-10, whether all, some or none are cut; what is held does not move, and no step is too long."""
    random = np.random.default_rng(1)
    roots = random.normal(size=(SEGMENTS, COUNT, COUNT))
    matrices, right = roots @ roots.transpose(0, 2, 1) + np.eye(COUNT), random.normal(size=(SEGMENTS, COUNT))
    first = random.normal(size=(SEGMENTS, COUNT))
    prior = SharedPrior(first, np.ones(COUNT), (np.full(COUNT, -reach), np.full(COUNT, 2.0 * reach)), reach, device)
    prior.values.assign(first + random.uniform(-0.9, 0.9, first.shape) * reach)
    prior.hold(np.arange(COUNT) == 2)
    found, failed = step(np.concatenate([matrices, right[:, :, None]], axis=2), prior, device)
    low, high = prior.bounds()
    expected = [bounded_solution(*each) for each in zip(matrices, right, zip(low, high, strict=True), strict=True)]
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-10)
    assert not failed.any() and not found[:, 2].any() and (np.abs(found) <= reach).all()


def test_shared_unknowns_without_a_solution_stay(device):
    """A matrix that is not positive is reported; the other segments take theirs."""
    prior = SharedPrior(np.zeros((SEGMENTS, COUNT)), np.ones(COUNT), (np.array(-1.0), np.array(1.0)), 1.0, device)
    sums = np.tile(np.eye(COUNT, COUNT + 1), (SEGMENTS, 1, 1))
    sums[:, :, -1] = 0.1
    sums[3, 4, 4] = -1.0
    found, failed = step(sums, prior, device)
    assert failed.tolist() == [segment == 3 for segment in range(SEGMENTS)]
    assert not found[3].any() and found[[0, 1, 2, 4, 5]].all()
