"""Lights of a stage that is written whole: a sky, and a sun for renderers that leave a sky without a picture out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

if TYPE_CHECKING:
    from pxr import Usd

SKY, SUN = "Light", "Sun"
# A white surface reflects the sky's 0.75, and 0.75 / pi of a sun that it faces: 0.99 in all.  Blender leaves out the
# sky and takes a sun for four times as strong: 0.95.  Neither is burnt.
_SKY, _SUN = 0.75, 0.75
_LOW, _LEFT = 45.0, 25.0  # the sun shines down ahead of the camera, and comes from its left [degrees]


def define_lights(stage: Usd.Stage, root: str, world_from_camera: np.ndarray) -> None:
    """Write ``root/Light``, a dome, and ``root/Sun``, which shines from above the camera on what it looks at.

    Args:
        stage: Z up.
        root: path of the prim that they are below.
        world_from_camera: where the camera stands (7,), or goes (frame, 7), of which the first counts.
    """
    from pxr import Gf, UsdGeom, UsdLux

    UsdLux.DomeLight.Define(stage, f"{root}/{SKY}").CreateIntensityAttr(_SKY)
    sun = UsdLux.DistantLight.Define(stage, f"{root}/{SUN}")
    sun.CreateIntensityAttr(_SUN)
    sun.CreateNormalizeAttr(True)  # the intensity is what falls on a surface, whatever the sun's angle
    x, y, _ = Rotation.from_quat(np.atleast_2d(world_from_camera)[0, 3:]).apply([0.0, 0.0, 1.0])
    heading = math.degrees(math.atan2(-x, y)) if math.hypot(x, y) > 1e-3 else 0.0  # from +y, the light's at no turn
    UsdGeom.Xformable(sun).AddRotateXYZOp().Set(Gf.Vec3f(_LOW, 0.0, heading - _LEFT))
