"""First guesses that are none: zeros, or what a program falls back to."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.checks.evidence import Evidence
from warpprior.checks.registry import check
from warpprior.checks.timing import BOXES, GUESS, KEYPOINTS, LABELS, tracks
from warpprior.finding import Finding
from warpprior.scene import Scene, SceneBody
from warpprior.support.wording import frame_list

REPEATED = 3  # frames with one and the same pose, to the last bit
OFF_SIZES, MANY = 0.5, 1.0 / 3.0  # such frames are missing where labels are so far off; so many are worth a warning


@check
def missing_poses(evidence: Evidence) -> Iterator[Finding]:
    """Frames without a first guess, marked by zeros or by one and the same pose, which the body cannot have."""
    for item in evidence.scene.bodies:
        if item.known or item.body.animation is not None:
            continue
        initial = item.initial
        zeros = ~initial.position.any(axis=1)
        _, inverse, counts = np.unique(
            np.column_stack([initial.position, initial.rotation]), axis=0, return_inverse=True, return_counts=True
        )
        which = inverse.ravel()
        runs = np.bincount(which[np.append(True, np.diff(which) != 0)], minlength=len(counts))
        # What rests keeps its pose, but what has left it does not come back to the last bit.
        repeated = (counts >= REPEATED)[which] & ((runs > 1)[which] | _away(item, evidence))
        missing = zeros | repeated
        if not missing.any():
            continue
        frames = np.flatnonzero(missing)
        what = "all zeros" if zeros.any() else "one and the same pose"
        yield Finding(
            "initial_missing",
            "warning" if zeros.any() or missing.mean() > MANY else "note",
            item.name,
            tuple(int(frame) for frame in frames),
            f"the first guess of {item.name} in {frame_list(frames)} is {what}: there is none",
            f"poses of {item.name}: mark missing ones with NaN; they are interpolated",
            {"frames": len(frames), "share": float(missing.mean())},
            functools.partial(_with_gaps_filled, name=item.name, missing=missing),
        )


def _away(item: SceneBody, evidence: Evidence) -> np.ndarray:
    """Frames (frame,) bool in which the first guess is clearly not where the body is seen."""
    away = np.zeros(item.initial.frame_count, dtype=bool)
    places = {(track.body, track.kind): track.places for track in evidence.once(tracks)}
    guess = places[item.name, GUESS]
    for kind, reach in (
        (LABELS, evidence.views[item.name].size.max() * evidence.step),
        (BOXES, None),
        (KEYPOINTS, None),
    ):
        if (item.name, kind) not in places:
            continue
        apart = np.linalg.norm(places[item.name, kind] - guess, axis=1)
        usual = np.nanpercentile(apart, 25)
        limit = OFF_SIZES * reach if reach is not None else OFF_SIZES * evidence.scene.camera.width / 4.0
        away |= (apart > limit) & (apart > 2.0 * usual)
        away |= ~np.isfinite(guess).all(axis=1)
        break
    return away


def _with_gaps_filled(scene: Scene, *, name: str, missing: np.ndarray) -> Scene:
    from scipy.spatial.transform import Slerp

    initial, there = scene.body(name).initial, np.flatnonzero(~missing)
    if len(there) < 2:
        return scene
    path = scene.world.camera if scene.world is not None and scene.world.moves else None
    if path is not None:  # what is missing is carried through the world
        placed = path.moved(initial.position, np.where(missing[:, None], [0.0, 0.0, 0.0, 1.0], initial.rotation))
        initial = replace(initial, position=placed[0], rotation=placed[1])
    at = np.clip(np.arange(len(missing)), there[0], there[-1])
    fill = lambda rows: np.column_stack([np.interp(at, there, column[there]) for column in rows.T])  # noqa: E731
    turns = Slerp(there, Rotation.from_quat(initial.rotation[there]))(at).as_quat()
    joints = fill(initial.joints) if initial.joints.shape[1] else initial.joints
    position = fill(initial.position)
    if path is not None:
        position, turns = path.seen(position, turns)
    changes = {"position": position, "rotation": turns, "joints": joints, "imputed": missing}
    return scene.with_poses({name: replace(initial, **changes)})
