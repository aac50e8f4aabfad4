"""What the priors share: their contract, checks of their settings, and numbers that stand for a surface."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Protocol

import numpy as np
import warp as wp

from warpprior.bodies import Body, JointType
from warpprior.support.errors import InputError

if TYPE_CHECKING:
    from warpprior.system.motion import MotionState


class Prior(Protocol):
    """One term of the energy.

    Attributes:
        name: row of the history: the term, then the bodies it concerns.
        unit: what one row of it is counted in, ``sigma^2`` for normalised terms.
    """

    name: str
    unit: str

    def freeze(self, state: MotionState) -> None:
        """Refresh what gradients do not flow through: correspondences, contacts, weights.  Not taped."""

    def evaluate(self, state: MotionState, rows: wp.array, row: int) -> None:
        """Add each frame's value to ``rows[row, frame]`` [term, frame] float32.  Taped: launches only."""


def check_positive(term: str, settings, *, zero_allowed: tuple[str, ...] = ()) -> None:
    """Every number of a settings dataclass is finite and positive, or zero where that is allowed.

    Raises:
        InputError: names the term, the setting and its value.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, bool):
            continue
        least = "zero or more" if field.name in zero_allowed else "positive"
        number = isinstance(value, (int, float)) and math.isfinite(value)
        if not number or value < 0.0 or (value == 0.0 and field.name not in zero_allowed):
            raise InputError(f"{term}: {field.name}", f"{value!r}", f"a finite number, {least}")


def single(value: float, device) -> wp.array:
    """A setting that may change while graphs replay: a device array of one float32."""
    return wp.full(1, float(value), dtype=wp.float32, device=device)


def surface_moments(body: Body, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Centroid (3,) [m] and covariance (3, 3) [m^2] of a body's rest surface, every part weighted by its area."""
    corners = scale * body.vertices[body.faces].astype(np.float64)
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    shares = areas / areas.sum()
    middles = corners.mean(axis=1)
    centroid = shares @ middles
    corners, middles = corners - centroid, middles - centroid
    # Exact second moment of a triangle: a twelfth of its corners' and nine of its middle's.
    squares = np.einsum("fcx,fcy->fxy", corners, corners) + 9.0 * np.einsum("fx,fy->fxy", middles, middles)
    return centroid, np.einsum("f,fxy->xy", shares, squares) / 12.0


def vertex_moments(body: Body, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Centroid (3,) [m] and covariance (3, 3) [m^2] of a body's rest vertices, each counted once."""
    vertices = scale * body.vertices.astype(np.float64)
    centroid = vertices.mean(axis=0)
    return centroid, (vertices - centroid).T @ (vertices - centroid) / len(vertices)


def frame_intervals(term: str, dt, frame_count: int, device) -> wp.array:
    """Time since the previous frame in nominal intervals [frame] float32; None is 1 everywhere.

    Raises:
        InputError: not one positive finite number per frame.
    """
    dt = np.ones(frame_count) if dt is None else np.asarray(dt, dtype=np.float64)
    if dt.shape != (frame_count,):
        raise InputError(f"{term}: dt", f"shape {dt.shape}", f"one number for each of the {frame_count} frames")
    bad = np.flatnonzero(~(np.isfinite(dt) & (dt > 0.0)))
    if len(bad):
        raise InputError(f"{term}: dt of frame {bad[0]}", f"{dt[bad[0]]}", "a positive number of frame intervals")
    return wp.array(dt.astype(np.float32), dtype=wp.float32, device=device)


class MotionPrior:
    """Penalty on the motion of one body: of its surface where it is rigid, else of its root and joints.

    Consistency and smoothness derive from it and choose the launches.

    Args:
        body: the body.
        frame_count: number of frames.
        settings: ``sigma_m``, ``sigma_rad`` and ``literal``, a dataclass of the term's own.
        dt: time since the previous frame in nominal frame intervals (frame,); None is 1 everywhere.
        scale: size factor of the rest surface.
        device: a Warp device or its name.

    Attributes:
        sigma, sigma_rotation, joint_sigmas: the sigmas on the device [1], [1], [coordinate] float32; may be changed
            between iterations.

    Raises:
        InputError: ``dt`` is not one positive number per frame.
    """

    term: str
    settings: type
    add_rigid: staticmethod
    add_root: staticmethod
    add_joints: staticmethod

    def __init__(
        self,
        body: Body,
        frame_count: int,
        settings=None,
        *,
        dt: np.ndarray | None = None,
        scale: float = 1.0,
        device="cpu",
    ):
        settings = self.settings() if settings is None else settings
        self.name, self.body = f"{self.term} {body.name}", body.name
        self.unit = "m^2, rad^2" if settings.literal else "sigma^2"
        self.rigid = body.is_rigid
        sigma, sigma_rotation, sigma_joint = settings.sigma_m, settings.sigma_rad, settings.sigma_rad
        if settings.literal:
            # These make the normalised values, means of (x / sigma)^2 / 2, plain sums of squares.
            sigma = (2.0 * (body.vertex_count if self.rigid else 1)) ** -0.5
            sigma_rotation, sigma_joint = 0.5**0.5, (2.0 * max(body.coordinate_count, 1)) ** -0.5
        self.sigma, self.sigma_rotation = single(sigma, device), single(sigma_rotation, device)
        joint_sigmas = np.full(body.coordinate_count, sigma_joint, dtype=np.float32)
        if not settings.literal:
            slides = (body.joint_types == JointType.SLIDE) & (body.coordinate_starts >= 0)
            joint_sigmas[body.coordinate_starts[slides]] = sigma
        self.joint_sigmas = wp.array(joint_sigmas, dtype=wp.float32, device=device)
        centroid, covariance = vertex_moments(body, scale) if settings.literal else surface_moments(body, scale)
        self._centroid, self._covariance = wp.vec3(*centroid), wp.mat33(*covariance.ravel())
        self._dt = frame_intervals(self.term, dt, frame_count, device)

    def freeze(self, state: MotionState) -> None:
        """Nothing is frozen."""

    def evaluate(self, state: MotionState, rows: wp.array, row: int) -> None:
        """Add each frame's value to ``rows[row]``; gradients to poses and joints."""
        common = {"segment": state.segments, "dt": self._dt, "row": row, "rows_out": rows}
        poses, joints = state.poses[self.body], state.joints[self.body]
        if self.rigid:
            moments = {"centroid": self._centroid, "covariance": self._covariance}
            self.add_rigid(poses, sigma=self.sigma, **moments, **common)
            return
        self.add_root(poses, position_sigma=self.sigma, rotation_sigma=self.sigma_rotation, **common)
        if joints.shape[1]:
            self.add_joints(joints, sigmas=self.joint_sigmas, **common)
