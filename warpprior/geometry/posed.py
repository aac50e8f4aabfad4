"""Bodies where their poses put them: surfaces in the camera frame, differentiable on the caller's own tape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import warp as wp

from warpprior.bodies.body import UNIT_TOLERANCE, Body
from warpprior.bodies.model import BodyModel, shared_model
from warpprior.bodies.posing import Motion, assign_poses
from warpprior.kernels import joined_poses, skinning
from warpprior.support.arrays import device_of, is_warp, to_numpy, to_warp
from warpprior.support.device import warp_device
from warpprior.support.errors import InputError


def join_poses(position: Any, rotation: Any, *, device: Any = None) -> wp.array:
    """Poses of positions and rotations; differentiable in both on the tape that is recording.

    Args:
        position: camera_from_body [frame] vec3 or (frame, 3) [m].
        rotation: quaternions xyzw of any length [frame] quat or (frame, 4), or rotation matrices (frame, 3, 3).
        device: where to work; None takes the arrays' device, the CPU for arrays of the host.

    Returns:
        [frame] transform.

    Raises:
        InputError: an array that is refused, or shapes that do not fit each other.
    """
    device = device_of(position, rotation, device=device)
    position = to_warp(position, "position", wp.vec3, 1, device)
    count = position.shape[0]
    matrices = len(_full_shape(rotation)) == 3
    given = rotation
    rotation = to_warp(rotation, "rotation", wp.mat33 if matrices else wp.quat, 1, device, shape=(count,))
    _check_lengths(given, "rotation")
    grad = position.requires_grad or rotation.requires_grad
    poses = wp.zeros(count, dtype=wp.transform, device=device, requires_grad=grad)
    join = joined_poses.join_matrices if matrices else joined_poses.join_quaternions
    join(position, rotation, poses_out=poses)
    return poses


def skin(
    body: Body,
    position: Any,
    rotation: Any = None,
    joints: Any = None,
    *,
    shape: Any = None,
    scale: Any = 1.0,
    device: Any = None,
) -> wp.array | np.ndarray:
    """The surface of a body in every frame, in the camera frame.

    Given Warp arrays, everything is launched on their device's current stream and recorded on the tape that is
    recording; gradients reach every argument that requires them.  Nothing is read back.

    Args:
        body: the body.
        position: camera_from_body [frame] vec3 or (frame, 3) [m]; or whole poses, then without ``rotation``:
            [frame] transform or (frame, 7), quaternions of any length, or a :class:`warpprior.Poses`, which has joints,
            shape and scale, too.
        rotation: quaternions xyzw of any length [frame] quat or (frame, 4), or matrices (frame, 3, 3).
        joints: joint coordinates (frame, coordinate) [rad or m]; None for all zero.
        shape: shape parameters (shape,); None for the mean.
        scale: uniform size factor of the rest surface, a number or an array of one.
        device: where to work; None takes the arrays' device, the CPU for arrays of the host.

    Returns:
        [frame, vertex] vec3 where any argument is a Warp array or a device is given; otherwise NumPy (frame, vertex, 3)
        float32.  An animated body shows its first frames, or those that the poses say.

    Raises:
        InputError: an array that is refused, or shapes that do not fit the body.
    """
    given = (position, rotation, joints, shape, scale)
    surface = surface_of(body, position if rotation is None else given[:2], device, given[2:])
    return surface if device is not None or any(map(is_warp, given)) else surface.numpy()


def surface_points(body: Body, surface: Any, faces: Any, barycentrics: Any) -> wp.array | np.ndarray:
    """Points that ride on a surface, as those of :func:`sample_surface`; differentiable in the surface.

    Args:
        body: whose surface it is.
        surface: as :func:`skin` returns it, [frame, vertex] vec3 or (frame, vertex, 3) [m].
        faces: the face that each point lies on (point,) int.
        barycentrics: weights of its corners (point, 3).

    Returns:
        [frame, point] vec3, or NumPy (frame, point, 3) float32 for a NumPy surface.

    Raises:
        InputError: an array that is refused, or faces that the body does not have.
    """
    device = device_of(surface)
    if not is_warp(faces):
        faces = to_numpy(faces, "faces", shape=(None,))
        if faces.size and not (faces.min() >= 0 and faces.max() < body.face_count):
            found = f"numbers from {faces.min()} to {faces.max()}"
            raise InputError("faces", found, f"numbers from 0 to {body.face_count - 1}")
    vertices = to_warp(surface, "surface", wp.vec3, 2, device, shape=(None, body.vertex_count))
    places = to_warp(faces, "faces", int, 1, device)
    weights = to_warp(barycentrics, "barycentrics", wp.vec3, 1, device, shape=places.shape)
    shape = (vertices.shape[0], places.shape[0])
    points = wp.zeros(shape, dtype=wp.vec3, device=device, requires_grad=vertices.requires_grad)
    model = shared_model(body, device)
    skinning.interpolate_points(vertices, model.faces, places, weights, vertex_offset=0, points_out=points)
    return points if is_warp(surface) else points.numpy()


def surface_of(body: Body, poses: Any, device: Any = None, extras: tuple = ()) -> wp.array:
    """The surface [frame, vertex] vec3 for whatever the public functions take as poses of a body.

    That is what :func:`skin` takes: a :class:`warpprior.Poses`, transforms, or a tuple of position, rotation, joints;
    or the surface itself, as :func:`skin` returns it.
    """
    if isinstance(poses, tuple):
        device = device_of(*poses, *extras, device=device)
        return _skinned(body, _joined(poses, f"poses of body {body.name!r}", device), *(poses[2:] or extras))
    if hasattr(poses, "position"):
        return _posed(body, poses, warp_device(device or "cpu"))
    device = device_of(poses, *extras, device=device)
    if len(_full_shape(poses)) == 3:
        return to_warp(poses, f"surface of body {body.name!r}", wp.vec3, 2, device, shape=(None, body.vertex_count))
    _check_lengths(poses, f"poses of body {body.name!r}")
    transforms = to_warp(poses, f"poses of body {body.name!r}", wp.transform, 1, device)
    return _skinned(body, _of_unit_length(transforms), *extras)


def poses_of(poses: Any, where: str, device: Any, *, count: int) -> wp.array:
    """camera_from_body [frame] transform for poses as :func:`surface_of` takes them, but not for a surface."""
    if isinstance(poses, tuple):
        return to_warp(_joined(poses, where, device), where, wp.transform, 1, device, shape=(count,))
    if hasattr(poses, "position"):
        poses = np.concatenate([poses.position, poses.rotation], axis=1)
    _check_lengths(poses, where)
    return _of_unit_length(to_warp(poses, where, wp.transform, 1, device, shape=(count,)))


def _joined(parts: tuple, where: str, device: Any) -> wp.array:
    """Poses [frame] transform of a tuple that begins with position and rotation."""
    if len(parts) < 2:
        raise InputError(where, f"a tuple of {len(parts)}", "position, rotation and, if there are any, joints")
    return join_poses(*parts[:2], device=device)


def _of_unit_length(poses: wp.array) -> wp.array:
    """The same poses [frame] transform, whatever the length of their quaternions; differentiable."""
    unit = wp.zeros(poses.shape, dtype=wp.transform, device=poses.device, requires_grad=poses.requires_grad)
    joined_poses.unit_poses(poses, poses_out=unit)
    return unit


def _check_lengths(rotations: Any, where: str) -> None:
    """Refuse NumPy's quaternions, (frame, 4) or the last of (frame, 7), without a direction.

    On a tape they are no rotation and have no gradient, for an optimiser may pass through them.
    """
    if isinstance(rotations, np.ndarray) and rotations.ndim == 2:
        empty = np.flatnonzero(~rotations[:, -4:].any(axis=1))
        if len(empty):
            accepted = "a quaternion x, y, z, w of any other length"
            raise InputError(f"{where}, frame {empty[0]}", "a quaternion of length 0", accepted)


def _skinned(body: Body, poses: wp.array, joints: Any = None, shape: Any = None, scale: Any = 1.0) -> wp.array:
    """Surface at these poses [frame] transform."""
    device, count, where = poses.device, poses.shape[0], f"body {body.name!r}"
    model = shared_model(body, device)
    changes: dict[str, Any] = {"poses": poses}
    if joints is not None:
        changes["joints"] = to_warp(
            joints, f"joints of {where}", float, 2, device, shape=(count, body.coordinate_count)
        )
    if shape is not None:
        changes["shape"] = to_warp(shape, f"shape of {where}", float, 1, device, shape=(body.shape_count,))
    if not isinstance(scale, (int, float)):
        changes["scale"] = to_warp(scale, f"scale of {where}", float, 1, device, shape=(1,))
    shaped = any(changes[name].requires_grad for name in ("shape", "scale") if name in changes)
    moved = any(changes[name].requires_grad for name in ("poses", "joints") if name in changes)
    state = model.state(count, requires_grad=moved, shape_requires_grad=shaped)
    if isinstance(scale, (int, float)):
        if not 0.0 < scale < 1e6:
            raise InputError(f"scale of {where}", f"{scale}", "a positive size factor")
        state.scale.fill_(float(scale))
    if model.follows_pose:
        changes["links"] = changes["skin"] = poses.reshape((count, 1))
    return _surface(model, replace(state, **changes))


def _posed(body: Body, poses: Motion, device: Any) -> wp.array:
    """Surface at poses of the host, which carry no gradients."""
    lengths = np.linalg.norm(poses.rotation, axis=1)
    wrong = np.flatnonzero(np.abs(lengths - 1.0) > UNIT_TOLERANCE)
    if len(wrong):
        found = f"a quaternion of length {lengths[wrong[0]]:.4g}"
        raise InputError(f"poses of body {body.name!r}, frame {wrong[0]}", found, "unit quaternions xyzw")
    model = shared_model(body, device)
    state = model.state(len(poses.position), requires_grad=False)
    try:
        assign_poses(state, poses)
    except ValueError as error:
        raise InputError(f"poses of body {body.name!r}", str(error), "poses of this body") from error
    return _surface(model, state)


def _surface(model: BodyModel, state: Any) -> wp.array:
    model.shape(state)
    model.pose(state)
    grad = state.skin.requires_grad or state.rest_vertices.requires_grad
    shape = (state.frame_count, model.body.vertex_count)
    vertices = wp.zeros(shape, dtype=wp.vec3, device=model.device, requires_grad=grad)
    model.skin(state, vertices)
    return vertices


def _full_shape(values: Any) -> tuple[int, ...]:
    """Shape with the axes inside a vector type of Warp's."""
    if is_warp(values):
        return (*values.shape, *getattr(values.dtype, "_shape_", ()))
    return tuple(values.shape) if hasattr(values, "shape") else np.shape(values)
