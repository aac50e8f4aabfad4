"""The registry of simulated scenes."""

from __future__ import annotations

from pathlib import Path

from warpprior.bodies.body import Body
from warpprior.device import resolve_device
from warpprior.errors import InputError
from warpprior.scene import Scene
from warpprior.scenes.noise import MaskNoise, PoseNoise

SCENES = ("robot_lift", "held_object")


def simulate(
    name: str,
    *,
    seed: int = 0,
    frame_count: int = 60,
    fps: float = 30.0,
    mask_noise: str | MaskNoise = "M1",
    pose_noise: PoseNoise | None = None,
    object: str | None = None,
    mesh: str | Path | Body | None = None,
    images: bool = True,
    device: str | None = "cpu",
) -> Scene:
    """Simulate a scene whose truth is known.

    Args:
        name: ``robot_lift``: a robot hand takes an object of ours from a table, lifts and turns it;
            ``held_object``: the same with any mesh.
        seed: of everything random; the same seed gives the same scene.
        frame_count: number of frames, at least 2.
        fps: frames per second.
        mask_noise: level of the label images' noise, ``M0`` (exact) to ``M3``, or a :class:`MaskNoise`.
        pose_noise: how far the object's initial poses are off; about 15 degrees and 12 % in depth by default.
        object: for ``robot_lift``: ``bottle`` (default) or ``box``.
        mesh: for ``held_object``: a mesh file, or a rigid body.
        images: render colour pictures too.
        device: Warp device that casts the rays; None takes a GPU if there is one, whose pictures differ in last digits.

    Raises:
        InputError: an unknown scene, object, noise level or device, or a mesh that cannot be read or grasped.
    """
    from warpprior.scenes.robot_lift import held_object, robot_lift

    device = resolve_device(device)
    if name not in SCENES:
        raise InputError("scene", repr(name), f"one of {', '.join(SCENES)}")
    if name == "robot_lift":
        if mesh is not None:
            raise InputError("mesh", "given for robot_lift", "use the scene held_object, or object=bottle or box")
        return robot_lift(
            object=object or "bottle",
            seed=seed,
            frame_count=frame_count,
            fps=fps,
            mask_noise=mask_noise,
            pose_noise=pose_noise,
            images=images,
            device=device,
        )
    if object is not None:
        raise InputError("object", "given for held_object", "give mesh=, or use the scene robot_lift")
    if mesh is None:
        raise InputError("mesh", "missing", "the scene held_object needs a mesh file or a rigid body")
    return held_object(
        mesh,
        seed=seed,
        frame_count=frame_count,
        fps=fps,
        mask_noise=mask_noise,
        pose_noise=pose_noise,
        images=images,
        device=device,
    )
