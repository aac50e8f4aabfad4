"""Body: what moves.  One articulated, skinned body class serves meshes, robots, hands and humans."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np

from warpprior.bodies.dynamics import Dynamics
from warpprior.support.arrays import to_numpy

UNIT_TOLERANCE = 1e-3  # of the length of quaternions


class JointType(IntEnum):
    """How a link moves relative to its parent.  The root link is always FREE (its pose is the body's pose)."""

    FREE = 0  # root only: 6 degrees of freedom, not part of the joint coordinates
    FIXED = 1  # no coordinate
    HINGE = 2  # one coordinate [rad] about `joint_axes`
    SLIDE = 3  # one coordinate [m] along `joint_axes`
    BALL = 4  # three coordinates: rotation vector [rad]


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Points of a body that detectors find in pictures: origins of links, and vertices such as fingertips.

    Attributes:
        names: one per keypoint, in the order of keypoint files.
        links: the link whose origin it is; for a vertex, the link it mostly follows (keypoint,) int32.
        vertices: the vertex it is, -1 where it is the link's origin (keypoint,) int32.
    """

    names: tuple[str, ...]
    links: np.ndarray
    vertices: np.ndarray

    @property
    def tips(self) -> np.ndarray:
        """Which are fingertips (keypoint,) bool: those on the skin, and joints named so, as WebXR hands have."""
        return (np.asarray(self.vertices) >= 0) | np.array([name.endswith("tip") for name in self.names], dtype=bool)

    def places(self, links: np.ndarray, surface: np.ndarray) -> np.ndarray:
        """Where the keypoints are (frame, keypoint, 3) [m].

        Args:
            links: poses of the links (frame, link, 7): position [m], then quaternion.
            surface: the body's vertices (frame, vertex, 3) [m].
        """
        vertices = np.asarray(self.vertices)
        return np.where((vertices < 0)[:, None], links[:, self.links, :3], surface[:, vertices])


@dataclass(frozen=True, eq=False)
class PosePrior:
    """A Gaussian on the joint coordinates q: cost (q - mean)' precision (q - mean).

    Attributes:
        mean: (coordinate,) [rad or m].
        precision: symmetric, not negative (coordinate, coordinate).
    """

    mean: np.ndarray
    precision: np.ndarray


@dataclass(frozen=True, eq=False)
class Original:
    """What a body with fewer faces stands for.

    Attributes:
        body: with all faces, in the same frame and with the same links and coordinates.
        away_m: how far any point of either surface at rest is from the other, at most, as measured [m].
    """

    body: Body
    away_m: float


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Body:
    """A kinematic tree with a skinned surface, in its rest pose.  Units metres and radians; immutable NumPy arrays.

    Links are sorted so that a parent precedes its children; link 0 is the root.  The transform of a link is
    ``root_from_link = root_from_parent * offset * motion(coordinates)``.  The surface is given in the root frame at
    rest (no joint moved, zero shape) and follows the links by linear blend skinning.  A rigid body is one link.

    Attributes:
        name: unique key of the body in pose files.
        kind: what made it, a name of :data:`warpprior.bodies.readers.kinds.KINDS`.
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
        side: ``left`` or ``right`` for hands, None for what has no side.
        texture_coordinates: u, v of each corner of each face, v upwards (face, 3, 2) float32, or None.
        keypoints: points that detectors find, in their usual order; see :class:`Keypoints`.
        contact_zones: vertices of named parts that touch things: {"index_pad": (n,) int32}.
        pose_prior: which joint coordinates are likely; see :class:`PosePrior`.
        animation: the surface over time where it is given and follows no links, in the root frame
            (frame, vertex, 3) float32 [m]; ``vertices`` is one moment of it.  None for all other bodies.
        keys: of ``scene.toml`` with which its file has to be read to be this body again, where they are no defaults.
        stands_for: of a body that is computed with instead of one with more faces; see :class:`Original`.
        dynamics: masses and forces that its file states; see :class:`warpprior.bodies.dynamics.Dynamics`.

    Raises:
        ValueError: on construction, when an array has another shape than the others imply, or an index points at
            nothing.  Kernels check neither, so this is the last place that can; readers give users their own words.
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
    side: str | None = None
    texture_coordinates: np.ndarray | None = None
    keypoints: Keypoints | None = None
    contact_zones: dict[str, np.ndarray] = field(default_factory=dict)
    pose_prior: PosePrior | None = None
    animation: np.ndarray | None = None
    keys: dict[str, Any] = field(default_factory=dict)
    stands_for: Original | None = None
    dynamics: Dynamics | None = None

    def __post_init__(self):
        check_body(self)

    @property
    def vertex_count(self) -> int:
        """Vertices of the surface."""
        return len(self.vertices)

    @property
    def keypoint_count(self) -> int:
        """Named points; none for most bodies."""
        return 0 if self.keypoints is None else len(self.keypoints.names)

    @property
    def face_count(self) -> int:
        """Triangles of the surface."""
        return len(self.faces)

    @property
    def link_count(self) -> int:
        """Links of the tree, the root among them."""
        return len(self.parents)

    @property
    def coordinate_count(self) -> int:
        """Joint coordinates; the pose of the root is not among them."""
        return len(self.coordinate_names)

    @property
    def shape_count(self) -> int:
        """Shape parameters; none for most bodies."""
        return self.shape_directions.shape[2]

    @property
    def is_rigid(self) -> bool:
        """One link, one shape, no animation: its pose says all about where its surface is."""
        return self.link_count == 1 and self.shape_count == 0 and self.animation is None

    @property
    def surfaces(self) -> np.ndarray:
        """The surface at rest, or at each moment of the animation (1 or frame, vertex, 3) float32 [m], root frame."""
        return self.vertices[None] if self.animation is None else self.animation

    def first_moments(self, count: int) -> Body:
        """The same body with the first ``count`` moments of its animation; itself without one."""
        return self if self.animation is None else replace(self, animation=self.animation[:count])


def with_vertices(body: Body, used: np.ndarray) -> Body:
    """The same body with some of its vertices (vertex,) int alone, which is soon posed; it has no surface any more."""
    return replace(
        body,
        vertices=body.vertices[used],
        faces=np.zeros((1, 3), dtype=np.int32),
        skin_links=body.skin_links[used],
        skin_weights=body.skin_weights[used],
        shape_directions=body.shape_directions[used],
        pose_directions=body.pose_directions[used],
        colors=None,
        texture_coordinates=None,
        contact_zones={},
        keypoints=None,
    )


@lru_cache(maxsize=64)
def keypoint_body(body: Body) -> Body:
    """The same body with the vertices alone that its keypoints are, which is soon posed; itself if it is animated.

    Args:
        body: with keypoints.
    """
    keypoints = body.keypoints
    assert keypoints is not None, "it is what is asked about"
    if body.animation is not None:
        return body
    vertices = np.asarray(keypoints.vertices)
    used = np.unique(np.append(vertices[vertices >= 0], 0))
    places = np.where(vertices >= 0, np.searchsorted(used, vertices), -1)
    kept = replace(keypoints, vertices=places.astype(np.int32))
    return replace(with_vertices(body, used), keypoints=kept)


def check_body(body: Body) -> None:
    """Shapes, index ranges and values that kernels rely on.

    Raises:
        ValueError: names the body and the field.
    """
    vertex, link, coordinate = body.vertex_count, body.link_count, body.coordinate_count
    shape, influence = body.shape_directions.shape[-1], body.skin_links.shape[-1]
    features = body.pose_directions.shape[-1]
    shapes = {
        "vertices": (vertex, 3),
        "faces": (body.face_count, 3),
        "link_names": (link,),
        "joint_types": (link,),
        "joint_offsets": (link, 7),
        "joint_axes": (link, 3),
        "coordinate_starts": (link,),
        "coordinate_gains": (link,),
        "coordinate_biases": (link,),
        "lower": (coordinate,),
        "upper": (coordinate,),
        "skin_links": (vertex, influence),
        "skin_weights": (vertex, influence),
        "shape_directions": (vertex, 3, shape),
        "joint_shape_directions": (link, 3, shape),
        "pose_directions": (vertex, 3, features),
    }

    def require(good, field_name: str, problem: str) -> None:
        if not good:
            raise ValueError(f"body {body.name!r}: {field_name} {problem}")

    for name, wanted in shapes.items():
        found = np.shape(getattr(body, name))
        require(found == wanted, name, f"has shape {found}, needs {wanted}")
    require(body.colors is None or np.shape(body.colors) == (vertex, 3), "colors", f"needs shape {(vertex, 3)}")
    require(link >= 1, "parents", "is empty")
    require(features in (0, 9 * (link - 1)), "pose_directions", f"needs 9 per non-root link, or none, not {features}")
    for name in ("vertices", "joint_offsets", "skin_weights", "shape_directions", "pose_directions"):
        require(np.isfinite(getattr(body, name)).all(), name, "is not finite")
    parents = np.asarray(body.parents)
    ordered = parents[0] == -1 and ((parents[1:] >= 0) & (parents[1:] < np.arange(1, link))).all()
    require(ordered, "parents", "must begin with -1 and name an earlier link after that")
    moving = np.isin(body.joint_types[1:], [JointType.FIXED, JointType.HINGE, JointType.SLIDE, JointType.BALL])
    require(body.joint_types[0] == JointType.FREE and moving.all(), "joint_types", "must be FREE for the root only")
    starts = np.asarray(body.coordinate_starts)
    ends = starts + np.where(np.asarray(body.joint_types) == JointType.BALL, 3, 1)
    require(((starts >= -1) & (ends <= coordinate))[starts != -1].all(), "coordinate_starts", "exceeds the coordinates")
    for name, count in (("faces", vertex), ("skin_links", link)):
        values = getattr(body, name)
        require(values.size == 0 or (values.min() >= 0 and values.max() < count), name, f"must lie in [0, {count})")
    weights = body.skin_weights
    _check_extras(body, require)
    require((weights >= 0.0).all(), "skin_weights", "must not be negative")
    require(np.allclose(weights.sum(axis=1), 1.0, atol=1e-3), "skin_weights", "must sum to one for each vertex")


def _check_extras(body: Body, require) -> None:
    """Fields that only some bodies have."""
    require(body.side in (None, "left", "right"), "side", f"is {body.side!r}, needs left, right or None")
    corners = body.texture_coordinates
    require(
        corners is None or np.shape(corners) == (body.face_count, 3, 2), "texture_coordinates", "needs (face, 3, 2)"
    )
    if body.keypoints is not None:
        count = len(body.keypoints.names)
        for name, low, high in (("links", 0, body.link_count), ("vertices", -1, body.vertex_count)):
            values = np.asarray(getattr(body.keypoints, name))
            good = values.shape == (count,) and ((values >= low) & (values < high)).all()
            require(good, f"keypoints.{name}", f"needs {count} numbers in [{low}, {high})")
    for name, values in body.contact_zones.items():
        good = ((np.asarray(values) >= 0) & (np.asarray(values) < body.vertex_count)).all()
        require(good, f"contact_zones[{name!r}]", f"must lie in [0, {body.vertex_count})")
    if body.dynamics is not None:
        counts = {len(body.dynamics.masses), *(len(values) for values in vars(body.dynamics.forces).values())}
        require(counts == {body.link_count}, "dynamics", f"needs {body.link_count} of each")
    if body.pose_prior is not None:
        n = body.coordinate_count
        good = np.shape(body.pose_prior.mean) == (n,) and np.shape(body.pose_prior.precision) == (n, n)
        require(good, "pose_prior", f"needs a mean of {n} and a precision of {n} x {n}")
    if body.animation is not None:
        shape = np.shape(body.animation)
        good = len(shape) == 3 and shape[0] > 0 and shape[1:] == (body.vertex_count, 3)
        require(good, "animation", f"has shape {shape}, needs (frame, {body.vertex_count}, 3)")
        require(np.isfinite(body.animation).all(), "animation", "is not finite")
        require(body.link_count == 1 and body.shape_count == 0, "animation", "needs one link and no shape parameters")


def rigid_body(
    name: str,
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    colors: np.ndarray | None = None,
    closed: bool = True,
    warnings: tuple[str, ...] = (),
) -> Body:
    """A body of one link, its surface as given; :func:`read_mesh` repairs what it reads, this does not.

    Args:
        name: unique key of the body in pose files.
        vertices: in the body's own frame (vertex, 3) [m].
        faces: triangles, counter-clockwise seen from outside (face, 3).
        colors: vertex colours in [0, 1] (vertex, 3), or None.
        closed: the surface has an inside.
        warnings: sentences about the surface, for the report.

    Arrays may be any that :mod:`warpprior.support.arrays` takes; those that fit as they are keep their memory.

    Raises:
        InputError: not numbers, or a torch tensor that requires grad.
        ValueError: arrays do not fit together, are not finite, or name vertices that are not there.
    """
    where = f"body {name!r}"
    vertices, faces = to_numpy(vertices, f"{where}: vertices"), to_numpy(faces, f"{where}: faces")
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
        colors=None if colors is None else to_numpy(colors, f"{where}: colors"),
        closed=closed,
        warnings=warnings,
    )
