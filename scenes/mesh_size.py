"""A mesh of another size than the object's, as image-to-3D networks make them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from warpprior.scene import Scene


def with_mesh_scaled(scene: Scene, factor: float, *, tracked_with_it: bool) -> Scene:
    """The scene whose first estimated rigid body has a mesh of another size, which is to be estimated.

    Pictures, other bodies and the truth stay as they are; the true poses have the size of the true object.

    Args:
        scene: as it was simulated.
        factor: of the mesh; its truth says 1 / ``factor``.
        tracked_with_it: its first poses are as many times farther away, as a tracker has them that drew that mesh;
            else at the depth that it has, as with a depth camera.
    """
    from warpprior.bodies.size_prior import SizePrior

    item = next(body for body in scene.bodies if body.body.is_rigid and not body.known)
    body = replace(item.body, vertices=(item.body.vertices * factor).astype(np.float32))
    initial, truth = item.initial, item.truth
    if tracked_with_it:
        initial = replace(initial, position=initial.position * factor)
    if truth is not None:
        truth = replace(truth, scale=truth.scale / factor)
    changed = replace(item, body=body, initial=initial, truth=truth, size=SizePrior())
    return replace(scene, bodies=tuple(changed if other is item else other for other in scene.bodies))
