"""Float64 twins of the tracker: points of bodies under errors of their pose, and the textbook forms of its algebra."""

import numpy as np
from scipy.spatial.transform import Rotation

from tests.reference import kinematics, skinning


def moved(position, rotation, joints, error):
    """A pose with an error: shift [m], then a turn on the left along the camera's axes [rad], then joints."""
    turned = Rotation.from_rotvec(error[3:6]) * Rotation.from_quat(rotation)
    return np.asarray(position) + error[:3], turned.as_quat(), np.asarray(joints) + error[6:]


def body_points(body, places, position, rotation, joints, shape=(), scale=1.0, *, blend_joints=None):
    """Points of a body (point, 3); ``places`` are vertices, or -1 - link for the origin of a link.

    Pose blend shapes follow ``blend_joints``, by default the joints.
    """
    pose = kinematics.matrices(np.concatenate([position, rotation]))
    links = kinematics.links(body, pose, joints, shape, scale)
    surface = skinning.surface(body, pose, joints, shape, scale, blend_joints=blend_joints)
    return np.array([surface[place] if place >= 0 else links[-1 - place][:3, 3] for place in places])


def differentiate(function, width, step=1e-6):
    """Derivative of an array function of an error (width,) at zero, the error's columns last; fourth order."""
    columns = []
    for column in range(width):
        error = np.zeros(width)
        values = []
        for k in (-2, -1, 1, 2):
            error[column] = k * step
            values.append(np.asarray(function(error), dtype=float))
        columns.append((values[0] - 8.0 * values[1] + 8.0 * values[2] - values[3]) / (12.0 * step))
    return np.stack(columns, axis=-1)


def information_update(covariance, residual, jacobian, variance):
    """Change of the mean, and covariance, of a linear update in its information form."""
    weighted = jacobian.T / variance
    after = np.linalg.inv(np.linalg.inv(covariance) + weighted @ jacobian)
    return after @ (weighted @ residual), after


def batch_estimate(start, start_covariance, transitions, controls, noises, sensors, observed, variances):
    """All states of a linear chain by one least squares over the sequence.

    Args:
        start, start_covariance: of the state before the first observation (n,), (n, n).
        transitions, controls, noises: state k + 1 is ``transitions[k] @ state k + controls[k]`` and noise.
        sensors, observed, variances: ``sensors[k] @ state k`` is ``observed[k]`` and noise; matrices may have no row.

    Returns:
        States (frame, n) and their covariances (frame, n, n).
    """
    count, n = len(sensors), len(start)
    information, vector = np.zeros((count * n, count * n)), np.zeros(count * n)

    def add(rows, values, weight):
        nonlocal information, vector
        information += rows.T @ weight @ rows
        vector += rows.T @ weight @ values

    def at(frame, matrix):
        rows = np.zeros((len(matrix), count * n))
        rows[:, frame * n : (frame + 1) * n] = matrix
        return rows

    add(at(0, np.eye(n)), start, np.linalg.inv(start_covariance))
    for frame, (transition, control, noise) in enumerate(zip(transitions, controls, noises, strict=True)):
        rows = at(frame + 1, np.eye(n)) - at(frame, transition)
        add(rows, control, np.linalg.inv(noise))
    for frame, (sensor, values, variance) in enumerate(zip(sensors, observed, variances, strict=True)):
        if len(values):
            add(at(frame, sensor), values, np.diag(1.0 / np.asarray(variance)))
    covariance = np.linalg.inv(information)
    states = (covariance @ vector).reshape(count, n)
    blocks = [covariance[k * n : (k + 1) * n, k * n : (k + 1) * n] for k in range(count)]
    return states, np.array(blocks)


def kabsch_motion(before, after, position, rotation, prior_shift, weight, strength):
    """Shift and rotation of an object whose contacts move, as an error of its earlier pose (6,).

    Unlike the quasi-static twin it knows no singular case: the prior must decide what contacts do not.
    """
    origins = np.vstack([before, position]), np.vstack([after, position + prior_shift])
    w = np.append(np.ones(len(before)), weight)
    middles = [w @ points / w.sum() for points in origins]
    arms = [points - middle for points, middle in zip(origins, middles, strict=True)]
    u, _, vt = np.linalg.svd(arms[1].T @ (w[:, None] * arms[0]) + strength * np.eye(3))
    turn = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    shift = middles[1] + turn @ (position - middles[0]) - position
    return np.concatenate([shift, Rotation.from_matrix(turn).as_rotvec()])
