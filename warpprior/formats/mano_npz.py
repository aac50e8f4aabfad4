"""``mano_npz``: parameters of MANO hands in smplx's terms, one NPZ for each hand, written.

``vertices = FK(global_orient, hand_pose, betas) + transl``, turned about the wrist joint, ``flat_hand_mean`` True, each
hand of its own model: ``transl`` is not the wrist, which is ``transl + J0(betas)``.  Where ``mirrored`` is True the
model is the mirror image in x of the other side's file, where ``left_shape_corrected`` is True the shape directions of
MANO_LEFT were reversed in x.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpprior.bodies.readers.mano import read_mano_model
from warpprior.formats.format import Format, NoOptions
from warpprior.formats.parts.mano_hands import hand_of, has_corrected_shape
from warpprior.formats.parts.motion_columns import level_world
from warpprior.formats.parts.virtual_camera import into_world
from warpprior.formats.recording import Recording
from warpprior.io.array_files import write_arrays
from warpprior.support.errors import InputError


class ManoNpzFormat(Format):
    """Parameters of MANO."""

    name = "mano_npz"
    title = "parameters of MANO hands, an NPZ for each (smplx's terms)"
    writes = "betas, global_orient, transl, hand_pose (rotation vectors, flat mean), in camera and world; is_right"
    verified = "an independent MANO makes the same vertices of them"

    def write(self, recording: Recording, folder: Path, options: NoOptions) -> tuple[str, ...]:
        from scipy.spatial.transform import Rotation

        scene, said = recording.scene, []
        path = level_world(recording, said)
        hands = [item for item in scene.bodies if item.body.kind == "mano"]
        if not hands:
            raise InputError(f"scene {scene.name!r}", "has no hand of MANO", "needs one; hand_keypoints takes any hand")
        for item in hands:
            mirrored = item.source is not None and read_mano_model(item.source).side != item.body.side
            hand = hand_of(item, mirrored=mirrored)
            root = hand.root(item.initial.shape)
            published = read_mano_model(hand.path, side=item.body.side, mirrored=mirrored)
            poses = item.initial
            if poses.scale != 1.0:
                raise InputError(
                    f"body {item.name!r}", f"is scaled by {poses.scale:g}", "MANO's parameters hold no scale"
                )
            wrist, turned = into_world(path, poses.position, poses.rotation)
            arrays = {
                "betas": poses.shape,
                "hand_pose": poses.joints,
                "global_orient": Rotation.from_quat(poses.rotation).as_rotvec(),
                "transl": poses.position - root,
                "global_orient_world": Rotation.from_quat(turned).as_rotvec(),
                "transl_world": wrist - root,
                "is_right": np.array(item.body.side == "right"),
                "flat_hand_mean": np.array(True),
                "mirrored": np.array(mirrored),
                "left_shape_corrected": np.array(has_corrected_shape(item, published, mirrored=mirrored)),
                "valid": np.ones(len(wrist), dtype=bool) if poses.imputed is None else ~poses.imputed,
            }
            write_arrays(folder / f"{item.name}.npz", arrays)
        return (f"{', '.join(item.name for item in hands)} in {scene.frame_count} frames", *said)


FORMAT = ManoNpzFormat()
