"""Which bodies have colours to compare with pictures."""

from __future__ import annotations

import numpy as np

from warpprior.scene import SceneBody
from warpprior.system.motion import MotionState

PLAIN = 0.01  # colours that vary less than this over the surface carry no information [grey levels]


def why_no_colors(body: SceneBody, motion: MotionState) -> str:
    """Why a body's colours cannot be compared with the pictures, or ""."""
    if motion.scene.read_rgb is None:
        return "the scene has no pictures"
    if motion.scene.labels is None:
        return "the scene has no label images"
    colors = body.body.colors
    if colors is None:
        return f"{body.name} has no vertex colours"
    if np.asarray(colors, dtype=np.float64).std(axis=0).max() < PLAIN:
        return f"{body.name} has one colour all over: nothing to compare"
    return ""
