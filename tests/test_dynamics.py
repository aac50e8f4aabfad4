"""The transfer of a body with its contacts, against SciPy's alignment, and what it does without any."""

import numpy as np
import warp as wp
from scipy.spatial.transform import Rotation

from warpprior.geometry.transfer import Transfer

PAIRS, CONTACTS = 5, 12
FAR = np.array([0.0, 0.0, 0.5])


def moved_contacts(seed=0, noise=0.0):
    """Contacts of each pair before and after a rigid motion, with weights, and the motions."""
    random = np.random.default_rng(seed)
    before = random.normal(scale=0.03, size=(PAIRS, CONTACTS, 3)) + FAR
    turns = Rotation.from_rotvec(random.normal(scale=0.2, size=(PAIRS, 3)))
    shifts = random.normal(scale=0.02, size=(PAIRS, 3))
    after = np.stack([turn.apply(points) for turn, points in zip(turns, before, strict=True)]) + shifts[:, None]
    after += random.normal(scale=1.0, size=after.shape) * noise
    weights = random.uniform(0.1, 1.0, (PAIRS, CONTACTS))
    poses = np.concatenate(
        [
            random.normal(scale=0.01, size=(PAIRS, 3)) + FAR,
            Rotation.random(PAIRS, random_state=seed).as_quat(),
        ],
        axis=1,
    )
    return before, after, weights, poses, turns, shifts


def carry(transfer, before, after, weights, poses, device):
    """Poses after the transfer (pair, 7)."""
    vectors = [wp.array(values.astype(np.float32), dtype=wp.vec3, device=device) for values in (before, after)]
    shares = wp.array(weights.astype(np.float32), dtype=float, device=device)
    transfer.carry(*vectors, shares, wp.array(poses.astype(np.float32), dtype=wp.transform, device=device))
    return transfer.poses_after.numpy().astype(float)


def angles(found, expected):
    """Angle between rotations [rad]."""
    return (Rotation.from_quat(found).inv() * expected).magnitude()


def test_a_rigid_motion_of_the_contacts_is_followed(device):
    """The body goes where its contacts carry it, as if glued to them."""
    before, after, weights, poses, turns, shifts = moved_contacts()
    found = carry(Transfer(PAIRS, device), before, after, weights, poses, device)
    np.testing.assert_allclose(found[:, :3], turns.apply(poses[:, :3]) + shifts, atol=2e-4)
    assert angles(found[:, 3:], turns * Rotation.from_quat(poses[:, 3:])).max() < 3e-3


def test_noisy_contacts_move_as_scipy_aligns_them(device):
    """With a prior that hardly counts, rotation and shift are those of ``Rotation.align_vectors``."""
    before, after, weights, poses, _, _ = moved_contacts(seed=1, noise=0.002)
    free = Transfer(PAIRS, device, contact_sigma_m=1e-5, prior_angle=3.0, prior_shift_m=10.0)
    found = carry(free, before, after, weights, poses, device)
    for pair in range(PAIRS):
        share = weights[pair] / weights[pair].sum()
        centers = share @ before[pair], share @ after[pair]
        turn, _ = Rotation.align_vectors(after[pair] - centers[1], before[pair] - centers[0], weights=share)
        assert angles(found[pair : pair + 1, 3:], turn * Rotation.from_quat(poses[pair, 3:]))[0] < 1e-4
        np.testing.assert_allclose(found[pair, :3], turn.apply(poses[pair, :3] - centers[0]) + centers[1], atol=2e-6)


def test_without_contacts_the_prior_motion_is_made(device):
    """No contact weight: identity by default, else the assigned motion, turned about the body's own origin."""
    before, after, weights, poses, _, _ = moved_contacts(seed=2)
    transfer = Transfer(PAIRS, device)
    found = carry(transfer, before, after, 0.0 * weights, poses, device)
    np.testing.assert_allclose(found[:, :3], poses[:, :3], atol=1e-6)
    assert angles(found[:, 3:], Rotation.from_quat(poses[:, 3:])).max() < 1e-6
    turn, shift = Rotation.from_rotvec([0.1, 0.2, -0.1]), np.array([0.01, -0.02, 0.03])
    motions = np.tile(np.concatenate([shift, turn.as_quat()]), (PAIRS, 1))
    transfer.prior_motions.assign(motions.astype(np.float32))
    found = carry(transfer, before, after, 0.0 * weights, poses, device)
    np.testing.assert_allclose(found[:, :3], poses[:, :3] + shift, atol=1e-6)
    assert angles(found[:, 3:], turn * Rotation.from_quat(poses[:, 3:])).max() < 1e-6


def test_one_contact_carries_the_place_and_the_prior_the_turn(device):
    """A single point fixes no rotation: the body goes along with it and hardly turns."""
    before, after, weights, poses, _, _ = moved_contacts(seed=3)
    weights[:, 1:] = 0.0
    found = carry(Transfer(PAIRS, device, contact_sigma_m=1e-5), before, after, weights, poses, device)
    local = Rotation.from_quat(poses[:, 3:]).inv().apply(before[:, 0] - poses[:, :3])
    np.testing.assert_allclose(Rotation.from_quat(found[:, 3:]).apply(local) + found[:, :3], after[:, 0], atol=1e-4)
    assert angles(found[:, 3:], Rotation.from_quat(poses[:, 3:])).max() < 0.15


def test_pairs_are_independent(nan_allowed, device):
    """A pair whose contacts are not finite spoils no other pair."""
    before, after, weights, poses, _, _ = moved_contacts(seed=4)
    good = carry(Transfer(PAIRS, device), before, after, weights, poses, device)
    after[2] = np.nan
    found = carry(Transfer(PAIRS, device), before, after, weights, poses, device)
    others = [0, 1, 3, 4]
    np.testing.assert_array_equal(found[others], good[others])
