"""Joint coordinates as users store them, brought into the body's order and within its limits."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.body import Body, JointType
from warpprior.bodies.readers.kinds import find_kind
from warpprior.support.errors import InputError
from warpprior.support.wording import frame_list, nearest

ROUNDING = 1e-5
FULL_TURN = 2 * np.pi


def read_joints(
    stored: np.ndarray | None,
    names: np.ndarray | None,
    body: Body,
    frame_count: int,
    where: str,
    notes: list[str],
    *,
    clamp: bool,
) -> np.ndarray:
    """Joint coordinates (frame, coordinate) float64 in the order of ``body.coordinate_names``; NaN rows pass through.

    Args:
        stored: (frame, n) as in the file, or None for a body without joints.
        names: the file's joint names (n,), or None: then the body's own order is assumed, with a note.
        body: whose coordinates are wanted.
        frame_count: rows of the answer when the body has no joints.
        where: file and body, for messages.
        notes: warnings are appended.
        clamp: bring values into the limits, with a note.

    Raises:
        InputError: a joint is missing or named twice, counts differ, or angles look like degrees.
    """
    if body.coordinate_count == 0:
        if stored is not None and stored.shape[1]:
            notes.append(f"{body.name}/joints is ignored: the model has no joints")
        return np.zeros((frame_count, 0))
    assert stored is not None  # bodies with joints must have them
    joints = stored.astype(np.float64)
    kind = find_kind(body.kind)
    fixed_order = kind is not None and kind.fixed_joint_order
    if names is None:
        if joints.shape[1] != body.coordinate_count:
            accepted = f"needs {body.coordinate_count}: {_shorten(body.coordinate_names)}"
            if joints.shape[1] == body.coordinate_count + 3 and fixed_order:
                accepted = f"needs {body.coordinate_count}; the global rotation in front of them goes into rotation"
            raise InputError(f"{where}/joints", f"has {joints.shape[1]} coordinates", accepted)
        if not fixed_order:
            notes.append(f"{body.name}/joint_names is missing; the joints were taken in the model's own order")
    else:
        joints = joints[:, _find_columns(names, joints.shape[1], body, where, notes)]
    _check_degrees(joints, body, where)
    return _clamp(joints, body, notes) if clamp else joints


def _find_columns(names: np.ndarray, column_count: int, body: Body, where: str, notes: list[str]) -> list[int]:
    place = f"{where}/joint_names"
    if names.dtype.kind != "U" or names.shape != (column_count,):
        found = f"has type {names.dtype} and shape {names.shape}"
        raise InputError(place, found, f"needs one text per column of joints, {column_count} in all")
    stated = [str(name) for name in names]
    twice = sorted({name for name in stated if stated.count(name) > 1})
    if twice:
        raise InputError(place, f"names {', '.join(twice)} twice", "needs each joint once")
    missing = [name for name in body.coordinate_names if name not in stated]
    if missing:
        hint = nearest(missing[0], stated)
        raise InputError(place, f"has no {_shorten(missing)}", f"{hint}the model has {_shorten(body.coordinate_names)}")
    extra = [name for name in stated if name not in body.coordinate_names]
    if extra:
        notes.append(f"{body.name}/joint_names has {_shorten(extra)}, which the model does not move; ignored")
    return [stated.index(name) for name in body.coordinate_names]


def angle_coordinates(body: Body) -> np.ndarray:
    """Which joint coordinates are angles (coordinate,) bool; the others are lengths."""
    angles = np.ones(body.coordinate_count, dtype=bool)
    sliding = (body.joint_types == JointType.SLIDE) & (body.coordinate_starts >= 0)
    angles[body.coordinate_starts[sliding]] = False
    return angles


def _check_degrees(joints: np.ndarray, body: Body, where: str) -> None:
    bounded = angle_coordinates(body) & np.isfinite(body.lower) & np.isfinite(body.upper)
    excess = np.abs(joints) > FULL_TURN + np.maximum(np.abs(body.lower), np.abs(body.upper))
    wrong = excess & bounded
    if wrong.any():
        frame, column = np.argwhere(wrong)[0]
        found = f"{body.coordinate_names[column]} is {joints[frame, column]:.4g} rad"
        raise InputError(f"{where}/joints, frame {frame}", found, "needs radians; these look like degrees")


def _clamp(joints: np.ndarray, body: Body, notes: list[str]) -> np.ndarray:
    lower, upper = body.lower.astype(np.float64), body.upper.astype(np.float64)
    clamped = np.clip(joints, lower, upper)
    with np.errstate(invalid="ignore"):
        excess = np.nan_to_num(np.abs(joints - clamped))
    outside = excess > ROUNDING
    if outside.any():
        columns = [body.coordinate_names[column] for column in np.flatnonzero(outside.any(0))]
        frames = frame_list(np.flatnonzero(outside.any(1)))
        unit = "rad" if angle_coordinates(body)[np.argmax(excess.max(0))] else "m"
        notes.append(
            f"{body.name}/joints: {_shorten(columns)} outside the limits in {frames}, "
            f"by up to {excess.max():.2g} {unit}; clamped"
        )
    return clamped


def _shorten(names) -> str:
    names = list(names)
    return ", ".join(names[:8]) + (f", ... ({len(names)} in all)" if len(names) > 8 else "")
