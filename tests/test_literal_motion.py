"""Consistency and smoothness as the paper prints them: values and gradients against sums over points in float64."""

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import compare_gradients, finite_difference
from tests.reference import literal_motion as reference
from tests.reference.literal_contact import moved
from warpprior.kernels import literal_motion

SIGMA, SIGMA_RAD = 0.004, 0.05
ORDERS = {1: "velocity", 2: "acceleration"}
# Two sequences, one of them with a frame dropped, and lone frames between them.
SEGMENTS = np.array([0, 0, 0, 0, 1, 2, 2, 3, 3, 3])
DT = np.array([1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 0.5, 1.0, 1.0, 3.0])


@pytest.fixture
def surface():
    """Points of a lopsided rigid surface [m]."""
    return np.random.default_rng(0).normal(size=(20, 3)) * (0.03, 0.05, 0.08) + (0.02, 0.01, -0.03)


def motion(name, frames=10):
    """Poses (frame, 7), exact in float32, of the named kind of motion."""
    random = np.random.default_rng(1)
    poses = np.zeros((frames, 7))
    poses[:, :3] = (0.1, -0.05, 0.6)
    poses[:, 6] = 1.0
    turns = {"ordinary": 0.05, "huge": 2.0, "tiny": 1e-4, "still": 0.0, "half turns": np.pi - 1e-3}[name]
    shifts = {"ordinary": 0.01, "huge": 2.0, "tiny": 1e-5, "still": 0.0, "half turns": 0.01}[name]
    for frame in range(1, frames):
        axis = random.normal(size=3)
        poses[frame] = moved(poses[frame - 1], shifts * random.normal(size=3), turns * axis / np.linalg.norm(axis))
    return poses.astype(np.float32).astype(np.float64)


def run(device, order, kind, *, poses=None, joints=None, surface=None, sigmas=None, segments=SEGMENTS, dt=DT, row=1):
    """Values (term, frame) with only row 1 asked for, and the gradient of ``seed . values`` to the input."""
    frames = len(segments)
    rows = wp.zeros((3, frames), dtype=wp.float32, device=device, requires_grad=True)
    common = {
        "segment": wp.array(segments, dtype=wp.int32, device=device),
        "dt": wp.array(dt, dtype=wp.float32, device=device),
        "row": row,
        "rows_out": rows,
    }
    sigma = wp.full(1, SIGMA, dtype=wp.float32, device=device)
    launch = getattr(literal_motion, f"add_{kind}_{ORDERS[order]}")
    if kind == "joint":
        given = wp.array(joints, dtype=wp.float32, device=device, requires_grad=True)
        extra = {"sigmas": wp.array(sigmas, dtype=wp.float32, device=device)}
    else:
        given = wp.array(poses, dtype=wp.transform, device=device, requires_grad=True)
        extra = {"sigma": sigma}
        if kind == "rigid":
            centroid = surface.mean(axis=0)
            covariance = (surface - centroid).T @ (surface - centroid) / len(surface)
            extra |= {"centroid": wp.vec3(*centroid), "covariance": wp.mat33(*covariance.ravel())}
        else:
            angle = wp.full(1, SIGMA_RAD, dtype=wp.float32, device=device)
            extra = {"position_sigma": sigma, "rotation_sigma": angle}
    with wp.Tape() as tape:
        launch(given, **extra, **common)
    seed = np.zeros((3, frames), dtype=np.float32)
    seed[row] = frame_weights(frames)
    tape.backward(grads={rows: wp.array(seed, dtype=wp.float32, device=device)})
    return rows.numpy(), given.grad.numpy()


def frame_weights(frames):
    """Seeds of the backward pass, one per frame, exact in float32."""
    return (0.5 + np.arange(frames) % 3).astype(np.float64)


def tangent(poses, gradient):
    """Gradient to pose arrays (frame, 7) as gradient to a shift and a right turn of each (frame, 6)."""
    result = np.zeros((len(poses), 6))
    result[:, :3] = gradient[:, :3]
    for frame, pose in enumerate(poses):
        x, y, z, w = 0.5 * pose[3:]
        turned = np.array([[w, z, -y, -x], [-z, w, x, -y], [y, -x, w, -z]])
        result[frame, 3:] = turned @ gradient[frame, 3:]
    return result


def numeric_tangent(function, poses, step):
    """Finite differences of a function of poses by a shift and a right turn of each (frame, 6)."""

    def of_tangent(steps):
        return function(np.array([moved(pose, s[:3], s[3:]) for pose, s in zip(poses, steps, strict=True)]))

    return finite_difference(of_tangent, np.zeros((len(poses), 6)), step=step)


def expected(order, kind, poses, surface, segments=SEGMENTS, dt=DT):
    """The twin's values (frame,)."""
    if kind == "rigid":
        return reference.rigid(poses, surface, segments, dt, SIGMA, order)
    return reference.root(poses, segments, dt, SIGMA, SIGMA_RAD, order)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["rigid", "root"])
@pytest.mark.parametrize("name", ["ordinary", "huge", "tiny", "still", "half turns"])
def test_pose_terms_match_their_twins(device, surface, order, kind, name):
    """Values and gradients, with sequences apart and dropped frames, from no motion at all to half turns."""
    poses = motion(name)
    rows, gradient = run(device, order, kind, poses=poses, surface=surface)
    values = expected(order, kind, poses, surface)
    # Float32 poses resolve 6e-8 of 0.6 m and of a rotation's entries.
    noise = 3e-7 / SIGMA
    np.testing.assert_allclose(np.sqrt(rows[1]), np.sqrt(values), rtol=1e-4, atol=noise)
    assert not rows[0].any() and not rows[2].any()
    weights = frame_weights(len(poses))
    numeric = numeric_tangent(lambda p: weights @ expected(order, kind, p, surface), poses, 1e-6)
    if name == "still":
        np.testing.assert_allclose(tangent(poses, gradient), 0.0, atol=1e-9)
        return
    limit = 1e-3 if name == "tiny" else 2e-5
    compare_gradients(
        tangent(poses, gradient),
        numeric,
        name=f"add_{kind}_{ORDERS[order]} poses, {name}",
        worst=limit,
        bias=limit,
        cosine=1.0 - 1e-8,
    )


@pytest.mark.parametrize("order", ORDERS)
def test_joint_terms_match_their_twin(device, order):
    """Values and gradients of joint coordinates with sigmas of their own."""
    random = np.random.default_rng(2)
    joints = random.normal(size=(len(SEGMENTS), 3)).astype(np.float32).astype(np.float64)
    sigmas = np.array([0.05, 0.2, 0.01])
    rows, gradient = run(device, order, "joint", joints=joints, sigmas=sigmas)
    values = reference.joints(joints, SEGMENTS, DT, sigmas, order)
    np.testing.assert_allclose(rows[1], values, rtol=1e-5)
    weights = frame_weights(len(joints))
    numeric = finite_difference(lambda j: weights @ reference.joints(j, SEGMENTS, DT, sigmas, order), joints, step=1e-3)
    compare_gradients(gradient, numeric, name=f"add_joint_{ORDERS[order]} joints", worst=1e-4, bias=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("kind", ["rigid", "root", "joint"])
def test_short_sequences_cost_nothing(device, surface, kind, frames):
    """One frame has no velocity, two have no acceleration; gradients there are zero and finite."""
    poses, segments, dt = motion("ordinary", frames), np.zeros(frames, int), np.ones(frames)
    joints, sigmas = np.random.default_rng(0).normal(size=(frames, 2)), np.ones(2)
    for order in ORDERS:
        given = {"joints": joints, "sigmas": sigmas} if kind == "joint" else {"poses": poses, "surface": surface}
        rows, gradient = run(device, order, kind, segments=segments, dt=dt, **given)
        assert np.count_nonzero(rows) == max(0, frames - order)
        assert np.isfinite(gradient).all()
        assert gradient.any() == (frames > order)


@pytest.mark.parametrize("kind", ["rigid", "root"])
@pytest.mark.parametrize("order", ORDERS)
def test_camera_motion_does_not_matter(device, surface, kind, order):
    """Turning and shifting the camera, the same at all frames, changes nothing."""
    poses = motion("ordinary")
    turn, shift = Rotation.from_rotvec([0.4, -0.7, 0.2]), np.array([0.3, 0.1, 0.2])
    turned = np.concatenate(
        [turn.apply(poses[:, :3]) + shift, (turn * Rotation.from_quat(poses[:, 3:])).as_quat()], axis=1
    )
    first, _ = run(device, order, kind, poses=poses, surface=surface)
    second, _ = run(device, order, kind, poses=turned, surface=surface)
    np.testing.assert_allclose(second, first, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("kind", ["rigid", "root"])
@pytest.mark.parametrize("order", ORDERS)
def test_time_may_run_backwards(device, surface, kind, order):
    """The reversed motion has the same sum."""
    poses = motion("ordinary", 6)
    segments, dt = np.zeros(6, int), np.ones(6)
    first, _ = run(device, order, kind, poses=poses, surface=surface, segments=segments, dt=dt)
    second, _ = run(device, order, kind, poses=poses[::-1], surface=surface, segments=segments, dt=dt)
    assert second.sum() == pytest.approx(first.sum(), rel=1e-4)


def test_quaternion_sign_does_not_matter(device, surface):
    """q and -q are one rotation: flipping one frame's sign changes no value."""
    poses = motion("ordinary")
    flipped = poses.copy()
    flipped[2, 3:] *= -1.0
    for order in ORDERS:
        for kind in ("rigid", "root"):
            first, _ = run(device, order, kind, poses=poses, surface=surface)
            second, _ = run(device, order, kind, poses=flipped, surface=surface)
            np.testing.assert_array_equal(second, first)


def test_steady_motion_has_no_acceleration(device, surface):
    """Equal steps cost velocity but no acceleration, also across a dropped frame."""
    times = np.cumsum([0.0, 1.0, 1.0, 2.0, 1.0])
    turns = Rotation.from_rotvec(times[:, None] * np.array([0.0, 0.1, 0.0])).as_quat()
    poses = np.concatenate([times[:, None] * np.array([0.01, 0.0, -0.02]) + (0.0, 0.0, 0.6), turns], axis=1)
    given = {"segments": np.zeros(5, int), "dt": np.array([1.0, 1.0, 1.0, 2.0, 1.0])}
    rows, _ = run(device, 2, "root", poses=poses, **given)
    np.testing.assert_allclose(rows, 0.0, atol=1e-6)
    rows, _ = run(device, 1, "root", poses=poses, **given)
    np.testing.assert_allclose(rows[1, 1:], rows[1, 1], rtol=1e-4)
