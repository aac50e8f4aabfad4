"""Body: what moves.  One articulated, skinned body class serves meshes, robots, hands and humans."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np


class JointType(IntEnum):
    """How a link moves relative to its parent.  The root link is always FREE (its pose is the body's pose)."""

    FREE = 0  # root only: 6 degrees of freedom, not part of the joint coordinates
    FIXED = 1  # no coordinate
    HINGE = 2  # one coordinate [rad] about `joint_axes`
    SLIDE = 3  # one coordinate [m] along `joint_axes`
    BALL = 4  # three coordinates: rotation vector [rad]


@dataclass(frozen=True)
class Body:
    """A kinematic tree with a skinned surface, in its rest pose.  Units metres and radians; immutable NumPy arrays.

    Links are sorted so that a parent precedes its children; link 0 is the root.  The transform of a link is
    ``root_from_link = root_from_parent * offset * motion(coordinates)``.  The surface is given in the root frame at
    rest (no joint moved, zero shape) and follows the links by linear blend skinning.  A rigid body is one link.

    Attributes:
        name: unique key of the body in pose files.
        kind: reader that made it: ``mesh``, ``urdf``, ``hand``, ``mano``, ``smpl``, ``skin``, ``vertices``.
        vertices: rest surface in the root frame (vertex, 3) float32 [m].
        faces: triangles, counter-clockwise seen from outside (face, 3) int32.
        link_names: one name per link.
        parents: parent of each link, -1 for the root (link,) int32.
        joint_types: :class:`JointType` of each link (link,) int32.
        joint_offsets: parent_from_joint at rest, position then xyzw quaternion (link, 7) float32.
        joint_axes: unit axis of hinge and slide joints in the joint frame (link, 3) float32.
        coordinate_starts: first joint coordinate of each link, -1 for none (link,) int32.
        coordinate_gains, coordinate_biases: a mimic link moves by ``gain * q + bias``; 1 and 0 otherwise (link,).
        coordinate_names: one name per joint coordinate; ball joints use ``name.x/.y/.z``.
        lower, upper: limits of the joint coordinates, +-inf where there is none (coordinate,) float32.
        skin_links: links each vertex follows (vertex, influence) int32.
        skin_weights: their weights, rows sum to one (vertex, influence) float32.
        shape_directions: surface displacement per shape parameter (vertex, 3, shape) float32.
        joint_shape_directions: displacement of each joint's offset in its parent per shape parameter (link, 3, shape).
        pose_directions: surface displacement per entry of (R - I) of the non-root links, row-major
            (vertex, 3, 9 * (link - 1)) float32, or size zero.
        colors: vertex colours in [0, 1] (vertex, 3) float32, or None.
        closed: the surface is watertight.
        warnings: what the reader repaired, one sentence each.
    """

    name: str
    kind: str
    vertices: np.ndarray
    faces: np.ndarray
    link_names: tuple[str, ...]
    parents: np.ndarray
    joint_types: np.ndarray
    joint_offsets: np.ndarray
    joint_axes: np.ndarray
    coordinate_starts: np.ndarray
    coordinate_gains: np.ndarray
    coordinate_biases: np.ndarray
    coordinate_names: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    skin_links: np.ndarray
    skin_weights: np.ndarray
    shape_directions: np.ndarray
    joint_shape_directions: np.ndarray
    pose_directions: np.ndarray
    colors: np.ndarray | None = None
    closed: bool = True
    warnings: tuple[str, ...] = field(default=())

    @property
    def vertex_count(self) -> int:
        return len(self.vertices)

    @property
    def face_count(self) -> int:
        return len(self.faces)

    @property
    def link_count(self) -> int:
        return len(self.parents)

    @property
    def coordinate_count(self) -> int:
        return len(self.coordinate_names)

    @property
    def shape_count(self) -> int:
        return self.shape_directions.shape[2]

    @property
    def is_rigid(self) -> bool:
        return self.link_count == 1 and self.shape_count == 0


def rigid_body(
    name: str,
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    colors: np.ndarray | None = None,
    closed: bool = True,
    warnings: tuple[str, ...] = (),
) -> Body:
    """A body of one link: surface (vertex, 3) [m] and triangles (face, 3), as given, in the body's own frame."""
    vertex_count = len(vertices)
    return Body(
        name=name,
        kind="mesh",
        vertices=np.ascontiguousarray(vertices, dtype=np.float32),
        faces=np.ascontiguousarray(faces, dtype=np.int32),
        link_names=("root",),
        parents=np.array([-1], dtype=np.int32),
        joint_types=np.array([JointType.FREE], dtype=np.int32),
        joint_offsets=np.array([[0, 0, 0, 0, 0, 0, 1]], dtype=np.float32),
        joint_axes=np.zeros((1, 3), dtype=np.float32),
        coordinate_starts=np.array([-1], dtype=np.int32),
        coordinate_gains=np.ones(1, dtype=np.float32),
        coordinate_biases=np.zeros(1, dtype=np.float32),
        coordinate_names=(),
        lower=np.zeros(0, dtype=np.float32),
        upper=np.zeros(0, dtype=np.float32),
        skin_links=np.zeros((vertex_count, 1), dtype=np.int32),
        skin_weights=np.ones((vertex_count, 1), dtype=np.float32),
        shape_directions=np.zeros((vertex_count, 3, 0), dtype=np.float32),
        joint_shape_directions=np.zeros((1, 3, 0), dtype=np.float32),
        pose_directions=np.zeros((vertex_count, 3, 0), dtype=np.float32),
        colors=colors,
        closed=closed,
        warnings=warnings,
    )
