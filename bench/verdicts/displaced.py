"""Estimates that are wrong for no reason that the data has: right ones, moved or turned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.result import Result

MOVED, TURNED = "estimate moved", "estimate turned"
ASIDE_M, ALONG_M, TURN_DEG = (0.012, 0.08), (0.015, 0.15), (10.0, 120.0)


def displaced(result: Result, kind: str, random: np.random.Generator) -> Result:
    """One body moved aside or along the view, or turned, in all frames or a third; residuals are not known then."""
    names = [body.name for body in result.scene.bodies if not body.known]
    name = names[random.integers(len(names))]
    poses, count = result.poses[name], result.scene.frame_count
    first, many = (0, count) if random.random() < 0.5 else (int(random.integers(count - count // 3 + 1)), count // 3)
    frames = slice(first, first + many)
    position, rotation = poses.position.copy(), poses.rotation.copy()
    if kind == TURNED:
        axis = random.normal(size=3)
        turn = Rotation.from_rotvec(np.radians(_drawn(TURN_DEG, random)) * axis / np.linalg.norm(axis))
        rotation[frames] = (Rotation.from_quat(rotation[frames]) * turn).as_quat()
    elif random.random() < 0.5:
        angle = random.uniform(0.0, 2.0 * np.pi)
        position[frames] += _drawn(ASIDE_M, random) * np.array([np.cos(angle), np.sin(angle), 0.0])
    else:
        ahead = position[frames] / np.linalg.norm(position[frames], axis=1, keepdims=True)
        position[frames] += random.choice([-1.0, 1.0]) * _drawn(ALONG_M, random) * ahead
    moved = replace(poses, position=position, rotation=rotation)
    return replace(result, poses={**result.poses, name: moved}, residuals={})


def _drawn(limits: tuple[float, float], random: np.random.Generator) -> float:
    """Evenly in the logarithm."""
    return float(np.exp(random.uniform(*np.log(limits))))
