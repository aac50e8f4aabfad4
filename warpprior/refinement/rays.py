"""Bodies on their lines of sight: where the closed-form start finds them, and how it moves them."""

from __future__ import annotations

import numpy as np

from warpprior.scene import SceneBody
from warpprior.support.wording import frame_list
from warpprior.system.motion import NEAREST_M, MotionState

LARGEST_FACTOR = 2.0  # of depth in one pass
USUAL_PASSES = 4  # enough where the first guess is not far off; occlusion makes more of them drift
NOTED_FACTOR = 2.5  # of depth, from which the start says so
STILL_FAR = 0.03  # logarithm of depth, that the usual frame still moves by where these were not enough


def read_rays(body: SceneBody, motion: MotionState) -> tuple[np.ndarray, np.ndarray]:
    """Bearing x/z, y/z (frame, 2) and depth (frame,) [m] of a body's origin."""
    position = motion.states[body.name].poses.numpy()[:, :3].astype(np.float64)
    depth = np.maximum(position[:, 2], NEAREST_M)
    return position[:, :2] / depth[:, None], depth


def goes_on(turn: int, log_factors: np.ndarray) -> bool:
    """Whether another pass is due after number ``turn``, counted from 0, that changed log depths (frame,)."""
    return turn + 1 < USUAL_PASSES or float(np.median(np.abs(log_factors))) > STILL_FAR


def note_depth(body: SceneBody, motion: MotionState, before: np.ndarray) -> list[str]:
    """What is to be said where a body is now much nearer or farther than at depths (frame,) before, if anything."""
    if body.size is not None:  # where it is follows from its size, which is not known yet
        return []
    _, depth = read_rays(body, motion)
    log_factors = np.log(depth / before)
    usual = float(np.median(log_factors))
    if abs(usual) < np.log(NOTED_FACTOR):
        return []
    frames = np.flatnonzero(np.abs(log_factors) >= np.log(NOTED_FACTOR))
    where = "every frame" if len(frames) == len(depth) else frame_list(frames)
    side = "nearer" if usual < 0.0 else "farther"
    change = f"depth {np.median(before):.2f} m became {np.median(depth):.2f} m"
    than = f"{np.exp(abs(usual)):.1f} times {side} than the first guess in {where} ({change})"
    return [f"{body.name}: {than}; depths of hand networks belong to their own focal length."]


def move_along_rays(body: SceneBody, motion: MotionState, change: np.ndarray, usable: np.ndarray) -> None:
    """Move a body across and along its lines of sight, and pose it.

    Args:
        body: the estimated body.
        motion: of all bodies; its poses are changed.
        change: of the bearing, and of the logarithm of depth (frame, 3).
        usable: frames whose change is known (frame,), at least one; the others follow the frames around them.
    """
    bearing, depth = read_rays(body, motion)
    frames = np.arange(motion.frame_count)
    change = np.column_stack([np.interp(frames, frames[usable], column[usable]) for column in change.T])
    transforms = motion.states[body.name].poses.numpy().astype(np.float64)
    transforms[:, 2] = depth * np.exp(change[:, 2])
    transforms[:, :2] = (bearing + change[:, :2]) * transforms[:, 2:3]
    motion.states[body.name].poses.assign(transforms.astype(np.float32))
    motion.settle()
    motion.pose()
