"""Poses joined of positions and rotations, against SciPy; differentiated in tests/test_geometry_public.py."""

import numpy as np
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import POISON
from warpprior.kernels.joined_poses import join_matrices, join_quaternions, unit_poses

FRAMES = 9


def test_both_forms_of_rotations_join(device):
    """Quaternions of any length and matrices, half a turn and no turn among them, give the same unit quaternion."""
    turns = Rotation.from_rotvec([*np.random.default_rng(0).normal(size=(FRAMES - 2, 3)), [np.pi, 0, 0], [0, 0, 0]])
    positions = wp.array(np.random.default_rng(1).normal(size=(FRAMES, 3)), dtype=wp.vec3, device=device)
    lengths = np.geomspace(1e-3, 1e3, FRAMES)[:, None]
    quats = wp.array(turns.as_quat() * lengths, dtype=wp.quat, device=device)
    matrices = wp.array(turns.as_matrix(), dtype=wp.mat33, device=device)
    for join, rotations in ((join_quaternions, quats), (join_matrices, matrices)):
        poses = wp.empty(FRAMES, dtype=wp.transform, device=device)
        poses.fill_(POISON)
        join(positions, rotations, poses_out=poses)
        again = wp.empty(FRAMES, dtype=wp.transform, device=device)
        again.fill_(POISON)
        unit_poses(
            wp.array(poses.numpy() * [*[1.0] * 3, *[2.5] * 4], dtype=wp.transform, device=device), poses_out=again
        )
        np.testing.assert_allclose(again.numpy(), poses.numpy(), atol=1e-6)
        np.testing.assert_array_equal(poses.numpy()[:, :3], positions.numpy())
        np.testing.assert_allclose(np.linalg.norm(poses.numpy()[:, 3:], axis=1), 1.0, atol=1e-6)
        assert (Rotation.from_quat(poses.numpy()[:, 3:]) * turns.inv()).magnitude().max() < 1e-6
