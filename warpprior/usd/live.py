"""A tracker's estimates written into a stage that is open, as they come."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.usd.camera import turned
from warpprior.usd.hand_joints import JOINTS, fingertips
from warpprior.usd.names import prim_name
from warpprior.usd.options import StageOptions
from warpprior.usd.samples import FrameMotion, carried_link, composed, in_world, relative
from warpprior.usd.surface import faces_around, vertex_normals
from warpprior.usd.take import Take
from warpprior.usd.units import scaled
from warpprior.usd.write import Written, write

if TYPE_CHECKING:
    from pxr import Sdf, Usd

_USUAL = StageOptions()
Values = Iterator[tuple[str, str, Any]]  # path below the prim of all, attribute, value in metres


class Believed(Protocol):
    """What is read of a :class:`warpprior.tracking.estimate.Estimate`."""

    @property
    def timestamp(self) -> float: ...
    @property
    def position(self) -> Mapping[str, np.ndarray]: ...
    @property
    def rotation(self) -> Mapping[str, np.ndarray]: ...
    @property
    def joints(self) -> Mapping[str, np.ndarray]: ...


class LiveStage:
    """The bodies of a tracker in a stage: written once where they start, and moved with each estimate.

    ``live = LiveStage(stage, tracker)``, then ``live.write(tracker.step(observation, time))``.  Only values of the
    bodies' own attributes change, in one layer and all at once; covariances are not written.  Everything else is as for
    :func:`warpprior.usd.write`.

    Args:
        stage: to write to.
        tracked: a :class:`warpprior.Tracker`, or a scene whose first poses are the start.
        record: keep a sample for each estimate; else only the default value changes, which takes no room.
        start: time code of the first estimate; None: where the stage's time range begins.
        world_from_camera: where the camera stands (7,), as for :class:`warpprior.usd.Take`.
        prim, layer, replace, options, device: as for :func:`warpprior.usd.write`.

    Attributes:
        written: what was written when it was made, and where.

    Raises:
        InputError: as :func:`warpprior.usd.write`; or the options ask for joints or a rig, which are not moved.
    """

    def __init__(
        self,
        stage: Usd.Stage,
        tracked: Scene | Any,
        *,
        record: bool = True,
        start: float | None = None,
        world_from_camera: np.ndarray | None = None,
        prim: str | None = None,
        layer: Sdf.Layer | str | os.PathLike | None = None,
        replace: bool = False,
        options: StageOptions = _USUAL,
        device: str = "cpu",
    ):
        if options.robot != "kinematic":
            raise InputError("LiveStage: robot", repr(options.robot), "kinematic: links are what is moved")
        if options.hand_rig != "points":
            raise InputError("LiveStage: hand_rig", repr(options.hand_rig), "points: a rig is not moved")
        scene = _first_frame(tracked if isinstance(tracked, Scene) else tracked.scene)
        take = Take(scene, {body.name: body.initial for body in scene.bodies}, world_from_camera=world_from_camera)
        self.written: Written = write(
            stage, take, prim=prim, layer=layer, replace=replace, start=start, options=options, device=device
        )
        place, conversion = self.written.place, self.written.conversion
        self._layer, self._root, self._code = place.layer, str(place.content_path), place.code
        self._per_metre, self._rate = conversion.per_metre, conversion.per_frame * scene.fps
        self._up, self._stand = self.written.up_axis, np.atleast_2d(take.stand)[0]
        self._record, self._began = record, None
        self._bodies = [_Moved(body, device) for body in scene.bodies]
        self._last: dict[str, np.ndarray] = {}  # quaternions, which shall not jump to the other hemisphere

    def write(
        self,
        estimate: Believed,
        *,
        surfaces: Mapping[str, np.ndarray] | None = None,
        world_from_camera: np.ndarray | None = None,
    ) -> float:
        """Move the bodies to where they are believed to be.

        Args:
            estimate: as :meth:`warpprior.Tracker.step` returns it.
            surfaces: of bodies that are given as vertices: their surface in the camera frame (vertex, 3) [m].
            world_from_camera: where the camera is now (7,), if it moves; Z up, metres.

        Returns:
            The time code in the stage: seconds since the first estimate, at the stage's rate, after its start.

        Raises:
            InputError: the surface of a body that is given as vertices is missing or has another size.
        """
        from pxr import Sdf

        began = estimate.timestamp if self._began is None else self._began
        stand = self._stand if world_from_camera is None else np.asarray(world_from_camera, dtype=np.float64)
        stand = turned(stand, self._up)
        values = (item for body in self._bodies for item in body.values(estimate, stand, surfaces or {}))
        stage_code = self.written.first_code + (estimate.timestamp - began) * self._rate
        code, layer, sampled = self._code(stage_code), self._layer, self._record
        ready = [
            (Sdf.Path(f"{self._root}/{path}.{name}"), self._in_usd(path, name, value)) for path, name, value in values
        ]
        with Sdf.ChangeBlock():
            for path, value in ready:
                if sampled:
                    layer.SetTimeSample(path, code, value)
                if not sampled or self._began is None:
                    layer.GetAttributeAtPath(path).default = value
        self._began = began
        return stage_code

    def _in_usd(self, path: str, name: str, value: np.ndarray) -> Any:
        from pxr import Gf, Vt

        if name == "xformOp:orient":
            last = self._last.get(path)
            value = -value if last is not None and last @ value < 0.0 else value
            self._last[path] = value
            x, y, z, w = value.tolist()
            return Gf.Quatf(w, x, y, z)
        if name == "xformOp:translate":
            return Gf.Vec3d(*(self._per_metre * value).tolist())
        array = Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(value, dtype=np.float32))
        return array if name == "normals" or self._per_metre == 1.0 else scaled(array, self._per_metre)


class _Moved:
    """A body of a stage, and what of it moves."""

    def __init__(self, item: SceneBody, device: str):
        body = item.body
        self.body, self.name, self.path, self.start = body, body.name, prim_name(body.name), item.initial
        self.carried = None if body.is_rigid else carried_link(body)
        self.tips = fingertips(body) if body.link_count > 1 and self.carried is None else []
        self._model = self._state = self._skin = None
        self._around = faces_around(body.vertex_count, body.faces)
        if not body.is_rigid and body.animation is None:
            import warp as wp

            from warpprior.bodies.posing import posed_state

            self._model, self._state = posed_state(body, item.initial, device)
            self._skin = wp.zeros((1, body.vertex_count), dtype=wp.vec3, device=self._model.device)

    def values(self, estimate: Believed, stand: np.ndarray, surfaces: Mapping[str, np.ndarray]) -> Values:
        """What moves, where it is now."""
        body, name = self.body, self.name
        if body.animation is not None:
            surface = surfaces.get(name)
            if surface is None or np.shape(surface) != (body.vertex_count, 3):
                found = "missing" if surface is None else f"shape {np.shape(surface)}"
                raise InputError(f"surfaces: {name}", found, f"vertices of shape {(body.vertex_count, 3)}")
            yield from self._surface(np.asarray(surface)[None], stand)
            return
        position, rotation = estimate.position[name][None], estimate.rotation[name][None]
        root = composed(stand, position, rotation)
        if body.is_rigid:
            yield from _frames([self.path], root)
            return
        links = self._posed(position, rotation, estimate.joints.get(name))
        if self.carried is not None:
            yield from _frames([self.path], root)
            paths = [f"{self.path}/{prim_name(link)}" for link in body.link_names]
            yield from _frames(paths, relative(root, composed(stand, links[:, :3], links[:, 3:])))
            return
        assert self._model is not None and self._state is not None and self._skin is not None
        self._model.skin(self._state, self._skin)
        surface = self._skin.numpy()
        yield from self._surface(surface, stand)
        if body.link_count > 1:
            tips, ends, vertices = zip(*self.tips, strict=True) if self.tips else ((), (), ())
            paths = [f"{self.path}/{JOINTS}/{name}" for name in (*map(prim_name, body.link_names), *tips)]
            places = np.concatenate([links[:, :3], surface[0, list(vertices)]])
            turns = np.concatenate([links[:, 3:], links[list(ends), 3:]])
            yield from _frames(paths, composed(stand, places, turns))

    def _posed(self, position: np.ndarray, rotation: np.ndarray, joints: np.ndarray | None) -> np.ndarray:
        """camera_from_link (link, 7) float64; the state is posed for the surface."""
        from warpprior.bodies.posing import assign_poses

        assert self._model is not None and self._state is not None
        given = self.start.joints if joints is None else np.clip(joints, self.body.lower, self.body.upper)[None]
        assign_poses(self._state, Poses(position, rotation, given, self.start.shape, self.start.scale))
        self._model.pose(self._state)
        return self._state.links.numpy().reshape(self.body.link_count, 7).astype(np.float64)

    def _surface(self, surface: np.ndarray, stand: np.ndarray) -> Values:
        path, places = f"{self.path}/{self.path}", in_world(stand, surface)
        yield path, "points", places[0]
        yield path, "extent", np.stack([places[0].min(axis=0), places[0].max(axis=0)])
        yield path, "normals", vertex_normals(places, self.body.faces, self._around)[0]


def _frames(paths: Sequence[str], places: FrameMotion) -> Values:
    """Where each of several frames is, a row each."""
    for path, position, rotation in zip(paths, places.position, places.rotation, strict=True):
        yield path, "xformOp:translate", position
        yield path, "xformOp:orient", rotation


def _first_frame(scene: Scene) -> Scene:
    """The bodies where they start, and nothing that was observed."""
    first = replace(scene, labels=None, keypoints2d={}, boxes={}, keypoints3d={}, centers={}).first_frames(1)
    return replace(first, read_rgb=None, read_depth=None)
