"""How a simulated scene is made: the options of :func:`warpprior.simulate`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warpprior.support.errors import InputError
from warpprior.support.limits import MOST_WHOLE, check_ranges, number

if TYPE_CHECKING:
    from warpprior.bodies.body import Body
    from warpprior.scene import Camera
    from warpprior.scenes.noise import HandNoise, KeypointNoise, MaskNoise, PictureNoise, Point3DNoise, PoseNoise
    from warpprior.world import CameraNoise


@dataclass(frozen=True, eq=False, kw_only=True)
class SceneOptions:
    """How a scene is simulated.  None leaves the choice to the scene.

    Attributes:
        seed: of everything random; the same seed gives the same scene.  One generator serves each purpose, so that
            another noise or more frames leave the rest as it was.
        frame_count: number of frames, at least 2.
        fps: frames per second.
        mask_noise: level of the label images' noise, ``M0`` (exact) to ``M3``, or a :class:`MaskNoise`.
        pose_noise: how far the objects' initial poses are off: ``exact``, ``rough`` (15 degrees and 12 % in depth, that
            of the robot's scenes), ``network`` (about 26 cm, nearly all in depth, that of human hands), ``large``
            (15 degrees, 5 cm across and about 6 % in depth, that of objects people hold), or a :class:`PoseNoise`.
        hand_noise: how far a human hand's are: ``exact``, ``network`` (joints about 12 mm off; the usual), ``white``
            (6 mm and 0.05 rad, independent in every frame), ``person`` (0.12 rad per joint, 4 cm across and 12 cm
            along the ray; the usual of people), or a :class:`HandNoise`.
        keypoint_noise: of a human hand's or a person's detected keypoints.
        point_noise: of what is measured in space, keypoints of human hands and middles of objects: ``exact``,
            ``sensor`` (4 and 15 mm per axis, independent in every frame), or a :class:`Point3DNoise`.
        picture_noise: of the colour pictures, in scenes of human hands and people.
        object: name of one of our objects (:data:`warpprior.scenes.objects.OBJECTS`).
        mesh: a mesh file, or a rigid body, instead of ours; ``held_object`` needs one, ``robot_lift`` takes none.
        side: of a human hand: ``right`` (the usual) or ``left``.
        second_object: name of another object of ours that stands beside a human hand's, untouched.
        occluded_frames: first and number of frames in which something hides everything from the camera, in scenes of
            human hands: labels are don't-care, and nothing is detected.
        camera: the camera; None: 640 x 480 pixels.
        camera_motion: ``head``: the camera is on a head, which sways, turns and drifts; None: it stands.
        camera_noise: how far poses of such a camera are off: ``exact``, and known; ``headset`` (5 mm and 0.5 degrees in
            each frame, and a drift of 2 cm and 0.02 rad after a second), to be estimated; or a :class:`CameraNoise`.
        mesh_scale: the object's mesh is so many times too large, and its size is to be estimated; None: it is right.
        mesh_scale_depth: first poses are as many times too far away (``wrong``, as with a tracker that drew that mesh;
            the usual), or as far as others are (``right``).
        images: render colour pictures too.
        depth: depth images too, with the noise of a depth camera, in scenes of human hands and people.
        device: Warp device that casts the rays; None takes a GPU if there is one, whose pictures differ in last digits.
    """

    seed: int = number(0, 0, 2**63 - 1)
    frame_count: int = number(60, 2, MOST_WHOLE)
    fps: float = number(30.0, 0.01, 10_000.0)
    mask_noise: str | MaskNoise = "M1"
    pose_noise: str | PoseNoise | None = None
    hand_noise: str | HandNoise | None = None
    keypoint_noise: KeypointNoise | None = None
    point_noise: str | Point3DNoise = "sensor"
    picture_noise: PictureNoise | None = None
    object: str | None = None
    mesh: str | Path | Body | None = None
    side: str | None = None
    second_object: str | None = None
    occluded_frames: tuple[int, int] | None = None
    mesh_scale: float | None = number(None, 0.1, 10.0)
    mesh_scale_depth: str = "wrong"
    camera: Camera | None = None
    camera_motion: str | None = None
    camera_noise: str | CameraNoise = "exact"
    images: bool = True
    depth: bool = False
    device: str | None = "cpu"

    def __post_init__(self):
        check_ranges(self, "simulate")
        if self.camera_motion not in (None, "head"):
            raise InputError("simulate: camera_motion", repr(self.camera_motion), "head, or None")


def chosen_options(options: SceneOptions | None, changes: dict[str, Any]) -> SceneOptions:
    """The options, or the usual ones, with some changed by name."""
    return replace(SceneOptions() if options is None else options, **changes)
