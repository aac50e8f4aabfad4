"""How every vertex of the estimated bodies moves with the unknowns: built once, evaluated at each linearisation."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.bodies.body import Body, JointType
from warpprior.kernels.shape_motion import differentiate_origins, differentiate_shape
from warpprior.kernels.size_motion import differentiate_size
from warpprior.kernels.surface_motion import differentiate_surface
from warpprior.system.motion import MotionState

FAINT = 1e-4  # skinning weights below this are not worth an entry


class SurfaceMotion:
    """Derivatives of the surfaces of all estimated bodies by joint coordinates, and by shapes and sizes if estimated.

    Roots carry all vertices alike; kernels know how.  Joints carry few, which are listed here: a vertex of a fingertip
    has nine entries, one of a rigid body has none.  Behind them come those of the shape.

    Args:
        motion: of all bodies.
        starts: column of each estimated body's root, by name.
        shape_starts: column of the first shape parameter of each body whose shape is estimated, by name.
        size_columns: of the size of each body whose size is estimated, by name.

    Attributes:
        starts, columns, values: chains of every place, as :class:`warpprior.kernels.rows.System` has them: of the
            vertices of the estimated bodies, and after them of each keypoint that is the origin of a link.
        keypoint_places: for each body with keypoints, their places.
        origin_places: for each body with such keypoints, place and link of each that is the origin of a link
            (origin, 2).
    """

    def __init__(
        self,
        motion: MotionState,
        starts: dict[str, int],
        shape_starts: dict[str, int] | None = None,
        size_columns: dict[str, int] | None = None,
    ):
        self._motion = motion
        self._parts: list[tuple[str, wp.array, wp.array]] = []
        self._shaped: list[_Shaped] = []
        self._sized: list[tuple[str, wp.array]] = []
        shape_starts, size_columns = shape_starts or {}, size_columns or {}
        device = motion.device
        lengths = [np.zeros(motion.assembly.vertex_count if motion.estimated else 0, dtype=np.int64)]
        chain_count = len(lengths[0])
        self.keypoint_places: dict[str, np.ndarray] = {}
        self.origin_places: dict[str, np.ndarray] = {}
        listed = []
        for body in motion.estimated:
            first = motion.first_vertex(body.name)
            shape_count = body.body.shape_count if body.name in shape_starts else int(body.name in size_columns)
            own = lengths[0][first : first + body.body.vertex_count]
            own += shape_count
            if body.body.coordinate_count:
                own += _chain_lengths(body.body, *_moved_vertices(body.body))
            if body.body.keypoints is not None:
                links = np.asarray(body.body.keypoints.links)
                vertices = np.asarray(body.body.keypoints.vertices)
                origins = np.flatnonzero(vertices < 0)
                places = first + vertices
                places[origins] = chain_count + np.arange(len(origins))
                chain_count += len(origins)
                self.keypoint_places[body.name] = places.astype(np.int32)
                if len(origins):
                    self.origin_places[body.name] = np.column_stack([places, links])[origins].astype(np.int32)
                moved = _moved_origins(body.body)[links[origins]]
                lengths.append(_entry_counts(body.body, moved) + shape_count)
                listed.append((body, links[origins], moved))
            else:
                listed.append((body, None, None))
        starts_of_chains = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int32)
        entry_count = int(starts_of_chains[-1])
        entry_columns = np.zeros(max(entry_count, 1), dtype=np.int32)
        chain = len(lengths[0])
        for body, origins, moved in listed:
            model, first = body.body, motion.first_vertex(body.name)
            if body.name in shape_starts:
                places, chains = np.arange(model.vertex_count), first + np.arange(model.vertex_count)
                if origins is not None:
                    places = np.concatenate([places, -1 - origins])
                    chains = np.concatenate([chains, chain + np.arange(len(origins))])
                entries = starts_of_chains[chains + 1] - model.shape_count
                for k in range(model.shape_count):
                    entry_columns[entries + k] = shape_starts[body.name] + k
                self._shaped.append(_Shaped(body.name, np.column_stack([places, entries]), motion))
            elif body.name in size_columns:
                places = chains = first + np.arange(model.vertex_count)
                if origins is not None:
                    places = np.concatenate([places, np.full(len(origins), -1)])
                    chains = np.concatenate([chains, chain + np.arange(len(origins))])
                entries = starts_of_chains[chains + 1] - 1
                entry_columns[entries] = size_columns[body.name]
                table = np.column_stack([places, entries]).astype(np.int32)
                self._sized.append((body.name, wp.array(table, dtype=wp.vec2i, device=device)))
            pairs = []
            if model.coordinate_count:
                vertices, joints = _moved_vertices(model)
                pairs.append((vertices, joints, first + vertices))
            if origins is not None:
                which, joints = np.nonzero(moved)
                pairs.append((-1 - origins[which], joints, chain + which))
                chain += len(origins)
            if not pairs:
                continue
            vertices, joints, chains = (np.concatenate([pair[k] for pair in pairs]) for k in range(3))
            if not len(vertices):
                continue
            entries = starts_of_chains[chains] + _offsets_within(chains, joint_widths(model)[joints])
            starts_here = starts[body.name] + 6 + np.asarray(model.coordinate_starts)[joints]
            for k in range(3):
                wide = joint_widths(model)[joints] > k
                entry_columns[entries[wide] + k] = starts_here[wide] + k
            table = np.column_stack([vertices, joints, entries]).astype(np.int32)
            self._parts.append(
                (
                    body.name,
                    wp.array(table, dtype=wp.vec3i, device=device),
                    wp.array(descendants(model), dtype=wp.int32, device=device),
                )
            )
        self.starts = wp.array(starts_of_chains, dtype=wp.int32, device=device)
        self.columns = wp.array(entry_columns, dtype=wp.int32, device=device)
        shape = (motion.frame_count, len(entry_columns))
        self.values = wp.zeros(shape, dtype=wp.vec3, device=device)

    def update(self) -> None:
        """Evaluate the derivatives at the current motion; launches only."""
        for name, pairs, descends in self._parts:
            model, state = self._motion.models[name], self._motion.states[name]
            rest = state.rest_vertices.reshape((1, -1)) if state.blended is None else state.blended
            differentiate_surface(
                pairs,
                model.tree,
                descends,
                state.joints,
                state.links,
                state.skin,
                rest,
                model.skin_links,
                model.skin_weights,
                values_out=self.values,
            )
        for shaped in self._shaped:
            shaped.update(self._motion, self.values)
        for name, places in self._sized:
            poses = self._motion.states[name].poses
            differentiate_size(places, self._motion.vertices, poses, values_out=self.values)


class _Shaped:
    """Entries of one body's shape parameters.

    Args:
        name: of the body.
        places: vertex, -1 - link for the origin of a link, and first entry of each (place, 2).
        motion: of all bodies.
    """

    def __init__(self, name: str, places: np.ndarray, motion: MotionState):
        self.name = name
        device, body = motion.device, motion.models[name].body
        self.places = wp.array(places.astype(np.int32), dtype=wp.vec2i, device=device)
        shape = (body.link_count, body.shape_count)
        self.origins = wp.zeros((motion.frame_count, *shape), dtype=wp.vec3, device=device)
        self.rest_origins = wp.zeros((1, *shape), dtype=wp.vec3, device=device)
        self.rest_pose = wp.array([wp.transform_identity()], dtype=wp.transform, device=device)

    def update(self, motion: MotionState, values: wp.array) -> None:
        """Evaluate the derivatives at the current motion; launches only."""
        model, own = motion.models[self.name], motion.states[self.name]
        rest_links = own.rest_links.reshape((1, -1))
        tree = (model.tree, model.joint_shape_directions, own.scale)
        differentiate_origins(*tree, self.rest_pose, rest_links, origins_out=self.rest_origins)
        differentiate_origins(*tree, own.poses, own.links, origins_out=self.origins)
        differentiate_shape(
            self.places,
            model.shape_directions,
            own.scale,
            self.origins,
            self.rest_origins,
            own.skin,
            model.skin_links,
            model.skin_weights,
            values_out=values,
        )


def descendants(body: Body) -> np.ndarray:
    """1 where the second link moves with the first (link, link): itself and its descendants."""
    table = np.eye(body.link_count, dtype=np.int32)
    for link in range(1, body.link_count):
        table[:, link] |= table[:, body.parents[link]]
    return table


def joint_widths(body: Body) -> np.ndarray:
    """Coordinates of each joint (link,)."""
    types = np.asarray(body.joint_types)
    return np.where(np.asarray(body.coordinate_starts) < 0, 0, np.where(types == JointType.BALL, 3, 1))


def _moved_vertices(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a vertex and a joint that moves it, by vertex."""
    follows = np.zeros((body.vertex_count, body.link_count), dtype=bool)
    strong = body.skin_weights > FAINT
    owners = np.broadcast_to(np.arange(body.vertex_count)[:, None], strong.shape)
    follows[owners[strong], body.skin_links[strong]] = True
    moved = follows.astype(np.int32) @ descendants(body).T > 0
    vertices, joints = np.nonzero(moved & (joint_widths(body) > 0))
    return vertices, joints


def _moved_origins(body: Body) -> np.ndarray:
    """Whether the origin of the first link moves with the second's joint (link, link)."""
    moved = descendants(body).T.astype(bool) & (joint_widths(body) > 0)
    turns = np.asarray(body.joint_types) != JointType.SLIDE
    moved[np.eye(body.link_count, dtype=bool) & turns] = False  # a joint turns about its own link's origin
    return moved


def _entry_counts(body: Body, moved: np.ndarray) -> np.ndarray:
    """Entries of each row of ``moved`` (row, joint)."""
    return (moved * joint_widths(body)).sum(axis=1)


def _chain_lengths(body: Body, vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Entries of each vertex."""
    return np.bincount(vertices, weights=joint_widths(body)[joints], minlength=body.vertex_count).astype(np.int64)


def _offsets_within(groups: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Where each element starts within its group, groups being contiguous runs of elements of these widths."""
    before = np.cumsum(widths) - widths
    first = np.concatenate([[True], groups[1:] != groups[:-1]])
    return before - np.repeat(before[first], np.diff(np.append(np.flatnonzero(first), len(groups))))
