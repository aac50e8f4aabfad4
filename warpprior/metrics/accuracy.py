"""Errors of an estimated body against its truth that are not those of its pose: surfaces, keypoints, failures."""

from __future__ import annotations

from typing import Any

import numpy as np

from warpprior.bodies import posed_keypoints
from warpprior.metrics.chamfer import chamfer_2d, chamfer_3d, pixel_size
from warpprior.metrics.points import area_under_curve, f_scores, point_errors
from warpprior.metrics.surfaces import PosedBody, pieces
from warpprior.scene import Camera

FAILURE_MM = 50.0

_KINDS = {"absolute": "", "root": "_root", "pa": "_pa", "pa_mirror": "_pa_mirror"}


def surface_errors(estimate: PosedBody, truth: PosedBody, defined: np.ndarray, camera: Camera) -> dict[str, np.ndarray]:
    """Chamfer distances per frame (frame,), NaN in frames that are not defined."""
    pixels, distances = [], []
    for frames in pieces(len(defined)):
        own, true = estimate.frames(frames), truth.frames(frames)
        pixels.append(chamfer_2d(camera, own.points, true.points))
        distances.append(chamfer_3d(own, true))
    pixels = np.concatenate(pixels)
    rows = {
        "chamfer_mm": 1e3 * np.concatenate(distances),
        "chamfer_2d_px": pixels,
        "chamfer_2d_mm": 1e3 * pixels * pixel_size(camera, truth.poses.position),
    }
    return {name: np.where(defined, values, np.nan) for name, values in rows.items()}


def keypoint_errors(
    estimate: PosedBody, truth: PosedBody, defined: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Errors of the keypoints and vertices of a body with keypoints.

    Returns:
        rows per frame (frame,), NaN in frames that are not defined, and areas under curves.
    """
    body = estimate.item.body
    own, true = (posed_keypoints(body, motion.poses, estimate.device)[defined] for motion in (estimate, truth))
    vertices = estimate.vertices[defined], truth.vertices[defined]
    roots = own[:, 0], true[:, 0]
    rows, areas = {}, {}
    for what, points in (("keypoint", (own, true)), ("vertex", vertices)):
        for kind, errors in point_errors(*points, roots).items():
            name = f"{what}{_KINDS[kind]}"
            areas[f"{name}_auc"] = area_under_curve(errors)
            if name != "vertex":  # that is ADD
                rows[f"{name}_mm"] = errors.mean(axis=1)
    for limit, scores in f_scores(*vertices).items():
        rows[f"f_score_{limit:g}mm"] = scores
    spread = {}
    for name, values in rows.items():
        spread[name] = np.full(len(defined), np.nan)
        spread[name][defined] = values
    return spread, {name: value for name, value in areas.items() if np.isfinite(value)}


def failures(rows: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Frames that are more than 5 cm off, by each error that says so; empty where no frame has any.

    ``failures_add``, ``failures_chamfer`` and ``failures_keypoint``; and ``failures``, that of them by which methods
    are compared: keypoints of a body that has them, else Chamfer distance, ``by`` says which.
    """
    counts: dict[str, dict[str, Any]] = {}
    for name in ("add_mm", "chamfer_mm", "keypoint_mm"):
        errors = rows.get(name, np.zeros(0))
        errors = errors[np.isfinite(errors)]
        if len(errors):
            failed = int(np.count_nonzero(errors > FAILURE_MM))
            counts[name] = {"frames": len(errors), "failed": failed, "share": failed / len(errors)}
    found = {f"failures_{name.removesuffix('_mm')}": count for name, count in counts.items()}
    main = next((name for name in ("keypoint_mm", "chamfer_mm") if name in counts), None)
    return found if main is None else found | {"failures": {**counts[main], "by": main}}
