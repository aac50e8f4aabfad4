"""Pose files: the motion of bodies by name, checked value by value.

Keys are ``<body>/position`` (frame, 3) [m], ``<body>/rotation`` (frame, 4) xyzw or (frame, 3, 3), ``<body>/joints``
(frame, coordinate) [rad or m] with ``<body>/joint_names``, and optionally ``<body>/shape``, ``<body>/scale``,
``<body>/covariance`` (frame, d, d) (:mod:`warpprior.uncertainty`) and ``<body>/imputed`` (frame,).  Poses are
camera_from_body, OpenCV camera.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.readers.conventions import Convention
from warpprior.bodies.readers.mesh import MAX_EXTENT, MIN_EXTENT
from warpprior.io.array_files import read_arrays, write_arrays
from warpprior.io.coordinates import read_joints
from warpprior.io.gaps import fill_gaps, fill_rotation_gaps
from warpprior.io.rotations import read_rotations
from warpprior.io.wording import frame_list, nearest
from warpprior.scene import Poses
from warpprior.support.errors import InputError

FIELDS = ("position", "rotation", "joints", "joint_names", "shape", "scale", "covariance", "imputed")
FAR_M = 100.0
SYMMETRIC = 1e-5  # of correlations: covariances may be stored in single precision


def load_poses(
    path: str | Path,
    bodies: Iterable[Body],
    *,
    frame_count: int | None = None,
    optional: Iterable[str] = (),
    known: Iterable[str] = (),
    conventions: Mapping[str, Convention] | None = None,
    notes: list[str] | None = None,
) -> dict[str, Poses]:
    """Read the motion of bodies and mend what can be mended.

    A frame whose pose is not finite, lies beyond 100 m, or puts an estimated body behind the camera, is interpolated
    from its neighbours and flagged in ``Poses.imputed``.  Quaternions are normalised, joints brought into the body's
    order and limits.

    Args:
        path: an ``.npz`` file.
        bodies: the bodies whose poses are wanted.
        frame_count: frames the file must have; None takes what the first body has.
        optional: names of bodies that may be absent from the file (and then from the answer).
        known: names of bodies that may be behind the camera, for they are not estimated.
        conventions: what the numbers of bodies mean that are not stated in ours, by name.
        notes: warnings are appended, one sentence each; None issues them as Python warnings.

    Returns:
        poses by body name, float64.

    Raises:
        InputError: naming file, body, field and frame.
    """
    reader = _Reader(path, frame_count, conventions)
    known = set(known)
    poses = reader.read(list(bodies), set(optional), lambda body: reader.mended(body, body.name in known))
    reader.pass_on(notes)
    return poses


def load_truth(
    path: str | Path,
    bodies: Iterable[Body],
    *,
    frame_count: int | None = None,
    conventions: Mapping[str, Convention] | None = None,
    notes: list[str] | None = None,
) -> dict[str, Poses]:
    """Read the true motion of those bodies the file has.  Frames that are not finite stay NaN: they are not scored.

    Arguments, answer and errors as :func:`load_poses`.
    """
    reader = _Reader(path, frame_count, conventions)
    bodies = list(bodies)
    poses = reader.read(bodies, {body.name for body in bodies}, reader.as_stated)
    if not poses:
        raise InputError(str(path), f"has none of the bodies {[b.name for b in bodies]}", "keys are <body>/position")
    reader.pass_on(notes)
    return poses


def save_poses(path: str | Path, poses: dict[str, Poses], *, bodies: Iterable[Body] = (), gaps: bool = False) -> None:
    """Write poses as :func:`load_poses` reads them, atomically.  Covariances may be NaN where nothing is known.

    Args:
        path: an ``.npz`` file.
        poses: motion by body name.
        bodies: give the joint names.
        gaps: NaN may stand for missing poses, as in a truth file.

    Raises:
        InputError: a value is not finite.
        RunError: the file system refused.
    """
    names = {body.name: body.coordinate_names for body in bodies}
    arrays = {}
    for name, motion in poses.items():
        fields = {"position": motion.position, "rotation": motion.rotation}
        if motion.joints.shape[1]:
            fields["joints"] = motion.joints
            if name in names:
                fields["joint_names"] = np.array(names[name], dtype=np.str_)
        if len(motion.shape):
            fields["shape"] = motion.shape
        if motion.scale != 1.0:
            fields["scale"] = np.array(motion.scale, dtype=np.float64)
        if motion.covariance is not None:
            fields["covariance"] = motion.covariance
        if motion.imputed is not None and motion.imputed.any():
            fields["imputed"] = motion.imputed
        for field, value in fields.items():
            value = np.asarray(value)
            refused = np.isinf if field == "covariance" else _not_finite  # NaN there: nothing is known
            if not gaps and value.dtype.kind == "f" and np.any(refused(value)):
                raise InputError(f"{path}: {name}/{field}", "is not finite", "only finite numbers are written")
            arrays[f"{name}/{field}"] = value
    write_arrays(path, arrays)


class _Reader:
    """One pose file being read."""

    def __init__(self, path: str | Path, frame_count: int | None, conventions: Mapping[str, Convention] | None):
        self._path, self._frame_count, self._conventions = path, frame_count, conventions or {}
        self._arrays = read_arrays(path, frame_count=frame_count)
        self._notes: list[str] = []

    def read(self, bodies: list[Body], optional: set[str], read_body) -> dict[str, Poses]:
        self._note_strangers({body.name for body in bodies})
        poses = {}
        for body in bodies:
            if f"{body.name}/position" in self._arrays or body.name not in optional:
                poses[body.name] = read_body(body)
        return poses

    def pass_on(self, notes: list[str] | None) -> None:
        name = Path(self._path).name
        for note in self._notes:
            if notes is None:
                warnings.warn(f"{name}: {note}", stacklevel=4)
            else:
                notes.append(f"{name}: {note}")

    def as_stated(self, body: Body) -> Poses:
        """Checked for form only; frames with any value that is not finite become NaN throughout."""
        position, rotation, joints = self._read_fields(body, clamp=False)
        missing = ~(_finite_rows(position) & _finite_rows(rotation) & _finite_rows(joints))
        far = np.flatnonzero(_far_rows(position))
        if len(far):
            place = f"{self._place(body.name, 'position')}, {frame_list(far)}"
            accepted = f"needs metres, at most {FAR_M:g}; mark a missing pose with NaN"
            raise InputError(place, f"is {np.linalg.norm(position[far[0]]):.4g} m from the camera", accepted)
        if missing.all():
            raise InputError(self._place(body.name), "no frame has a finite pose", "leave the body out of the file")
        if missing.any():
            self._notes.append(f"{body.name} has no pose in {frame_list(np.flatnonzero(missing))}; not scored there")
            for values in (position, rotation, joints):
                values[missing] = np.nan
        shape, scale = self._read_size(body)
        if body.name in self._conventions:
            position = self._conventions[body.name].position(position, shape, scale)
        return Poses(position, rotation, joints, shape, scale, self._read_covariance(body))

    def mended(self, body: Body, known: bool) -> Poses:
        """Checked and free of gaps."""
        position, rotation, joints = self._read_fields(body, clamp=True)
        usable = _finite_rows(position) & _finite_rows(rotation) & _finite_rows(joints)
        if not usable.any():
            found = "no frame has a finite pose"
            raise InputError(self._place(body.name), found, "needs a rough pose in one frame at least")
        if not usable.all():
            frames = frame_list(np.flatnonzero(~usable))
            self._notes.append(f"{body.name} has no finite pose in {frames}; it was interpolated")
        far = usable & _far_rows(position)
        if far.any():
            frames = frame_list(np.flatnonzero(far))
            self._notes.append(f"{body.name} is more than {FAR_M:g} m from the camera in {frames}; it was interpolated")
        usable &= ~far
        shape, scale = self._read_size(body)
        if body.name in self._conventions:
            position = self._conventions[body.name].position(position, shape, scale)
        usable &= ~self._behind_camera(body, scale, position, rotation, usable, known)
        stated = self._read_if_any("imputed", body.name, (len(position),), "b?")
        if not usable.all():
            position, joints = fill_gaps(position, usable), fill_gaps(joints, usable)
            rotation = fill_rotation_gaps(rotation, usable)
        imputed = ~usable if stated is None else ~usable | stated.astype(bool)
        covariance = self._read_covariance(body)
        return Poses(position, rotation, joints, shape, scale, covariance, imputed if imputed.any() else None)

    def _place(self, name: str, field: str = "") -> str:
        return f"{self._path}: {name}/{field}" if field else f"{self._path}: {name}"

    def _note_strangers(self, names: set[str]) -> None:
        strangers = sorted({key.partition("/")[0] for key in self._arrays} - names)
        if strangers:
            self._notes.append(f"holds {', '.join(strangers)}, which no body is called; ignored")
        for key in self._arrays:
            name, _, field = key.partition("/")
            if name in names and field not in FIELDS:
                self._notes.append(f"{key} is not a known field ({nearest(field, FIELDS)}ignored)")

    def _read_if_any(self, field: str, name: str, shape: tuple, kinds: str = "fiu") -> np.ndarray | None:
        """One field as stored, or None where the file does not have it."""
        return self._read(field, name, shape, kinds) if f"{name}/{field}" in self._arrays else None

    def _read(self, field: str, name: str, shape: tuple, kinds: str = "fiu") -> np.ndarray:
        """One field as stored; shape entries of None take any size."""
        key = f"{name}/{field}"
        if key not in self._arrays:
            present = sorted(self._arrays)
            shown = ", ".join(present[:12]) + (", ..." if len(present) > 12 else "")
            raise InputError(self._place(name, field), "is missing", f"{nearest(key, present)}the file has: {shown}")
        value = self._arrays[key]
        if value.dtype.kind not in kinds:
            raise InputError(self._place(name, field), f"has values of type {value.dtype}", "needs plain numbers")
        fits = value.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, value.shape, strict=True))
        if not fits:
            wanted = "(" + ", ".join("n" if n is None else str(n) for n in shape) + ")"
            raise InputError(self._place(name, field), f"has shape {value.shape}", f"needs shape {wanted}")
        return value

    def _read_fields(self, body: Body, *, clamp: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position, rotation and joints, float64, with the same number of frames; NaN rows allowed."""
        position = self._read("position", body.name, (None, 3)).astype(np.float64)
        if self._frame_count is None:
            self._frame_count = len(position)
        count = self._frame_count
        for field in ("position", "rotation", "joints"):
            value = self._arrays.get(f"{body.name}/{field}")
            if value is not None and (value.ndim == 0 or len(value) != count):
                found = f"has {len(value) if value.ndim else 'no'} frames"
                raise InputError(self._place(body.name, field), found, f"the sequence has {count}")
        if count == 0:
            raise InputError(self._place(body.name), "has no frame", "needs one frame at least")
        far = _far_rows(position[_finite_rows(position)])
        if len(far) and np.mean(far) >= 0.5:
            distance = np.median(np.abs(position[_finite_rows(position)]).max(axis=1))
            found = f"is {distance:.4g} m from the camera (median)"
            raise InputError(self._place(body.name, "position"), found, "needs metres; these look like millimetres")
        place, notes = self._place(body.name, "rotation"), self._notes
        stored = self._arrays.get(f"{body.name}/rotation")
        matrices = stored is not None and stored.ndim == 3
        if stored is not None and stored.ndim == 2 and stored.shape[1] == 3:
            accepted = "needs quaternions (frame, 4) in the order x, y, z, w, or matrices (frame, 3, 3)"
            raise InputError(place, f"has shape {stored.shape}, like Euler angles or rotation vectors", accepted)
        stored = self._read("rotation", body.name, (None, 3, 3) if matrices else (None, 4))
        rotation = read_rotations(stored.astype(np.float64), body.name, place, notes)
        read = self._read if body.coordinate_count else self._read_if_any
        joints = read("joints", body.name, (None, None))
        names = self._arrays.get(f"{body.name}/joint_names")
        if joints is not None and body.name in self._conventions:
            joints = self._conventions[body.name].joints(joints, names, self._place(body.name, "joints"))
        return position, rotation, read_joints(joints, names, body, count, self._place(body.name), notes, clamp=clamp)

    def _read_size(self, body: Body) -> tuple[np.ndarray, float]:
        shape = self._read_if_any("shape", body.name, (None,))
        if shape is None or (body.shape_count == 0 and len(shape)):
            if shape is not None:
                self._notes.append(f"{body.name}/shape is ignored: the model has no shape parameters")
            shape = np.zeros(body.shape_count)
        if len(shape) != body.shape_count or not np.all(np.isfinite(shape)):
            found = f"has {len(shape)} values, {np.isfinite(shape).sum()} of them finite"
            raise InputError(self._place(body.name, "shape"), found, f"needs {body.shape_count} finite numbers")
        if np.any(np.abs(shape) > 5):
            self._notes.append(f"{body.name}/shape reaches {np.abs(shape).max():.1f} sigma: hardly a real shape")
        scale = self._read_if_any("scale", body.name, ())
        if scale is None:
            return shape.astype(np.float64), 1.0
        if not (np.isfinite(scale) and scale > 0):
            raise InputError(self._place(body.name, "scale"), f"is {scale}", "needs a finite number above zero")
        extent = float(scale) * float(np.ptp(body.vertices, axis=0).max())
        if not MIN_EXTENT <= extent <= MAX_EXTENT:
            found = f"is {scale}, which makes {body.name} {extent:.4g} m large"
            raise InputError(self._place(body.name, "scale"), found, "sizes from 1 mm to 5 m are accepted")
        return shape.astype(np.float64), float(scale)

    def _read_covariance(self, body: Body) -> np.ndarray | None:
        """Error covariance (frame, d, d) float64 in the order of the body's joints; NaN says not observable."""
        covariance = self._read_if_any("covariance", body.name, (self._frame_count, None, None))
        if covariance is None:
            return None
        if body.name in self._conventions and self._conventions[body.name].pca is not None:
            self._notes.append(f"{body.name}/covariance is ignored: it is not of joint coordinates")
            return None
        place, accepted = self._place(body.name, "covariance"), "needs (frame, d, d), d = 6 + joint coordinates"
        names = self._arrays.get(f"{body.name}/joint_names")
        stated = list(body.coordinate_names if names is None or not body.coordinate_count else names)
        if covariance.shape[1:] != (6 + len(stated),) * 2:
            raise InputError(place, f"has shape {covariance.shape}", f"{accepted}, here {6 + len(stated)}")
        covariance = covariance.astype(np.float64)
        for found, frames in _covariance_faults(covariance):
            words = "needs symmetric matrices of numbers, NaN where nothing is known"
            raise InputError(f"{place}, {frame_list(frames)}", found, words)
        order = [*range(6), *(6 + stated.index(name) for name in body.coordinate_names)]
        return covariance[:, order][:, :, order]

    def _behind_camera(self, body, scale, position, rotation, usable, known: bool) -> np.ndarray:
        """Frames (frame,) bool in which the body's middle is behind the camera."""
        x, y, z, w = rotation.T
        axis_z = np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], axis=1)
        middle = 0.5 * scale * (body.surfaces.min(1) + body.surfaces.max(1)).astype(np.float64)
        behind = usable & (position[:, 2] + np.sum(axis_z * middle, axis=1) <= 0)
        if not behind.any():
            return behind
        if known:
            self._notes.append(f"{body.name} is behind the camera in {frame_list(np.flatnonzero(behind))}")
            return np.zeros_like(behind)
        if behind[usable].all():
            accepted = "z points forward; these look like OpenGL poses, multiply them by diag(1, -1, -1) from the left"
            raise InputError(self._place(body.name, "position"), "is behind the camera in every frame", accepted)
        frames = frame_list(np.flatnonzero(behind))
        self._notes.append(f"{body.name} is behind the camera in {frames}; its pose was interpolated")
        return behind


def _not_finite(values: np.ndarray) -> np.ndarray:
    return ~np.isfinite(values)


def _finite_rows(values: np.ndarray) -> np.ndarray:
    return np.all(np.isfinite(values), axis=1)


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


def _far_rows(position: np.ndarray) -> np.ndarray:
    """Frames (frame,) bool farther away along some axis than anything a camera like ours could resolve."""
    return np.any(np.abs(position) > FAR_M, axis=1)
