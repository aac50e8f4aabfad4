"""The registry of simulated scenes."""

from __future__ import annotations

from pathlib import Path

from warpprior.bodies.body import Body
from warpprior.scene import Scene
from warpprior.scenes.noise import HandNoise, KeypointNoise, MaskNoise, Point3DNoise, PoseNoise
from warpprior.support.device import resolve_device
from warpprior.support.errors import InputError

ROBOT_SCENES = {
    "robot_lift": "a robot hand takes an object of ours from a table, lifts and turns it",
    "held_object": "the same with any mesh",
}
HAND_SCENES = {
    "grasp_lift": "a human hand reaches for an object, closes around it, lifts it, sways and turns it",
    "in_hand_turn": "a human hand holds an object, and its fingers turn it by 20 to 40 degrees",
    "pour": "a human hand lifts an object, carries it aside, tilts it as if to pour, and sets it upright",
    "handover": "a human hand lifts an object and holds it out, and another hand takes it over",
    "slip": "a human hand lifts an object, which slips in the grasp by 1 to 2 cm and is held again",
}
SCENES = ROBOT_SCENES | HAND_SCENES
"""Name -> what happens.  In the robot's scenes the hand is known; a human hand is to be estimated too."""


def simulate(
    name: str,
    *,
    seed: int = 0,
    frame_count: int = 60,
    fps: float = 30.0,
    mask_noise: str | MaskNoise = "M1",
    pose_noise: str | PoseNoise | None = None,
    hand_noise: str | HandNoise | None = None,
    keypoint_noise: KeypointNoise | None = None,
    point_noise: str | Point3DNoise = "sensor",
    object: str | None = None,
    mesh: str | Path | Body | None = None,
    side: str | None = None,
    second_object: str | None = None,
    occluded_frames: tuple[int, int] | None = None,
    images: bool = True,
    depth: bool = False,
    device: str | None = "cpu",
) -> Scene:
    """Simulate a scene whose truth is known.

    Args:
        name: one of :data:`SCENES`.
        seed: of everything random; the same seed gives the same scene.
        frame_count: number of frames, at least 2.
        fps: frames per second.
        mask_noise: level of the label images' noise, ``M0`` (exact) to ``M3``, or a :class:`MaskNoise`.
        pose_noise: how far the objects' initial poses are off: ``exact``, ``rough`` (15 degrees and 12 % in depth, for
            the robot's scenes), ``network`` (about 26 cm, nearly all in depth, for human hands), or a
            :class:`PoseNoise`.
        hand_noise: how far a human hand's are: ``exact``, ``network`` (joints about 12 mm off), ``white`` (6 mm and
            0.05 rad, independent in every frame), or a :class:`HandNoise`.
        keypoint_noise: of a human hand's detected keypoints.
        point_noise: of what is measured in space, keypoints of human hands and middles of objects: ``exact``,
            ``sensor`` (4 and 15 mm per axis, independent in every frame), or a :class:`Point3DNoise`.
        object: name of one of our objects (:data:`warpprior.scenes.objects.OBJECTS`); each scene has its own default.
        mesh: a mesh file, or a rigid body, instead of ours; ``held_object`` needs one, ``robot_lift`` takes none.
        side: of a human hand: ``right`` (default) or ``left``.
        second_object: name of another object of ours that stands beside a human hand's, untouched.
        occluded_frames: first and number of frames in which something hides everything from the camera, in scenes of
            human hands.
        images: render colour pictures too.
        depth: depth images too, with the noise of a depth camera, in scenes of human hands.
        device: Warp device that casts the rays; None takes a GPU if there is one, whose pictures differ in last digits.

    Raises:
        InputError: an unknown scene, object, noise level or device, or a mesh that cannot be read or grasped.
    """
    device = resolve_device(device)
    if name not in SCENES:
        raise InputError("scene", repr(name), f"one of {', '.join(SCENES)}")
    if name in HAND_SCENES:
        from warpprior.scenes.hand_scenes import hand_scene

        if mesh is not None and object is not None:
            raise InputError("mesh", "given together with an object", "one of the two")
        return hand_scene(
            name,
            object=object,
            mesh=mesh,
            side=side or "right",
            second_object=second_object,
            occluded_frames=occluded_frames,
            seed=seed,
            frame_count=frame_count,
            fps=fps,
            mask_noise=mask_noise,
            pose_noise=pose_noise or "network",
            hand_noise=hand_noise or "network",
            keypoint_noise=keypoint_noise,
            point_noise=point_noise,
            images=images,
            depth=depth,
            device=device,
        )
    from warpprior.scenes.robot_lift import held_object, robot_lift

    human = {
        "side": side,
        "hand_noise": hand_noise,
        "keypoint_noise": keypoint_noise,
        "second_object": second_object,
        "occluded_frames": occluded_frames,
        "depth": depth or None,
    }
    for option, value in human.items():
        if value is not None:
            raise InputError(option, f"given for {name}", f"leave it out, or use one of {', '.join(HAND_SCENES)}")
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
            point_noise=point_noise,
            images=images,
            device=device,
        )
    if object is not None:
        raise InputError("object", "given for held_object", "give mesh=, or use another scene")
    if mesh is None:
        raise InputError("mesh", "missing", "the scene held_object needs a mesh file or a rigid body")
    return held_object(
        mesh,
        seed=seed,
        frame_count=frame_count,
        fps=fps,
        mask_noise=mask_noise,
        pose_noise=pose_noise,
        point_noise=point_noise,
        images=images,
        device=device,
    )
