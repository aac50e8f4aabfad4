"""``warpprior contact``: move grasps until they touch as a map of contact has it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from warpprior.cli.options import option
from warpprior.cli.shared import Common, IntoFolder, OnDevice, OneScene, Started, folder
from warpprior.support.limits import MOST_WHOLE, number

PLACE = 6
SUMMARY = "move grasps, each frame by itself, until they touch as a map of contact has it"


@dataclass(frozen=True, kw_only=True)
class Options(OneScene, Started, IntoFolder, OnDevice, Common):
    """Options of ``contact``."""

    output_dir: Path = folder("result folder")
    map: Path | None = option("maps of contact, .npz (default: those that scene.toml names)", metavar="FILE")
    move: tuple[str, ...] = option("a body that moves (default: those that bend and are not known); repeatable", ())
    seed: int = option("seed of the starts", number(0, 0, MOST_WHOLE), metavar="N")
    restarts: int | None = option("starts of each grasp (default: 8)", number(None, 1, 1000), metavar="N")
    assignments: tuple[str, ...] = option(
        "change a setting, for instance contact_map.sigma_m=0.003; repeatable", (), flag="--set", metavar="KEY=VALUE"
    )


def run(options: Options) -> int:
    """Move; what can be refused is refused before computing."""
    from warpprior.cli.results import exit_code, places_of, read_start, run_into
    from warpprior.cli.running import start_warp
    from warpprior.contacts.refine import refine_contact
    from warpprior.contacts.settings import ContactSettings
    from warpprior.io import prepare_output
    from warpprior.io.contact_maps import load_contact_maps
    from warpprior.support.overrides import apply_overrides

    direct = [f"seed={options.seed}"] + ([] if options.restarts is None else [f"restarts={options.restarts}"])
    settings = apply_overrides(ContactSettings(), [*direct, *options.assignments])
    protect = places_of(options.scene, options.initial)
    with prepare_output(options.output_dir, overwrite=options.overwrite, protect=protect):
        device = start_warp(options.device, options.quiet)
        whole = options.num_frames if options.map is None else None  # a map is of all frames of the scene
        scene = read_start(options.scene, options.initial, whole, quiet=options.quiet)
        if options.map is not None:
            notes: list[str] = []
            bodies = [body.body for body in scene.bodies]
            maps = load_contact_maps(options.map, bodies, frame_count=scene.frame_count, notes=notes)
            scene = replace(scene, contact_maps=maps, warnings=(*scene.warnings, *notes))
            scene = scene if options.num_frames is None else scene.first_frames(options.num_frames)
        chosen = {"move": options.move or None, "settings": settings, "device": device}
        result = run_into(
            options.output_dir,
            scene,
            lambda progress: refine_contact(scene, **chosen, progress=progress),
            "contact",
            device,
            settings.seed,
            source=options.scene,
            quiet=options.quiet,
        )
    return exit_code(result)
