"""What touches what in a motion: contact maps of every pair of bodies, by exact distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies import posed_vertices
from warpprior.bodies.contact_map import ContactMap
from warpprior.bodies.triangles import vertex_normals
from warpprior.geometry import signed_distance
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.device import resolve_device
from warpprior.support.errors import InputError

REACH_M = 0.1  # distances are told up to here: contact values from 0.01 on


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class PredictedMap(ContactMap):
    """A map as a motion has it; each place is a vertex.

    Attributes:
        faces: of the other body that is nearest to each vertex, -1 beyond the reach (frame, vertex) int32.
        links: of the body, which most of each vertex follows (vertex,) int32.
        other_links: of the other body, of the face that is nearest, -1 beyond the reach (frame, vertex) int32.
    """

    faces: np.ndarray | None = None
    links: np.ndarray | None = None
    other_links: np.ndarray | None = None


def predict_contact(
    scene: Scene,
    poses: Mapping[str, Poses] | None = None,
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    reach_m: float = REACH_M,
    device: str | None = None,
) -> tuple[PredictedMap, ...]:
    """Where bodies touch, and how near they are, in each frame of a motion.

    Args:
        scene: the bodies.
        poses: motion of every body, camera_from_body; None: the initial poses.
        pairs: (body, other) of the maps that are wanted; None: of every two bodies both.
        reach_m: farther than this is not told [m].
        device: Warp device that measures distances; None takes a GPU if there is one.

    Returns:
        A map for each pair.  Distances beyond the reach are NaN; normals are those of the body's vertices, in the frame
        of the other's root.

    Raises:
        InputError: no such body, or poses that do not fit the scene.
    """
    device = resolve_device(device)
    names = [body.name for body in scene.bodies]
    wanted = list(permutations(names, 2)) if pairs is None else list(pairs)
    for pair in wanted:
        for name in pair:
            if name not in names:
                raise InputError("contact: pairs", f"there is no body {name!r}", f"two of {', '.join(names)}")
    motion = {body.name: body.initial for body in scene.bodies} if poses is None else dict(poses)
    used = {name for pair in wanted for name in pair}
    for name in used:
        if name not in motion:
            raise InputError(f"contact: poses of {name}", "missing", f"poses of {', '.join(sorted(used))}")
    surfaces = {name: posed_vertices(scene.body(name).body, motion[name], device) for name in used}
    return tuple(
        _between(scene.body(body), scene.body(other), surfaces[body], surfaces[other], motion[other], reach_m, device)
        for body, other in wanted
    )


def _between(
    body: SceneBody,
    other: SceneBody,
    surface: np.ndarray,
    other_surface: np.ndarray,
    other_poses: Poses,
    reach_m: float,
    device: str,
) -> PredictedMap:
    scale = float(np.max(other_poses.scale))
    found = signed_distance(other.body, surface, other_surface, reach_m=reach_m, scale=scale, device=device)
    distances, faces = (values.numpy() for values in (found.distance, found.face))
    back = Rotation.from_quat(other_poses.rotation).inv().as_matrix()
    normals = np.einsum("fij,fvj->fvi", back, vertex_normals(surface.astype(np.float64), body.body.faces))
    far = faces < 0
    owners = other.body.skin_links[other.body.faces[:, 0], 0]
    return PredictedMap(
        body.name,
        other.name,
        np.where(far, np.nan, distances.astype(np.float64)),
        normals=normals,
        faces=faces,
        links=body.body.skin_links[:, 0].astype(np.int32),
        other_links=np.where(far, -1, owners[np.maximum(faces, 0)]).astype(np.int32),
    )
