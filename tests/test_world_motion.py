"""A moving camera: motion of bodies in the world, of the camera, and what was measured of it, against float64 twins."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.fit_samples import Tally, check_equations
from tests.reference.motion_terms import Sum
from tests.reference.world_motion import (
    Camera,
    CameraSmoothness,
    MeasuredPoses,
    WorldConsistency,
    WorldRest,
    WorldSmoothness,
)
from tests.test_motion_terms import PACES, SEGMENTS, STIFFNESS, exact, motion
from warpprior.kernels.camera_motion import (
    Expected,
    Viewer,
    add_camera_smoothness,
    add_measured_poses,
    advance_camera,
    place_camera,
)
from warpprior.kernels.differences import Stiffness
from warpprior.kernels.world_motion import add_world_consistency, add_world_rest, add_world_smoothness
from warpprior.system.moving_camera import MovingCamera, columns_of
from warpprior.world import CameraNoise, CameraPath, World

START, CAMERA, WIDTH = 1, 8, 15


def camera_of(frames, known, device, *, seed=4):
    """A camera that wanders and turns by tenths of radians, its twin, and what kernels take."""
    random = np.random.default_rng(seed)
    measured = motion(frames, seed=seed, turn=0.4)
    offsets = np.zeros((frames, 6)) if known else 0.1 * random.normal(size=(frames, 6))
    viewer = Viewer()
    viewer.start = -1 if known else CAMERA
    viewer.poses = wp.full(frames, wp.transform(*[np.nan] * 7), dtype=wp.transform, device=device)
    viewer.turns = wp.full(frames, wp.mat33(*[np.nan] * 9), dtype=wp.mat33, device=device)
    given = wp.array(measured.astype(np.float32), dtype=wp.transform, device=device)
    held = wp.array(offsets, dtype=wp.float64, device=device)
    place_camera(given, held, poses_out=viewer.poses, turns_out=viewer.turns)
    return viewer, held, Camera(measured, offsets, None if known else CAMERA)


@pytest.mark.parametrize("known", [True, False], ids=["known", "estimated"])
@pytest.mark.parametrize("name", STIFFNESS)
def test_bodies_move_in_the_world(nan_allowed, device, name, known):
    """Gradient and curvature by the body's unknowns and by the camera's, at uneven times and in several sequences."""
    frames, poses, stiffness = 7, motion(7), exact(STIFFNESS[name]).reshape(3, 2)
    viewer, _, camera = camera_of(frames, known, device)
    tally = Tally(frames, WIDTH, device)
    paces, touch = exact(PACES), exact([0.0, 0.001, 0.0, 0.004, 0.0, 0.0, 0.0])
    smooth, consistent, still = (tally.alike(Stiffness, position=p, rotation=r) for p, r in stiffness)
    given = tally.constants(poses, wp.transform), viewer, tally.constants(SEGMENTS, wp.int32), tally.constants(paces)
    pair = columns_of(START, viewer.start)
    tally.add(add_world_smoothness, *given, smooth, pair)
    tally.add(add_world_consistency, *given, consistent, pair)
    tally.add(add_world_rest, *given, tally.constants(touch), tally.constants(np.ones(frames)), still, pair)
    twin_of = poses, SEGMENTS, paces
    twin = Sum(
        WorldSmoothness(*twin_of, stiffness[0], START, camera=camera),
        WorldConsistency(*twin_of, stiffness[1], START, camera=camera),
        WorldRest(*twin_of, stiffness[2], START, camera=camera, touch=touch, resting=np.ones(frames)),
    )
    check_equations(tally, twin, f"world {name}, known {known}")


@pytest.mark.parametrize("stiff", [1.0, 1e4], ids=["soft", "far out"])
def test_the_camera_goes_smoothly_near_what_was_measured(nan_allowed, device, stiff):
    """The same of the camera's own terms, whose sequence is one."""
    frames, random = 6, np.random.default_rng(1)
    viewer, offsets, camera = camera_of(frames, False, device)
    tally, segments, paces = Tally(frames, WIDTH, device), [0] * frames, exact(PACES[:frames])
    scale = exact([30.0 * stiff, 3.0 * stiff])
    place, turn = tally.constants(scale[:1]), tally.constants(scale[1:])
    tally.add(add_camera_smoothness, viewer, tally.constants(segments, wp.int32), tally.constants(paces), place, turn)
    rows = np.zeros(frames, dtype=Expected.numpy_dtype())
    factors = exact(random.normal(size=(2, frames, 3)))
    stiffness = exact(stiff * random.uniform(1.0, 30.0, (2, frames)))
    rows["shift"], rows["turn"] = factors
    rows["shift_stiffness"], rows["turn_stiffness"] = stiffness
    expected = wp.array(rows, dtype=Expected, device=device)
    tally.add(add_measured_poses, offsets, expected, CAMERA)
    twin = Sum(CameraSmoothness(camera, segments, paces, scale), MeasuredPoses(camera, factors, stiffness))
    check_equations(tally, twin, f"camera, stiff {stiff}")


def test_long_steps_of_the_camera_are_shortened_alike(device):
    """A frame's six numbers keep their direction; the others step as they are asked to."""
    steps = np.zeros((2, 9))
    steps[0, 2:8], steps[1, 2:8] = [0.4, 0.1, 0.0, 0.0, 0.1, 0.0], [0.01, 0.0, 0.0, 0.0, 0.0, -0.05]
    longest = wp.array([0.1] * 3 + [0.2] * 3, dtype=wp.float64, device=device)
    offsets = wp.full((2, 6), 1.0, dtype=wp.float64, device=device)
    advance_camera(wp.array(steps, dtype=wp.float64, device=device), 2, longest, offsets_out=offsets)
    np.testing.assert_allclose(offsets.numpy(), 1.0 + np.array([steps[0, 2:8] / 4.0, steps[1, 2:8]]))


def head_path(count=30):
    """A smooth path (its world far away), at 30 frames per second."""
    times = np.arange(count) / 30.0
    place = 100.0 + 0.05 * np.sin(3.0 * times[:, None] + [0.0, 1.0, 2.0])
    turn = Rotation.from_rotvec(0.1 * np.sin(4.0 * times[:, None] + [2.0, 0.0, 1.0])) * Rotation.from_rotvec(
        [0, 2.0, 1]
    )
    return times, CameraPath(place, turn.as_quat())


def test_expected_offsets_have_the_covariance_of_jitter_and_drift(device):
    """Simulated offsets in units of what is expected are white: three frames in a row tell what comes next."""
    noise, (times, path) = CameraNoise(0.004, 0.01, 0.03, 0.02), head_path(12)
    rows = MovingCamera(World(path, noise=noise), times, device).expected(1.0).numpy()
    random = np.random.default_rng(0)
    walk = np.cumsum(random.normal(size=(4000, 12)) * np.sqrt(np.diff(times, prepend=0.0)), axis=1)
    offsets = noise.jitter_m * random.normal(size=(4000, 12)) + noise.drift_m * walk
    white = rows["shift"][:, 0] * offsets
    white[:, 1:] += rows["shift"][1:, 1] * offsets[:, :-1]
    white[:, 2:] += rows["shift"][2:, 2] * offsets[:, :-2]
    np.testing.assert_allclose((white**2).mean(axis=0) * rows["shift_stiffness"], 1.0, atol=0.1)
    np.testing.assert_allclose(
        np.mean(white[:, 1:] * white[:, :-1], axis=0) * rows["shift_stiffness"][1:], 0.0, atol=0.3
    )


def test_a_camera_begins_without_its_jitter(device):
    """Of 5 mm and half a degree in each frame by themselves, a start by smoothness leaves a fifth of the shaking."""
    noise, (times, path) = CameraNoise(), head_path()
    random = np.random.default_rng(3)
    shaken = Rotation.from_rotvec(noise.jitter_rad * random.normal(size=(30, 3))) * Rotation.from_quat(path.rotation)
    given = replace(
        path, position=path.position + noise.jitter_m * random.normal(size=(30, 3)), rotation=shaken.as_quat()
    )
    camera = MovingCamera(World(given, noise=noise), times, device)
    np.testing.assert_allclose(camera.path().position, given.position, atol=1e-6)
    camera.smoothed_start(np.ones(30), (900.0 / 2.0) ** 2, (900.0 / 10.0) ** 2)
    found = camera.path()

    def bends(path):
        return np.abs(np.diff(path.position, 2, axis=0)).mean()

    assert bends(found) < 0.2 * bends(given)
    assert (
        np.linalg.norm(found.position - path.position, axis=1).mean()
        < 0.6 * np.linalg.norm(given.position - path.position, axis=1).mean()
    )
    # What kernels have, in the world of the first frame, is the same path.
    own, there = camera.now(), given.frames([0] * 30)
    place, turn = there.moved(own.position, own.rotation)
    np.testing.assert_allclose(place, found.position, atol=1e-5)
    assert (Rotation.from_quat(turn).inv() * Rotation.from_quat(found.rotation)).magnitude().max() < 1e-5
