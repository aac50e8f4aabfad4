"""What a wrong estimate leaves in colours: a picture that has others where the body is drawn."""

from __future__ import annotations

import numpy as np

from warpprior.bodies import posed_vertices
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.verdicts.pictures import Small

MOST_VERTICES = 800
FEWEST_SEEN = 20
CLEARANCE_M = 0.006  # deeper than this behind what is seen is hidden
DARK = 0.08  # of 0 to 1: what is darker has no hue


def trace_hue(scene: Scene, body: SceneBody, poses: Poses, small: Small, device: str, found: np.ndarray) -> None:
    """How far hues are from those of the picture, the median of what is seen.

    Hues are parts of red, green and blue, so that shadows do not count: two of them are 0 to 2 apart.

    Args:
        scene: with pictures.
        body: rigid, with colours.
        poses: of it.
        small: all bodies, drawn in some frames.
        device: where vertices are posed.
        found: of all frames (frame,); those of some frames are filled where enough is seen.
    """
    assert scene.read_rgb is not None and body.body.colors is not None
    stride = max(1, -(-body.body.vertex_count // MOST_VERTICES))
    own = np.asarray(body.body.colors, dtype=np.float64)[::stride]
    posed = posed_vertices(body.body, poses.frames(small.frames), device)[:, ::stride].astype(np.float64)
    camera = scene.camera
    rows, columns = small.depth.shape[1:]
    for places, (frame, drawn, labels) in zip(posed, small.each(), strict=True):
        image = scene.read_rgb(frame)
        if image is None:
            continue
        depth = np.maximum(places[:, 2], 1e-3)
        x = camera.fx * places[:, 0] / depth + camera.cx
        y = camera.fy * places[:, 1] / depth + camera.cy
        column, row = np.floor(x / small.step).astype(int), np.floor(y / small.step).astype(int)
        inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        column, row = np.where(inside, column, 0), np.where(inside, row, 0)
        seen = inside & (labels[row, column] == body.label)
        seen &= depth < drawn[row, column] + CLEARANCE_M
        if np.count_nonzero(seen) < FEWEST_SEEN:
            continue
        across, down = np.minimum(x[seen], camera.width - 1), np.minimum(y[seen], camera.height - 1)
        theirs = np.asarray(image, dtype=np.float64)[down.astype(int), across.astype(int)] / 255.0
        bright = (theirs.max(axis=1) > DARK) & (own[seen].max(axis=1) > DARK)
        if np.count_nonzero(bright) < FEWEST_SEEN:
            continue
        hues = [each[bright] / each[bright].sum(axis=1, keepdims=True) for each in (own[seen], theirs)]
        found[frame] = np.median(np.abs(hues[0] - hues[1]).sum(axis=1))
