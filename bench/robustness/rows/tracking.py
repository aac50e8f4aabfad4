"""Tracked: objects that slip in the hand, are let go, or were hidden while they moved; and what must not get worse."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.stats import chi2

from warpprior.bench.robustness.harness import Sequences, Trial, named, row
from warpprior.bench.robustness.tool_use import Use, make_scene, middle_errors
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.scenes import simulate
from warpprior.tracking.run import track

THINGS = ("drill", "bottle", "mug", "can", "bowl")
SEED, FRAMES = 710, 48
RELEASE, HIDDEN = 30, range(14, 24)
FOUND_M = 0.015  # an object is found where its middle is no farther off than this
SETTLED = 8  # frames in which a poor start may still count


def _middles(result: Result, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the middle (frame,) [m], and their squares over the covariance (frame,)."""
    body = result.scene.body(name)
    assert body.truth is not None, "simulated scenes have a truth"
    return middle_errors(body.body, body.truth, result.poses[name])


def _score(result: Result, name: str, use: Use | None = None) -> dict[str, float]:
    off, squares = _middles(result, name)
    held = result.history[f"held/{name}"].astype(bool)
    inside = squares < chi2.ppf(0.95, 3)
    found = {
        "middle_mm": 1e3 * float(np.median(off[SETTLED:])),
        "middle_worst_mm": 1e3 * float(off[SETTLED:].max()),
        "outside_95": 1.0 - float(inside[SETTLED:].mean()),
    }
    if use is not None and use.hidden:
        found["frames_until_found"] = float(_first(off[use.hidden.stop :] < FOUND_M))
    if use is not None and use.release is not None:
        found["frames_until_released"] = float(_first(~held[use.release + 5 :]))  # by then the hand is 6 cm off
    return found


def _first(flags: np.ndarray) -> int:
    """How many frames until a flag is set."""
    return int(np.argmax(flags)) if flags.any() else len(flags)


def _used(observe: str, **options) -> Sequences:
    def trial(thing: str, seed: int) -> Trial:
        use = Use(thing, seed, FRAMES, **options)
        return Trial(
            make_scene(use),
            lambda result: _score(result, thing, use),
            lambda scene: track(scene, observe=observe, device="cpu"),
        )

    return named(trial, [(thing, SEED + number) for number, thing in enumerate(2 * THINGS)])


@row("track_slip", "tracked by mask: tools that turn and slide in the hand")
def slipping() -> Sequences:
    """Ten sequences."""
    return _used("mask")


@row("track_release_center", "tracked by a vague middle and the area: tools that are put down")
def released_by_center() -> Sequences:
    """Ten sequences."""
    return _used("center,area", release=RELEASE, wobble_rad=0.08, wobble_m=0.003)


@row("track_release_mask", "tracked by mask: tools that are put down")
def released_by_mask() -> Sequences:
    """Ten sequences."""
    return _used("mask", release=RELEASE, wobble_rad=0.08, wobble_m=0.003)


@row("track_hidden", "tracked by mask: tools that turn in the hand while they are hidden")
def hidden() -> Sequences:
    """Ten sequences."""
    return _used("mask", hidden=HIDDEN, wobble_rad=0.3, wobble_m=0.012)


@row("track_clean", "tracked by all there is: simulated grasps that stick, roll, pour and are handed over")
def clean() -> Sequences:
    """Twelve sequences."""

    def trial(name: str, thing: str, seed: int) -> Trial:
        scene: Scene = simulate(name, object=thing, seed=seed, frame_count=FRAMES)
        return Trial(
            scene, lambda result: _score(result, thing), lambda given: track(given, observe="auto", device="cpu")
        )

    scenes = product(("grasp_lift", "in_hand_turn", "pour"), ("bottle", "mug", "box", "can"))
    return named(trial, [(*scene, SEED + 20 + number) for number, scene in enumerate(scenes)])
