"""The terms as a loss of tensors: the same values and gradients as on a tape of Warp's."""

import numpy as np
import pytest
import warp as wp

torch = pytest.importorskip("torch")

import warpprior  # noqa: E402
from tests.two_uses_scenes import tree_scene  # noqa: E402
from warpprior.support.errors import InputError  # noqa: E402
from warpprior.terms import Loss  # noqa: E402

TERMS = ["keypoints", "smoothness", "pose"]


@pytest.fixture(scope="module")
def scene():
    """An articulated body with keypoints, four frames."""
    return tree_scene()


def tensors_of(scene):
    """Position, rotation and joints of the estimated body, somewhat moved."""
    (body,) = (body for body in scene.bodies if not body.known)
    random, motion = np.random.default_rng(0), body.initial
    values = [v + 0.01 * random.normal(size=v.shape) for v in (motion.position, motion.rotation, motion.joints)]
    return body.name, [torch.tensor(v, dtype=torch.float32, requires_grad=True) for v in values]


def test_values_and_gradients_are_those_of_warp(scene):
    """Through tensors or through arrays, it is one loss."""
    name, tensors = tensors_of(scene)
    costs = warpprior.torch.loss(scene, TERMS, contact_points=16)({name: tuple(tensors)})
    weights = torch.arange(1.0, 1.0 + scene.frame_count)
    (costs * weights).sum().backward()
    kinds = (wp.vec3, wp.quat, wp.float32)
    arrays = [
        wp.array(t.detach().numpy(), dtype=k, device="cpu", requires_grad=True)
        for t, k in zip(tensors, kinds, strict=True)
    ]
    loss = Loss(scene, TERMS, device="cpu", contact_points=16)
    with wp.Tape() as tape:
        expected = loss({name: tuple(arrays)})
    tape.backward(grads={expected: wp.array(weights.numpy(), dtype=wp.float32, device="cpu")})
    np.testing.assert_allclose(costs.detach().numpy(), expected.numpy(), rtol=1e-6)
    for tensor, array in zip(tensors, arrays, strict=True):
        np.testing.assert_allclose(tensor.grad.numpy(), array.grad.numpy(), rtol=1e-5, atol=1e-5)


def test_an_adam_loop_goes_down(scene):
    """Poses that are torch parameters, sixty steps."""
    name, tensors = tensors_of(scene)
    loss = warpprior.torch.loss(scene, TERMS, contact_points=16)
    optimizer = torch.optim.Adam(tensors, lr=2e-3)
    values = []
    for _ in range(60):
        optimizer.zero_grad()
        total = loss({name: tuple(tensors)}).sum()
        total.backward()
        optimizer.step()
        values.append(total.item())
    assert values[-1] < 0.7 * values[0] and set(loss.by_term) == set(TERMS)


def test_a_body_that_is_not_there(scene):
    """The sentence of the Warp door."""
    _, tensors = tensors_of(scene)
    with pytest.raises(InputError, match="no estimated body 'thing'"):
        warpprior.torch.loss(scene, TERMS, contact_points=16)({"thing": tuple(tensors)})
