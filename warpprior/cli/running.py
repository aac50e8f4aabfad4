"""What every command does: start Warp, read the scene, pick poses, and speak."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from warpprior.cli.messages import complain
from warpprior.formats.place import Place
from warpprior.scene import Poses, Scene
from warpprior.support.device import prepare_kernel_cache, resolve_device
from warpprior.support.errors import InputError

OK, BAD_INPUT, FITS_BADLY = 0, 2, 3
MOST_LISTED_WARNINGS = 10


def start_warp(device: str | None, quiet: bool = True) -> str:
    """Start Warp with a usable kernel cache and choose the device; say so when kernels will be compiled first."""
    cache = prepare_kernel_cache()
    chosen = resolve_device(device)
    if not any(cache.glob("wp_warpprior.kernels.*")):
        say(quiet, "the first run compiles kernels, which takes up to a minute; later runs do not")
    return chosen


def read_scene(place: str | Path | Place, quiet: bool, frame_count: int | None = None) -> Scene:
    """The scene of a folder, or of ``FORMAT:PATH``, with a bar where that takes long."""
    from warpprior.formats import open_scene
    from warpprior.support.progress import progress_bar

    with progress_bar("read", quiet=quiet) as progress:
        return open_scene(place, num_frames=frame_count, progress=progress)


def first_frames(scene: Scene, poses_file: Path | None, count: int | None) -> tuple[Scene, dict[str, Poses]]:
    """Scene and poses cut to ``count`` frames; the pose file may hold the whole sequence or just those."""
    if count is None or count >= scene.frame_count:
        return scene, _poses(scene, poses_file)
    short = scene.first_frames(count)
    try:
        poses = _poses(scene, poses_file)
    except InputError:
        return short, _poses(short, poses_file)
    return short, {name: motion.frames(slice(0, count)) for name, motion in poses.items()}


def with_result_camera(scene: Scene, poses_file: Path | None) -> Scene:
    """The scene with its camera where the file or result folder has it, if it says so."""
    from warpprior.io.world_poses import load_result_camera

    camera = None if poses_file is None else load_result_camera(poses_file, scene.frame_count)
    if camera is None or scene.world is None:
        return scene
    return replace(scene, world=replace(scene.world, camera=camera))


def _poses(scene: Scene, poses_file: Path | None) -> dict[str, Poses]:
    """Poses of the file or result folder, or the initial ones of the scene."""
    from warpprior.io import load_result_poses

    if poses_file is None:
        return {body.name: body.initial for body in scene.bodies}
    return load_result_poses(poses_file, scene)


def say_warnings(scene: Scene) -> None:
    """Print the scene's warnings; ``--quiet`` keeps them, as it keeps errors."""
    for text in scene.warnings[:MOST_LISTED_WARNINGS]:
        complain(f"warning: {text}")
    hidden = len(scene.warnings) - MOST_LISTED_WARNINGS
    if hidden > 0:
        complain(f"warning: and {hidden} more, in the report")


def say(quiet: bool, *lines: str) -> None:
    """Print results and remarks, but for ``--quiet``."""
    for line in [] if quiet else lines:
        print(line, flush=True)
