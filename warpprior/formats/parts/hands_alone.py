"""Recordings of hands alone, by keypoints: our own hand, fitted to them where it starts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from warpprior.bodies.hand_parts import FINGERS, KEYPOINT_NAMES
from warpprior.bodies.readers.hand import read_hand
from warpprior.formats.parts.hand_frames import back_of_hand
from warpprior.formats.recording import Recording
from warpprior.io.world import World
from warpprior.scene import Camera, Scene, SceneBody
from warpprior.support.errors import InputError

FEWEST = 8  # keypoints of a frame that shows a hand
_BENT = 0.004  # [m], from which fingers are bent enough to tell a right hand from a left one


def hands_recording(
    name: str,
    camera: Camera,
    fps: float,
    flat: Mapping[str, np.ndarray],
    deep: Mapping[str, np.ndarray],
    notes: list[str],
    *,
    times: np.ndarray | None = None,
    world: World | None = None,
    noise: Mapping[str, float] | None = None,
) -> Recording:
    """Hands by side, of 2D keypoints (frame, 21, 3), of 3D ones (frame, 21, 4), or both.

    Raises:
        InputError: no hand is seen in any frame.
    """
    bodies: list[SceneBody] = []
    kept: dict[str, dict[str, np.ndarray]] = {"keypoints2d": {}, "keypoints3d": {}}
    for label, side in enumerate(("left", "right"), start=1):
        body = f"hand_{side}"
        found = {"keypoints2d": flat.get(side), "keypoints3d": deep.get(side)}
        seen = [values for values in found.values() if values is not None]
        if not any((np.count_nonzero(values[..., -1], axis=1) >= FEWEST).any() for values in seen):
            if seen:
                notes.append(f"{body} is seen in no frame; it was left out")
            continue
        kept = {key: kept[key] | ({} if values is None else {body: values}) for key, values in found.items()}
        bodies.append(SceneBody(read_hand(side, name=body), label, False))  # its start is fitted
        if deep.get(side) is not None:
            note_side(deep[side], side, notes)
    if not bodies:
        raise InputError(name, "shows no hand in any frame", f"needs {FEWEST} keypoints of one")
    scene = Scene(
        name=name,
        camera=camera,
        fps=fps,
        bodies=tuple(bodies),
        timestamps=times,
        warnings=tuple(notes),
        noise=dict(noise or {}),
        keypoints2d=kept["keypoints2d"],
        keypoints3d=kept["keypoints3d"],
    )
    return Recording(scene, World() if world is None else world)


def note_side(keypoints: np.ndarray, side: str, notes: list[str]) -> None:
    """A note where fingers bend the way that those of the other hand do.

    Args:
        keypoints: (frame, 21, 4) [m], confidence 0 where there is none.
    """
    row = {name: index for index, name in enumerate(KEYPOINT_NAMES)}
    seen = keypoints[(keypoints[..., 3] > 0.0).all(axis=1), :, :3]
    if not len(seen):
        return
    tips, knuckles = (
        np.mean([seen[:, row[f"{finger}{part}"]] for finger in FINGERS[1:]], axis=0) for part in ("_tip", "1")
    )
    bent = -np.sum((tips - knuckles) * back_of_hand(seen, side), axis=1)
    if np.median(bent) < -_BENT:
        said = f"hand_{side}: its fingers bend {1000 * -np.median(bent):.3g} mm to the back of a {side} hand"
        notes.append(f"{said}: it may be the other hand, or the picture was mirrored (--mirrored)")
