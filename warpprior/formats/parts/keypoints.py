"""Keypoints of hands in others' orders, brought to ours: wrist, then thumb to little finger, each from its base."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.hand_parts import KEYPOINT_NAMES
from warpprior.support.errors import InputError

COUNT = len(KEYPOINT_NAMES)
# Row of ours -> row of theirs.
ORDERS: dict[str, tuple[int, ...]] = {
    # OpenPose, MediaPipe, FreiHAND, HO-3D's evaluation, DexYCB: wrist, then finger by finger
    "openpose": tuple(range(21)),
    # MANO's 16 joints (wrist, index, middle, little, ring, thumb), then tips of thumb to little finger
    "mano": (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20),
    # tips, then each finger towards the wrist: InterHand2.6M, thumb first, wrist last
    "interhand": (20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16),
    # First-Person Hand Action, BigHand2.2M: wrist, the base of each finger, then the rest finger by finger
    "fpha": (0, 1, 6, 7, 8, 2, 9, 10, 11, 3, 12, 13, 14, 4, 15, 16, 17, 5, 18, 19, 20),
    # Rendered Hand Pose: wrist, then finger by finger from its tip
    "rhd": (0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17),
    # XR_EXT_hand_tracking: palm, wrist, thumb 4, then 5 of each finger with its metacarpal bone
    "openxr": (1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 14, 15, 17, 18, 19, 20, 22, 23, 24, 25),
    # the same without palm
    "webxr": (0, 1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23, 24),
}
SIZES = {21: ("openpose", "mano", "interhand", "fpha", "rhd"), 26: ("openxr",), 25: ("webxr",)}
_REVERSED = "openpose", "rhd"  # the same fingers, from the base and from the tip
_LONGER = 1.2  # the bone at the base of a finger is longer than that at its tip
_PIXELS, _MILLIMETRES = 20.0, 20.0  # values above are pixels of pictures, or no metres
_NEAREST_M = 0.15  # no hand is seen as near


def reordered(values: np.ndarray, order: str) -> np.ndarray:
    """Keypoints (frame, 21, column) of others (frame, 21, 25 or 26, column)."""
    return values[:, list(ORDERS[order])]


def guess_order(values: np.ndarray) -> str:
    """The order in which neighbours are nearest each other; of the usual one where nothing tells.

    Args:
        values: (frame, 21, 25 or 26, column), NaN where there is none.
    """
    orders = SIZES[values.shape[1]]
    lengths = {}
    for order in orders:
        ours = reordered(values[..., :2] if values.shape[2] < 3 else values[..., :3], order)
        chains = ours[:, 1:].reshape(len(ours), 5, 4, -1)
        with np.errstate(invalid="ignore"):
            lengths[order] = float(np.nansum(np.linalg.norm(np.diff(chains, axis=2), axis=-1)))
    best = min(lengths, key=lambda order: lengths[order])
    chosen = orders[0] if lengths[orders[0]] <= 1.05 * lengths[best] else best
    if chosen == _REVERSED[0]:
        ours = reordered(values[..., :2] if values.shape[2] < 3 else values[..., :3], chosen)
        fingers = ours[:, 5:].reshape(len(ours), 4, 4, -1)
        with np.errstate(invalid="ignore"):
            bones = np.linalg.norm(np.diff(fingers, axis=2), axis=-1)[..., [0, 2]].reshape(-1, 2)
        bones = bones[np.isfinite(bones).all(axis=1)]
        first, last = np.median(bones, axis=0) if len(bones) else (1.0, 0.0)
        chosen = _REVERSED[1] if last > _LONGER * first else chosen
    return chosen


def sort_kind(values: np.ndarray, where: str, size: tuple[int, int], notes: list[str]) -> tuple[str, np.ndarray]:
    """Name of the channel and values of keypoints: pixels with confidence, or metres in the camera with confidence.

    Args:
        values: (frame, keypoint, 2, 3 or 4) in pixels, in shares of the picture, in millimetres or in metres.
        where: names them in messages.
        size: of the pictures.
        notes: what was taken for what is appended.

    Raises:
        InputError: they are relative to the wrist, or nothing that can be told.
    """
    frames, count, columns = values.shape
    gone = ~np.isfinite(values).all(axis=2) | (np.abs(values[..., :2]).max(axis=2) == 0.0)
    if columns == 4:
        trust, places = np.clip(np.nan_to_num(values[..., 3:]), 0.0, 1.0), values[..., :3]
    else:
        trust, places = np.ones((frames, count, 1)), values
    if gone.all():
        raise InputError(where, "has no keypoint that is finite", "needs keypoints of a hand")
    seen = places[~gone]
    spread = np.abs(seen).max(axis=0)
    flat = columns == 2 or (columns == 3 and spread[2] <= 1.0 and spread[:2].max() > _PIXELS)
    if flat:
        trust = np.clip(np.nan_to_num(values[..., 2:3]), 0.0, 1.0) if columns == 3 else trust
        pixels = places[..., :2]
        if spread[:2].max() <= 1.5:
            notes.append(f"{where}: 2D keypoints are taken for shares of the picture")
            pixels = pixels * size
        kind = "keypoints2d"
        places = pixels
    else:
        if np.abs(seen).max() > _MILLIMETRES:
            notes.append(f"{where}: 3D keypoints are taken for millimetres")
            places = places / 1000.0
        depths, away = places[~gone][:, 2], float(np.median(np.linalg.norm(places[~gone], axis=1)))
        if np.median(depths) <= 0.0 or away < _NEAREST_M:
            found = f"are {away:.3g} m away (median), {np.median(depths):.3g} m deep: relative to the wrist?"
            raise InputError(where, found, "needs places in the camera frame, z forward, or pixels")
        kind = "keypoints3d"
    found = np.concatenate([places, trust], axis=2)
    found[gone] = 0.0
    return kind, found
