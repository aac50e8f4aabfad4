"""``scene``: this project's own scene folders, which hold all of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from warpprior.formats.format import Format, NoOptions
from warpprior.formats.recording import Origin, Recording
from warpprior.io.scene_file import SCENE_FILE, SourceEntry, read_scene_file
from warpprior.io.scene_folder import load_scene
from warpprior.io.scene_writer import write_scene
from warpprior.support.progress import Progress


class SceneFormat(Format):
    """A folder with ``scene.toml``."""

    name = "scene"
    sizes = "as `scale` in its pose file"
    title = "a scene folder of this project"
    reads = "everything that docs/scene_format.md lists"
    writes = "all of a recording, with its notes and where it came from"
    verified = "round trips"

    def recognises(self, path: Path) -> str:
        return SCENE_FILE if (path / SCENE_FILE).is_file() else ""

    def read(self, source: Path, options: NoOptions) -> Recording:
        return read_folder(source)

    def write(self, recording: Recording, folder: Path, options: Any) -> tuple[str, ...]:
        origin, scene = recording.origin, recording.scene
        source = None
        if origin is not None and origin.format != self.name:
            source = SourceEntry(origin.format, str(origin.path), dict(origin.options), scene.warnings)
        write_scene(scene, folder, source=source)
        return ()


def read_folder(
    folder: Path, *, num_frames: int | None = None, progress: Progress | None = None, to_check: bool = False
) -> Recording:
    """A scene folder with the camera's poses and gravity; where it was imported, its origin is that.

    Arguments and errors as of :func:`warpprior.io.load_scene`.
    """
    scene = load_scene(folder, num_frames=num_frames, progress=progress, to_check=to_check)
    file = read_scene_file(folder)
    origin = Origin("scene", Path(folder).absolute())
    if file.source is not None:
        origin = Origin(file.source.format, Path(file.source.path), file.source.options)
    return Recording(scene, origin=origin)


FORMAT = SceneFormat()
