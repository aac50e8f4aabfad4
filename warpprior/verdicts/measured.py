"""What a wrong estimate leaves in space: keypoints and middles that were measured elsewhere, in mm and degrees."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter
from scipy.spatial.transform import Rotation

from warpprior.bodies import posed_keypoints
from warpprior.scene import Poses, Scene, SceneBody, box_center, trust_of
from warpprior.verdicts.pictures import CONFIDENT, FEWEST_KEYPOINTS

FRAMES = 5  # in which middles are measured together, as each is off by centimetres


def measured_keypoints(scene: Scene, body: SceneBody, poses: Poses, device: str) -> dict[str, np.ndarray]:
    """How far keypoints are from measured ones, and turned (frame,), NaN where few were measured."""
    found = {key: np.full(scene.frame_count, np.nan) for key in ("measured_mm", "measured_deg")}
    seen = scene.keypoints3d.get(body.name)
    if seen is None:
        return found
    seen = np.asarray(seen, dtype=np.float64)
    places = posed_keypoints(body.body, poses, device).astype(np.float64)
    trust = trust_of(seen)
    for frame in range(scene.frame_count):
        sure = trust[frame] > CONFIDENT
        if sure.sum() < FEWEST_KEYPOINTS:
            continue
        ours, theirs = places[frame, sure], seen[frame, sure, :3]
        found["measured_mm"][frame] = 1e3 * np.linalg.norm(np.median(theirs - ours, axis=0))
        turn, _ = Rotation.align_vectors(theirs - theirs.mean(axis=0), ours - ours.mean(axis=0))
        found["measured_deg"][frame] = np.degrees(turn.magnitude())
    return found


def measured_middle(scene: Scene, body: SceneBody, poses: Poses) -> np.ndarray:
    """How far the middle is from the measured one, beyond what its noise explains (frame,) [mm], NaN for not measured."""
    seen = scene.centers.get(body.name)
    if seen is None or not body.body.is_rigid:
        return np.full(scene.frame_count, np.nan)
    middle = poses.position + Rotation.from_quat(poses.rotation).apply(box_center(body.body, poses.scale))
    away = np.asarray(seen, dtype=np.float64) - middle
    known = np.isfinite(away).all(axis=1)
    smooth = np.full(away.shape, np.nan)
    if known.any():
        smooth[known] = median_filter(away[known], size=(min(FRAMES, int(known.sum())), 1), mode="nearest")
    spread = 3.0 * scene.sigma("centers") ** 2 * 1.6 / min(FRAMES, max(int(known.sum()), 1))
    return 1e3 * np.sqrt(np.maximum((smooth**2).sum(axis=1) - spread, 0.0))
