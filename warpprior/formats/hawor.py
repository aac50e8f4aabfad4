"""``hawor``: the folder that HaWoR leaves of a video: hands in the world, the camera's way, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpprior.formats.format import Format
from warpprior.formats.parts.clip_roles import holds_objects
from warpprior.formats.parts.hand_sources import world_recording, write_back
from warpprior.formats.parts.hawor_files import RESULT, is_hawor, read_hawor
from warpprior.formats.recording import Recording
from warpprior.support.limits import number
from warpprior.support.options import option


@dataclass(frozen=True)
class WorldHandsOptions:
    """Options of ``hawor`` and ``dyn_hamr``."""

    mano: Path | None = option("folder of the MANO models (default: $WARPPRIOR_MANO)", metavar="DIR")
    fps: float = option("frames per second, which the files do not say", number(30.0, 0.01, 10_000.0))
    pose_sigma: float = option("how far given poses are off, in metres", number(0.01, 1e-5, 1.0))


class HaworFormat(Format):
    """Folders of HaWoR."""

    name = "hawor"
    title = "the folder that HaWoR leaves of a video"
    reads = (
        f"both hands (MANO) of {RESULT}, or of cam_space alone; poses of the camera with their scale, intrinsics, "
        "pictures; frames that were filled in are flagged"
    )
    writes = f"back in place: {RESULT}, the hands' places and poses in it"
    verified = "files made in its layout by an independent MANO, its list as joblib and torch write it"
    Options = WorldHandsOptions

    def recognises(self, path: Path) -> str:
        return f"{RESULT} or cam_space in {path.name}" if is_hawor(path) and not holds_objects(path) else ""

    def read(self, source: Path, options: WorldHandsOptions) -> Recording:
        folder = source.parent if source.name == RESULT else source
        return world_recording(read_hawor(folder), folder.name, options.mano, options.fps, options.pose_sigma)

    def write(self, recording: Recording, folder: Path, options: WorldHandsOptions) -> tuple[str, ...]:
        source = self.origin_of(recording, "hands of HaWoR", "they are written back, not made anew").path
        return write_back(source.parent if source.name == RESULT else source, recording, folder, options.mano)


FORMAT = HaworFormat()
