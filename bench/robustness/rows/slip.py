"""Objects that slide in the hand by millimetres in each frame; grasps that are firm must stay so (row ``clean``)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from warpprior.bench.robustness.hand_slides import Slide, in_hand_steps, make_slide, sliding_frames
from warpprior.bench.robustness.harness import Trial, errors, row
from warpprior.result import Result

THINGS = ("can", "bowl", "drill", "bottle", "banana")
SPEEDS = (0.003, 0.005)  # per frame [m]
SEED = 710


def _trial(slide: Slide) -> Trial:
    scene = make_slide(slide)
    slides = sliding_frames()

    def score(result: Result) -> dict[str, float]:
        hand, thing = scene.body("hand"), scene.body(slide.thing)
        assert hand.truth is not None and thing.truth is not None, "simulated scenes have truth"
        found = in_hand_steps(result.poses["hand"], result.poses[slide.thing], thing)
        true = in_hand_steps(hand.truth, thing.truth, thing)
        along = true / np.maximum(np.linalg.norm(true, axis=1, keepdims=True), 1e-9)
        add = errors(scene, result, slide.thing)["add_mm"]
        ready, during = np.arange(len(slides)) >= np.argmax(slides), slides[1:]
        return {
            "add_mm": float(np.median(add[ready])),
            "add_worst_mm": float(add[ready].max()),
            "slip_true_mm": 1e3 * float(np.median(np.linalg.norm(true[during], axis=1))),
            "slip_mm": 1e3 * float(np.median(np.sum(found * along, axis=1)[during])),
            "slip_error_mm": 1e3 * float(np.median(np.linalg.norm(found - true, axis=1)[during])),
            "slip_error_worst_mm": 1e3 * float(np.linalg.norm(found - true, axis=1)[during].max()),
        }

    return Trial(scene, score)


def _trials(known: bool) -> dict[str, Callable[[], Trial]]:
    found = {}
    for number, (speed, thing) in enumerate((speed, thing) for speed in SPEEDS for thing in THINGS):
        slide = Slide(thing, SEED + number, speed, known)
        found[f"{thing} {1e3 * speed:.0f} mm {slide.seed}"] = lambda slide=slide: _trial(slide)
    return found


row("slip_known_hand", "objects that slide by 3 and 5 mm per frame in a hand that is known")(lambda: _trials(True))
row("slip_hand", "objects that slide by 3 and 5 mm per frame in a hand that is estimated")(lambda: _trials(False))
