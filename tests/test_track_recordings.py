"""Tracking of a recording that is not ours: a known robot hand turns a bottle, with physics and pictures by MuJoCo."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from warpprior.io import load_scene
from warpprior.tracking.run import track

load = cache(load_scene)


@pytest.fixture
def recording(shared_data):
    """The recorded scene."""
    return load(shared_data / "allegro_mustard")


def started_off(scene, name, *, shift, turn, seed):
    """The scene with the first pose of a body off by ``shift`` [m] and ``turn`` [rad], in random directions."""
    random = np.random.default_rng(seed)
    body = scene.body(name)
    way, axis = random.normal(size=(2, 3))
    position, rotation = body.initial.position.copy(), body.initial.rotation.copy()
    position[0] = body.truth.position[0] + shift * way / np.linalg.norm(way)
    off = Rotation.from_rotvec(turn * axis / np.linalg.norm(axis))
    rotation[0] = (off * Rotation.from_quat(body.truth.rotation[0])).as_quat()
    return scene.with_poses({name: replace(body.initial, position=position, rotation=rotation)})


def mean_distances(body, poses):
    """ADD of each frame [m]."""
    vertices = body.body.vertices[::7].astype(float)
    place = lambda motion, frame: (  # noqa: E731
        Rotation.from_quat(motion.rotation[frame]).apply(vertices) + motion.position[frame]
    )
    misses = [place(poses, frame) - place(body.truth, frame) for frame in range(len(poses.position))]
    return np.linalg.norm(misses, axis=2).mean(axis=1)


@pytest.mark.parametrize(
    ("observe", "limit"),
    [("center2d,area", 0.015), ("moments", 0.006), ("mask", 0.003)],
    ids=["area", "moments", "mask"],
)
@pytest.mark.parametrize("seed", [0, 3])
def test_a_known_hand_and_little_of_a_mask_find_the_bottle(recording, device, observe, limit, seed):
    """From 3 cm and 10 degrees off, the mask's area and centroid are enough for the last half of the sequence."""
    scene = started_off(recording, "mustard_bottle", shift=0.03, turn=np.radians(10.0), seed=seed)
    result = track(scene, observe=observe, device=device)
    errors = mean_distances(scene.body("mustard_bottle"), result.poses["mustard_bottle"])
    assert np.median(errors[30:]) <= limit
    assert errors[30:].max() <= 1.5 * limit
    assert (result.history["held/mustard_bottle"][1:] == 1).all()


def test_what_is_known_stays_as_it_was_given(recording, device):
    """The hand is kept bit for bit, and without a covariance; the bottle has one in every frame."""
    result = track(recording.first_frames(4), observe="moments", device=device)
    hand = recording.body("hand").initial
    np.testing.assert_array_equal(result.poses["hand"].position, hand.position[:4])
    assert result.poses["hand"].covariance is None
    covariance = result.poses["mustard_bottle"].covariance
    assert covariance.shape == (4, 6, 6)
    assert (np.linalg.eigvalsh(covariance) > 0.0).all()
