"""Errors of an estimated body against its truth that are not those of its pose: surfaces, keypoints, failures."""

from __future__ import annotations

import numpy as np

from warpprior.bodies import posed_keypoints
from warpprior.metrics.chamfer import chamfer_2d, chamfer_3d, pixel_size
from warpprior.metrics.points import area_under_curve, f_scores, point_errors
from warpprior.metrics.surfaces import PosedBody
from warpprior.scene import Camera

FAILURE_MM = 50.0

_KINDS = {"absolute": "", "root": "_root", "pa": "_pa", "pa_mirror": "_pa_mirror"}


def surface_errors(estimate: PosedBody, truth: PosedBody, defined: np.ndarray, camera: Camera) -> dict[str, np.ndarray]:
    """Chamfer distances per frame (frame,), NaN in frames that are not defined."""
    pixels = chamfer_2d(camera, estimate.points, truth.points)
    rows = {
        "chamfer_mm": 1e3 * chamfer_3d(estimate, truth),
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


def failures(rows: dict[str, np.ndarray]) -> dict[str, float] | None:
    """Frames that are more than 5 cm off: by keypoints where there are any, else by Chamfer distance; None without."""
    errors = rows.get("keypoint_mm", rows.get("chamfer_mm"))
    errors = np.zeros(0) if errors is None else errors[np.isfinite(errors)]
    if not len(errors):
        return None
    failed = int(np.count_nonzero(errors > FAILURE_MM))
    return {"frames": len(errors), "failed": failed, "share": failed / len(errors)}
