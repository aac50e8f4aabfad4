"""How far points are from a body, and where on it they are nearest; differentiable on the caller's own tape."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import warp as wp

from warpprior.bodies.body import Body
from warpprior.bodies.model import shared_model
from warpprior.geometry.bending_surface import SurfaceAnswers, SurfaceQuery
from warpprior.geometry.posed import poses_of, surface_of
from warpprior.geometry.signed_distance import shared_field
from warpprior.kernels import posed_distance
from warpprior.support.arrays import device_of, is_warp, to_warp
from warpprior.support.errors import InputError
from warpprior.support.tape import record_adjoint

REACH_M = 0.5
KEPT = 4  # trees over surfaces that are kept for each body

_QUERIES: WeakKeyDictionary[Body, dict[tuple, SurfaceQuery]] = WeakKeyDictionary()
_TURN = Lock()  # a tree is refitted and asked in one go


@dataclass(frozen=True, eq=False)
class Distances:
    """Answers of :func:`signed_distance`, in the shape of the points; NumPy, or Warp arrays on the device.

    Attributes:
        distance: positive outside, the reach for a miss float32 [m].
        normal: gradient of the distance by the point, outward; of unit length, zero for a miss vec3.
        face: the face that is nearest, -1 for a miss int32; None from a grid.
        barycentric: weights of its corners at the nearest place vec3; None from a grid.
    """

    distance: Any
    normal: Any
    face: Any = None
    barycentric: Any = None


@dataclass(frozen=True, eq=False)
class ClosestPoints:
    """Answers of :func:`closest_points`, in the shape of the points; NumPy, or Warp arrays on the device.

    Attributes:
        position: the nearest place of the surface, NaN for a miss vec3 [m].
        normal: outward unit gradient of the distance there, zero for a miss vec3.
        face: the face it is on, -1 for a miss int32.
        barycentric: weights of its corners vec3.
    """

    position: Any
    normal: Any
    face: Any
    barycentric: Any


def signed_distance(
    body: Body,
    points: Any,
    poses: Any = None,
    *,
    method: str = "exact",
    reach_m: float = REACH_M,
    scale: float = 1.0,
    device: Any = None,
) -> Distances:
    """Signed distance of points to the surface of a body, and its gradient.

    On the tape that is recording, ``distance`` is differentiable in the points and in what the surface depends on
    (``normal`` is not).  The derivative of an exact distance is the true one.  An exact distance is signed by the
    nearest face, edge or corner, by winding numbers where the body is not closed.

    Args:
        body: the body.
        points: [frame, point] vec3 or (frame, point, 3) [m], in the camera frame; in the body's own without poses,
            where (point, 3) will do.
        poses: where the body is: its surface as :func:`skin` returns it, or what :func:`skin` takes as poses, a tuple
            of position, rotation and joints among it.  None: at rest at the origin.
        method: ``exact``, for any body; or ``grid``, which a rigid body is baked into once (64 nodes cubed): several
            times faster, right to about a quarter of a node; farther out than a tenth of the body an upper bound.
        reach_m: farther than this is a miss [m].
        scale: size factor of the body where ``poses`` do not say it.
        device: where to work; None takes the arrays' device, the CPU for arrays of the host.

    Returns:
        Warp arrays where points or poses are, or a device is given; otherwise NumPy.

    Raises:
        InputError: an array that is refused, frames that do not fit, no such method, or a grid of a body that bends.
    """
    if method not in ("exact", "grid"):
        raise InputError("signed distance: method", repr(method), "exact or grid")
    where, flat, answer_in_warp = _points(points, poses, device)
    scale = float(getattr(poses, "scale", scale))
    if method == "grid":
        found = _read_grid(body, where, poses, scale)
    else:
        surface, answers = _ask(body, where, poses, reach_m, scale)
        found = Distances(answers.distances, answers.normals, answers.faces, answers.barycentrics)
        if where.requires_grad or surface.requires_grad:
            answers.distances.requires_grad = True
            corners = shared_model(body, where.device).faces
            taking = [array for array in (where, surface, answers.distances) if array.requires_grad]
            record_adjoint(lambda: _push(where, surface, answers, corners), taking)
    return _given_back(found, flat, answer_in_warp)


def closest_points(
    body: Body,
    points: Any,
    poses: Any = None,
    *,
    reach_m: float = REACH_M,
    scale: float = 1.0,
    device: Any = None,
) -> ClosestPoints:
    """The places of a body's surface that are nearest to points.

    On the tape that is recording, ``position`` moves with the surface: it is differentiable in what the surface depends
    on while the place on the surface is held, and not in the points.

    Args, errors and kinds of answers: as for :func:`signed_distance`.
    """
    where, flat, answer_in_warp = _points(points, poses, device)
    scale = float(getattr(poses, "scale", scale))
    surface, answers = _ask(body, where, poses, reach_m, scale)
    grad = surface.requires_grad
    position = wp.zeros(where.shape, dtype=wp.vec3, device=where.device, requires_grad=grad)
    corners = shared_model(body, where.device).faces
    posed_distance.place_closest(
        surface, corners, answers.faces, answers.barycentrics, float("nan"), closest_out=position
    )
    found = ClosestPoints(position, answers.normals, answers.faces, answers.barycentrics)
    return _given_back(found, flat, answer_in_warp)


def _points(points: Any, poses: Any, device: Any) -> tuple[wp.array, bool, bool]:
    """Points [frame, point] vec3; whether they came without frames; whether answers are to be Warp arrays."""
    parts = poses if isinstance(poses, tuple) else (poses,)
    answer_in_warp = device is not None or is_warp(points) or any(map(is_warp, parts))
    device = device_of(points, *parts, device=device)
    axes = points.ndim + len(getattr(points.dtype, "_shape_", ())) if is_warp(points) else np.ndim(points)
    flat = poses is None and axes == 2
    where = to_warp(points, "points", wp.vec3, 1 if flat else 2, device)
    return where.reshape((1, where.shape[0])) if flat else where, flat, answer_in_warp


def _ask(body: Body, points: wp.array, poses: Any, reach_m: float, scale: float) -> tuple[wp.array, SurfaceAnswers]:
    """The surface, and what an exact query of it answers."""
    device, frame_count = points.device, points.shape[0]
    if poses is None:
        vertices = np.repeat(body.vertices[None] * np.float32(scale), frame_count, axis=0)
        surface = wp.array(vertices, dtype=wp.vec3, device=device)
    else:
        surface = surface_of(body, poses, device)
    if surface.shape[0] != frame_count:
        raise InputError("points", f"{frame_count} frames", f"{surface.shape[0]}, as the poses have")
    if frame_count == 0:
        raise InputError("points", "no frames", "at least one frame")
    with _TURN:
        query = _shared_query(body, frame_count, device, float(reach_m), scale)
        answers = query.answers(points.shape[1])
        query.refit(surface)
        if points.shape[1]:
            query.query(points, answers)
    return surface, answers


def _shared_query(body: Body, frame_count: int, device: Any, reach_m: float, scale: float) -> SurfaceQuery:
    """A tree for so many frames, built once; the oldest makes room."""
    kept, key = _QUERIES.setdefault(body, {}), (frame_count, str(device), reach_m, scale)
    if key not in kept:
        while len(kept) >= KEPT:
            kept.pop(next(iter(kept)))
        kept[key] = SurfaceQuery(body, frame_count, device, reach_m, scale=scale, winding=not body.closed)
    return kept[key]


def _push(points: wp.array, surface: wp.array, answers: SurfaceAnswers, corners: wp.array) -> None:
    gradients: Any = answers.distances.grad
    normals = answers.normals
    if points.requires_grad:
        posed_distance.push_to_points(gradients, normals, point_gradients_out=points.grad)
    if surface.requires_grad:
        posed_distance.push_to_surface(
            gradients, normals, answers.faces, answers.barycentrics, corners, vertex_gradients_out=surface.grad
        )
    gradients.zero_()  # taken, as Warp's own adjoints take them


def _read_grid(body: Body, points: wp.array, poses: Any, scale: float) -> Distances:
    from warpprior.kernels.grid_distance import read_grid, read_grid_normals

    device: Any = points.device
    frame_count = points.shape[0]
    if poses is None:
        poses = np.tile([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], (frame_count, 1))
    transforms = poses_of(poses, f"poses of body {body.name!r}", device, count=frame_count)
    field = shared_field(body, device, scale=scale)
    grid = (field.grid, field.origin, field.inverse_spacing)
    grad = points.requires_grad or transforms.requires_grad
    distances = wp.zeros(points.shape, dtype=wp.float32, device=device, requires_grad=grad)
    normals = wp.zeros(points.shape, dtype=wp.vec3, device=device)
    if points.size:
        read_grid(points, transforms, *grid, distances_out=distances)
        read_grid_normals(points, transforms, *grid, normals_out=normals)
    return Distances(distances, normals)


def _given_back(found: Any, flat: bool, in_warp: bool) -> Any:
    """Answers in the shape of the points, and on the host where everything came from there."""
    fields = {name: values for name, values in vars(found).items() if values is not None}
    if flat:
        fields = {name: values.reshape((values.shape[1],)) for name, values in fields.items()}
    if not in_warp:
        fields = {name: values.numpy() for name, values in fields.items()}
    return type(found)(**fields)
