"""Joint coordinates from where links are, and the size of a model from how far apart they are."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.body import Body, JointType
from warpprior.usd.reading.motion import inverse, nearest_rotations, transforms


def link_offsets(body: Body, shape: np.ndarray, scale: float) -> np.ndarray:
    """parent_from_joint at rest (link, 4, 4) float64."""
    from scipy.spatial.transform import Rotation

    offsets = body.joint_offsets.astype(np.float64)
    places = offsets[:, :3] + (body.joint_shape_directions @ shape if body.shape_count else 0.0)
    return transforms(Rotation.from_quat(offsets[:, 3:]).as_matrix(), scale * places)


def rest_links(body: Body, offsets: np.ndarray) -> np.ndarray:
    """root_from_link with no joint moved (link, 4, 4)."""
    rest = offsets.copy()
    for link in range(1, body.link_count):
        rest[link] = rest[body.parents[link]] @ offsets[link]
    return rest


def solve_joints(body: Body, links: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Pose and joint coordinates of a body whose links are known.

    A hinge's angle is the one nearest to the middle of its limits at first, then nearest to that of the frame before.

    Args:
        body: its links and joints.
        links: frame_from_link (frame, link, 4, 4), rigid.
        offsets: of :func:`link_offsets`.

    Returns:
        frame_from_body (frame, 4, 4), joint coordinates (frame, coordinate), and how far a link is at most from where
        its joint can be [m].
    """
    from scipy.spatial.transform import Rotation

    pose = links[:, 0] @ inverse(offsets[0])
    joints = np.zeros((len(links), body.coordinate_count))
    settled = np.zeros(body.coordinate_count, dtype=bool)
    away = 0.0
    # A joint that moves by itself says more than one that follows it.
    followers = (body.coordinate_gains != 1.0) | (body.coordinate_biases != 0.0)
    for link in np.argsort(followers, kind="stable"):
        if link == 0:
            continue
        moved = inverse(offsets[link]) @ inverse(links[:, body.parents[link]]) @ links[:, link]
        turn = Rotation.from_matrix(nearest_rotations(moved[:, :3, :3]))
        kind, start, axis = JointType(int(body.joint_types[link])), int(body.coordinate_starts[link]), None
        shift = moved[:, :3, 3]
        if kind in (JointType.HINGE, JointType.SLIDE):
            axis = body.joint_axes[link].astype(np.float64)
        if kind == JointType.SLIDE and axis is not None:
            values = shift @ axis
            shift = shift - values[:, None] * axis
        elif kind == JointType.HINGE and axis is not None:
            quaternion = turn.as_quat()
            values = 2.0 * np.arctan2(quaternion[:, :3] @ axis, quaternion[:, 3])
            values = _unwound(values, _middle(body, link, start))
        away = max(away, float(np.linalg.norm(shift, axis=1).max()))
        if start < 0:
            continue
        if kind == JointType.BALL:
            if not settled[start]:
                joints[:, start : start + 3] = turn.as_rotvec()
                settled[start : start + 3] = True
        elif not settled[start]:
            gain, bias = float(body.coordinate_gains[link]), float(body.coordinate_biases[link])
            if gain != 0.0:
                joints[:, start] = (values - bias) / gain
                settled[start] = True
    return pose, joints, away


def _middle(body: Body, link: int, start: int) -> float:
    """The middle of a hinge's own range [rad]; zero where it has none."""
    ends = np.array([body.lower[start], body.upper[start]], dtype=np.float64)
    middle = float(ends.mean()) if np.isfinite(ends).all() else 0.0
    return float(body.coordinate_gains[link]) * middle + float(body.coordinate_biases[link])


def _unwound(angles: np.ndarray, middle: float) -> np.ndarray:
    """Angles without jumps of whole turns, the first within half a turn of ``middle``."""
    turn = 2.0 * np.pi
    found = np.unwrap(angles)
    return found - turn * np.round((found[0] - middle) / turn)


def fit_size(body: Body, links: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Shape and scale of a model whose links are known, and how far joints stay from where they are [m].

    Args:
        body: the model.
        links: frame_from_link (frame, link, 4, 4), rigid.
    """
    rows = [link for link in range(1, body.link_count) if body.joint_types[link] != JointType.SLIDE]
    if not rows:
        return np.zeros(body.shape_count), 1.0, 0.0
    parents = body.parents[rows]
    apart = inverse(links[:, parents]) @ links[:, rows]
    places = apart[..., :3, 3].mean(axis=0)  # (link, 3)
    rest = body.joint_offsets[rows, :3].astype(np.float64)
    columns = [rest.reshape(-1, 1)]
    if body.shape_count:
        columns.append(body.joint_shape_directions[rows].astype(np.float64).reshape(-1, body.shape_count))
    matrix = np.concatenate(columns, axis=1)
    # Weak pull to the mean: joints say little of some directions.
    pull = 1e-6 * np.eye(matrix.shape[1])
    pull[0, 0] = 0.0
    found = np.linalg.lstsq(np.vstack([matrix, pull]), np.append(places.ravel(), np.zeros(len(pull))), rcond=None)[0]
    scale = float(found[0])
    if not 0.1 < scale < 10.0:
        return np.zeros(body.shape_count), 1.0, float(np.abs(places - rest).max())
    if abs(scale - 1.0) < 1e-6:
        scale = 1.0
    away = np.linalg.norm((matrix @ found).reshape(-1, 3) - places, axis=1).max()
    return found[1:] / scale, scale, float(away)
