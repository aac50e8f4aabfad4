"""Known hands that lie in what they hold, as captured ones do, and the same sequences without that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpprior.bench.robustness.harness import Sequences, Trial, each_twice, errors, named, row
from warpprior.render.images import render_labels
from warpprior.result import Result
from warpprior.scenes import simulate

FRAMES = 16
SEQUENCES = each_twice(
    [
        ("grasp_lift", "bottle", 6),
        ("grasp_lift", "can", 10),
        ("in_hand_turn", "box", 12),
        ("in_hand_turn", "banana", 6),
        ("pour", "mug", 10),
        ("pour", "bowl", 8),
        ("slip", "bottle", 12),
        ("slip", "box", 8),
    ],
    1100,
)


def _trial(name: str, thing: str, overlap_mm: int, seed: int, *, overlaps: bool = True) -> Trial:
    """The hand lies so much farther towards the middle of what it holds, and labels show that."""
    scene = simulate(name, object=thing, seed=seed, frame_count=FRAMES, images=False)
    held = scene.body(thing).truth
    assert held is not None, "it is simulated"
    bodies = []
    for body in scene.bodies:
        if not body.body.is_rigid:
            truth = body.truth
            assert truth is not None, "it is simulated"
            if overlaps:
                towards = held.position - truth.position
                towards /= np.linalg.norm(towards, axis=1, keepdims=True)
                truth = replace(truth, position=truth.position + 1e-3 * overlap_mm * towards)
            body = replace(body, known=True, initial=truth, truth=truth)
        bodies.append(body)
    scene = replace(scene, bodies=tuple(bodies), keypoints2d={})
    scene = replace(scene, labels=render_labels(scene, {body.name: body.truth for body in bodies}))

    def score(result: Result) -> dict[str, float]:
        found = errors(scene, result, thing)
        return {
            "add_mm": float(np.median(found["add_mm"])),
            "add_worst_mm": float(found["add_mm"].max()),
            "rotation_deg": float(np.median(found["rotation_deg"])),
        }

    return Trial(scene, score)


@row("flesh", "known hands that lie 6 to 12 mm in what they hold")
def overlapping() -> Sequences:
    """Two of each scene and object."""
    return named(_trial, SEQUENCES)


@row("no_flesh", "the same sequences with hands that only touch what they hold")
def touching() -> Sequences:
    """To see that nothing is lost by it."""
    return named(_trial, SEQUENCES, overlaps=False)
