"""Figures of a clip before and after, and of all clips."""

from __future__ import annotations

import statistics
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bench.repair.clips import Clip, deepest_mm, high_pass_px
from warpprior.bench.repair.hand_model import parameters_of
from warpprior.bodies import posed_vertices
from warpprior.formats.parts.mano_hands import hand_of
from warpprior.metrics import evaluate
from warpprior.scene import Poses, Scene, SceneBody

FILTER_MM = 20.0  # deepest point in any frame
OBJECT = "object"  # what bundles call it
WORST = {"deepest_mm": max, "jitter_px": max, "jitter_median_px": max, "mask_iou": min, "add_mm": max, "hand_mm": max}

Motion = dict[str, Poses]


def measured(clip: Clip, scene: Scene, before: Motion, after: Motion) -> dict[str, float]:
    """Figures of one clip.

    ``deepest_mm``: deepest point of any body in any other, worst frame.  ``jitter_px``: root mean square of the
    high-pass motion that is not the truth's, of the body that trembles most; ``jitter_median_px`` of its frames.
    ``mask_iou``: mean over frames, of the worst body.  ``add_mm`` and ``hand_mm``: median error of the object's
    vertices and of the worst hand's keypoints.  ``moved_mm``: how far the object's middle was moved.
    """
    scene = with_truth(scene, clip.scene)
    true = {item.name: item.truth for item in scene.bodies if item.truth is not None}
    figures = {"deepest_mm_in_truth": float(deepest_mm(scene, true).max())}
    for when, poses in (("before", before), ("after", after)):
        found = _figures(scene, poses, true)
        figures |= {f"{name}_{when}": value for name, value in found.items()}
    body = scene.body(OBJECT).body
    middles = [posed_vertices(body, poses[OBJECT]).mean(axis=1) for poses in (before, after)]
    moved = 1e3 * np.linalg.norm(middles[1] - middles[0], axis=1)
    return figures | {"moved_mm": float(np.median(moved)), "moved_most_mm": float(moved.max())}


def _figures(scene: Scene, poses: Motion, true: Motion) -> dict[str, float]:
    rows = evaluate(scene, poses, device="cpu")["per_frame"]

    def row(name: str, metric: str) -> np.ndarray:
        return np.array(rows[name][metric], dtype=float)

    less = [high_pass_px(scene, name, poses[name]) - high_pass_px(scene, name, true[name]) for name in poses]
    hands = [name for name in poses if name != OBJECT]
    return {
        "deepest_mm": float(deepest_mm(scene, poses).max()),
        "jitter_px": max(float(np.sqrt((one**2).sum(axis=1).mean())) for one in less),
        "jitter_median_px": max(float(np.median(np.linalg.norm(one, axis=1))) for one in less),
        "mask_iou": min(float(np.nanmean(row(name, "mask_iou"))) for name in poses),
        "add_mm": float(np.median(row(OBJECT, "add_mm"))),
        "hand_mm": max(float(np.median(row(name, "keypoint_mm"))) for name in hands),
    }


def with_truth(scene: Scene, simulated: Scene) -> Scene:
    """The scene that was read, with the simulated truth in its own terms."""
    return replace(scene, bodies=tuple(replace(item, truth=_truth(item, simulated)) for item in scene.bodies))


def _truth(item: SceneBody, simulated: Scene) -> Poses:
    rigid = item.body.is_rigid
    alike = [one for one in simulated.bodies if one.body.is_rigid == rigid]
    found = next(one for one in alike if rigid or one.body.side == item.body.side)
    if rigid:
        return found.initial
    hand = parameters_of(found.body, found.initial)
    wrist = hand_of(item, mirrored=item.body.side == "left").root(hand.shape)
    return Poses(hand.transl + wrist, Rotation.from_rotvec(hand.orient).as_quat(), hand.joints, hand.shape)


def summary(rows: list[dict[str, float]]) -> list[str]:
    """What comes of all: how many pass the filter, and the median and the worst of each figure."""
    lines = []
    for when in ("before", "after"):
        passing = sum(row[f"deepest_mm_{when}"] <= FILTER_MM for row in rows)
        each = []
        for name, worst in WORST.items():
            values = [row[f"{name}_{when}"] for row in rows]
            each.append(f"{name} {statistics.median(values):.2f}, {worst(values):.2f}")
        lines.append(f"{when:6} {passing} of {len(rows)} pass; median, worst: {'; '.join(each)}")
    worse = [row for row in rows if row["mask_iou_after"] < row["mask_iou_before"]]
    moved = [row["moved_mm"] for row in rows]
    lines.append(f"{len(worse)} clips with a smaller mask IoU; objects moved by {statistics.median(moved):.1f} mm")
    return lines
