"""Motion in the world, where the camera moves: what jumps, and what rests, does so there."""

from __future__ import annotations

from dataclasses import replace

from warpprior.scene import Poses, Scene
from warpprior.system.motion import frame_paces
from warpprior.system.moving_camera import MovingCamera
from warpprior.terms.camera import CameraMotion
from warpprior.world import CameraPath


def steady_camera(scene: Scene) -> CameraPath | None:
    """The camera's path where it moves, without the jitter of poses that were measured and never estimated."""
    world = scene.world
    if world is None or not world.moves:
        return None
    if world.noise is None or world.given is not None:
        return world.camera
    camera, usual, rate = MovingCamera(world, scene.times, "cpu"), CameraMotion(), scene.fps**2
    camera.smoothed_start(frame_paces(scene), (rate / usual.sigma_m_s2) ** 2, (rate / usual.sigma_rad_s2) ** 2)
    return camera.path()


def in_world(path: CameraPath | None, poses: Poses) -> Poses:
    """Poses in the world; as they are where the camera stands."""
    if path is None:
        return poses
    position, rotation = path.moved(poses.position, poses.rotation)
    return replace(poses, position=position, rotation=rotation)
