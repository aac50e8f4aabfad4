"""``warpprior simulate``: make a built-in scene and write it as a scene folder."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from warpprior.cli.options import argument, option
from warpprior.cli.shared import Common, IntoFolder, OnDevice, folder
from warpprior.support.limits import MOST_WHOLE, number

PLACE = 3
SUMMARY = "make a scene folder with known truth"


def _scenes() -> str:
    from warpprior.scenes.registry import SCENES

    return f"one of {', '.join(SCENES)}"


def _objects() -> str:
    from warpprior.scenes.objects import OBJECTS

    return f"what is held: one of {', '.join(OBJECTS)} (default: the scene's own)"


def _levels(meaning: str, table: str) -> str:
    from warpprior.scenes import noise

    return f"{meaning}: one of {', '.join(getattr(noise, table))}"


def _camera_levels() -> str:
    from warpprior.scenes.head_camera import CAMERA_NOISE

    return f"errors of the poses of a camera that moves: one of {', '.join(CAMERA_NOISE)}"


@dataclass(frozen=True, kw_only=True)
class Options(IntoFolder, OnDevice, Common):
    """Options of ``simulate``; those of one name with a field of :class:`warpprior.scenes.SceneOptions` are that."""

    name: str = argument("NAME", _scenes)
    output_dir: Path = folder("scene folder to write")
    frame_count: int = option("number of frames", number(60, 2, MOST_WHOLE), flag="--num-frames", metavar="N")
    seed: int = option("seed of all noise", number(0, 0, MOST_WHOLE), metavar="N")
    object: str | None = option(_objects, metavar="NAME")
    mesh: Path | None = option("mesh to hold instead (needed by held_object)", metavar="FILE")
    side: str | None = option("side of the human hand (default: right)", choices=("right", "left"))
    second_object: str | None = option("another object, beside the human hand's", metavar="NAME")
    occluded_frames: tuple[int, int] | None = option(
        "frames in which something hides everything, in scenes of human hands",
        number(None, 0, MOST_WHOLE),
        nargs=2,
        metavar=("FIRST", "COUNT"),
    )
    pose_noise: str | None = option(
        lambda: _levels("errors of the objects' initial poses", "POSE_NOISE"), metavar="LEVEL"
    )
    hand_noise: str | None = option(
        lambda: _levels("errors of initial poses of a human hand or a person", "HAND_NOISE"), metavar="LEVEL"
    )
    mask_noise: str = option(lambda: _levels("errors of the labels, none with M0", "MASK_NOISE"), "M1", metavar="LEVEL")
    point_noise: str = option(
        lambda: _levels("errors of points measured in space", "POINT_NOISE"), "sensor", metavar="LEVEL"
    )
    camera_motion: str | None = option(
        "the camera is on a head, which sways, turns and drifts (default: it stands)",
        choices=("head",),
        flag="--camera",
    )
    camera_noise: str = option(_camera_levels, "exact", metavar="LEVEL")
    mesh_scale: float | None = option(
        "the object's mesh is so many times too large, and its size is to be estimated",
        number(None, 0.1, 10.0),
        metavar="FACTOR",
    )
    mesh_scale_depth: str = option(
        "depth of the object's initial poses then: as wrong as its size, or right", "wrong", choices=("wrong", "right")
    )
    depth: bool = option("depth images too, in scenes of human hands", False)


def run(options: Options) -> int:
    """Simulate, and write the scene folder."""
    from warpprior.cli.running import OK, say, start_warp
    from warpprior.io import prepare_folder, save_scene
    from warpprior.scenes import SceneOptions, simulate
    from warpprior.support.device import self_healing

    with prepare_folder(options.output_dir, overwrite=options.overwrite):
        device = start_warp(options.device, options.quiet)
        chosen = {one.name: getattr(options, one.name) for one in fields(SceneOptions) if hasattr(options, one.name)}
        scene = self_healing(lambda: simulate(options.name, **{**chosen, "device": device}))
        save_scene(scene, options.output_dir, overwrite=options.overwrite)
    said = f"{scene.frame_count} frames of {scene.name} in {options.output_dir}"
    say(options.quiet, said, f"next: warpprior refine {options.output_dir}")
    return OK
