"""Skinning, silhouettes, depth, signed distance and transfer of torch tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from warpprior.bodies.body import Body
from warpprior.scene import Camera
from warpprior.support.arrays import is_torch
from warpprior.support.device import warp_device
from warpprior.torch.recording import load_torch, record

if TYPE_CHECKING:
    from warpprior.render.views import Drawable


def skin(
    body: Body, position: Any, rotation: Any = None, joints: Any = None, *, shape: Any = None, scale: Any = 1.0
) -> Any:
    """The surface of a body in every frame, as :func:`warpprior.geometry.skin` has it.

    Args:
        body: the body.
        position: camera_from_body (frame, 3) [m]; or position and quaternion (frame, 7), then without ``rotation``.
        rotation: quaternions xyzw of any length (frame, 4), or matrices (frame, 3, 3).
        joints: joint coordinates (frame, coordinate) [rad or m]; None for all zero.
        shape: shape parameters (shape,); None for the mean.
        scale: uniform size factor, a number or a tensor (1,).

    Returns:
        (frame, vertex, 3) float32 [m], camera frame.

    Raises:
        InputError: a tensor that is refused, or shapes that do not fit the body.
        MissingExtraError: torch is not installed.
    """
    from warpprior import geometry

    device = _device(position, rotation, joints, shape, scale)

    def run(position, rotation, joints, shape, scale):
        return (geometry.skin(body, position, rotation, joints, shape=shape, scale=scale, device=device),)

    return record(run, position, rotation, joints, shape, scale)[0]


def silhouette(
    scene: Drawable,
    poses: Mapping[str, Any],
    *,
    camera: Camera | None = None,
    occluded: bool = True,
) -> Any:
    """Antialiased masks of bodies, as :func:`warpprior.render.silhouette` has them, with its errors.

    Args:
        scene: a scene; or bodies, drawn in their order, with ``camera``.
        poses: by body name: a surface (frame, vertex, 3) as :func:`skin` returns it, a tuple of position, rotation and
            joints, (frame, 7), or a :class:`warpprior.Poses`.  Known bodies of a scene may be left out.
        camera: other than the scene's.
        occluded: bodies hide each other; otherwise each is drawn as if it were alone.

    Returns:
        (frame, body, height, width) float32.
    """
    from warpprior import render

    return _drawn(poses, lambda now, device: render.silhouette(
        scene, now, camera=camera, occluded=occluded, device=device
    ))  # fmt: skip


def depth(scene: Drawable, poses: Mapping[str, Any], *, camera: Camera | None = None) -> Any:
    """Depth of what is seen, as :func:`warpprior.render.depth` has it, with its errors.

    Args:
        scene, poses, camera: as for :func:`silhouette`.

    Returns:
        (frame, height, width) float32 [m], zero where there is no body.
    """
    from warpprior import render

    return _drawn(poses, lambda now, device: render.depth(scene, now, camera=camera, device=device))


def signed_distance(
    body: Body,
    points: Any,
    poses: Any = None,
    *,
    method: str = "exact",
    reach_m: float = 0.5,
    scale: float = 1.0,
) -> tuple[Any, Any]:
    """Signed distance of points to a body, as :func:`warpprior.geometry.signed_distance` has it, with its errors.

    Args:
        body: the body.
        points: (frame, point, 3) [m], camera frame; without poses in the body's own, where (point, 3) will do.
        poses: a surface (frame, vertex, 3), a tuple of position, rotation and joints, (frame, 7), a
            :class:`warpprior.Poses`, or None for the body at rest at the origin.
        method: ``exact`` or ``grid``.
        reach_m: farther than this is a miss [m].
        scale: size factor of the body where ``poses`` do not say it.

    Returns:
        distance (frame, point) [m], positive outside, differentiable in points and poses; and its gradient by the point
        (frame, point, 3), which is not differentiable.  Without frames where the points have none.
    """
    from warpprior import geometry

    parts = poses if isinstance(poses, tuple) else (poses,)
    device = _device(points, *parts)

    def run(points, *parts):
        now = tuple(parts) if isinstance(poses, tuple) else parts[0]
        words = {"method": method, "reach_m": reach_m, "scale": scale, "device": device}
        found = geometry.signed_distance(body, points, now, **words)
        return found.distance, found.normal

    return record(run, points, *parts)


def transfer(
    points_before: Any,
    points_after: Any,
    poses_before: Any,
    weights: Any = None,
    *,
    prior_motions: Any = None,
    contact_sigma_m: float = 1e-3,
    prior_angle: float = 0.3,
    prior_shift_m: float = 0.1,
) -> tuple[Any, Any]:
    """Where a body goes when its contacts move, as :func:`warpprior.geometry.transfer` has it, with its errors.

    Args:
        points_before, points_after: contact points (pair, contact, 3) [m], camera frame.
        poses_before: (pair, 7), or a tuple of position (pair, 3) and rotation.
        weights: of the contacts (pair, contact); None for 1 everywhere.
        prior_motions: expected displacement [m] and rotation (pair, 7); None for none.
        contact_sigma_m, prior_angle, prior_shift_m: as there.

    Returns:
        poses after (pair, 7): position [m] and quaternion xyzw, differentiable in every tensor; and the covariance
        (pair, 6, 6) of position [m] and rotation vector [rad], which is not differentiable.
    """
    from warpprior import geometry

    parts = poses_before if isinstance(poses_before, tuple) else (poses_before,)
    device = _device(points_before, points_after, weights, prior_motions, *parts)

    def run(before, after, weights, motions, *parts):
        found = geometry.transfer(
            before,
            after,
            tuple(parts) if isinstance(poses_before, tuple) else parts[0],
            weights,
            prior_motions=motions,
            contact_sigma_m=contact_sigma_m,
            prior_angle=prior_angle,
            prior_shift_m=prior_shift_m,
            device=device,
        )
        return found.poses, found.covariance

    return record(run, points_before, points_after, weights, prior_motions, *parts)


def _drawn(poses: Mapping[str, Any], draw: Any) -> Any:
    """Record a picture of poses by body name, each a tensor, a tuple, or something else."""
    parts = [value if isinstance(value, tuple) else (value,) for value in poses.values()]
    flat = [part for values in parts for part in values]
    device = _device(*flat)

    def run(*flat):
        now, rest = {}, list(flat)
        for (name, value), values in zip(poses.items(), parts, strict=True):
            own, rest = rest[: len(values)], rest[len(values) :]
            now[name] = tuple(own) if isinstance(value, tuple) else own[0]
        return (draw(now, device),)

    return record(run, *flat)[0]


def _device(*values: Any) -> Any:
    """Warp's device of the first tensor, the CPU without any."""
    import warp as wp

    load_torch()
    return next((wp.device_from_torch(value.device) for value in values if is_torch(value)), warp_device("cpu"))
