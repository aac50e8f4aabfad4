"""The same world told in another way is tracked alike: another camera, other units, another order, the same bits."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.track_samples import make_scene, positions, run
from warpprior.tracking.settings import TrackSettings


@pytest.fixture(scope="module")
def grip():
    """The gripper carries the block, 40 frames."""
    return make_scene(40, seed=2)


@pytest.fixture(scope="module")
def estimates(grip):
    """What is believed of it."""
    return run(grip)


def moved(scene, turn, shift):
    """The scene as seen by a camera elsewhere; pictures are not moved."""
    bodies = []
    for item in scene.bodies:
        parts = {}
        for key in ("initial", "truth"):
            poses = getattr(item, key)
            rotation = (turn * Rotation.from_quat(poses.rotation)).as_quat()
            parts[key] = replace(poses, position=turn.apply(poses.position) + shift, rotation=rotation)
        bodies.append(replace(item, **parts))
    points = {}
    for name, values in scene.keypoints3d.items():
        points[name] = values.copy()
        points[name][..., :3] = turn.apply(values[..., :3].reshape(-1, 3)).reshape(*values.shape[:2], 3) + shift
    centers = {name: turn.apply(values) + shift for name, values in scene.centers.items()}
    return replace(scene, bodies=tuple(bodies), keypoints3d=points, centers=centers)


def test_another_camera_sees_the_same(grip):
    """Noise that has no direction: turning and shifting all that is told turns and shifts the answer."""
    settings = TrackSettings(estimated=replace(TrackSettings().estimated, depth_m=0.004), initial_depth_m=0.02)
    scene, turn, shift = grip, Rotation.from_rotvec([0.3, -0.8, 2.0]), np.array([0.5, 0.2, 1.0])
    here, there = (run(found, settings) for found in (scene, moved(scene, turn, shift)))
    np.testing.assert_allclose(positions(there), turn.apply(positions(here)) + shift, atol=5e-5)
    for one, two in zip(here, there, strict=True):
        off = Rotation.from_quat(two.rotation["block"]) * (turn * Rotation.from_quat(one.rotation["block"])).inv()
        assert off.magnitude() < 1e-3
        both = np.kron(np.eye(2), turn.as_matrix())
        np.testing.assert_allclose(two.covariance["block"], both @ one.covariance["block"] @ both.T, atol=2e-5)


def test_a_larger_world_is_tracked_alike(grip, estimates):
    """All lengths doubled, bodies, noise and thresholds: the same errors, doubled."""
    scene, lengths = grip, 2.0

    def grown(poses, body):
        joints = poses.joints * np.where(["width" in name for name in body.coordinate_names], lengths, 1.0)
        return replace(poses, position=lengths * poses.position, joints=joints)

    bodies = []
    for item in scene.bodies:
        body = item.body
        offsets = body.joint_offsets.copy()
        offsets[:, :3] *= lengths
        limits = np.where(["width" in name for name in body.coordinate_names], lengths, 1.0).astype(np.float32)
        larger = replace(
            body,
            vertices=(lengths * body.vertices).astype(np.float32),
            joint_offsets=offsets,
            lower=body.lower * limits,
            upper=body.upper * limits,
        )
        bodies.append(replace(item, body=larger, initial=grown(item.initial, body), truth=grown(item.truth, body)))
    points = {name: values * [lengths, lengths, lengths, 1.0] for name, values in scene.keypoints3d.items()}
    centers = {name: lengths * values for name, values in scene.centers.items()}
    large = replace(scene, bodies=tuple(bodies), keypoints3d=points, centers=centers)
    usual = TrackSettings().with_sigmas({})
    settings = {
        name: lengths * value for name, value in usual.as_dict().items() if name.endswith(("_m", "_m_s", "_m_s2"))
    }
    noise = usual.estimated
    settings["estimated"] = replace(noise, lateral_m=lengths * noise.lateral_m, depth_m=lengths * noise.depth_m)
    small, wide = positions(estimates), positions(run(large, replace(usual, **settings)))
    # Slip grows with time, contact weights with the prior's length: nearly the same.
    np.testing.assert_allclose(wide, lengths * small, atol=lengths * 2e-3)


def test_the_order_of_bodies_does_not_matter(grip, estimates):
    """Objects before hands, or after."""
    one, two = estimates, run(replace(grip, bodies=grip.bodies[::-1]))
    np.testing.assert_allclose(positions(one), positions(two), atol=1e-9)
    np.testing.assert_allclose(positions(one, "hand"), positions(two, "hand"), atol=1e-9)


def test_the_order_of_sensors_does_not_matter(grip, estimates):
    """They go into one update."""
    one, two = estimates, run(grip, sensors="center,keypoints3d")
    np.testing.assert_allclose(positions(one), positions(two), atol=1e-8)


def test_the_same_input_gives_the_same_bits(grip, estimates):
    """Twice in one process, without any trace of the first time."""
    for first, second in zip(estimates, run(grip), strict=True):
        np.testing.assert_array_equal(first.covariance["block"], second.covariance["block"])
        np.testing.assert_array_equal(first.position["hand"], second.position["hand"])
