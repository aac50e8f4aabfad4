"""Bodies and their first poses, of what was taken from a stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from warpprior.bodies.body import Body, rigid_body
from warpprior.bodies.mass import Matter
from warpprior.bodies.readers.animated import animated_body
from warpprior.bodies.readers.mesh import check_size
from warpprior.bodies.repair import Surface, repair_surface
from warpprior.scene import Poses
from warpprior.support.errors import InputError
from warpprior.usd.reading.joints import fit_size, link_offsets, solve_joints
from warpprior.usd.reading.motion import inverse, nearest_rotations, over, split_rigid, transforms
from warpprior.usd.reading.robots import build_robot, exact
from warpprior.usd.reading.skins import SkelMotion, build_skin, posed_surface

Arrays = Mapping[str, np.ndarray]
_STAYS = 1e-6  # relative change of a surface's place in its body
_FITS_M = 1e-3  # of joints of a model, beyond which it is said


@dataclass(frozen=True, eq=False)
class BuiltBody:
    """A body of a stage.

    Attributes:
        body: its model.
        poses: its motion, camera_from_body.
        frames: named frames below its prim that carry no surface, camera_from_frame (frame, 7): position [m], then
            quaternion xyzw.
        notes: what is to be said of it.
    """

    body: Body
    poses: Poses
    frames: dict[str, np.ndarray]
    notes: list[str]


class BodyBuilder:
    """Makes bodies in the frame of a camera.

    Args:
        where: the stage, for messages.
        camera_from_world: (frame, 4, 4), rigid.
        unit: metres per unit of the stage.
    """

    def __init__(self, where: str, camera_from_world: np.ndarray, unit: float):
        self.where, self.camera, self.unit = where, camera_from_world, unit
        self.count = len(camera_from_world)

    def build(self, said: dict[str, Any], arrays: Arrays, model: Body | None) -> BuiltBody:
        """One body.

        Args:
            said, arrays: of :mod:`warpprior.usd.reading.extract`.
            model: what it is, where that was said; it gets the poses of the stage's frames.

        Raises:
            InputError: its surface or frames cannot be used.
        """
        where, notes = f"{self.where}: {said['path']}", list[str](said["notes"])
        frames = self._frames(said, arrays)
        if model is not None:
            body, poses = self._fitted(where, said, arrays, replace(model, name=said["name"]), notes)
        elif said["form"] == "urdf":
            body, world, joints, more = build_robot(where, said, dict(arrays), self.count, self.unit)
            poses, notes = self._poses(world, joints), [*notes, *more]
        elif said["form"] == "skin":
            body, world, joints, more = build_skin(where, said, dict(arrays), self.count)
            poses, notes = self._poses(world, joints), [*notes, *more]
        else:
            body, poses = self._surface(where, said, arrays, notes)
        if "gaps" in arrays and body.animation is None and not arrays["gaps"].all():
            poses = replace(poses, imputed=arrays["gaps"].astype(bool))
        if said["about"].get("colored") is False:
            body = replace(body, colors=None)
        return BuiltBody(body, poses, frames, notes)

    def _poses(self, world: np.ndarray, joints: np.ndarray, shape: np.ndarray | None = None, scale: float = 1.0):
        """Poses camera_from_body of world_from_body (frame, 4, 4)."""
        placed = self.camera @ over(world, self.count)
        shape = np.zeros(0) if shape is None else shape
        return Poses(placed[:, :3, 3].copy(), quaternions(placed), over_rows(joints, self.count), shape, scale)

    def _frames(self, said: dict[str, Any], arrays: Arrays) -> dict[str, np.ndarray]:
        found = {}
        for row, name in enumerate(said.get("frames", ())):
            motion = split_rigid(arrays[f"frame{row}"])
            if motion is not None:
                placed = self.camera @ over(transforms(motion.rotation, motion.position), self.count)
                found[name] = np.concatenate([placed[:, :3, 3], quaternions(placed)], axis=1)
        return found

    def _surface(self, where: str, said: dict[str, Any], arrays: Arrays, notes: list[str]) -> tuple[Body, Poses]:
        """A rigid body, or a surface at every frame where it is asked for or bends."""
        shapes = range(said.get("shapes", 0))
        if said["form"] == "mesh":
            base = self._carrier(arrays, shapes)
            if base is not None:
                return self._rigid(where, said, arrays, base, notes)
            notes.append("its parts move apart from each other, or change their size: it is a surface at every frame")
        if "weights" in arrays:
            points, faces, colors = posed_surface(where, dict(said), dict(arrays), self.count)
            placed = [(points, faces, colors)]
        else:
            placed = [self._in_world(arrays, row) for row in shapes]
        starts = np.cumsum([0, *(part[0].shape[1] for part in placed)])
        seen = np.concatenate([part[0] for part in placed], axis=1)
        seen = np.einsum("fij,fvj->fvi", self.camera[:, :3, :3], seen) + self.camera[:, None, :3, 3]
        faces = np.concatenate([part[1] + start for part, start in zip(placed, starts, strict=False)])
        colors = _all_colors([part[2] for part in placed])
        body = animated_body(said["name"], seen, faces, colors=colors, where=where)
        notes += body.warnings
        return replace(body, warnings=()), Poses.identity(self.count)

    def _in_world(self, arrays: Arrays, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """A surface in the world (frame, vertex, 3) [m], its faces and colours."""
        points, placed = arrays[f"points{row}"].astype(np.float64), arrays[f"placed{row}"]
        points = np.broadcast_to(points, (self.count, *points.shape)) if points.ndim == 2 else points
        placed = over(placed, self.count)
        faces = arrays[f"faces{row}"]
        faces = faces[:, ::-1] if np.linalg.det(placed[0, :3, :3]) < 0.0 else faces
        with np.errstate(over="ignore", invalid="ignore"):  # numbers beyond all bounds are reported later
            seen = np.einsum("fij,fvj->fvi", placed[:, :3, :3], points) + placed[:, None, :3, 3]
        colors = arrays.get(f"colors{row}")
        return seen, faces, np.full(points.shape[1:], np.nan) if colors is None else colors

    def _carrier(self, arrays: Arrays, shapes: range) -> np.ndarray | None:
        """Transforms that carry all surfaces as if they were one: the body's own, or those of the first surface."""
        placed = [arrays[f"placed{row}"] for row in shapes]
        for base in (arrays["own"], placed[0]):
            motion = split_rigid(base)
            if motion is None or not motion.is_rigid:
                continue
            carried = over(base, self.count)
            steady = True
            for matrices in placed:
                within = np.linalg.inv(carried) @ over(matrices, self.count)
                largest = np.abs(within[0]).max()
                steady &= bool(np.abs(within - within[0]).max() <= 10.0 * _STAYS * max(largest, 1.0))
            if steady:
                return base
        return None

    def _rigid(
        self, where: str, said: dict[str, Any], arrays: Arrays, base: np.ndarray, notes: list[str]
    ) -> tuple[Body, Poses]:
        motion = split_rigid(base)
        assert motion is not None  # it was looked at
        frame = np.linalg.inv(transforms(motion.rotation[0], motion.position[0]))
        points, faces, colors, start = [], [], [], 0
        for row in range(said["shapes"]):
            own = arrays[f"points{row}"].astype(np.float64)
            within = frame @ arrays[f"placed{row}"][0]
            points.append(exact(within, own))
            mirrored = np.linalg.det(within[:3, :3]) < 0.0
            faces.append((arrays[f"faces{row}"][:, ::-1] if mirrored else arrays[f"faces{row}"]) + start)
            painted = arrays.get(f"colors{row}")
            colors.append(np.full(own.shape, np.nan) if painted is None else painted)
            start += len(own)
        whole = np.concatenate(colors)
        surface = Surface(
            np.concatenate(points),
            np.concatenate(faces).astype(np.int64),
            whole if np.isfinite(whole).any() else None,
        )
        surface = repair_surface(where, surface)
        notes += [*surface.warnings, *surface.color_warnings]
        notes += check_size(where, surface.vertices, "set metersPerUnit of the stage")
        body = rigid_body(
            said["name"],
            surface.vertices,
            surface.faces,
            colors=None if surface.colors is None else surface.colors.astype(np.float32),
            closed=surface.closed,
        )
        world = transforms(motion.rotation, motion.position)
        return body, self._poses(world, np.zeros((self.count, 0)))

    def _fitted(
        self, where: str, said: dict[str, Any], arrays: Arrays, model: Body, notes: list[str]
    ) -> tuple[Body, Poses]:
        """A model that was named, in the poses of the frames that are called as its links."""
        places = self._named_places(where, said, arrays)
        if model.link_count == 1:
            world = next(iter(places.values()))
            return model, self._poses(world, np.zeros((self.count, 0)))
        missing = [name for name in model.link_names if name not in places]
        if missing:
            there = ", ".join(list(places)[:12]) or "none"
            found = f"has no frame for {len(missing)} of the model's links, as {missing[0]!r}"
            raise InputError(where, found, f"frames called as the links are; there are {there}")
        links = np.stack([over(places[name], self.count) for name in model.link_names], axis=1)
        shape, scale, away = fit_size(model, links)
        world, joints, off = solve_joints(model, links, link_offsets(model, shape, scale))
        if max(away, off) > _FITS_M:
            notes.append(f"joints of the model are up to {1e3 * max(away, off):.3g} mm from the stage's")
        return model, self._poses(world, joints, shape, scale)

    def _named_places(self, where: str, said: dict[str, Any], arrays: Arrays) -> dict[str, np.ndarray]:
        """world_from_frame (1 or frame, 4, 4), rigid, of every named frame of a body; its own first."""
        if "weights" in arrays:
            motion = SkelMotion(where, dict(said), dict(arrays), self.count)
            return dict(zip(motion.names, motion.links().swapaxes(0, 1), strict=True))
        if said["form"] == "urdf":
            found = {name: arrays[f"link{row}"] for row, name in enumerate(said["links"])}
        else:
            found = {said["name"]: arrays["own"]}
            found |= {name: arrays[f"frame{row}"] for row, name in enumerate(said["frames"])}
        places = {}
        for name, matrices in found.items():
            rigid = split_rigid(matrices)
            if rigid is not None and rigid.is_rigid:
                places[name] = transforms(rigid.rotation, rigid.position)
        if not places:
            raise InputError(where, "has no frame that keeps its size", "a prim that moves and turns")
        return places


def matter_of(said: dict[str, Any]) -> Matter:
    """What a body is made of: as a stage of ours was told, else as physics engines read it."""
    told = said["about"]
    known = {key: told[key] for key in ("mass", "density", "friction") if isinstance(told.get(key), float)}
    matter = Matter(**(known if told else said["matter"]))
    try:
        matter.check(said["path"])
    except InputError:
        return Matter()
    return matter


def quaternions(placed: np.ndarray) -> np.ndarray:
    """Unit quaternions (frame, 4), xyzw, of rigid transforms, neighbours in one hemisphere."""
    from scipy.spatial.transform import Rotation

    found = Rotation.from_matrix(nearest_rotations(placed[:, :3, :3])).as_quat()
    flips = np.where(np.einsum("ij,ij->i", found[1:], found[:-1]) < 0.0, -1.0, 1.0)
    found[1:] *= np.cumprod(flips)[:, None]
    return found


def over_rows(values: np.ndarray, count: int) -> np.ndarray:
    """Rows of one or all frames as those of ``count`` frames."""
    return np.repeat(values, count, axis=0) if len(values) == 1 and count > 1 else values


def camera_from_world(placed: np.ndarray, where: str) -> np.ndarray:
    """OpenCV's frame of a camera prim from the world (frame, 4, 4), whatever size its transforms have.

    Raises:
        InputError: the camera is mirrored or flat.
    """
    motion = split_rigid(placed)
    if motion is None or np.linalg.det(motion.stretch) < 0.0:
        raise InputError(where, "the transform of its camera is no place of one", "turn and move only")
    turned = transforms(motion.rotation, motion.position) @ np.diag([1.0, -1.0, -1.0, 1.0])
    return inverse(turned)


def _all_colors(parts: list[np.ndarray | None]) -> np.ndarray | None:
    """Colours of all vertices; None where any has none."""
    whole = np.concatenate([np.full((0, 3), np.nan) if part is None else part for part in parts])
    return whole if len(whole) and np.isfinite(whole).all() else None
