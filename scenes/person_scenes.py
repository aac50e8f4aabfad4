"""People and objects at their scale, both unknown: their motion, what a camera sees of it, and first guesses."""

from __future__ import annotations

from typing import Any

import numpy as np

from warpprior.bodies.readers.human_body import read_human_body
from warpprior.scene import Camera, Scene, SceneBody
from warpprior.scenes import noise as noises
from warpprior.scenes import studio
from warpprior.scenes.observe import Actor, Pictures, ReadRgb, cast_actors, film_actors
from warpprior.scenes.person_motions import PERSON_MOTIONS
from warpprior.scenes.scene_options import SceneOptions, chosen_options
from warpprior.support.device import resolve_device

PERSON_LABEL, OBJECT_LABEL = 1, 2
CAMERA = Camera(640, 480, 615.0, 615.0, 320.0, 240.0)
_FRONT = np.radians(-90.0)  # where the person faces about the world's z
_DISTANCES = np.arange(2.6, 4.9, 0.1)  # of the camera [m]
_VISIBILITY = 0.85  # share of the object to be seen
_FLOOR_WIDTH = 7.0  # [m]
_SYMMETRY = {"ball": "sphere"}  # of objects that look the same however they are turned
_PURPOSES = ("script", "view", "mask", "pose", "picture", "person", "detection", "depth", "points")


def person_scene(name: str, options: SceneOptions | None = None, **changes: Any) -> Scene:
    """A person and an object that touch, and neither is known.

    Args:
        name: which scene, one of :data:`warpprior.scenes.registry.PERSON_SCENES`.
        options: how it is made; None takes the usual ones.
        changes: options to change, by name.

    Returns:
        A scene with bodies ``person`` and the object; truth for both, the person's COCO keypoints in the picture and in
        space, boxes, and the middle of the object in space.

    Raises:
        InputError: a setting is out of range.
    """
    options = chosen_options(options, changes)
    camera = options.camera or CAMERA
    mask_level, point_level = noises.mask_noise(options.mask_noise), noises.point_noise(options.point_noise)
    person_level = noises.hand_noise(options.hand_noise or "person")
    pose_level = noises.pose_noise(options.pose_noise or "large")
    keypoint_level = options.keypoint_noise or noises.KeypointNoise.person()
    random = dict(zip(_PURPOSES, np.random.default_rng(options.seed).spawn(len(_PURPOSES)), strict=True))

    tracks = PERSON_MOTIONS[name](read_human_body(), options.frame_count, random["script"])
    person, thing = tracks
    view = studio.choose_view(
        camera,
        [person],
        thing,
        _FRONT,
        random["view"],
        framed=[person],
        distances=_DISTANCES,
        visibility=_VISIBILITY,
    )
    actors = [Actor(track.body, label, track.poses(view)) for label, track in enumerate(tracks, PERSON_LABEL)]
    pictures, read_rgb = _film(camera, view, actors, options, random["picture"])

    someone, something = actors
    starts = (
        noises.disturb_hand(someone.poses, someone.body, person_level, random["person"]),
        noises.disturb_poses(something.poses, pose_level, random["pose"]),
    )
    keypoints = noises.detect_keypoints(
        someone.body,
        someone.poses,
        camera,
        random["detection"],
        keypoint_level,
        pictures=pictures,
        label=PERSON_LABEL,
    )
    boxes = {each.body.name: noises.detect_boxes(pictures.labels, each.label, random["detection"]) for each in actors}
    points = noises.measure_keypoints(someone.body, someone.poses, camera, random["points"], point_level)
    center = noises.measure_center(something.body, something.poses, camera, random["points"], point_level)
    return Scene(
        name=name,
        camera=camera,
        fps=float(options.fps),
        bodies=tuple(
            SceneBody(
                actor.body,
                actor.label,
                known=False,
                initial=start,
                truth=actor.poses,
                symmetry=_SYMMETRY.get(actor.body.name, "none"),
            )
            for actor, start in zip(actors, starts, strict=True)
        ),
        labels=noises.disturb_labels(pictures.labels, mask_level, random["mask"]),
        read_rgb=read_rgb,
        read_depth=noises.sensor_depths(pictures.depths, random["depth"]) if options.depth else None,
        keypoints2d={someone.body.name: keypoints},
        boxes=boxes,
        keypoints3d={someone.body.name: points},
        centers={something.body.name: center},
    )


def _film(camera, view, actors, options: SceneOptions, random) -> tuple[Pictures, ReadRgb]:
    """Exact pictures of the actors, and a reader of noisy colour frames (None without images)."""
    if not options.images:
        return cast_actors(camera, actors, device=resolve_device(options.device)), None
    grain = options.picture_noise or noises.PictureNoise()
    gains = noises.draw_gains(options.frame_count, grain, random)

    def shoot(frame: int, colors: np.ndarray) -> np.ndarray:
        return noises.sensor_picture(colors, random, sigma=grain.grain, gain=gains[frame])

    light = studio.camera_light(view, studio.world_light())
    floor = studio.build_backdrop(camera, view, 0.0, None, light, width=_FLOOR_WIDTH)
    return film_actors(camera, actors, shoot, backdrop=floor, light=light, device=resolve_device(options.device))
