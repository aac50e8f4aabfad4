"""``hand_keypoints``: joints of hands in the world, as OpenPose's 21 places and OpenXR's 26 poses, written as NPZ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpprior.formats.format import Format, NoOptions
from warpprior.formats.parts.hand_frames import METACARPAL, openxr_joints, world_keypoints
from warpprior.formats.parts.motion_columns import level_world
from warpprior.formats.recording import Recording
from warpprior.io.array_files import write_arrays
from warpprior.support.errors import InputError

FILE = "hand_keypoints.npz"


class HandKeypointsFormat(Format):
    """Keypoints and joints of hands."""

    name = "hand_keypoints"
    title = f"joints of hands in the world ({FILE}): 21 keypoints, 26 joints of OpenXR"
    writes = "NAME/openpose21 (frame, 21, 3), NAME/openxr26 (frame, 26, 7) xyzw, NAME/valid, times; z up by gravity"
    verified = "axes as the OpenXR specification words them"

    def write(self, recording: Recording, folder: Path, options: NoOptions) -> tuple[str, ...]:
        scene, said = recording.scene, []
        path = level_world(recording, said)
        hands = [item for item in scene.bodies if item.body.side is not None and item.body.keypoints is not None]
        if not hands:
            raise InputError(f"scene {scene.name!r}", "has no hand", "needs one with keypoints")
        arrays: dict[str, np.ndarray] = {"times": np.asarray(scene.times, dtype=np.float64)}
        for item in hands:
            places = world_keypoints(item, path)
            imputed = item.initial.imputed
            arrays[f"{item.name}/openpose21"] = places
            arrays[f"{item.name}/openxr26"] = openxr_joints(places, str(item.body.side))
            arrays[f"{item.name}/valid"] = np.ones(len(places), dtype=bool) if imputed is None else ~imputed
        write_arrays(folder / FILE, arrays)
        named = ", ".join(item.name for item in hands)
        guessed = f"metacarpal joints of fingers: {100 * METACARPAL:g} % of the way from wrist to knuckle"
        return (f"{named} in {scene.frame_count} frames; {guessed}", *said)


FORMAT = HandKeypointsFormat()
