"""Scenes for what does not estimate sizes."""

from __future__ import annotations

from dataclasses import replace

from warpprior.scene import Scene


def with_sizes_known(scene: Scene) -> Scene:
    """The scene for what does not estimate sizes: those of the initial poses are taken, with a warning each."""
    sized = [body for body in scene.bodies if body.size is not None]
    if not sized:
        return scene
    notes = [
        f"{body.name}: its size is not estimated here, and {body.initial.scale:g} times that of its mesh is taken; "
        "refine a part of the sequence, and start from the poses of its result, which have the size."
        for body in sized
    ]
    bodies = tuple(replace(body, size=None) for body in scene.bodies)
    return replace(scene, bodies=bodies, warnings=(*scene.warnings, *notes))
