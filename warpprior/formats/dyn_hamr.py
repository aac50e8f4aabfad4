"""``dyn_hamr``: a run of Dyn-HaMR, or its ``*_world_results.npz``: hands in the world and the camera's way."""

from __future__ import annotations

from pathlib import Path

from warpprior.formats.format import Format
from warpprior.formats.hawor import WorldHandsOptions
from warpprior.formats.parts.clip_roles import holds_objects
from warpprior.formats.parts.dynhamr_files import dynhamr_file, read_dynhamr
from warpprior.formats.parts.hand_sources import world_recording, write_back
from warpprior.formats.recording import Recording


class DynHamrFormat(Format):
    """Results of Dyn-HaMR."""

    name = "dyn_hamr"
    title = "a run of Dyn-HaMR, or its *_world_results.npz"
    reads = (
        "both hands (MANO) in the world, left ones mirrored after they were put there; poses of the camera, "
        "intrinsics; frames in which a track is not seen"
    )
    writes = "back in place: the results that were read, the hands' places and poses in them"
    verified = "files made in its layout by an independent MANO and its own rule for left hands"
    Options = WorldHandsOptions

    def recognises(self, path: Path) -> str:
        file = dynhamr_file(path)
        return "" if file is None or holds_objects(path) else file.name

    def read(self, source: Path, options: WorldHandsOptions) -> Recording:
        found = read_dynhamr(source)
        return world_recording(found, found.where.stem, options.mano, options.fps, options.pose_sigma)

    def write(self, recording: Recording, folder: Path, options: WorldHandsOptions) -> tuple[str, ...]:
        source = self.origin_of(recording, "hands of Dyn-HaMR", "they are written back, not made anew").path
        return write_back(source, recording, folder, options.mano)


FORMAT = DynHamrFormat()
