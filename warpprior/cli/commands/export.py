"""``warpprior export``: write a motion as a USD stage, or in any format that is written."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from warpprior.cli.options import option
from warpprior.cli.shared import Common, ManyScenes, NamingFormats
from warpprior.support.stage_choices import COLLIDERS, HAND_RIGS, ROBOTS

if TYPE_CHECKING:
    from warpprior.formats import Place, Recording

PLACE = 8
SUMMARY = "write one motion or several as a USD stage, or in another format"


@dataclass(frozen=True, kw_only=True)
class Options(ManyScenes, NamingFormats, Common):
    """Options of ``export``."""

    poses: Path | None = option("pose file or result folder (default: the scene's initial poses)", metavar="FILE")
    output: Path | None = option("stage to write (.usdc, .usda, .usd, .usdz)", metavar="FILE")
    format: str | None = option("another format to write, into --output-dir (see warpprior formats)", metavar="NAME")
    output_dir: Path | None = option("folder to write in that format", metavar="DIR")
    colliders: str = option("what bodies of a stage collide with", COLLIDERS[0], choices=COLLIDERS)
    robot: str = option("robots of a stage: links that follow the motion, or joints", ROBOTS[0], choices=ROBOTS)
    hand_rig: str = option(
        "what bends in a stage: points at every frame, or a UsdSkel character beside them",
        HAND_RIGS[0],
        choices=HAND_RIGS,
    )
    overwrite: bool = option("replace what --output or --output-dir names", False)


def run(options: Options) -> int:
    """Write the stage, or the folder."""
    from warpprior.support.errors import InputError

    if (options.output is None) == (options.format is None):
        found = "neither of --output and --format" if options.output is None else "both of --output and --format"
        raise InputError("warpprior export", found, "--output FILE.usdc, or --format NAME with --output-dir DIR")
    if len(options.scenes) > 1 and options.poses is not None:
        raise InputError("SCENE", f"{len(options.scenes)} of them with --poses", "one, or several result folders")
    folders = [place.path.resolve() for place in options.scenes]
    for folder in folders if options.output is not None else ():
        if folders.count(folder) > 1:
            raise InputError(str(folder), "is given twice", "each result once")
    return _write_stage(options, options.output) if options.output is not None else _write_format(options)


def _write_stage(options: Options, output: Path) -> int:
    from warpprior.cli.running import OK, first_frames, say, say_warnings, start_warp, with_result_camera
    from warpprior.io import prepare_file
    from warpprior.support.device import self_healing
    from warpprior.support.progress import progress_bar
    from warpprior.usd import StageOptions, Take, export_takes, export_usd, prim_name
    from warpprior.usd.skeleton import SKEL, licence_sentence

    with prepare_file(output, overwrite=options.overwrite):
        start_warp("cpu", options.quiet)
        takes: dict[str, Take] = {}
        for place in options.scenes:
            recording, poses_file = _opened(place, options)
            scene, poses = first_frames(recording.scene, poses_file, options.num_frames)
            scene = with_result_camera(scene, poses_file)
            say_warnings(scene)
            takes[_name_of_take(place.path, takes)] = Take(replace(scene, labels=None), poses)
        choices = StageOptions(colliders=options.colliders, robot=options.robot, hand_rig=options.hand_rig)
        with progress_bar("export", quiet=options.quiet) as progress:
            if len(takes) == 1:
                self_healing(lambda: export_usd(scene, poses, output, options=choices, progress=progress))
            else:
                self_healing(lambda: export_takes(takes, output, options=choices, progress=progress))
    count = sum(take.scene.frame_count for take in takes.values())
    names = "" if len(takes) == 1 else f', as variants of "take" of /World: {", ".join(map(prim_name, takes))}'
    bodies = {body.name: body.body for take in takes.values() for body in take.scene.bodies}
    licences = [sentence for body in bodies.values() if (sentence := licence_sentence(body)) is not None]
    say(options.quiet, *(licences if options.hand_rig == SKEL else ()), f"{count} frames in {output}{names}")
    return OK


def _name_of_take(folder: Path, taken: Container[str]) -> str:
    """What a take is called: its folder, with those above it where the name is taken."""
    above, name = folder.resolve(), folder.resolve().name
    while name in taken:
        above = above.parent
        name = f"{above.name}/{name}"
    return name


def _write_format(options: Options) -> int:
    from warpprior.cli.running import OK, first_frames, say
    from warpprior.formats.opening import check_writable, write_into
    from warpprior.formats.place import make_options, plain_options
    from warpprior.io import prepare_folder
    from warpprior.io.world_poses import load_result_camera
    from warpprior.support.errors import InputError

    assert options.format is not None
    if options.output_dir is None:
        raise InputError("--format", f"{options.format} without a folder", "--output-dir DIR")
    typed = plain_options(options.format_options.get(options.format))
    with prepare_folder(options.output_dir, overwrite=options.overwrite):
        recordings = []
        for place in options.scenes:
            recording, poses_file = _opened(place, options)
            scene, poses = first_frames(recording.scene, poses_file, options.num_frames)
            camera = None if poses_file is None else load_result_camera(poses_file, scene.frame_count)
            recording = recording.first_frames(scene.frame_count).with_poses(poses, camera)
            recordings.append(recording if len(options.scenes) == 1 else _without_pictures(recording))
        name, origin = check_writable(recordings[0], options.format), recordings[0].origin
        as_read = dict(origin.options) if origin is not None and origin.format == name else {}
        chosen = make_options(name, {**as_read, **typed})
        said = write_into(recordings, options.output_dir, name, chosen, overwrite=options.overwrite)
    count = sum(recording.scene.frame_count for recording in recordings)
    say(options.quiet, *said, f"{count} frames in {options.output_dir}, as {name}")
    return OK


def _without_pictures(recording: Recording) -> Recording:
    """The same without what takes memory: files of several recordings hold poses."""
    return recording.with_scene(replace(recording.scene, labels=None, read_rgb=None, read_depth=None))


def _opened(place: Place, options: Options) -> tuple[Recording, Path | None]:
    """The recording and the file of its poses; of a result folder, the scene that it was estimated from."""
    from warpprior.formats import open_recording
    from warpprior.formats.place import ANY, Place
    from warpprior.io.result_folder import CONFIG_FILE, read_record
    from warpprior.io.scene_file import SCENE_FILE

    folder = place.path
    is_result = place.format == ANY and (folder / CONFIG_FILE).is_file() and not (folder / SCENE_FILE).exists()
    if not is_result or options.poses is not None:
        return open_recording(place), options.poses
    scene = (read_record(folder) or {}).get("scene")
    source = scene.get("source") if isinstance(scene, dict) else None
    return open_recording(Place.of_record(source, f"{folder / CONFIG_FILE}: scene")), folder
