"""Recordings of hands of networks alone: of MANO, held to what was given, or of our own, held to keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from warpprior.formats.parts.motion import note_camera
from warpprior.formats.parts.network_hands import DEEP_SIGMA_M, NetworkHand
from warpprior.formats.recording import Recording
from warpprior.io.world import CameraPath, World
from warpprior.scene import Camera, Scene
from warpprior.support.errors import InputError


def hands_scene(
    name: str,
    camera: Camera,
    fps: float,
    hands: Sequence[NetworkHand],
    notes: list[str],
    *,
    pose_sigma: float,
    path: CameraPath | None = None,
    pictures=None,
    times: np.ndarray | None = None,
) -> Recording:
    """A recording without masks.

    Args:
        name: of the scene.
        camera: that took the pictures.
        fps: frames per second.
        hands: in the camera's frame.
        notes: a sentence is appended for what holds them.
        pose_sigma: how far given poses are off [m].
        path: of the camera in the world.
        pictures: reads a colour picture, or None.
        times: of the frames (frame,) [s], or None.

    Raises:
        InputError: there is no hand.
    """
    if not hands:
        raise InputError(name, "has no hand in any frame", "needs one at least")
    flat = {hand.item.name: hand.keypoints2d for hand in hands if hand.keypoints2d is not None}
    deep = {hand.item.name: hand.keypoints3d for hand in hands if hand.keypoints3d is not None}
    noise = {"keypoints3d": DEEP_SIGMA_M} if deep else {}
    if any(hand.item.initial is not None for hand in hands):
        noise["poses"] = pose_sigma
        held = f"given poses are held to {1000 * pose_sigma:g} mm"
        notes.append(f"there are no masks: {held}, and physics mends them")
    note_camera(path, notes)
    scene = Scene(
        name=name,
        camera=camera,
        fps=fps,
        bodies=tuple(replace(hand.item, label=label) for label, hand in enumerate(hands, start=1)),
        read_rgb=pictures,
        timestamps=times,
        warnings=tuple(notes),
        noise=noise,
        keypoints2d=flat,
        keypoints3d=deep,
    )
    return Recording(scene, World(path))
