"""Are the pictures of a scene folder numbered as its frames are?"""

from __future__ import annotations

from collections.abc import Collection

from warpprior.io.scene_file import SceneFile
from warpprior.support.errors import InputError


def note_numbering(scene_file: SceneFile, key: str, template: str, present: Collection[int], notes: list[str]) -> None:
    """Note a picture beyond the last frame, which is never read: with the first frame missing, all may be one late.

    Args:
        scene_file: the checked ``scene.toml``.
        key: of the pictures in it.
        template: their path.
        present: frames that have one.
        notes: warnings are appended.
    """
    last = scene_file.count
    try:
        if not scene_file.frame_path(template, last).is_file():
            return
    except InputError:  # it leads out of the folder; it is not ours then
        return
    beyond = f"{key}: {template.format(last)} is beyond the last frame, {last - 1}, and was not read"
    if 0 in present:
        notes.append(beyond)
        return
    late = f"{template.format(0)} is missing: frames are numbered from 0, these pictures perhaps from 1"
    notes.append(f"{beyond}, while {late}; if so, each is taken one frame late: rename them")
