"""Are depth images in the unit that is stated?  What they measure on a body's label is held against its rough poses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from warpprior.io.pose_readings import middle_depth
from warpprior.scene import SceneBody
from warpprior.support.errors import InputError

MOST_FRAMES = 3  # that are looked at
LEAST_PIXELS = 20  # of a label, measured
MOST_FACTOR = 4.0  # that a rough pose is off in depth


def check_depth_scale(
    where: str, bodies: Sequence[SceneBody], labels: np.ndarray, read_depth: Callable[[int], np.ndarray | None]
) -> None:
    """Refuse depth that is several times too large or too small on every label.

    Args:
        where: names the key, for messages.
        bodies: with their initial poses.
        labels: (frame, height, width) uint8.
        read_depth: ``Scene.read_depth``.

    Raises:
        InputError: says where a body is by its pose, and where by the depth images.
    """
    depths = {item.name: middle_depth(item.body, item.initial) for item in bodies}
    found: list[tuple[str, float, float]] = []  # name, depth by pose and as measured
    looked_at = 0
    for frame in range(len(labels)):
        depth = read_depth(frame) if looked_at < MOST_FRAMES else None
        if depth is None:
            continue
        looked_at += 1
        for item in bodies:
            measured = depth[(labels[frame] == item.label) & (depth > 0.0)]
            expected = float(depths[item.name][frame])
            if len(measured) >= LEAST_PIXELS and expected > 0.0:
                found.append((item.name, expected, float(np.median(measured))))
    factors = [measured / expected for _, expected, measured in found]
    if factors and (min(factors) > MOST_FACTOR or max(factors) < 1.0 / MOST_FACTOR):
        name, expected, measured = found[0]
        text = f"puts {name} at {measured:.3g} m, where its pose has it at {expected:.3g} m"
        raise InputError(where, text, "the metres per unit of the depth images: 0.001 for millimetres in 16 bits")
