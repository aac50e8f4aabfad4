"""A robot hand takes an object from a table, lifts it and turns it: the built-in scene, and the same with any mesh."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body, rigid_body
from warpprior.geometry.signed_distance import DistanceField
from warpprior.scene import Camera, Scene, SceneBody
from warpprior.scenes import noise as noises
from warpprior.scenes import studio
from warpprior.scenes.grasp import find_grasp
from warpprior.scenes.head_camera import HeadView, camera_noise, film_moving, move_head, recorded_world
from warpprior.scenes.lift import Script, act
from warpprior.scenes.objects import OBJECTS
from warpprior.scenes.observe import Actor, Pictures, ReadRgb, cast_actors, film_actors
from warpprior.scenes.play import Motion
from warpprior.scenes.puppet import Puppet, robot_digits
from warpprior.scenes.robot_hand import FINGERS, TIP_RADIUS, URDF_PATH, robot_hand
from warpprior.scenes.scene_options import SceneOptions, chosen_options
from warpprior.support.errors import InputError
from warpprior.support.stored import frame_of

HAND_LABEL, OBJECT_LABEL = 1, 2
CAMERA = Camera(640, 480, 615.0, 615.0, 320.0, 240.0)


def robot_lift(options: SceneOptions | None = None, **changes: Any) -> Scene:
    """The robot hand lifts one of our own objects, ``bottle`` (the usual) or ``box``; see :func:`held_object`."""
    options = chosen_options(options, changes)
    name = options.object or "bottle"
    if name not in OBJECTS:
        raise InputError("object", repr(name), f"one of {', '.join(OBJECTS)}")
    return held_object(OBJECTS[name](), options, name="robot_lift", upright=True)


def held_object(
    mesh: str | Path | Body,
    options: SceneOptions | None = None,
    *,
    name: str = "held_object",
    upright: bool = False,
    **changes: Any,
) -> Scene:
    """The robot hand lifts any rigid object, standing on its longest axis at first.

    Args:
        mesh: the object, or the file of its mesh.
        options: how the scene is made, of those that are not a human hand's; the robot's poses are exact and known.
        name: of the scene.
        upright: the object stands along its own z instead.
        changes: options to change, by name.

    Returns:
        A scene with bodies ``hand`` and the object, truth for both, and the object's middle measured in space.

    Raises:
        InputError: the mesh cannot be read or grasped, or a setting is out of range.
    """
    options = chosen_options(options, changes)
    frame_count, camera, device = options.frame_count, options.camera or CAMERA, options.device
    if isinstance(mesh, Body):
        model = mesh
    else:
        from warpprior.bodies.readers.mesh import read_mesh

        model = read_mesh(mesh, Path(mesh).stem)
    level, point_level = noises.mask_noise(options.mask_noise), noises.point_noise(options.point_noise)
    grasp_random, script_random, view_random, mask_random, pose_random, picture_random, point_random, camera_random = (
        np.random.default_rng(options.seed).spawn(8)
    )

    rest = Rotation.identity() if upright else _stand_up(model.vertices)
    center = rest.apply(0.5 * (model.vertices.min(axis=0) + model.vertices.max(axis=0)).astype(float))
    standing = rigid_body(model.name, rest.apply(model.vertices) - center, model.faces)
    hand = robot_hand()
    puppet, distance = Puppet(hand, robot_digits(hand)), DistanceField(standing)
    grasp = find_grasp(puppet, distance, grasp_random)
    motion = act(puppet, distance, grasp, Script.drawn(script_random), frame_count)
    motion = _place(motion, center)

    heading = np.arctan2(*grasp.rotation.as_matrix()[[1, 0], 0])
    hand_track = studio.Track(hand, motion.hand_position, motion.hand_rotation, motion.joints)
    no_joints = np.zeros((frame_count, 0))
    object_track = studio.Track(model, motion.object_position, motion.object_rotation * rest, no_joints)
    view = studio.choose_view(camera, [hand_track], object_track, heading, view_random)
    world = None
    if options.camera_motion is not None:
        target = 0.5 * (motion.object_position.min(axis=0) + motion.object_position.max(axis=0))
        view = move_head(view, target, frame_count, options.fps, camera_random)
        world = recorded_world(view.path, camera_noise(options.camera_noise), options.fps, camera_random)
    hand_poses, object_poses = hand_track.poses(view), object_track.poses(view)
    actors = [Actor(hand, HAND_LABEL, hand_poses), Actor(model, OBJECT_LABEL, object_poses)]
    pictures, read_rgb = _film(
        camera, view, actors, standing, grasp.position[2], options.images, picture_random, device
    )

    labels = noises.disturb_labels(
        pictures.labels, level, mask_random, fingertips=_fingertips(puppet, motion, view, camera)
    )
    start = noises.disturb_poses(object_poses, noises.pose_noise(options.pose_noise or "rough"), pose_random)
    return Scene(
        name=name,
        camera=camera,
        fps=float(options.fps),
        bodies=(
            SceneBody(hand, HAND_LABEL, known=True, initial=hand_poses, truth=hand_poses, source=URDF_PATH),
            SceneBody(model, OBJECT_LABEL, known=False, initial=start, truth=object_poses),
        ),
        labels=labels,
        read_rgb=read_rgb,
        centers={model.name: noises.measure_center(model, object_poses, camera, point_random, point_level)},
        world=world,
    )


def _stand_up(vertices: np.ndarray) -> Rotation:
    """Turns the longest axis of the bounding box upright."""
    longest = int(np.argmax(vertices.max(axis=0) - vertices.min(axis=0)))
    return Rotation.from_rotvec([(0.0, -np.pi / 2, 0.0), (np.pi / 2, 0.0, 0.0), (0.0, 0.0, 0.0)][longest])


def _place(motion: Motion, center: np.ndarray) -> Motion:
    """The motion of the object's own origin, which its centre is ``center`` away from while it stands."""
    return replace(motion, object_position=motion.object_position - motion.object_rotation.apply(center))


def _film(
    camera, view, actors, standing: Body, grasp_height: float, images: bool, random, device
) -> tuple[Pictures, ReadRgb]:
    """Pictures of the actors, and a reader of noisy colour frames (None without images)."""
    if not images:
        return cast_actors(camera, actors, device=device), None
    bottom = float(standing.vertices[:, 2].min())
    table = min(bottom, grasp_height - studio.HAND_CLEARANCE)
    width = float(np.ptp(standing.vertices[:, :2], axis=0).min())
    pedestal = (0.8 * width, bottom - table) if bottom - table > 1e-3 else None

    def shoot(_: int, colors: np.ndarray) -> np.ndarray:
        return noises.sensor_picture(colors, random)

    if isinstance(view, HeadView):
        pictures, frames = film_moving(camera, view, actors, shoot, (table, pedestal), device)
        return pictures, partial(frame_of, frames)
    light = studio.camera_light(view, studio.world_light())
    backdrop = studio.build_backdrop(camera, view, table, pedestal, light)
    return film_actors(camera, actors, shoot, backdrop=backdrop, light=light, device=device)


def _fingertips(puppet: Puppet, motion: Motion, view: studio.View | HeadView, camera: Camera) -> np.ndarray:
    """Centre and radius in the image of every fingertip (frame, finger, 3) [px]."""
    points = puppet.points(motion.hand_position, motion.hand_rotation, motion.joints)
    tips = []
    for finger in range(len(FINGERS)):
        ball = np.flatnonzero((puppet.finger == finger) & (puppet.phalanx == 3))
        # The ball of the tip is what lies within two radii of its far end.
        heights = puppet.rest[ball] @ _along(puppet, ball)
        tips.append(points[:, ball[heights > heights.max() - 2.0 * TIP_RADIUS]].mean(axis=1))
    local = view.sees(np.stack(tips, axis=1))
    u = camera.fx * local[..., 0] / local[..., 2] + camera.cx
    v = camera.fy * local[..., 1] / local[..., 2] + camera.cy
    return np.stack([u, v, 1.3 * camera.fx * TIP_RADIUS / local[..., 2]], axis=-1)


def _along(puppet: Puppet, points: np.ndarray) -> np.ndarray:
    """Direction of the last phalanx at rest: the longest extent of its points, away from the palm."""
    offsets = puppet.rest[points] - puppet.rest[points].mean(axis=0)
    direction = np.linalg.svd(offsets, full_matrices=False)[2][0]
    return direction * np.sign(direction @ puppet.rest[points].mean(axis=0))
