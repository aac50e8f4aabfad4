"""Closed-form start: depth from the area of the label, bearing from its centroid, before any optimisation."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.triangles import mean_cross_section
from warpprior.refinement.rays import LARGEST_FACTOR, goes_on, move_along_rays, read_rays
from warpprior.scene import SceneBody
from warpprior.system.overlap import FEWEST_PIXELS
from warpprior.system.problem import Problem


def start_from_labels(body: SceneBody, problem: Problem, *, passes: int) -> float:
    """Move a body along and across its line of sight until its drawing has the area and centroid of its label.

    Only the open part of the drawing counts: what falls on other bodies' labels may hide there.  A body that is
    not drawn at all is put on the ray through its label, at the depth where its mean cross-section has the label's
    area.  Frames without a label follow the frames around them.

    Args:
        body: the estimated body.
        problem: of a sequence with labels; the body is moved in it.
        passes: how often to correct, at most.

    Returns:
        The mean intersection over union with the label before the first pass; the overlap of frames without one
        does not count.
    """
    motion, window = problem.motion, problem.observed.window
    overlap, camera = problem.overlap(body), problem.motion.scene.camera
    focal = np.array([camera.fx, camera.fy])
    center = np.array([camera.cx, camera.cy])
    cross_section = mean_cross_section(body.body.vertices * body.initial.scale, body.body.faces)
    first_overlap = 0.0
    for turn in range(passes):
        overlap.measure(motion.screen)
        ours, theirs, usable = overlap.drawn, overlap.labelled, overlap.usable
        if not usable.any():
            return 0.0
        if turn == 0:
            first_overlap = overlap.mean
        seen = ours[:, 0] >= FEWEST_PIXELS
        bearing, depth = read_rays(body, motion)
        middle = np.where(seen[:, None], ours[:, 1:] / np.maximum(ours[:, :1], 1.0), 0.0)
        target = theirs[:, 1:] / np.maximum(theirs[:, :1], 1.0)
        factor = np.sqrt(np.maximum(ours[:, 0], 1.0) / np.maximum(theirs[:, 0], 1.0))
        factor = np.clip(factor, 1.0 / LARGEST_FACTOR, LARGEST_FACTOR)
        lost_depth = np.sqrt(focal.prod() * cross_section / np.maximum(theirs[:, 0], 1.0))
        ray = (target + window.origins - center) / focal
        new_bearing = np.where(seen[:, None], bearing + (target - middle) / focal, ray)
        new_depth = np.where(seen, depth * factor, lost_depth)
        change = np.column_stack([new_bearing - bearing, np.log(new_depth / depth)])
        move_along_rays(body, motion, change, usable)
        if not goes_on(turn, change[usable, 2]):
            break
    return first_overlap
