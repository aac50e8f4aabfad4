"""Good frames seed their neighbours: a pose carried over by the dynamics replaces one that fits its picture worse."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.alignment.aligner import BodyAligner
from warpprior.dynamics import Transfer

SETTLING = 5  # Gauss-Newton iterations a carried pose is given
BETTER = 0.7  # a carried pose must cost less than this share of the frame's own


def seed_neighbours(aligner: BodyAligner, rounds: int) -> int:
    """Try in every frame the poses of the frames before and after it, moved along with the contacts.

    Contacts are points of the other body that is closest; without any, the neighbour's pose is tried as it is.

    Args:
        aligner: the body's problem, in a stage.
        rounds: a good pose travels at most this many frames in each direction.

    Returns:
        The number of poses that were replaced.
    """
    state, name = aligner.state, aligner.body.name
    if state.frame_count < 2:
        return 0
    aligner.let_frames_go()  # a bad neighbour must not hold a frame back
    aligner.linearise()
    pair_count, device = state.frame_count - 1, state.device
    transfer = Transfer(pair_count, device)
    poses = state.states[name].poses
    segments = state.segments.numpy()
    joined = segments[1:] == segments[:-1]
    costs = aligner.picture_costs()
    points, weights = _closest_points(aligner)
    replaced = 0
    for _ in range(rounds):
        changed = 0
        for forward in (True, False):
            earlier, later = slice(0, pair_count), slice(1, pair_count + 1)
            source, target = (earlier, later) if forward else (later, earlier)
            transfer.carry(points[source], points[target], weights[source], poses[source])
            own = poses.numpy().copy()  # on a CPU these are the poses themselves
            tried = own.copy()
            carried = keep_unseen_turn(transfer.poses_after.numpy(), own[target], aligner.body.symmetry)
            tried[target] = np.where(joined[:, None], carried, own[target])
            aligner.place(tried)
            aligner.linearise()
            for _ in range(SETTLING):
                aligner.solve()
                state.pose()
                state.settle()
                aligner.linearise()
            tried = poses.numpy().copy()
            new_costs = aligner.picture_costs()
            better = new_costs < BETTER * costs
            kept = np.where(better[:, None], tried, own)
            costs = np.where(better, new_costs, costs)
            aligner.place(kept)
            changed += int(better.sum())
        replaced += changed
        if changed == 0:
            break
    return replaced


def keep_unseen_turn(carried: np.ndarray, own: np.ndarray, symmetry: str) -> np.ndarray:
    """Poses that look like ``carried`` and are turned from ``own`` no more than that takes, both (frame, 7)."""
    from scipy.spatial.transform import Rotation

    if symmetry == "none":
        return carried
    carried = carried.copy()
    if symmetry == "sphere":
        carried[:, 3:] = own[:, 3:]
        return carried
    start = Rotation.from_quat(own[:, 3:])
    axis = np.eye(3)["xyz".index(symmetry)]
    before, after = start.apply(axis), Rotation.from_quat(carried[:, 3:]).apply(axis)
    # The shortest turn from one direction to another; opposite ones leave its axis open, and the turn undone.
    quaternions = np.column_stack([np.cross(before, after), 1.0 + np.sum(before * after, axis=1)])
    lengths = np.linalg.norm(quaternions, axis=1, keepdims=True)
    quaternions = np.where(lengths > 1e-6, quaternions, [0.0, 0.0, 0.0, 1.0])
    carried[:, 3:] = (Rotation.from_quat(quaternions) * start).as_quat()
    return carried


def _closest_points(aligner: BodyAligner) -> tuple[wp.array, wp.array]:
    """Points and contact weights of the body whose contacts weigh most; one weightless point without other bodies."""
    state = aligner.state
    if not aligner.partners:
        shape = (state.frame_count, 1)
        return wp.zeros(shape, dtype=wp.vec3, device=state.device), wp.zeros(shape, dtype=float, device=state.device)
    contact = max(aligner.contacts.values(), key=lambda contact: float(contact.sums.numpy()[:, 0].sum()))
    name = contact.partner.name
    scale = state.points[name].shape[1]
    weights = wp.array(contact.weights.numpy() * scale, dtype=float, device=state.device)
    return state.points[name], weights
