"""Where bodies touch: points of one body on the surface of another, for pictures and for contact heat."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies import posed_vertices
from warpprior.geometry.signed_distance import Surface
from warpprior.metrics.contact import SurfacePoints
from warpprior.result import ContactPoints
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.device import resolve_device
from warpprior.support.errors import InputError

TOUCH = 0.002  # points nearer than this, or inside, touch for certain [m]
CLEAR = 0.006  # points farther than this do not [m]
POINT_COUNT = 4000


def find_contacts(scene: Scene, poses: dict[str, Poses], *, device: str | None = None) -> tuple[ContactPoints, ...]:
    """Points in contact at each frame of a motion, by exact signed distance.

    Every pair of bodies of which one is rigid is looked at: points spread over the other's surface (of two rigid
    bodies, the given one's or the first's), weighted 1 up to 2 mm from the rigid body's surface and inside, falling to
    0 at 6 mm.  Points that are clear at all times are left out, and pairs without a touching point.  Normals, depth and
    slip are those of the rigid body's surface.

    Args:
        scene: the bodies.
        poses: motion of every body, camera_from_body.
        device: Warp device that measures distances; None takes a GPU if there is one.
    """
    device = resolve_device(device)
    surfaces: dict[str, np.ndarray] = {}
    found = []
    for first, second in combinations(scene.bodies, 2):
        target, other = (first, second) if _prefers(first, second) else (second, first)
        if not target.body.is_rigid:
            continue
        if other.name not in surfaces:
            posed = posed_vertices(other.body, poses[other.name], device)
            surfaces[other.name] = SurfacePoints(other.body, POINT_COUNT).place(posed)
        contact = _between(target, other, poses[target.name], surfaces[other.name], scene.fps, device)
        if contact is not None:
            found.append(contact)
    return tuple(found)


def _prefers(first: SceneBody, second: SceneBody) -> bool:
    """Whether the first is the one to touch: rigid where the second is not, or estimated where the second is given."""
    if first.body.is_rigid != second.body.is_rigid:
        return first.body.is_rigid
    return second.known and not first.known


def _between(
    target: SceneBody, other: SceneBody, poses: Poses, points: np.ndarray, fps: float, device: str
) -> ContactPoints | None:
    """Contact of points (frame, point, 3) of the other body with a rigid one; None where nothing ever touches."""
    try:
        surface = Surface(target.body.vertices * np.float32(poses.scale), target.body.faces, target.name, device)
    except InputError:  # a body without surface touches nothing
        return None
    back = Rotation.from_quat(poses.rotation).inv().as_matrix()
    local = np.einsum("fij,fpj->fpi", back, points - poses.position[:, None])
    lower, upper = surface.vertices.min(axis=0) - CLEAR, surface.vertices.max(axis=0) + CLEAR
    near = np.all((local > lower) & (local < upper), axis=2)
    weight = np.zeros(near.shape, dtype=np.float32)
    reach = CLEAR + float(np.ptp(surface.vertices, axis=0).max())
    distance, _, _ = surface.measure(local[near], reach)
    weight[near] = np.clip((CLEAR - distance) / (CLEAR - TOUCH), 0.0, 1.0)
    kept = weight.max(axis=0) > 0.0
    if not kept.any():
        return None
    local, weight = local[:, kept], weight[:, kept]
    distance, normals, _ = surface.measure(local.reshape(-1, 3))
    depth, normals = -distance.reshape(weight.shape), normals.reshape(local.shape)
    return ContactPoints(
        other.name,
        target.name,
        points[:, kept].astype(np.float32),
        weight,
        normals=np.einsum("fij,fpi->fpj", back, normals).astype(np.float32),
        depth=depth,
        slip=slip_speed(local, normals, weight > 0.0, fps),
    )


def slip_speed(places: np.ndarray, normals: np.ndarray, touching: np.ndarray, fps: float) -> np.ndarray:
    """Speed along a surface of points that touch it in this and the frame before, or else the next; 0 elsewhere.

    Args:
        places: in the frame of the surface (frame, point, 3) [m].
        normals: of the surface there, unit (frame, point, 3).
        touching: whether a point touches (frame, point) bool.
        fps: frames per second.

    Returns:
        (frame, point) float32 [m/s].
    """
    steps = np.diff(places, axis=0)
    along = steps - np.sum(steps * normals[1:], axis=2, keepdims=True) * normals[1:]
    speed = np.linalg.norm(along, axis=2) * fps
    stays = touching[1:] & touching[:-1]
    slip = np.zeros(touching.shape)
    slip[:-1][stays] = speed[stays]
    slip[1:][stays] = speed[stays]
    return slip.astype(np.float32)
