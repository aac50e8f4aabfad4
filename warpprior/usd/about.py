"""What a stage says of a body beyond what USD has words for, so that the stage gives the same body back.

It is in the ``customData`` of the body's prim: ``warpprior:symmetry``, and :data:`ABOUT`, plain values by key;
:data:`TREE` of the prim of a robot whose links follow the motion, which has no joints.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pxr import Usd

    from warpprior.bodies.body import Body
    from warpprior.scene import Poses, SceneBody

SYMMETRY = "warpprior:symmetry"
ABOUT = "warpprior:about"
TREE = "warpprior:tree"
TREE_ARRAYS = ("parents", "joint_types", "joint_offsets", "joint_axes", "coordinate_starts", "coordinate_gains")
TREE_ARRAYS += ("coordinate_biases", "lower", "upper")
TREE_NAMES = ("link_names", "coordinate_names")


def write_about(prim: Usd.Prim, item: SceneBody) -> None:
    """Write label, whether it is known, what it is made of, whether it has colours, and its symmetry."""
    prim.SetCustomDataByKey(SYMMETRY, item.symmetry)
    told: dict[str, Any] = {
        "kind": item.body.kind,
        "label": int(item.label),
        "known": bool(item.known),
        "colored": item.body.colors is not None,
        "closed": bool(item.body.closed),
        **{key: float(value) for key, value in asdict(item.matter).items() if value is not None},
    }
    if item.body.side is not None:
        told["side"] = item.body.side
    prim.SetCustomDataByKey(ABOUT, told)


def write_tree(prim: Usd.Prim, body: Body, poses: Poses) -> None:
    """Write how the links of a robot hang together, in the size and shape that it has."""
    from pxr import Vt

    offsets = body.joint_offsets.astype(np.float64)
    if body.shape_count and len(poses.shape):
        offsets[:, :3] += body.joint_shape_directions @ poses.shape
    offsets[:, :3] *= poses.scale
    arrays = {name: np.asarray(getattr(body, name)) for name in TREE_ARRAYS} | {"joint_offsets": offsets}
    told: dict[str, Any] = {name: Vt.TokenArray(list(getattr(body, name))) for name in TREE_NAMES}
    told |= {name: Vt.DoubleArray.FromNumpy(np.ravel(values).astype(np.float64)) for name, values in arrays.items()}
    prim.SetCustomDataByKey(TREE, told)
