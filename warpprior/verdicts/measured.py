"""What a wrong estimate leaves in space: keypoints and middles that were measured elsewhere, in mm and degrees."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.spatial.transform import Rotation

from warpprior.bodies import posed_keypoints
from warpprior.scene import Poses, Scene, SceneBody, box_center, trust_of
from warpprior.verdicts.pictures import CONFIDENT, FEWEST_KEYPOINTS

OUTLYING, NOISE_M = 3.0, 1e-3  # times the median, or more than so little
FRAMES = 5  # in which middles are measured together, as each is off by centimetres


def measured_keypoints(scene: Scene, body: SceneBody, poses: Poses, device: str) -> dict[str, np.ndarray]:
    """How far root and keypoints, which is more, are from measured ones, and turned (frame,); NaN where few are."""
    found = {key: np.full(scene.frame_count, np.nan) for key in ("measured_mm", "measured_deg")}
    seen = scene.keypoints3d.get(body.name)
    if seen is None:
        return found
    seen = np.asarray(seen, dtype=np.float64)
    places = posed_keypoints(body.body, poses, device).astype(np.float64)
    trust, noise = trust_of(seen), 3.0 * scene.sigma("keypoints3d") ** 2
    for frame in range(scene.frame_count):
        sure = trust[frame] > CONFIDENT
        if sure.sum() < FEWEST_KEYPOINTS:
            continue
        root, ours, theirs = poses.position[frame], places[frame, sure], seen[frame, sure, :3]
        moved, turn = _laid_on(ours - root, theirs - root)
        apart = np.sqrt(max(np.linalg.norm(theirs - ours, axis=1).mean() ** 2 - noise, 0.0))
        found["measured_mm"][frame] = 1e3 * max(np.linalg.norm(moved), apart)
        if turn is not None:
            found["measured_deg"][frame] = np.degrees(turn.magnitude())
    return found


def _laid_on(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, Rotation | None]:
    """Shift of the origin (3,) and turn that lay points (point, 3) on others, without those that lie far off then.

    Points at one place, or on one line, do not tell the turn: it is None then, and they are laid on as they are.
    """
    used = np.ones(len(ours), dtype=bool)
    for _ in range(2):
        middles = ours[used].mean(axis=0), theirs[used].mean(axis=0)
        away, target = ours[used] - middles[0], theirs[used] - middles[1]
        if min(np.linalg.svd(each, compute_uv=False)[1] for each in (away, target)) < NOISE_M:
            return middles[1] - middles[0], None
        turn = Rotation.align_vectors(target, away)[0]
        shift = middles[1] - turn.apply(middles[0])
        off = np.linalg.norm(turn.apply(ours) + shift - theirs, axis=1)
        used = off <= OUTLYING * max(np.median(off), NOISE_M)
    return shift, turn


def measured_middle(scene: Scene, body: SceneBody, poses: Poses) -> np.ndarray:
    """How far the middle is from the measured one, beyond its noise (frame,) [mm], NaN where there is none."""
    seen = scene.centers.get(body.name)
    if seen is None or not body.body.is_rigid:
        return np.full(scene.frame_count, np.nan)
    middle = poses.position + Rotation.from_quat(poses.rotation).apply(box_center(body.body, poses.scale))
    away = np.asarray(seen, dtype=np.float64) - middle
    known = np.isfinite(away).all(axis=1)
    smooth, count = np.full(away.shape, np.nan), min(FRAMES, max(int(known.sum()), 1))
    if known.any():
        smooth[known] = uniform_filter1d(away[known], count, axis=0, mode="nearest")
    noise = 3.0 * scene.sigma("centers") ** 2 / count
    return 1e3 * np.sqrt(np.maximum((smooth**2).sum(axis=1) - noise, 0.0))
