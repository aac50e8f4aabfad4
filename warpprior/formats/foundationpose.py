"""``foundationpose``: poses of objects as FoundationPose leaves them, a 4x4 text file for each frame, written.

``NAME/ob_in_cam/FRAME.txt`` is camera_from_object, ``cam_K.txt`` the intrinsics with the first pixel's centre at
(0, 0), ``NAME/mesh/NAME.obj`` the mesh in metres.  ``clip`` reads them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpprior.formats.format import Format, NoOptions
from warpprior.formats.parts.motion import transforms_of
from warpprior.formats.parts.motion_columns import write_obj
from warpprior.formats.recording import Recording
from warpprior.support.errors import InputError


class FoundationPoseFormat(Format):
    """Text files of FoundationPose."""

    name = "foundationpose"
    sizes = "and its mesh is written in that size"
    title = "poses of objects as FoundationPose leaves them (4x4 text)"
    writes = "NAME/ob_in_cam/FRAME.txt and NAME/mesh/NAME.obj of each object, cam_K.txt"
    verified = "read back by `clip`, and by numpy.loadtxt"

    def write(self, recording: Recording, folder: Path, options: NoOptions) -> tuple[str, ...]:
        scene, camera = recording.scene, recording.scene.camera
        items = [item for item in scene.bodies if item.body.is_rigid and item.body.animation is None]
        if not items:
            raise InputError(f"scene {scene.name!r}", "has no rigid body", "needs an object")
        for item in items:
            place = folder / item.name / "ob_in_cam"
            place.mkdir(parents=True)
            matrices = transforms_of(item.initial.position, item.initial.rotation)
            for frame, matrix in enumerate(matrices):
                np.savetxt(place / f"{frame:06d}.txt", matrix)
            write_obj(folder / item.name / "mesh" / f"{item.name}.obj", item.body, item.initial.scale)
        matrix = [[camera.fx, 0.0, camera.cx - 0.5], [0.0, camera.fy, camera.cy - 0.5], [0.0, 0.0, 1.0]]
        np.savetxt(folder / "cam_K.txt", np.array(matrix))
        return (f"{', '.join(item.name for item in items)} in {scene.frame_count} frames",)


FORMAT = FoundationPoseFormat()
