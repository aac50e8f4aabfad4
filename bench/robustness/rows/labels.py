"""Labels that are of something else in some frames: another instance, noise, nothing, everything."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from warpprior.bench.robustness.harness import Trial, each_twice, errors, named, refine_on_cpu, row
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.scenes import simulate

SEQUENCES = each_twice(
    [("grasp_lift", "can"), ("in_hand_turn", "box"), ("pour", "mug"), ("slip", "bowl"), ("grasp_lift", "drill")],
    first_seed=740,
)
FRAMES = 20
SHARE = 0.3


def _wrong_frames(seed: int) -> np.ndarray:
    """Runs of one to three frames, in all SHARE of them, anywhere."""
    random, wrong = np.random.default_rng(seed), np.zeros(FRAMES, dtype=bool)
    while wrong.sum() < SHARE * FRAMES:
        first = random.integers(FRAMES)
        wrong[first : first + min(random.integers(1, 4), int(SHARE * FRAMES - wrong.sum()))] = True
    return wrong


def _spoil(scene: Scene, thing: str, kind: str, wrong: np.ndarray, seed: int) -> Scene:
    label, random = scene.body(thing).label, np.random.default_rng(seed)
    assert scene.labels is not None, "simulated scenes have labels"
    labels = scene.labels.copy()
    _, height, width = labels.shape
    shift = (int(random.uniform(-0.35, 0.35) * height), int(random.choice([-1, 1]) * random.uniform(0.2, 0.4) * width))
    for frame in np.flatnonzero(wrong):
        own = labels[frame] == label
        if kind == "noise":
            labels[frame] = np.where(random.random((height, width)) < 0.3, label, labels[frame])
            continue
        labels[frame][own] = 0
        if kind == "instance":
            labels[frame][np.roll(own, shift, axis=(0, 1))] = label
        elif kind == "full":
            labels[frame] = label
    return replace(scene, labels=labels)


@cache
def _clean_errors(name: str, thing: str, seed: int) -> np.ndarray:
    scene = simulate(name, object=thing, seed=seed, frame_count=FRAMES)
    return errors(scene, refine_on_cpu(scene), thing)["add_mm"]


def _trial(name: str, thing: str, seed: int, kind: str) -> Trial:
    scene = simulate(name, object=thing, seed=seed, frame_count=FRAMES)
    wrong = _wrong_frames(seed)

    def score(result: Result) -> dict[str, float]:
        found = errors(scene, result, thing)["add_mm"]
        good, clean = found[~wrong], _clean_errors(name, thing, seed)[~wrong]
        return {
            "good_mm": float(np.median(good)),
            "clean_mm": float(np.median(clean)),
            "good_worst_mm": float(good.max()),
            "clean_worst_mm": float(clean.max()),
            "wrong_mm": float(np.median(found[wrong])),
            "wrong_worst_mm": float(found[wrong].max()),
        }

    return Trial(_spoil(scene, thing, kind, wrong, seed), score)


KINDS = {
    "instance": "with the label on another instance",
    "noise": "with noise all over the picture",
    "full": "with everything labelled as the object",
    "empty": "without the object's label",
}
for _kind, _title in KINDS.items():
    row(f"labels_{_kind}", f"30 % of frames {_title}")(lambda kind=_kind: named(_trial, SEQUENCES, kind=kind))
