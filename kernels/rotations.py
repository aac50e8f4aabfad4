"""Rotations on the manifold: exponential, logarithm and their Jacobians, exact in value and gradient at 0 and at pi.

Unit quaternions x, y, z, w.  A small change acts on the right: ``R <- R Exp(dw)``, with ``dw`` in the body's own axes.
Below a threshold each coefficient is its Taylor series, so that nothing divides by a vanishing angle and the gradient
at zero rotation is the true one; the threshold is where the closed form has float32's full precision again.
"""

import warp as wp


@wp.func
def so3_hat(w: wp.vec3) -> wp.mat33:
    """The matrix of ``cross(w, .)``."""
    return wp.mat33(0.0, -w[2], w[1], w[2], 0.0, -w[0], -w[1], w[0], 0.0)


@wp.func
def so3_exp(w: wp.vec3) -> wp.quat:
    """Unit quaternion of the rotation vector ``w`` [rad], any length."""
    square = wp.dot(w, w)
    if square < 0.25:
        s = 0.5 - square * (1.0 / 48.0 - square * (1.0 / 3840.0 - square * (1.0 / 645120.0)))
        c = 1.0 - square * (0.125 - square * (1.0 / 384.0 - square * (1.0 / 46080.0)))
        return wp.quat(w[0] * s, w[1] * s, w[2] * s, c)
    angle = wp.sqrt(square)
    s = wp.sin(0.5 * angle) / angle
    return wp.quat(w[0] * s, w[1] * s, w[2] * s, wp.cos(0.5 * angle))


@wp.func
def so3_log(q: wp.quat) -> wp.vec3:
    """Rotation vector [rad] of ``q``, of length at most pi; the same for ``q``, ``-q`` and any positive multiple.

    At exactly pi two vectors are right and one of them is returned; its gradient is that of the branch returned.
    """
    v = wp.vec3(q[0], q[1], q[2])
    w = q[3]
    sign = 1.0
    if w < 0.0:
        sign = -1.0
    cosine = sign * w
    square = wp.dot(v, v)
    if square < 0.01 * cosine * cosine:
        ratio = square / (cosine * cosine)
        series = 1.0 - ratio * (1.0 / 3.0 - ratio * (0.2 - ratio * (1.0 / 7.0 - ratio * (1.0 / 9.0))))
        return v * (2.0 * sign * series / cosine)
    sine = wp.sqrt(square)
    return v * (2.0 * sign * wp.atan2(sine, cosine) / sine)


@wp.func
def so3_right_jacobian(w: wp.vec3) -> wp.mat33:
    """``Jr`` in ``Exp(w + dw) = Exp(w) Exp(Jr dw)`` to first order."""
    square = wp.dot(w, w)
    hat = so3_hat(w)
    identity = wp.identity(n=3, dtype=float)
    if square < 0.25:
        a = 0.5 - square * (1.0 / 24.0 - square * (1.0 / 720.0 - square * (1.0 / 40320.0)))
        b = 1.0 / 6.0 - square * (1.0 / 120.0 - square * (1.0 / 5040.0 - square * (1.0 / 362880.0)))
        return identity - hat * a + hat * hat * b
    angle = wp.sqrt(square)
    half = wp.sin(0.5 * angle)
    return identity - hat * (2.0 * half * half / square) + hat * hat * ((angle - wp.sin(angle)) / (angle * square))


@wp.func
def so3_right_jacobian_inverse(w: wp.vec3) -> wp.mat33:
    """Inverse of :func:`so3_right_jacobian`, for ``w`` shorter than 2 pi: ``Log(R Exp(dw)) = Log(R) + Jr^-1 dw``."""
    square = wp.dot(w, w)
    hat = so3_hat(w)
    identity = wp.identity(n=3, dtype=float)
    if square < 0.25:
        b = 1.0 / 12.0 + square * (1.0 / 720.0 + square * (1.0 / 30240.0 + square * (1.0 / 1209600.0)))
        return identity + hat * 0.5 + hat * hat * b
    angle = wp.sqrt(square)
    # The half-angle form of (1 + cos) / (2 angle sin): finite, and zero, at pi.
    cotangent = wp.cos(0.5 * angle) / wp.sin(0.5 * angle)
    return identity + hat * 0.5 + hat * hat * ((1.0 - 0.5 * angle * cotangent) / square)


@wp.func
def so3_retract(q: wp.quat, dw: wp.vec3) -> wp.quat:
    """``q Exp(dw)``, renormalised so that long chains of updates stay unit."""
    return wp.normalize(q * so3_exp(dw))


@wp.func
def so3_tangent_gradient(q: wp.quat, gradient: wp.quat) -> wp.vec3:
    """Gradient with respect to ``dw`` of ``f(q Exp(dw))`` at ``dw = 0``, from the gradient with respect to ``q``.

    The part of ``gradient`` along ``q`` itself, which depends on how ``f`` treats quaternions that are not unit,
    drops out.
    """
    turned = wp.quat_inverse(q) * gradient
    return 0.5 * wp.vec3(turned[0], turned[1], turned[2])
