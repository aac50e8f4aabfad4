"""Data sets whose poses are in a world: brought into the frame of one camera, and held to how far they are off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from warpprior.formats.parts.intrinsics import note_half_pixel
from warpprior.formats.parts.mano_hands import ManoHand
from warpprior.formats.parts.motion import complete, filled, note_camera, split_transforms, with_truth
from warpprior.formats.parts.virtual_camera import into_camera
from warpprior.formats.recording import Recording
from warpprior.io.world import CameraPath, World
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.wording import nearest

SIDES = ("right", "left")


@dataclass(frozen=True)
class InWorld:
    """One sequence, whose poses are in the world, being read.

    Attributes:
        where: names its files in messages.
        path: of the camera in the world.
        notes: are appended to.
    """

    where: str
    path: CameraPath
    notes: list[str]

    def body(self, item: SceneBody, matrices: np.ndarray, joints: np.ndarray | None = None) -> SceneBody:
        """A body with world_from_body (frame, 4, 4), NaN for none, as start and truth."""
        name = item.name
        position, rotation, scale = split_transforms(matrices, complete(matrices), f"{self.where}: {name}", self.notes)
        if scale != 1.0:
            raise InputError(f"{self.where}: {name}", f"has a size factor of {scale:.6g}", "needs rigid poses")
        return with_truth(replace(item, initial=self._filled(name, position, rotation, joints=joints)))

    def hand(
        self,
        hand: ManoHand,
        name: str,
        label: int,
        orient: np.ndarray,
        wrist: np.ndarray,
        joints: np.ndarray,
        shape: np.ndarray,
    ) -> SceneBody:
        """A hand of MANO as start and truth.

        Args:
            hand: the model.
            name, label: of the body.
            orient: rotation vectors in the world (frame, 3) [rad], NaN for none.
            wrist: places of the wrist joint in the world (frame, 3) [m].
            joints: rotation vectors (frame, 45), zero for the flat hand.
            shape: (10,).
        """
        from scipy.spatial.transform import Rotation

        valid = complete(orient) & complete(wrist) & complete(joints)
        turns = np.full((len(orient), 4), np.nan)
        turns[valid] = Rotation.from_rotvec(orient[valid]).as_quat()
        poses = self._filled(name, np.where(valid[:, None], wrist, np.nan), turns, joints=joints, shape=shape)
        return with_truth(hand.scene_body(name, label, poses))

    def _filled(self, name: str, position: np.ndarray, rotation: np.ndarray, **more) -> Poses:
        valid = complete(position) & complete(rotation)
        usable = np.where(valid[:, None], rotation, [0.0, 0.0, 0.0, 1.0])
        position, rotation = into_camera(self.path, np.where(valid[:, None], position, 0.0), usable)
        return filled(self.where, name, position, rotation, valid, self.notes, **more)

    def recording(
        self,
        name: str,
        camera: Camera,
        fps: float,
        bodies: Sequence[SceneBody],
        sigma: float,
        *,
        read_rgb: Callable[[int], np.ndarray | None] | None = None,
        read_depth: Callable[[int], np.ndarray | None] | None = None,
        labels: np.ndarray | None = None,
        keypoints3d: Mapping[str, np.ndarray] | None = None,
    ) -> Recording:
        """The recording; where there are no labels, poses are held to ``sigma`` [m].

        ``keypoints3d`` are of hands without poses, in the camera's frame, as of :class:`warpprior.Scene`.
        """
        bodies = [replace(item, label=label) for label, item in enumerate(bodies, start=1)]
        notes, noise = self.notes, {}
        if not bodies:
            raise InputError(self.where, "has poses of nothing", "needs a sequence with annotations")
        notes.append("poses to start from are those of the data set, which are its truth, too")
        if labels is None:
            noise = {"poses": sigma}
            notes.append(f"there are no masks: given poses are held to {1000 * sigma:g} mm, and physics mends them")
        note_camera(self.path, notes)
        scene = Scene(
            name=name,
            camera=camera,
            fps=fps,
            bodies=tuple(bodies),
            labels=labels,
            read_rgb=read_rgb,
            read_depth=read_depth,
            warnings=tuple(notes),
            keypoints3d=dict(keypoints3d or {}),
            noise=noise,
        )
        return Recording(scene, World(self.path))


def rigid(turns: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Transforms (frame, 4, 4) of rotation vectors (frame, 3) and places (frame, 3); NaN where either is."""
    from scipy.spatial.transform import Rotation

    valid = complete(turns) & complete(places)
    matrices = np.full((len(turns), 4, 4), np.nan)
    matrices[valid] = np.eye(4)
    matrices[valid, :3, :3] = Rotation.from_rotvec(turns[valid]).as_matrix()
    matrices[valid, :3, 3] = places[valid]
    return matrices


def pinhole(k: np.ndarray, size: tuple[int, int], where: str, notes: list[str]) -> Camera:
    """The camera of K (3, 3) as OpenCV has it, the first pixel's centre at (0, 0), of pictures of a size.

    That half a pixel lies between it and ours is noted.

    Raises:
        InputError: not finite, or no focal length for such pictures.
    """
    fx, fy, (width, height) = float(k[0, 0]), float(k[1, 1]), size
    if not (0.01 * width < fx < 100.0 * width and 0.01 * height < fy < 100.0 * height and np.isfinite(k).all()):
        raise InputError(where, f"focal lengths {fx:.4g}, {fy:.4g} for {width} x {height}", "needs intrinsics")
    note_half_pixel(where, notes)
    return Camera(width, height, fx, fy, float(k[0, 2]) + 0.5, float(k[1, 2]) + 0.5)


def named_sequence(root: Path, sequence: str | None, known: Callable[[], list[str]], what: str) -> str:
    """The name of the sequence that is meant in a data set.

    Args:
        root: of the data set, for messages.
        sequence: as it was said, or None.
        known: lists those that there are.
        what: a sequence is called, for messages.

    Raises:
        InputError: none is said, or there is none of that name.
    """
    names = known()
    if sequence in names:
        return str(sequence)
    some = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") or "none"
    if sequence is None:
        raise InputError(str(root), f"holds {len(names)} {what}: {some}", "name one: --sequence NAME")
    raise InputError(f"--sequence {sequence}", f"{root} has none of that name", f"{nearest(sequence, names)}{some}")
