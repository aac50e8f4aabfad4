"""Recording: what every format is read into and written from: a scene, the world it was in, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from warpprior.io.world import CameraPath, World
from warpprior.scene import Poses, Scene
from warpprior.support.errors import InputError


@dataclass(frozen=True)
class Origin:
    """Where a recording was read from, all that is needed to read it again and to write it back.

    Attributes:
        format: name of the format.
        path: absolute.
        options: those that differ from the defaults, as plain data.
    """

    format: str
    path: Path
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Recording:
    """One sequence, normalised: metres, radians, OpenCV axes, pixel centres at 0.5, camera_from_body, quaternions xyzw.

    Hands of MANO have our joints: rotation vectors in the file's order, zero for the flat hand, the root's origin at
    the wrist joint.  Frames whose poses were missing are interpolated and flagged in ``Poses.imputed``.

    Attributes:
        scene: camera, bodies, poses and observations; its ``warnings`` are the notes.
        world: poses of the camera in the world, and the direction of gravity there.
        origin: None for what was made in memory.
    """

    scene: Scene
    world: World = field(default_factory=World)
    origin: Origin | None = None

    def __post_init__(self):
        """The scene's world is the recording's; a scene that has none takes the recording's."""
        if self.scene.world is not None:
            object.__setattr__(self, "world", self.scene.world)
        elif self.world.camera is not None or self.world.gravity is not None:
            object.__setattr__(self, "scene", replace(self.scene, world=self.world))

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each thing that was changed, guessed or left out."""
        return self.scene.warnings

    def with_scene(self, scene: Scene) -> Recording:
        """The same with another scene of the same frames."""
        return replace(self, scene=scene)

    def with_poses(self, poses: dict[str, Poses], camera: CameraPath | None = None) -> Recording:
        """The same in other poses, for instance a result's, and with the camera where that has it."""
        scene = self.scene.with_poses(poses)
        if camera is not None and scene.world is not None:
            scene = replace(scene, world=replace(scene.world, camera=camera))
        return self.with_scene(scene)

    def check_frames(self, count: int, where: object) -> None:
        """InputError where the files that it is written into, at ``where``, have another number of frames."""
        if self.scene.frame_count != count:
            found = f"has {count} frames, the recording {self.scene.frame_count}"
            raise InputError(str(where), found, "the same frames")

    def first_frames(self, count: int) -> Recording:
        """The same, cut to its first frames."""
        if count >= self.scene.frame_count:
            return self
        return replace(self, scene=self.scene.first_frames(count), world=self.world.first_frames(count))
