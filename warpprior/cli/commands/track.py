"""``warpprior track``: track the bodies of a scene folder and write a result folder with covariances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpprior.cli.options import names, option
from warpprior.cli.shared import Checked, Common, IntoFolder, OnDevice, OneScene, Started, Tuned, folder
from warpprior.support.limits import MOST_WHOLE, number

PLACE = 2
SUMMARY = "track hands and objects frame by frame, with a covariance for each pose"


def _observations() -> str:
    import warpprior.tracking.sensors  # noqa: F401 - they enter themselves
    from warpprior.observations import SENSORS

    return f"observations, separated by commas: {', '.join(SENSORS)}; or auto, what the scene offers"


@dataclass(frozen=True, kw_only=True)
class Options(OneScene, Tuned, Started, Checked, IntoFolder, OnDevice, Common):
    """Options of ``track``."""

    output_dir: Path = folder("result folder")
    observe: tuple[str, ...] = option(_observations, ("auto",), shown="auto", read=names, metavar="LIST")
    smooth: bool = option("afterwards, let later frames correct earlier ones", False, exclusive="later")
    lag: int | None = option(
        "let the next N frames correct each frame", number(None, 1, MOST_WHOLE), metavar="N", exclusive="later"
    )
    assignments: tuple[str, ...] = option(
        "change a setting, for instance center_m=0.01; repeatable", (), flag="--set", metavar="KEY=VALUE"
    )


def run(options: Options) -> int:
    """Track; what can be refused is refused before computing."""
    from warpprior.cli.results import exit_code, places_of, read_start, run_into
    from warpprior.cli.running import start_warp
    from warpprior.io import prepare_output
    from warpprior.support.overrides import apply_overrides
    from warpprior.tracking.run import track
    from warpprior.tracking.settings import TrackSettings

    start = TrackSettings.paper_literal() if options.paper_literal else TrackSettings()
    settings = apply_overrides(start, options.assignments)
    protect = places_of(options.scene, options.initial)
    with prepare_output(options.output_dir, overwrite=options.overwrite, protect=protect):
        device = start_warp(options.device, options.quiet)
        scene = read_start(options.scene, options.initial, options.num_frames, quiet=options.quiet)
        chosen = {"observe": list(options.observe), "smooth": options.smooth, "lag": options.lag, "device": device}
        chosen |= {"check_first": not options.no_check, "strict": options.strict}
        result = run_into(
            options.output_dir,
            scene,
            lambda progress: track(scene, settings, **chosen, progress=progress),
            "track",
            device,
            settings.seed,
            source=options.scene,
            quiet=options.quiet,
        )
    return exit_code(result, strict=options.strict)
