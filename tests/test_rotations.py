"""Rotations: values and gradients at ordinary points, at zero, at the edges of the series and at pi."""

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.reference import rotations as reference
from warpprior.kernels.rotations import (
    so3_exp,
    so3_log,
    so3_retract,
    so3_right_jacobian,
    so3_right_jacobian_inverse,
    so3_tangent_gradient,
)

AXIS = np.array([0.48, -0.6, 0.64])
# Angles [rad]: zero, tiny, both sides of the series' ends (0.2 for the logarithm, 0.5 for the rest), ordinary, near pi.
ANGLES = (0.0, 1e-9, 1e-5, 1e-3, 0.199, 0.201, 0.499, 0.501, 1.0, 2.5, np.pi - 1e-3, np.pi - 1e-5)


@wp.kernel
def _map_exp(w: wp.array[wp.vec3], q_out: wp.array[wp.quat]):
    item = wp.tid()
    q_out[item] = so3_exp(w[item])


@wp.kernel
def _map_log(q: wp.array[wp.quat], w_out: wp.array[wp.vec3]):
    item = wp.tid()
    w_out[item] = so3_log(q[item])


@wp.kernel
def _map_jacobians(w: wp.array[wp.vec3], right_out: wp.array[wp.mat33], inverse_out: wp.array[wp.mat33]):
    item = wp.tid()
    right_out[item] = so3_right_jacobian(w[item])
    inverse_out[item] = so3_right_jacobian_inverse(w[item])


@wp.kernel
def _map_retract(q: wp.array[wp.quat], dw: wp.array[wp.vec3], q_out: wp.array[wp.quat]):
    item = wp.tid()
    q_out[item] = so3_retract(q[item], dw[item])


@wp.kernel
def _map_tangent(q: wp.array[wp.quat], gradient: wp.array[wp.quat], tangent_out: wp.array[wp.vec3]):
    item = wp.tid()
    tangent_out[item] = so3_tangent_gradient(q[item], gradient[item])


def launch(kernel, inputs, outputs, device):
    """Run ``kernel`` on (array, dtype) inputs; outputs of the given dtypes are poisoned; returns both, tape."""
    given = [wp.array(np.atleast_2d(v), dtype=t, device=device, requires_grad=True) for v, t in inputs]
    made = [wp.empty(given[0].shape[0], dtype=t, device=device, requires_grad=True) for t in outputs]
    for array in made:
        array.fill_(POISON)
    with wp.Tape() as tape:
        wp.launch(kernel, dim=given[0].shape[0], inputs=given, outputs=made, device=device)
    return given, made, tape


@pytest.fixture(params=ANGLES, ids=lambda angle: f"{angle:.6g}")
def vector(request):
    """Rotation vectors of the named angle about a generic axis, exact in float32."""
    return (request.param * AXIS).astype(np.float32).astype(np.float64)


def test_exp_matches_scipy_on_ten_thousand_vectors(device):
    """Unit quaternions equal SciPy's for random vectors of up to four turns."""
    random = np.random.default_rng(0)
    w = random.normal(size=(10000, 3)) * random.uniform(0.0, 4.0, (10000, 1))
    _, (q,), _ = launch(_map_exp, [(w, wp.vec3)], [wp.quat], device)
    expected = np.array([reference.exp(v) for v in w.astype(np.float32)])
    np.testing.assert_allclose(q.numpy(), expected, atol=2e-6)


def test_log_inverts_exp_on_ten_thousand_vectors(device):
    """Log(Exp(w)) = w below pi, for either sign and other lengths of the quaternion."""
    random = np.random.default_rng(1)
    w = random.normal(size=(10000, 3))
    w *= 3.14 * random.uniform(0.0, 1.0, (10000, 1)) ** 3 / np.linalg.norm(w, axis=1, keepdims=True)
    q = Rotation.from_rotvec(w).as_quat() * random.choice([-1.0, 1.0], (10000, 1))
    _, (found,), _ = launch(_map_log, [(q, wp.quat)], [wp.vec3], device)
    np.testing.assert_allclose(found.numpy(), w, atol=3e-6)
    _, (scaled,), _ = launch(_map_log, [(1.7 * q, wp.quat)], [wp.vec3], device)
    np.testing.assert_allclose(scaled.numpy(), w, atol=3e-6)


def test_log_at_half_turn_is_a_half_turn(device):
    """At exactly pi the logarithm is pi about the axis or its opposite."""
    _, (found,), _ = launch(_map_log, [(np.append(AXIS, 0.0), wp.quat)], [wp.vec3], device)
    assert abs(found.numpy()[0] @ AXIS) == pytest.approx(np.pi, rel=1e-6)


def test_exp_gradient(device, vector):
    """Gradient of a generic function of Exp(w) equals finite differences of the twin."""
    weight = np.array([0.3, -0.7, 0.2, 0.5])
    (w,), (q,), tape = launch(_map_exp, [(vector, wp.vec3)], [wp.quat], device)
    np.testing.assert_allclose(q.numpy()[0], reference.exp(vector), atol=2e-7)
    tape.backward(grads={q: wp.array(weight[None], dtype=wp.quat, device=device)})
    numeric = finite_difference(lambda v: weight @ reference.exp(v), vector, step=1e-4)
    angle = np.linalg.norm(vector)
    compare_gradients(w.grad.numpy()[0], numeric, name=f"so3_exp at {angle:.6g} rad", worst=1e-5, bias=1e-5)


def test_log_gradient(device, vector):
    """Gradient of a generic function of Log(q Exp(dw)) by dw equals finite differences, from 0 up to pi."""
    weight = np.array([0.3, -0.7, 0.2])
    q = reference.exp(vector)
    (given,), (w,), tape = launch(_map_log, [(q, wp.quat)], [wp.vec3], device)
    tape.backward(grads={w: wp.array(weight[None], dtype=wp.vec3, device=device)})
    _, (tangent,), _ = launch(_map_tangent, [(q, wp.quat), (given.grad.numpy(), wp.quat)], [wp.vec3], device)
    # Jr^-1 from the twin: finite differences would step across the jump at pi.
    numeric = weight @ np.linalg.inv(reference.right_jacobian(vector))
    name = f"so3_log at {np.linalg.norm(vector):.6g} rad"
    compare_gradients(tangent.numpy()[0], numeric, name=name, worst=1e-5, bias=1e-5)


def test_log_gradient_at_half_turn_is_finite(device):
    """At exactly pi the gradient is that of the branch returned, not NaN."""
    weight = np.array([0.3, -0.7, 0.2])
    q = np.append(AXIS, 0.0)
    (given,), (w,), tape = launch(_map_log, [(q, wp.quat)], [wp.vec3], device)
    tape.backward(grads={w: wp.array(weight[None], dtype=wp.vec3, device=device)})
    _, (tangent,), _ = launch(_map_tangent, [(q, wp.quat), (given.grad.numpy(), wp.quat)], [wp.vec3], device)
    numeric = weight @ np.linalg.inv(reference.right_jacobian(w.numpy()[0].astype(np.float64)))
    compare_gradients(tangent.numpy()[0], numeric, name="so3_log at pi", worst=1e-5, bias=1e-5)


def test_right_jacobian_matches_its_integral(device, vector):
    """Jr equals the integral that defines it, and its inverse inverts it."""
    _, (right, inverse), _ = launch(_map_jacobians, [(vector, wp.vec3)], [wp.mat33, wp.mat33], device)
    np.testing.assert_allclose(right.numpy()[0], reference.right_jacobian(vector), atol=5e-7)
    np.testing.assert_allclose(inverse.numpy()[0], np.linalg.inv(reference.right_jacobian(vector)), atol=2e-6)


def test_right_jacobian_gradient(device, vector):
    """Gradient of a generic function of Jr(w) equals finite differences of the twin."""
    weight = np.random.default_rng(2).normal(size=(3, 3))
    (w,), (right, _), tape = launch(_map_jacobians, [(vector, wp.vec3)], [wp.mat33, wp.mat33], device)
    tape.backward(grads={right: wp.array(weight[None], dtype=wp.mat33, device=device)})
    numeric = finite_difference(lambda v: (weight * reference.right_jacobian(v)).sum(), vector, step=1e-4)
    name = f"so3_right_jacobian at {np.linalg.norm(vector):.6g} rad"
    compare_gradients(w.grad.numpy()[0], numeric, name=name, worst=1e-4, bias=1e-4)


def test_retract_composes_on_the_right_and_stays_unit(device):
    """Retraction by dw equals SciPy's product; a thousand steps leave the length at one."""
    random = np.random.default_rng(3)
    q = Rotation.random(50, random_state=4).as_quat()
    dw = random.normal(size=(50, 3))
    _, (found,), _ = launch(_map_retract, [(q, wp.quat), (dw, wp.vec3)], [wp.quat], device)
    expected = Rotation.from_quat(q) * Rotation.from_rotvec(dw)
    assert (Rotation.from_quat(found.numpy()).inv() * expected).magnitude().max() < 1e-6
    for _ in range(1000):
        _, (found,), _ = launch(_map_retract, [(q, wp.quat), (0.01 * dw, wp.vec3)], [wp.quat], device)
        q = found.numpy()
    np.testing.assert_allclose(np.linalg.norm(q, axis=1), 1.0, atol=3e-7)


def test_tangent_gradient_ignores_the_direction_of_q(device):
    """A gradient along q itself has no tangent part."""
    q = Rotation.random(20, random_state=5).as_quat()
    _, (tangent,), _ = launch(_map_tangent, [(q, wp.quat), (3.0 * q, wp.quat)], [wp.vec3], device)
    np.testing.assert_allclose(tangent.numpy(), 0.0, atol=1e-6)
