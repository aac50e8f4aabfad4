"""Pose files: the motion of bodies by name, checked value by value.

Keys are ``<body>/position`` (frame, 3) [m], ``<body>/rotation`` (frame, 4) xyzw or (frame, 3, 3), ``<body>/joints``
(frame, coordinate) [rad or m] with ``<body>/joint_names``, and optionally ``<body>/shape``, ``<body>/scale``,
``<body>/covariance`` (frame, d, d) (:mod:`warpprior.uncertainty`) and ``<body>/imputed`` (frame,).  Poses are
camera_from_body, OpenCV camera.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.readers.conventions import Convention
from warpprior.io.array_files import write_arrays
from warpprior.io.gaps import fill_gaps, fill_rotation_gaps
from warpprior.io.pose_arrays import FAR_M, PoseArrays, far_rows, finite_rows
from warpprior.io.pose_readings import Overlap, likely_readings, middle_depth
from warpprior.io.rotations import MARK_MISSING
from warpprior.io.world_poses import world_arrays
from warpprior.result import Verdict
from warpprior.scene import Poses
from warpprior.support.errors import InputError
from warpprior.support.wording import frame_list
from warpprior.world import World


def load_poses(
    path: str | Path,
    bodies: Iterable[Body],
    *,
    frame_count: int | None = None,
    optional: Iterable[str] = (),
    known: Iterable[str] = (),
    conventions: Mapping[str, Convention] | None = None,
    overlap: Overlap | None = None,
    behind: bool = False,
    notes: list[str] | None = None,
) -> dict[str, Poses]:
    """Read the motion of bodies and mend what can be mended.

    A frame whose pose is not finite, lies beyond 100 m, or puts an estimated body behind the camera, is interpolated
    from its neighbours and flagged in ``Poses.imputed``; so is one whose rotation is all zeros.  Quaternions are
    normalised, joints brought into the body's order and limits; rotation matrices of joints, shape parameters per
    frame and axes of length one are taken as networks write them.  Whatever was done is a warning.

    Args:
        path: an ``.npz`` file.
        bodies: the bodies whose poses are wanted.
        frame_count: frames the file must have; None takes what the first body has.
        optional: names of bodies that may be absent from the file (and then from the answer).
        known: names of bodies that may be behind the camera, for they are not estimated.
        conventions: what the numbers of bodies mean that are not stated in ours, by name.
        overlap: how well a body drawn in some poses covers its label, in [0, 1], or None where nothing shows it: tells
            what poses behind the camera mean, for the message.
        behind: poses that put a body behind the camera in every frame are kept, not refused.
        notes: warnings are appended, one sentence each; None issues them as Python warnings.

    Returns:
        poses by body name, float64.

    Raises:
        InputError: naming file, body, field and frame.
    """
    reader = _Reader(path, frame_count, conventions, overlap, behind=behind)
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


def save_poses(
    path: str | Path,
    poses: dict[str, Poses],
    *,
    bodies: Iterable[Body] = (),
    gaps: bool = False,
    verdicts: Mapping[str, Verdict] | None = None,
    world: World | None = None,
) -> None:
    """Write poses as :func:`load_poses` reads them, atomically.  Covariances may be NaN where nothing is known.

    Args:
        path: an ``.npz`` file.
        poses: motion by body name.
        bodies: give the joint names.
        gaps: NaN may stand for missing poses, as in a truth file.
        verdicts: whether estimates are believed, by body name: ``<body>/doubt``, ``status`` and ``reasons`` (frame,).
        world: where the camera moves, poses in the world are written, too.

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
        if verdicts is not None and name in verdicts:
            verdict = verdicts[name]
            fields |= {"doubt": verdict.doubt, "status": verdict.status, "reasons": verdict.reasons}
        for field, value in fields.items():
            value = np.asarray(value)
            refused = np.isinf if field == "covariance" else _not_finite  # NaN there: nothing is known
            if not gaps and value.dtype.kind == "f" and np.any(refused(value)):
                raise InputError(f"{path}: {name}/{field}", "is not finite", "only finite numbers are written")
            arrays[f"{name}/{field}"] = value
    write_arrays(path, arrays | world_arrays(world, poses))


class _Reader:
    """One pose file being read: each body as it is stated, or mended."""

    def __init__(
        self,
        path: str | Path,
        frame_count: int | None,
        conventions: Mapping[str, Convention] | None,
        overlap: Overlap | None = None,
        *,
        behind: bool = False,
    ):
        self._path, self._overlap, self._behind, self._notes = path, overlap, behind, []
        self._arrays = PoseArrays(path, frame_count, conventions, self._notes)

    def read(self, bodies: list[Body], optional: set[str], read_body) -> dict[str, Poses]:
        self._arrays.note_strangers({body.name for body in bodies})
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
        position, rotation, joints = self._arrays.motion(body, clamp=False)
        missing = ~(finite_rows(position) & finite_rows(rotation) & finite_rows(joints))
        far = np.flatnonzero(far_rows(position))
        if len(far):
            place = f"{self._arrays.place(body.name, 'position')}, {frame_list(far)}"
            accepted = f"needs metres, at most {FAR_M:g}; {MARK_MISSING}"
            raise InputError(place, f"is {np.linalg.norm(position[far[0]]):.4g} m from the camera", accepted)
        if missing.all():
            found = "no frame has a finite pose"
            raise InputError(self._arrays.place(body.name), found, "leave the body out of the file")
        if missing.any():
            self._notes.append(f"{body.name} has no pose in {frame_list(np.flatnonzero(missing))}; not scored there")
            for values in (position, rotation, joints):
                values[missing] = np.nan
        shape, scale = self._arrays.size(body)
        position = self._arrays.root_position(body, position, shape, scale)
        return Poses(position, rotation, joints, shape, scale, self._arrays.covariance(body))

    def mended(self, body: Body, known: bool) -> Poses:
        """Checked and free of gaps."""
        position, rotation, joints = self._arrays.motion(body, clamp=True)
        usable = finite_rows(position) & finite_rows(rotation) & finite_rows(joints)
        if not usable.any():
            found = "no frame has a finite pose"
            raise InputError(self._arrays.place(body.name), found, "needs a rough pose in one frame at least")
        if not usable.all():
            frames = frame_list(np.flatnonzero(~usable))
            self._notes.append(f"{body.name} has no finite pose in {frames}; it was interpolated")
        far = usable & far_rows(position)
        if far.any():
            frames = frame_list(np.flatnonzero(far))
            self._notes.append(f"{body.name} is more than {FAR_M:g} m from the camera in {frames}; it was interpolated")
        usable &= ~far
        shape, scale = self._arrays.size(body)
        position = self._arrays.root_position(body, position, shape, scale)
        usable &= ~self._behind_camera(body, Poses(position, rotation, joints, shape, scale), usable, known)
        stated = self._arrays.imputed(body.name, len(position))
        if not usable.all():
            position, joints = fill_gaps(position, usable), fill_gaps(joints, usable)
            rotation = fill_rotation_gaps(rotation, usable)
        imputed = ~usable if stated is None else ~usable | stated
        covariance = self._arrays.covariance(body)
        return Poses(position, rotation, joints, shape, scale, covariance, imputed if imputed.any() else None)

    def _behind_camera(self, body: Body, motion: Poses, usable: np.ndarray, known: bool) -> np.ndarray:
        """Frames (frame,) bool in which the body's middle is behind the camera."""
        behind = usable & (middle_depth(body, motion) <= 0)
        if not behind.any():
            return behind
        if known:
            self._notes.append(f"{body.name} is behind the camera in {frame_list(np.flatnonzero(behind))}")
            return np.zeros_like(behind)
        if behind[usable].all() and self._behind:
            return np.zeros_like(behind)
        if behind[usable].all():
            frames, stored = np.flatnonzero(usable), self._arrays.has_quaternions(body.name)
            motion = motion.frames(frames)
            accepted = likely_readings(body, motion, frames, quaternions=stored, overlap=self._overlap)
            place = self._arrays.place(body.name, "position")
            raise InputError(place, "is behind the camera in every frame", accepted)
        frames = frame_list(np.flatnonzero(behind))
        self._notes.append(f"{body.name} is behind the camera in {frames}; its pose was interpolated")
        return behind


def _not_finite(values: np.ndarray) -> np.ndarray:
    return ~np.isfinite(values)
