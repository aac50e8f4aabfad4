"""The registry of simulated scenes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from warpprior.scenes.scene_options import SceneOptions, chosen_options
from warpprior.support.errors import InputError

if TYPE_CHECKING:
    from warpprior.scene import Scene

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
PERSON_SCENES = {
    "person_box": "a person lifts a box of 40 x 30 x 30 cm with both hands from the belly to the chest",
    "person_ball": "a person holds a ball of 24 cm between both hands and turns",
}
SCENES = ROBOT_SCENES | HAND_SCENES | PERSON_SCENES
"""Name -> what happens.  In the robot's scenes the hand is known; human hands and people are to be estimated too."""

HAND_OPTIONS = (
    *("side", "hand_noise", "keypoint_noise", "picture_noise", "second_object", "occluded_frames"),
    "depth",
)
NOT_PERSON_OPTIONS = ("object", "mesh", "side", "second_object", "occluded_frames", "camera_motion")


def simulate(name: str, options: SceneOptions | None = None, **changes: Any) -> Scene:
    """Simulate a scene whose truth is known.

    Args:
        name: one of :data:`SCENES`.
        options: how; None takes the usual ones.
        changes: options to change, by the names of the fields of :class:`SceneOptions`: ``seed``, ``frame_count``,
            ``object``, ``mask_noise`` and so on.

    Raises:
        InputError: an unknown scene, object, noise level or device, an option out of its range or of other scenes, or
            a mesh that cannot be read or grasped.
    """
    from warpprior.support.device import resolve_device

    options = chosen_options(options, changes)
    options = replace(options, device=resolve_device(options.device))
    if name not in SCENES:
        raise InputError("scene", repr(name), f"one of {', '.join(SCENES)}")
    if options.mesh_scale_depth not in ("right", "wrong"):
        raise InputError("mesh_scale_depth", repr(options.mesh_scale_depth), "right or wrong")
    scene = _simulated(name, options)
    if options.mesh_scale is None:
        return scene
    from warpprior.scenes.mesh_size import with_mesh_scaled

    return with_mesh_scaled(scene, options.mesh_scale, tracked_with_it=options.mesh_scale_depth == "wrong")


def _simulated(name: str, options: SceneOptions) -> Scene:
    """The scene of that name."""
    if name in HAND_SCENES:
        from warpprior.scenes.hand_scenes import hand_scene

        if options.mesh is not None and options.object is not None:
            raise InputError("mesh", "given together with an object", "one of the two")
        return hand_scene(name, options)
    if name in PERSON_SCENES:
        from warpprior.scenes.person_scenes import person_scene

        _refuse(options, NOT_PERSON_OPTIONS, name)
        return person_scene(name, options)
    from warpprior.scenes.robot_lift import held_object, robot_lift

    _refuse(options, HAND_OPTIONS, name)
    if name == "robot_lift":
        if options.mesh is not None:
            raise InputError("mesh", "given for robot_lift", "use the scene held_object, or object=bottle or box")
        return robot_lift(options)
    if options.object is not None:
        raise InputError("object", "given for held_object", "give mesh=, or use another scene")
    if options.mesh is None:
        raise InputError("mesh", "missing", "the scene held_object needs a mesh file or a rigid body")
    return held_object(options.mesh, options)


def _refuse(options: SceneOptions, others: tuple[str, ...], name: str) -> None:
    """Options that scenes of hands alone have are not passed over in silence."""
    for option in others:
        if getattr(options, option) not in (None, False):
            raise InputError(option, f"given for {name}", f"leave it out, or use one of {', '.join(HAND_SCENES)}")
