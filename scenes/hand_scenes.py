"""Human hands and an object, all unknown: lifted, turned in the hand, poured from, slipping, handed over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body, rigid_body
from warpprior.bodies.readers.hand import read_hand
from warpprior.geometry.signed_distance import DistanceField
from warpprior.scene import IGNORE_LABEL, Camera, Scene, SceneBody
from warpprior.scenes import noise as noises
from warpprior.scenes import studio
from warpprior.scenes.hand_grasp import Surroundings, find_hand_grasp
from warpprior.scenes.hand_scenes_act import perform
from warpprior.scenes.hand_scenes_handover import hand_over
from warpprior.scenes.head_camera import HeadView, camera_noise, film_moving, move_head, recorded_world
from warpprior.scenes.hold import Holder
from warpprior.scenes.objects import make_object
from warpprior.scenes.objects.spec import Hold
from warpprior.scenes.observe import Actor, Pictures, ReadRgb, cast_actors, film_actors
from warpprior.scenes.puppet import Puppet, human_digits
from warpprior.scenes.scene_options import SceneOptions, chosen_options
from warpprior.support.errors import InputError
from warpprior.support.stored import frame_of

HAND_LABEL, OBJECT_LABEL = 1, 2  # then the other hand, then a second object
CAMERA = Camera(640, 480, 615.0, 615.0, 320.0, 240.0)
OBJECT = {"grasp_lift": "bottle", "in_hand_turn": "box", "pour": "mug", "slip": "can", "handover": "cracker_box"}
_DISTANCES = np.arange(0.42, 0.91, 0.03)  # of the camera [m]
_VISIBILITY = (0.5, 0.8)  # share of the object to be seen, drawn per scene
_REACH, _FAR_REACH = 0.020, 0.040  # points of the hand this close at the grasp may touch later [m]
_SLENDER = 3.0  # what is longer than this against its width lies down
_ATTEMPTS = 4  # grasps tried until the hand can do what it is to do
_GAP = 0.03  # between two objects on the table, at least [m]
_PURPOSES = (
    *("grasp", "script", "shake", "view", "mask", "pose", "picture", "hand", "detection", "second", "depth"),
    *("points", "camera"),  # new ones go last: those before keep their numbers
)
_COVER = 0.12  # brightness of what hides everything in occluded frames


@dataclass(frozen=True, eq=False)
class Prop:
    """An object on the table, in the world: origin at the middle of its bounding box, z up.

    Attributes:
        model: the object in its own frame.
        symmetry: of the object, as in a scene.
        rest: world_from_object while it stands.
        center: middle of the bounding box of the turned object, from its origin (3,) [m].
        standing: the same surface in the world.
        holds: where it is best held, in the world; none if nobody has said.
    """

    model: Body
    symmetry: str
    rest: Rotation
    center: np.ndarray
    standing: Body
    holds: tuple[Hold, ...]

    @property
    def table(self) -> float:
        """Height of the table it stands on [m]."""
        return float(self.standing.vertices[:, 2].min())

    def track(self, position: np.ndarray, rotation: Rotation) -> studio.Track:
        """Motion of the object's own origin, given that of its middle and its turn since it stood."""
        joints = np.zeros((len(position), 0))
        return studio.Track(self.model, position - rotation.apply(self.center), rotation * self.rest, joints)


def hand_scene(name: str, options: SceneOptions | None = None, **changes: Any) -> Scene:
    """A human hand holds an object, and neither is known.

    Args:
        name: which scene, one of :data:`warpprior.scenes.registry.HAND_SCENES`.
        options: how it is made; None takes the usual ones.
        changes: options to change, by name.

    Returns:
        A scene with bodies ``hand``, the object, ``other_hand`` in a handover, and perhaps the second object; truth
        for all, keypoints of hands in the picture and in space, boxes, and middles of the objects in space.

    Raises:
        InputError: the mesh cannot be read or grasped, or a setting is out of range.
    """
    options = chosen_options(options, changes)
    frame_count, camera, device = options.frame_count, options.camera or CAMERA, options.device
    hidden = _hidden_frames(options.occluded_frames, frame_count)
    mask_level, pose_level = noises.mask_noise(options.mask_noise), noises.pose_noise(options.pose_noise or "network")
    hand_level, point_level = (
        noises.hand_noise(options.hand_noise or "network"),
        noises.point_noise(options.point_noise),
    )
    prop = make_prop(options.object or OBJECT[name]) if options.mesh is None else read_prop(options.mesh)
    random = dict(zip(_PURPOSES, np.random.default_rng(options.seed).spawn(len(_PURPOSES)), strict=True))

    hands, thing, approach = _act(name, options.side or "right", prop, frame_count, options.fps, random)
    tracks, symmetries = [hands[0], thing, *hands[1:]], ["none", prop.symmetry, *("none" for _ in hands[1:])]
    if options.second_object is not None:
        other = make_prop(options.second_object)
        tracks.append(_set_aside(other, prop, tracks, random["second"]))
        symmetries.append(other.symmetry)

    heading = float(np.arctan2(*approach[[1, 0]]))
    seen = slice(frame_count // 8, 3 * frame_count // 4 if len(hands) > 1 else None, 4)
    view = studio.choose_view(
        camera,
        hands,
        thing,
        heading,
        random["view"],
        framed=[hands[0].frames(seen), *(track.frames([-1]) for track in tracks[2:])],
        distances=_DISTANCES,
        visibility=random["view"].uniform(*_VISIBILITY),
    )
    world = None
    if options.camera_motion is not None:
        target = 0.5 * (thing.position.min(axis=0) + thing.position.max(axis=0))
        view = move_head(view, target, frame_count, options.fps, random["camera"])
        world = recorded_world(view.path, camera_noise(options.camera_noise), options.fps, random["camera"])
    actors = [Actor(track.body, label, track.poses(view)) for label, track in enumerate(tracks, HAND_LABEL)]
    grain = options.picture_noise or noises.PictureNoise()
    pictures, read_rgb = _film(
        camera, view, actors, prop.table, hidden, options.images, grain, random["picture"], device
    )

    keypoints, boxes, keypoints3d, centers, starts, discs = {}, {}, {}, {}, [], []
    for actor in actors:
        body, truth, detection, spot = actor.body, actor.poses, random["detection"], random["points"]
        if body.keypoints is not None:
            keypoints[body.name] = noises.detect_keypoints(
                body, truth, camera, detection, options.keypoint_noise, pictures=pictures, label=actor.label
            )
            keypoints[body.name][hidden, :, 2] = 0.0
            keypoints3d[body.name] = noises.measure_keypoints(body, truth, camera, spot, point_level)
            keypoints3d[body.name][hidden] = [np.nan, np.nan, np.nan, 0.0]
            discs.append(noises.fingertip_discs(body, truth, camera))
            starts.append(noises.disturb_hand(truth, body, hand_level, random["hand"]))
        else:
            starts.append(noises.disturb_poses(truth, pose_level, random["pose"]))
            centers[body.name] = noises.measure_center(body, truth, camera, spot, point_level)
            centers[body.name][hidden] = np.nan
        boxes[body.name] = noises.detect_boxes(pictures.labels, actor.label, detection)
        boxes[body.name][hidden] = np.nan
    fingertips = np.concatenate(discs, axis=1)
    labels = noises.disturb_labels(pictures.labels, mask_level, random["mask"], fingertips=fingertips)
    labels[hidden] = IGNORE_LABEL
    pictures.depths[hidden] = 0.0
    return Scene(
        name=name,
        camera=camera,
        fps=float(options.fps),
        bodies=tuple(
            SceneBody(actor.body, actor.label, known=False, initial=start, truth=actor.poses, symmetry=symmetry)
            for actor, start, symmetry in zip(actors, starts, symmetries, strict=True)
        ),
        labels=labels,
        read_rgb=read_rgb,
        read_depth=noises.sensor_depths(pictures.depths, random["depth"]) if options.depth else None,
        keypoints2d=keypoints,
        boxes=boxes,
        keypoints3d=keypoints3d,
        centers=centers,
        world=world,
    )


def _act(name: str, side: str, prop: Prop, frame_count: int, fps: float, random):
    """World motion of the hands, and of the object; and the direction in which the first hand came."""
    hand, distance = read_hand(side), DistanceField(prop.standing)
    puppet = Puppet(hand, human_digits(hand), every_face=True)
    script, shake = random["script"], random["shake"]
    if name == "handover":
        other = read_hand("left" if side == "right" else "right", name="other_hand")
        second = Puppet(other, human_digits(other), every_face=True)
        acted = hand_over(
            puppet, second, distance, prop.holds, prop.table, frame_count, fps, random["grasp"], script, shake
        )
        pairs = ((hand, acted.giver), (other, acted.taker))
        hands = [studio.Track(body, path.position, path.rotation, path.joints) for body, path in pairs]
        return hands, prop.track(acted.position, acted.rotation), acted.approach
    turned = name == "in_hand_turn"
    around = Surroundings(table=-np.inf if turned else prop.table)
    # Every attempt acts the same script.
    drawn = random["script"].bit_generator.state, random["shake"].bit_generator.state
    best = None
    for _ in range(_ATTEMPTS):
        script.bit_generator.state, shake.bit_generator.state = drawn
        grasp = find_hand_grasp(puppet, distance, prop.holds, random["grasp"], around, tips=turned)
        holder = Holder(puppet, distance, grasp, reach=_FAR_REACH if turned else _REACH)
        motion, fault = perform(name, holder, grasp, frame_count, fps, script, shake)
        if best is None or fault < best[0]:
            best = (fault, grasp, motion)
        if fault < 1.0:
            break
    assert best is not None
    _, grasp, motion = best
    hands = [studio.Track(hand, motion.hand_position, motion.hand_rotation, motion.joints)]
    return hands, prop.track(motion.object_position, motion.object_rotation), grasp.approach


def make_prop(name: str) -> Prop:
    """A built-in object, standing."""
    spec = make_object(name)
    return _prop(spec.body, Rotation.identity(), spec.symmetry, spec.holds)


def read_prop(mesh: str | Path | Body) -> Prop:
    """Any rigid body, standing on its longest axis, or lying if it is slender."""
    if isinstance(mesh, Body):
        model = mesh
    else:
        from warpprior.bodies.readers.mesh import read_mesh

        model = read_mesh(mesh, Path(mesh).stem)
    extent = np.ptp(model.vertices, axis=0)
    order = np.argsort(extent)
    slender = extent[order[2]] > _SLENDER * extent[order[1]]
    upward = int(order[0] if slender else order[2])
    turns = [(0.0, -np.pi / 2, 0.0), (np.pi / 2, 0.0, 0.0), (0.0, 0.0, 0.0)]
    return _prop(model, Rotation.from_rotvec(turns[upward]), "none", ())


def _prop(model: Body, rest: Rotation, symmetry: str, holds: tuple[Hold, ...]) -> Prop:
    turned = rest.apply(model.vertices)
    center = 0.5 * (turned.min(axis=0) + turned.max(axis=0))
    standing = rigid_body(model.name, turned - center, model.faces)
    holds = tuple(replace(hold, center=hold.center - center) for hold in holds)
    return Prop(model, symmetry, rest, center, standing, holds)


def _set_aside(other: Prop, prop: Prop, tracks: list[studio.Track], random: np.random.Generator) -> studio.Track:
    """A second object on the same table, where neither hand nor object comes; two of a kind get two names."""
    frame_count = len(tracks[0].position)
    taken = np.concatenate([track.points() for track in tracks])
    taken = taken[taken[:, 2] < prop.table + np.ptp(other.standing.vertices[:, 2]) + _GAP]
    radius = float(np.linalg.norm(other.standing.vertices[:, :2], axis=1).max())
    rotation = Rotation.from_rotvec([0.0, 0.0, random.uniform(0.0, 2.0 * np.pi)])
    angles = random.permutation(np.arange(24) * (np.pi / 12.0))
    for distance in np.arange(0.08, 0.5, 0.02):
        for angle in angles:
            place = distance * np.array([np.cos(angle), np.sin(angle)])
            if np.linalg.norm(taken[:, :2] - place, axis=1).min() > radius + _GAP:
                position = np.array([*place, prop.table - other.table])
                if other.model.name == prop.model.name:
                    other = replace(other, model=replace(other.model, name=f"other_{other.model.name}"))
                rotations = Rotation.concatenate([rotation] * frame_count)
                return other.track(np.tile(position, (frame_count, 1)), rotations)
    raise InputError("second_object", "no free place for it on the table", "a smaller object")


def _hidden_frames(occluded_frames: tuple[int, int] | None, frame_count: int) -> np.ndarray:
    """Which frames are hidden (frame,) bool."""
    hidden = np.zeros(frame_count, dtype=bool)
    if occluded_frames is not None:
        start, count = occluded_frames
        if not (0 <= start and 1 <= count and start + count <= frame_count):
            found = f"{count} frames from frame {start}"
            raise InputError("occluded_frames", found, f"a first frame and a number of frames within {frame_count}")
        hidden[start : start + count] = True
    return hidden


def _film(camera, view, actors, table, hidden, images, noise, random, device) -> tuple[Pictures, ReadRgb]:
    """Exact pictures of the actors, and a reader of noisy colour frames (None without images)."""
    if not images:
        return cast_actors(camera, actors, device=device), None
    gains = noises.draw_gains(len(hidden), noise, random)

    def shoot(frame: int, colors: np.ndarray) -> np.ndarray:
        shown = np.full_like(colors, _COVER) if hidden[frame] else colors
        return noises.sensor_picture(shown, random, sigma=noise.grain, gain=gains[frame])

    if isinstance(view, HeadView):
        pictures, frames = film_moving(camera, view, actors, shoot, (table, None), device)
        return pictures, partial(frame_of, frames)
    light = studio.camera_light(view, studio.world_light())
    backdrop = studio.build_backdrop(camera, view, table, None, light)
    return film_actors(camera, actors, shoot, backdrop=backdrop, light=light, device=device)
