"""``warpprior predict-contact``: where bodies touch in a motion, and how near they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpprior.cli.options import option
from warpprior.cli.shared import Common, IntoFolder, Measured, OnDevice, folder
from warpprior.support.limits import MOST_WHOLE, number

PLACE = 7
SUMMARY = "say where bodies touch and how near they are, as arrays, coloured meshes and a USD stage"


@dataclass(frozen=True, kw_only=True)
class Options(Measured, IntoFolder, OnDevice, Common):
    """Options of ``predict-contact``."""

    output_dir: Path = folder("folder to write: contact_maps.npz, a .ply of each body, scene.usdc")
    frame: int | None = option(
        "frame of the coloured meshes (default: the one in which most touches)",
        number(None, 0, MOST_WHOLE),
        metavar="N",
    )


def run(options: Options) -> int:
    """Measure, and write the folder."""
    from warpprior.cli.running import OK, first_frames, read_scene, say, say_warnings, start_warp, with_result_camera
    from warpprior.contacts.files import write_contact
    from warpprior.contacts.predict import predict_contact
    from warpprior.io import prepare_folder
    from warpprior.support.device import self_healing
    from warpprior.support.errors import InputError

    with prepare_folder(options.output_dir, overwrite=options.overwrite):
        device = start_warp(options.device, options.quiet)
        scene, poses = first_frames(read_scene(options.scene, options.quiet), options.poses, options.num_frames)
        scene = with_result_camera(scene, options.poses)
        say_warnings(scene)
        if options.frame is not None and options.frame >= scene.frame_count:
            raise InputError("--frame", f"{options.frame}", f"0 to {scene.frame_count - 1}")
        if len(scene.bodies) < 2:
            raise InputError(f"scene {scene.name!r}", "one body", "two bodies or more, which may touch")
        maps = self_healing(lambda: predict_contact(scene, poses, device=device))
        given = {"frame": options.frame, "device": device, "overwrite": options.overwrite}
        notes = write_contact(scene, poses, maps, options.output_dir, **given)
    say(options.quiet, *notes)
    for found in maps:
        touching = (found.distances < 0.002).sum(axis=1)  # NaN is not
        text = f"{int((touching > 0).sum())} of {scene.frame_count} frames, at most {int(touching.max())} vertices"
        say(options.quiet, f"{found.body} on {found.other}: touches in {text}")
    say(options.quiet, f"maps of {len(maps)} pairs in {options.output_dir}")
    return OK
