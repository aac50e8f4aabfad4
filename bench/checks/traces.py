"""What a fault does to the evidence, by the truth of a simulated scene: too little, and nothing can tell it.

A transposed rotation that is nearly a half turn is nearly itself, and what hardly moves is nowhere else a frame later.
Such sequences are counted apart, by what is measured here and not by what a check says of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from warpprior.bench.checks.faults import shift_of
from warpprior.checks.comparison import likeness
from warpprior.checks.evidence import Evidence, compare_points
from warpprior.checks.timing import KEYPOINTS, LABELS, tracks
from warpprior.scene import Poses, Scene, SceneBody

LEAST_LOST = 0.1  # of how far drawings and keypoints agree with those of the truth, mean over bodies
LEAST_FACTOR = 1.14  # by which a mesh of another size comes out nearer or farther
LEAST_MOVED = 1.0  # times what observations are off: how far a body moves in the frames by which they are late


def _truth(item: SceneBody) -> Poses:
    return item.initial if item.truth is None else item.truth


def lost_by_rotations(scene: Scene, faulty: Scene) -> float:
    """How much less first guesses agree with the truth than before the fault, in [0, 1], bodies in their true places.

    Drawings agree by intersection over union, keypoints by what they miss.
    """
    evidence, lost = Evidence(scene), []
    for item in scene.bodies:
        view, truth = evidence.views[item.name], _truth(item)
        given = [each.frames(evidence.frames) for each in (truth, item.initial, faulty.body(item.name).initial)]
        right, *others = (each.rotation for each in given)
        if view.usable.any():
            middle = view.middles(given[0].position[None], right[None])
            places = [
                middle - view.middles(np.zeros((1, *right.shape[:1], 3)), turn[None]) for turn in (right, *others)
            ]
            masks = [view.draw(place, turn[None])[0] for place, turn in zip(places, (right, *others), strict=True)]
            before, after = (_overlap(masks[0], each)[view.usable].mean() for each in masks[1:])
            lost.append(before - after)
        if item.name in evidence.points:
            points, frames = evidence.points[item.name], evidence.frames
            drawn = [points.project(given[0].position, turn, points.local[frames]) for turn in (right, *others)]
            usable = points.usable[frames]
            before, after = (likeness(compare_points(drawn[0], each).miss)[usable].mean() for each in drawn[1:])
            lost.append(before - after)
    return float(np.mean(lost))


def _overlap(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union (frame,) of masks (frame, height, width)."""
    both = np.count_nonzero(one & other, axis=(1, 2))
    return both / np.maximum(np.count_nonzero(one | other, axis=(1, 2)), 1)


def moved_by_delay(scene: Scene, kind: str, frames: int) -> float:
    """How far bodies move in so many frames, in times of what is off of observations; the largest of bodies.

    That is of a kind, and of the best of the others that it is compared with; all without what is the same in all
    frames.
    """
    evidence, found = Evidence(scene), []
    camera = scene.camera
    for item in scene.bodies:
        # Turned as it was guessed: near enough.
        middle = _truth(item).position + evidence.views[item.name].all_middles - item.initial.position
        place = middle[:, :2] / middle[:, 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
        off = {each.kind: _spread(each.places - place) for each in evidence.once(tracks) if each.body == item.name}
        others = [value for each, value in off.items() if each != kind]
        if kind in off and others:
            late = abs(frames)
            moved = _spread(place[late:] - place[:-late])
            found.append(moved / max(float(np.hypot(off[kind], min(others))), 0.2))
    return max(found, default=0.0)


def size_off(faulty: Scene) -> float:
    """By how much a mesh, laid on its labels, comes out nearer or farther than the body is: the log, median of frames.

    The largest of the rigid bodies.  Of a mesh of another size that is nothing where labels show it as large as it is.
    """
    evidence, found = Evidence(faulty), []
    for item in faulty.bodies:
        view, truth = evidence.views[item.name], _truth(item).frames(evidence.frames)
        if item.known or not item.body.is_rigid or not view.usable.any():
            continue
        depth = view.middles(truth.position[None], truth.rotation[None])[0, :, 2]
        found.append(abs(float(np.median(np.log(depth / view.fitted.middle[0][:, 2])[view.usable]))))
    return max(found, default=0.0)


def _spread(values: np.ndarray) -> float:
    """Root mean square length of vectors (frame, 2) about their mean."""
    return float(np.sqrt(np.nanmean(np.sum((values - np.nanmean(values, axis=0)) ** 2, axis=1))))


TRACES: dict[str, Callable[[Scene, Scene, str], bool]] = {
    "rotation_transposed": lambda scene, faulty, name: lost_by_rotations(scene, faulty) >= LEAST_LOST,
    "euler_or_degrees": lambda scene, faulty, name: lost_by_rotations(scene, faulty) >= LEAST_LOST,
    "quaternion_order": lambda scene, faulty, name: lost_by_rotations(scene, faulty) >= LEAST_LOST,
    "mesh_scale": lambda scene, faulty, name: size_off(faulty) >= np.log(LEAST_FACTOR),
    "frame_offset": lambda scene, faulty, name: (
        moved_by_delay(scene, LABELS if name.startswith("labels") else KEYPOINTS, shift_of(name)) >= LEAST_MOVED
    ),
}
"""By code: does a fault leave a trace in a scene?  Others always do."""


def leaves_a_trace(code: str, name: str, scene: Scene, faulty: Scene) -> bool:
    """Is the evidence changed by a fault so much that it can be told?"""
    return code not in TRACES or TRACES[code](scene, faulty, name)
