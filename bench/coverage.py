"""``python -m warpprior.bench.coverage``: are estimates as sure as they may be?

Short simulated sequences, of several scenes, objects and levels of mask noise, are refined and tracked.  Of the errors,
50, 90 and 99 % should lie in the regions that the covariances state for as many.  They do so in two tables: of all
frames, and of those whose verdict is ``ok``, for a covariance knows nothing of what a verdict doubts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from warpprior.kernels import silence_warp
from warpprior.metrics.calibration import level_of, symmetric_errors, visible_directions
from warpprior.metrics.pose_errors import fill_holes
from warpprior.result import STATUSES, Result
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.scenes import simulate
from warpprior.uncertainty import normalised_squares

SHARES = (0.5, 0.9, 0.99)
WANTED = ((0.40, 0.60), (0.82, 0.97), (0.95, 1.0))
SCENES = ("grasp_lift", "in_hand_turn", "pour", "slip")
OBJECTS = ("bottle", "box", "mug", "can", "banana")
LEVELS = ("M0", "M1", "M2")
FRAMES = 12
SEED = 1200
CALLED_OK = ", frames called ok"
_STRIDE = 13  # the first few sequences are of all kinds
KINDS = ("position", "rotation", "joints", "pose NEES", "joint NEES")


@dataclass(frozen=True)
class Sequence:
    """What a sequence is simulated from; ``thing`` is the object, and ``scene`` with it what happens."""

    scene: str
    thing: str
    level: str
    seed: int

    def make(self) -> Scene:
        """Simulate it."""
        return simulate(
            self.scene, object=self.thing, mask_noise=self.level, seed=self.seed, frame_count=FRAMES, device="cpu"
        )

    def __str__(self) -> str:
        return f"{self.scene} {self.thing} {self.level} {self.seed}"


def sequences() -> list[Sequence]:
    """All sequences, kinds mixed: each hand scene with each object twice, and robots that lift."""
    kinds = [*product(SCENES, OBJECTS), *product(SCENES, OBJECTS), *product(("robot_lift",), ("bottle", "box") * 2)]
    made = [
        Sequence(scene, thing, LEVELS[number % len(LEVELS)], SEED + number)
        for number, (scene, thing) in enumerate(kinds)
    ]
    return [made[_STRIDE * number % len(made)] for number in range(len(made))]


@dataclass(frozen=True, eq=False)
class Squares:
    """Squared errors in units of their covariance, and their degrees of freedom, of any shape; NaN where none is."""

    values: np.ndarray
    dof: np.ndarray

    @property
    def levels(self) -> np.ndarray:
        """Shares of chi-squared draws that are smaller, of those that count."""
        found = level_of(self.values.ravel(), self.dof.ravel())
        return found[np.isfinite(found)]

    def of(self, frames: np.ndarray) -> Squares:
        """Those of some frames (frame,) bool, which are the last axis."""
        return Squares(self.values[..., frames], self.dof[..., frames])


def squares_of(body: SceneBody, poses: Poses) -> dict[str, Squares]:
    """By kind, of a body's motion with a covariance, against its truth."""
    assert body.truth is not None and poses.covariance is not None, "simulated, and estimated"
    truth, holes = fill_holes(body.truth)
    errors, covariance = symmetric_errors(poses, truth, body.symmetry), poses.covariance
    errors[holes] = np.nan
    found = {"position": _squares(errors[:, :3], covariance[:, :3, :3], 3)}
    seen = visible_directions(poses, body.symmetry)
    turns = seen[:, 3:, 3:]
    if turns.shape[1]:
        turned = np.einsum("fki,fi->fk", turns, errors[:, 3:6])
        found["rotation"] = _squares(turned, turns @ covariance[:, 3:6, 3:6] @ turns.transpose(0, 2, 1), 0)
    whole = np.einsum("fki,fi->fk", seen, errors[:, :6])
    found["pose NEES"] = _squares(whole, seen @ covariance[:, :6, :6] @ seen.transpose(0, 2, 1), 3)
    count = errors.shape[1] - 6
    if count:
        found["joint NEES"] = _squares(errors[:, 6:], covariance[:, 6:, 6:], 0)
        single = [_squares(errors[:, [k]], covariance[:, k, k, None, None], 0) for k in range(6, 6 + count)]
        found["joints"] = Squares(*(np.stack([getattr(one, name) for one in single]) for name in ("values", "dof")))
    return found


def _squares(errors: np.ndarray, covariance: np.ndarray, lengths: int) -> Squares:
    return Squares(*normalised_squares(errors, covariance, lengths))


def estimate(name: str, scene: Scene) -> Result:
    """Refine or track a scene on a CPU."""
    if name == "refine":
        from warpprior.refinement.run import refine

        return refine(scene, device="cpu")
    from warpprior.tracking.run import track

    return track(scene, device="cpu")


def summarise(found: Iterable[Mapping[str, Squares]]) -> dict[str, dict]:
    """By kind, over all bodies: how many ``levels`` there are, the ``shares`` that are covered, and ``mean``.

    ``mean`` is that of the squares over their degrees of freedom, which is 1 where all is well, and ``median`` is that
    of the sequences' own.
    """
    found, summary = list(found), {}
    for kind in KINDS:
        ours = [each[kind] for each in found if kind in each and each[kind].values.size]
        levels = np.concatenate([one.levels for one in ours] or [np.zeros(0)])
        if not len(levels):
            continue
        ratios = [np.nansum(one.values) / max(one.dof[np.isfinite(one.values)].sum(), 1) for one in ours]
        total, dof = (sum(np.nansum(part) for part in parts) for parts in zip(*map(_counted, ours), strict=True))
        summary[kind] = {
            "levels": len(levels),
            "shares": [float(np.mean(levels <= share)) for share in SHARES],
            "mean": float(total / dof),
            "median": float(np.median(ratios)),
        }
    return summary


def _counted(squares: Squares) -> tuple[np.ndarray, np.ndarray]:
    counted = np.isfinite(squares.values)
    return squares.values[counted], squares.dof[counted]


def format_table(name: str, count: int, summary: Mapping[str, dict]) -> list[str]:
    """Lines of a table; shares outside of what is wanted are marked by ``*``."""
    lines = [f"{name}, {count} sequences of {FRAMES} frames"]
    lines.append(
        f"  {'':12}" + "".join(f"{f'{100 * share:.0f} %':>9}" for share in SHARES) + f"{'NEES/dof':>11}{'median':>9}"
    )
    for kind, row in summary.items():
        marks = [" " if low <= share <= high else "*" for share, (low, high) in zip(row["shares"], WANTED, strict=True)]
        shares = "".join(f"{share:8.2f}{mark}" for share, mark in zip(row["shares"], marks, strict=True))
        lines.append(f"  {kind:12}{shares}{row['mean']:11.2f}{row['median']:9.2f}")
    return lines


def titles_of(estimators: Iterable[str]) -> list[str]:
    """Names of the tables: two for each estimator."""
    return [name + part for name in estimators for part in ("", CALLED_OK)]


def main(arguments: list[str] | None = None, run: Callable[[str, Scene], Result] = estimate) -> int:
    """Run sequences, print what is covered, and keep it where asked."""
    parser = argparse.ArgumentParser(prog="python -m warpprior.bench.coverage", description=__doc__)
    parser.add_argument("estimators", nargs="*", metavar="ESTIMATOR", help="refine, track (default: both)")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N sequences, which are of all kinds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    chosen = parser.parse_args(arguments)
    estimators = chosen.estimators or ["refine", "track"]
    for name in estimators:
        if name not in ("refine", "track"):
            parser.error(f"no estimator {name!r}; there are refine and track")
    silence_warp()
    warnings.simplefilter("ignore")
    used = sequences()[: chosen.first]
    found: dict[str, list[dict[str, Squares]]] = {name: [] for name in titles_of(estimators)}
    for sequence in used:
        scene = sequence.make()
        for name in estimators:
            began = time.process_time()
            result = run(name, scene)
            seconds = time.process_time() - began
            bodies = [body for body in scene.bodies if result.poses[body.name].covariance is not None]
            each = {body.name: squares_of(body, result.poses[body.name]) for body in bodies}
            found[name] += each.values()
            for body, squares in each.items():
                ok = result.verdicts[body].status == STATUSES[0]
                found[name + CALLED_OK].append({kind: those.of(ok) for kind, those in squares.items()})
            ratios = {key: summarise([one])["pose NEES"]["mean"] for key, one in each.items()}
            words = "  ".join(f"{body} NEES/dof {ratio:.2f}" for body, ratio in ratios.items())
            print(f"  {sequence!s:30} {name:7} {words}  seconds {seconds:.2f}", flush=True)
    kept = {name: summarise(each) for name, each in found.items()}
    for name, summary in kept.items():
        print("\n".join(format_table(name, len(used), summary)))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
