"""The arrays of one pose file, field by field: shapes, types and units, and what estimators write in their stead."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from warpprior.bodies.body import Body, JointType
from warpprior.bodies.readers.conventions import Convention
from warpprior.bodies.readers.kinds import MAX_EXTENT, MIN_EXTENT
from warpprior.io.array_files import note_strangers, read_arrays
from warpprior.io.axes import Shape, median_of_frames, take_shape
from warpprior.io.coordinates import read_joints
from warpprior.io.rotations import read_joint_matrices, read_rotations
from warpprior.support.errors import InputError
from warpprior.support.wording import frame_list, nearest

FIELDS = (
    *("position", "rotation", "joints", "joint_names", "shape", "scale", "covariance", "imputed"),
    *("doubt", "status", "reasons"),
)
FAR_M = 100.0
SYMMETRIC = 1e-5  # of correlations: covariances may be stored in single precision
SAME_TURN = 1e-3  # [rad]: the root's rotation, stated twice

POSITION = "needs (frame, 3): x, y, z [m]"
ROTATION = "needs (frame, 4), quaternions in the order x, y, z, w, or (frame, 3, 3), rotation matrices"
ROTATION_LOOKS = {
    (3,): "like Euler angles or rotation vectors",
    (1, 3): "like Euler angles or rotation vectors",
    (6,): "like the first two columns or rows of matrices",
    (3, 2): "like the first two columns of matrices",
    (4, 4): "like transforms: give [:, :3, :3] as rotation, [:, :3, 3] as position",
    (3, 4): "like transforms: give [:, :, :3] as rotation, [:, :, 3] as position",
}


class PoseArrays:
    """One pose file being read.

    Args:
        path: an ``.npz`` file.
        frame_count: frames that it must have; None takes what the first body has.
        conventions: what the numbers of bodies mean that are not stated in ours, by name.
        notes: warnings are appended.
    """

    def __init__(
        self,
        path: str | Path,
        frame_count: int | None,
        conventions: Mapping[str, Convention] | None,
        notes: list[str],
    ):
        self.path, self.frame_count, self.conventions = path, frame_count, conventions or {}
        self.notes = notes
        self._arrays = read_arrays(path, frame_count=frame_count)

    def __contains__(self, key: str) -> bool:
        return key in self._arrays

    def has_quaternions(self, name: str) -> bool:
        """Are the rotations of this body stored as quaternions, not as matrices?"""
        return self._arrays[f"{name}/rotation"].shape[-1] == 4

    def place(self, name: str, field: str = "") -> str:
        """File, body and field, for messages."""
        return f"{self.path}: {name}/{field}" if field else f"{self.path}: {name}"

    def note_strangers(self, names: set[str]) -> None:
        """Note what belongs to no body, and fields that there are not."""
        own = [key for key in self._arrays if key.count("/") < 2]  # not what is in the world (io/world_poses.py)
        note_strangers(own, names, FIELDS, self.notes)

    def motion(self, body: Body, *, clamp: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position, rotation and joints, float64, with the same number of frames; NaN rows allowed."""
        name = body.name
        position = self._read("position", name, [(self.frame_count, 3)], POSITION).astype(np.float64)
        count = self.frame_count = len(position)
        if count == 0:
            raise InputError(self.place(name), "has no frame", "needs one frame at least")
        far = far_rows(position[finite_rows(position)])
        if len(far) and np.mean(far) >= 0.5:
            distance = np.median(np.abs(position[finite_rows(position)]).max(axis=1))
            found = f"is {distance:.4g} m from the camera (median)"
            raise InputError(self.place(name, "position"), found, "needs metres; these look like millimetres")
        stored = self._read("rotation", name, [(count, 4), (count, 3, 3)], ROTATION, looks=ROTATION_LOOKS)
        place, notes = self.place(name, "rotation"), self.notes
        rotation = read_rotations(stored.astype(np.float64), name, place, notes)
        joints, names = self._joints(body, rotation), self._arrays.get(f"{name}/joint_names")
        if joints is not None and name in self.conventions:
            joints = self.conventions[name].joints(joints, names, self.place(name, "joints"))
        return position, rotation, read_joints(joints, names, body, count, self.place(name), notes, clamp=clamp)

    def imputed(self, name: str, frame_count: int) -> np.ndarray | None:
        """Frames (frame,) bool whose poses were made up, or None where the file does not say."""
        accepted = "needs (frame,): true where the pose was made up"
        stated = self._read_if_any("imputed", name, [(frame_count,)], accepted, kinds="b?")
        return None if stated is None else stated.astype(bool)

    def size(self, body: Body) -> tuple[np.ndarray, float]:
        """Shape parameters (shape,) float64, and the scale."""
        return self._shape(body), self._scale(body)

    def root_position(self, body: Body, position: np.ndarray, shape: np.ndarray, scale: float) -> np.ndarray:
        """Where the body's root is (frame, 3) [m], from positions as stored."""
        convention = self.conventions.get(body.name)
        return position if convention is None else convention.position(position, shape, scale)

    def _joints(self, body: Body, rotation: np.ndarray) -> np.ndarray | None:
        """Joint coordinates (frame, n) as stored, rotation matrices made vectors; None without."""
        name, count, balls = body.name, len(rotation), _ball_count(body)
        convention = self.conventions.get(name)
        shapes: list[Shape] = [(count, None)]
        accepted = f"needs (frame, {body.coordinate_count}): one coordinate per joint"
        if convention is not None and convention.pca is not None:
            accepted = f"needs (frame, {convention.pca}), for scene.toml says pca = {convention.pca}"
        elif balls:
            accepted = (
                f"needs (frame, {3 * balls}): rotation vectors of {balls} joints [rad], or (frame, {balls}, 3, 3)"
            )
            shapes += [(count, n, *rest) for n in (balls, balls + 1) for rest in ((3,), (3, 3))]
        read = self._read if body.coordinate_count else self._read_if_any
        stored = read("joints", name, shapes, accepted)
        if stored is None or stored.ndim == 2:
            return stored
        place, notes, field = self.place(name, "joints"), self.notes, f"{name}/joints"
        if stored.ndim == 3:
            notes.append(f"{field} has shape {stored.shape}; taken as rotation vectors of {stored.shape[1]} joints")
            vectors = stored.reshape(count, -1).astype(np.float64)
        else:
            if convention is not None and not convention.flat_hand_mean:
                found = "are rotation matrices, to which the mean pose (flat_hand_mean = false) cannot be added"
                raise InputError(place, found, "leave out flat_hand_mean, for networks give whole rotations")
            first, last = body.coordinate_names[0].rpartition(".")[0], body.coordinate_names[-1].rpartition(".")[0]
            words = f"rotation matrices were made rotation vectors of {first} to {last}, in the model's own axes"
            notes.append(f"{field} has shape {stored.shape}; {words}")
            vectors = read_joint_matrices(stored.astype(np.float64), place, notes)
        if stored.shape[1] == balls:
            return vectors
        self._check_root(place, vectors[:, :3], rotation, accepted)
        notes.append(f"{field} begins with {name}/rotation; that was left out")
        return vectors[:, 3:]

    @staticmethod
    def _check_root(place: str, vectors: np.ndarray, rotation: np.ndarray, accepted: str) -> None:
        """InputError unless rotation vectors (frame, 3) say what the quaternions (frame, 4) say."""
        from scipy.spatial.transform import Rotation

        both = finite_rows(vectors) & finite_rows(rotation)
        apart = Rotation.from_rotvec(vectors[both]).inv() * Rotation.from_quat(rotation[both])
        if not both.any() or apart.magnitude().max() > SAME_TURN:
            raise InputError(place, "has one rotation too many, and the first is not that of the body", accepted)

    def _shape(self, body: Body) -> np.ndarray:
        name, count, sizes = body.name, body.shape_count, self.frame_count
        accepted = f"needs ({count},): shape parameters for all frames, or (frame, {count})"
        shape = self._read_if_any("shape", name, [(None,), (sizes, None), (1, None)], accepted)
        if shape is not None and shape.ndim == 2:
            shape = shape[0] if len(shape) == 1 else median_of_frames(shape, f"{name}/shape", self.notes)
        if shape is None or (count == 0 and len(shape)):
            if shape is not None:
                self.notes.append(f"{name}/shape is ignored: the model has no shape parameters")
            shape = np.zeros(count)
        if len(shape) != count or not np.all(np.isfinite(shape)):
            found = f"has {len(shape)} values, {np.isfinite(shape).sum()} of them finite"
            raise InputError(self.place(name, "shape"), found, f"needs {count} finite numbers")
        if np.any(np.abs(shape) > 5):
            self.notes.append(f"{name}/shape reaches {np.abs(shape).max():.1f} sigma: hardly a real shape")
        return shape.astype(np.float64)

    def _scale(self, body: Body) -> float:
        name = body.name
        accepted = "needs one number for all frames"
        scale = self._read_if_any("scale", name, [(), (1,), (self.frame_count,)], accepted)
        if scale is None:
            return 1.0
        if scale.ndim:
            scale = scale[0] if len(scale) == 1 else median_of_frames(scale, f"{name}/scale", self.notes)
        if not (np.isfinite(scale) and scale > 0):
            raise InputError(self.place(name, "scale"), f"is {scale}", "needs a finite number above zero")
        extent = float(scale) * float(np.ptp(body.vertices, axis=0).max())
        if not MIN_EXTENT <= extent <= MAX_EXTENT:
            found = f"is {scale}, which makes {name} {extent:.4g} m large"
            raise InputError(self.place(name, "scale"), found, "sizes from 1 mm to 5 m are accepted")
        return float(scale)

    def covariance(self, body: Body) -> np.ndarray | None:
        """Error covariance (frame, d, d) float64 in the order of the body's joints; NaN says not observable."""
        name, accepted = body.name, "needs (frame, d, d), d = 6 + joint coordinates"
        covariance = self._read_if_any("covariance", name, [(self.frame_count, None, None)], accepted)
        if covariance is None:
            return None
        if name in self.conventions and self.conventions[name].pca is not None:
            self.notes.append(f"{name}/covariance is ignored: it is not of joint coordinates")
            return None
        place = self.place(name, "covariance")
        names = self._arrays.get(f"{name}/joint_names")
        stated = list(body.coordinate_names if names is None or not body.coordinate_count else names)
        if covariance.shape[1:] != (6 + len(stated),) * 2:
            raise InputError(place, f"has shape {covariance.shape}", f"{accepted}, here {6 + len(stated)}")
        covariance = covariance.astype(np.float64)
        for found, frames in _covariance_faults(covariance):
            words = "needs symmetric matrices of numbers, NaN where nothing is known"
            raise InputError(f"{place}, {frame_list(frames)}", found, words)
        order = [*range(6), *(6 + stated.index(name) for name in body.coordinate_names)]
        return covariance[:, order][:, :, order]

    def _read_if_any(
        self, field: str, name: str, shapes: list[Shape], accepted: str, kinds: str = "fiu"
    ) -> np.ndarray | None:
        """One field as stored, or None where the file does not have it."""
        return self._read(field, name, shapes, accepted, kinds) if f"{name}/{field}" in self._arrays else None

    def _read(
        self,
        field: str,
        name: str,
        shapes: list[Shape],
        accepted: str,
        kinds: str = "fiu",
        looks: Mapping[tuple[int, ...], str] | None = None,
    ) -> np.ndarray:
        """One field as stored, in one of these shapes.

        Args:
            field, name: of the field and the body.
            shapes: what is accepted.
            accepted: that in words, axis by axis.
            kinds: of NumPy types.
            looks: what arrays of other shapes look like, by their axes but the first.
        """
        key = f"{name}/{field}"
        if key not in self._arrays:
            raise InputError(self.place(name, field), "is missing", self._instead_of(name, field))
        value = self._arrays[key]
        if value.dtype.kind not in kinds:
            raise InputError(self.place(name, field), f"has values of type {value.dtype}", "needs plain numbers")
        hint = (looks or {}).get(value.shape[1:], "")
        return take_shape(value, shapes, self.place(name, field), accepted, self.notes, hint=hint)

    def _instead_of(self, name: str, field: str) -> str:
        """What the file has that may be meant by a field it has not: transforms, or a name much like it."""
        present = sorted(self._arrays)
        bodies = {key.partition("/")[0] for key in present}
        alike = difflib.get_close_matches(name, bodies, n=3, cutoff=0.6)
        candidates = [key for key in present if key.partition("/")[0] in alike]
        for key in candidates:
            if key.partition("/")[0] == name and self._arrays[key].shape[1:] in ((4, 4), (3, 4)):
                parts = f"[:, :3, :3] of it as {name}/rotation, [:, :3, 3] as {name}/position"
                return f"{key} {self._arrays[key].shape} looks like transforms: give {parts}"
        shown = ", ".join(present[:12]) + (", ..." if len(present) > 12 else "")
        return f"{nearest(f'{name}/{field}', candidates)}the file has: {shown}"


def finite_rows(values: np.ndarray) -> np.ndarray:
    """Rows (frame,) bool that are finite throughout."""
    return np.all(np.isfinite(values), axis=1)


def far_rows(position: np.ndarray) -> np.ndarray:
    """Frames (frame,) bool farther away along some axis than anything a camera like ours could resolve."""
    return np.any(np.abs(position) > FAR_M, axis=1)


def _ball_count(body: Body) -> int:
    """How many ball joints the body has; 0 where it has joints of other kinds, too."""
    balls = int(np.count_nonzero(body.joint_types == JointType.BALL))
    return balls if 3 * balls == body.coordinate_count else 0


def _covariance_faults(covariance: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What is wrong with covariances (frame, d, d), and in which frames."""
    yield from _where("is infinite", np.isinf(covariance))
    variance = covariance.diagonal(axis1=1, axis2=2)
    yield from _where("has a variance below zero", variance < 0.0)
    sigma = np.sqrt(np.nan_to_num(variance))
    uneven = np.abs(covariance - covariance.transpose(0, 2, 1))
    yield from _where("is not symmetric", uneven > SYMMETRIC * sigma[:, :, None] * sigma[:, None] + 1e-30)


def _where(found: str, bad: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    frames = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
    if len(frames):
        yield found, frames
