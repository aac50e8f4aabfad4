"""Sums of a surface's samples by pairs of links, and how they become a part of the equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp
from scipy.sparse import csr_array

from warpprior.bodies.body import Body
from warpprior.kernels import link_blocks, link_motions
from warpprior.kernels.rows import ROWS, System
from warpprior.kernels.slabs import frames_of
from warpprior.render.parts import Part, one_part
from warpprior.scene import SceneBody
from warpprior.system.motion import MotionState
from warpprior.system.surface_motion import FAINT, descendants, joint_widths

NONE = -1


class LinkSums:
    """Where the links of one body carry its vertices, and what samples of its surface add up to.

    One at a time uses the sums, all that concern the body share them.

    Args:
        body: the body; if it is known, or has no joints, one link carries it all.
        motion: of all bodies.

    Attributes:
        bends: joints move its links.
        table: vertex and link of each entry (entry, 2).
        pairs: which block two links have, -1 for none (link, link).
    """

    def __init__(self, body: SceneBody, motion: MotionState):
        self.body, self._motion = body, motion
        self.bends = not body.known and body.body.coordinate_count > 0
        count, frames, device = body.body.link_count if self.bends else 1, motion.frame_count, motion.device
        self.table, shares = np.zeros((0, 2), dtype=np.int32), np.zeros(0, dtype=np.float32)
        self.pairs = np.zeros((1, 1), dtype=np.int32)
        if self.bends:
            self.table, shares = _entries(body.body)
            self.pairs = _pairs(body.body, self.table)
        self._table = wp.array(self.table, dtype=wp.vec2i, device=device)
        carriers = self._carriers = link_blocks.Carriers()
        carriers.poses = motion.states[body.name].poses
        carriers.shares = wp.array(shares, dtype=wp.float32, device=device)
        carriers.pairs = wp.array(self.pairs, dtype=wp.int32, device=device)
        sizes = {
            "moments": (wp.vec3, len(self.table)),
            "blocks": (link_blocks.mat66d, link_blocks.KIND_COUNT, int(self.pairs.max()) + 1),
            "slopes": (link_blocks.vec6d, 2, count),
            "mixed": (link_blocks.mat63d, count),
            "corners": (wp.mat33d,),
            "corner_slopes": (wp.vec3d,),
        }
        self._arrays = {
            name: wp.zeros((frames, *shape), dtype=dtype, device=device) for name, (dtype, *shape) in sizes.items()
        }

    def of_clip(self, part: Part, motion: MotionState) -> LinkSums:
        """Those of one of several clips, whose frames are a part of these and whose motion is ``motion``."""
        clip, carriers = copy(self), link_blocks.Carriers()
        carriers.poses = motion.states[self.body.name].poses
        carriers.shares, carriers.pairs = self._carriers.shares, self._carriers.pairs
        clip._motion, clip._carriers = motion, carriers
        clip._arrays = {name: part.of(array) for name, array in self._arrays.items()}
        return clip

    def carriers(self) -> link_blocks.Carriers:
        """What kernels take, for samples that are not told yet."""
        found = link_blocks.Carriers()
        for name in ("poses", "shares", "pairs"):
            setattr(found, name, getattr(self._carriers, name))
        for name, array in self._arrays.items():
            setattr(found, name, array)
        found.on = 1
        return found

    def update(self) -> None:
        """Find where links carry vertices now; launches only."""
        if not self.bends:
            return
        state = self._motion.states[self.body.name]
        rest = state.rest_vertices.reshape((1, -1)) if state.blended is None else state.blended
        link_blocks.carry_entries(
            self._table,
            self._carriers.shares,
            state.poses,
            state.skin,
            rest,
            moments_out=self._arrays["moments"],
        )

    def clear(self, part: Part, *, steps: bool) -> None:
        """Forget what was added up; residuals between frames (``steps``) depend on nothing that all frames share."""
        own, within = ("blocks", "slopes"), ("mixed", "corners", "corner_slopes")
        for name in own if steps else (*own, *within):
            part.of(self._arrays[name]).zero_()


@dataclass(frozen=True, eq=False)
class _Mover:
    """What turns and shifts some links: the first of its columns, how many there are, and the links."""

    joint: int
    column: int
    width: int
    links: np.ndarray


class LinkSamples:
    """Samples of a body's surface that add up by links.

    Args:
        sums: of the body.
        corners: vertices of the body that each sample lies between (sample, 2 or 3).
        motion: of all bodies.
        starts: column of each estimated body's root, by name.
        against: the rigid body against whose motion that of the samples counts, if any; then residuals are between
            frames, else within them, and may depend on what all frames share.

    Attributes:
        carriers: what kernels take.
    """

    def __init__(
        self,
        sums: LinkSums,
        corners: np.ndarray,
        motion: MotionState,
        starts: dict[str, int],
        *,
        against: SceneBody | None = None,
    ):
        self._sums, self._motion, self._steps = sums, motion, against is not None
        self._against = sums.body if against is None else against
        (self._all,) = one_part(motion.frame_count)
        self._parts: dict[Part, link_blocks.Carriers] = {}
        carriers = self.carriers = sums.carriers()
        device = motion.device
        if sums.bends:
            samples, links, entries = _carried(corners, sums.table, sums.body.body.link_count)
            carriers.starts = wp.array(samples, dtype=wp.int32, device=device)
            carriers.links = wp.array(links, dtype=wp.int32, device=device)
            carriers.entries = wp.array(entries, dtype=wp.vec3i, device=device)
        movers = _movers(sums, starts.get(sums.body.name, NONE))
        if against is not None and against.name in starts:
            movers.append(_Mover(int(link_motions.AGAINST), starts[against.name], 6, np.arange(len(sums.pairs))))
        firsts = np.cumsum([0, *(mover.width for mover in movers)])
        columns = [mover.column + k for mover in movers for k in range(mover.width)]
        table = [(mover.joint, first) for mover, first in zip(movers, firsts[:-1], strict=True)]
        self._movers = wp.array(np.array(table, dtype=np.int32).reshape(-1, 2), dtype=wp.vec2i, device=device)
        self._columns = wp.array(np.array(columns, dtype=np.int32), dtype=wp.int32, device=device)
        shape = (motion.frame_count, len(columns))
        self._motions = wp.zeros(shape, dtype=link_blocks.vec6, device=device)
        tasks, sources = _tasks(movers, firsts, sums.pairs, steps=self._steps)
        layout: Any = link_motions.Task.numpy_dtype()
        self._tasks = wp.array(tasks.view(np.dtype(layout)).reshape(-1), dtype=link_motions.Task, device=device)
        self._sources = wp.array(sources, dtype=wp.int32, device=device)

    def carriers_of(self, part: Part) -> link_blocks.Carriers:
        """What kernels take of some frames."""
        if part.whole:
            return self.carriers
        if part not in self._parts:
            names = link_blocks.CARRIERS_OF_FRAMES
            self._parts[part] = frames_of(link_blocks.Carriers, self.carriers, names, part.of)
        return self._parts[part]

    def gather(
        self,
        system: System,
        launch: Callable[[], None],
        shared: tuple[int, int, int] = (NONE, NONE, NONE),
        part: Part | None = None,
    ) -> None:
        """Run what adds the samples to a system; rows are added up by links, which are followed then; launches only.

        Args:
            system: normal equations or gradients, of the part.
            launch: launches the kernel.
            shared: columns of up to three unknowns that all frames share, in the kernel's order; -1 for none.
            part: frames that it adds; None for all.
        """
        if system.mode != ROWS:
            launch()
            return
        sums, motion = self._sums, self._motion
        part = self._all if part is None else part
        sums.clear(part, steps=self._steps)
        launch()
        state = motion.states[sums.body.name]
        against = motion.states[self._against.name].poses
        link_motions.move_links(
            self._movers,
            motion.models[sums.body.name].tree,
            part.of(state.joints),
            part.of(state.links),
            part.of(state.poses),
            part.of(against),
            motions_out=part.of(self._motions),
        )
        link_motions.follow_links(
            self._tasks,
            self._sources,
            self._columns,
            wp.vec3i(*shared),
            part.of(self._motions),
            self.carriers_of(part),
            hessian_out=system.hessian,
            gradient_out=system.gradient,
        )


def _entries(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Vertex and link (entry, 2), and the vertex's share of it (entry,), by vertex.

    What faint shares there are goes to the strongest: they sum to one.
    """
    count = body.link_count
    owners = np.broadcast_to(np.arange(body.vertex_count)[:, None], body.skin_links.shape)
    keys = (owners.astype(np.int64) * count + body.skin_links).ravel()
    keys, where = np.unique(keys, return_inverse=True)
    shares = np.bincount(where.ravel(), weights=body.skin_weights.astype(float).ravel())
    vertices = keys // count
    strong = shares > FAINT
    lost = np.bincount(vertices, weights=np.where(strong, 0.0, shares), minlength=body.vertex_count)
    order = np.lexsort([-shares, vertices])
    strongest = order[np.searchsorted(vertices, np.arange(body.vertex_count))]
    shares[strongest] += lost
    strong[strongest] = True
    table = np.column_stack([vertices, keys % count])[strong]
    return table.astype(np.int32), shares[strong].astype(np.float32)


def _pairs(body: Body, table: np.ndarray) -> np.ndarray:
    """Numbers of the pairs of links that carry one face, -1 for other pairs (link, link)."""
    face_count, count = len(body.faces), body.link_count
    follows = csr_array((np.ones(len(table)), (table[:, 0], table[:, 1])), shape=(body.vertex_count, count))
    rows = np.repeat(np.arange(face_count), 3)
    corners = csr_array((np.ones(len(rows)), (rows, body.faces.ravel())), shape=(face_count, body.vertex_count))
    carried = corners @ follows
    together = np.zeros((count, count), dtype=bool)
    together[(carried.T @ carried).nonzero()] = True
    return np.where(together, np.cumsum(together).reshape(together.shape) - 1, NONE).astype(np.int32)


def _carried(corners: np.ndarray, table: np.ndarray, link_count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which links carry each sample: where its links start (sample + 1,), these, ascending, and their entries of the
    sample's corners (sample's link, 3), -1 for none.
    """
    starts = np.searchsorted(table[:, 0], np.arange(corners.max(initial=0) + 2))
    counts = starts[corners + 1] - starts[corners]
    samples, places = (axis.ravel() for axis in np.indices(corners.shape))
    total, widths = int(counts.sum()), counts.ravel()
    entries = np.arange(total) - np.repeat(np.cumsum(widths) - widths, widths)
    entries += np.repeat(starts[corners].ravel(), widths)
    samples, places = np.repeat(samples, widths), np.repeat(places, widths)
    keys, where = np.unique(samples.astype(np.int64) * link_count + table[entries, 1], return_inverse=True)
    found = np.full((len(keys), 3), NONE, dtype=np.int32)
    found[where.ravel(), places] = entries
    return np.searchsorted(keys // link_count, np.arange(len(corners) + 1)), keys % link_count, found


def _movers(sums: LinkSums, start: int) -> list[_Mover]:
    """The root and the joints of a body; none if it is known."""
    if start < 0:
        return []
    found = [_Mover(int(link_motions.ROOT), start, 6, np.arange(len(sums.pairs)))]
    body = sums.body.body
    if sums.bends:
        below, widths = descendants(body), joint_widths(body)
        for joint in np.flatnonzero(widths):
            column = start + 6 + int(body.coordinate_starts[joint])
            found.append(_Mover(int(joint), column, int(widths[joint]), np.flatnonzero(below[joint])))
    return found


def _tasks(
    movers: Sequence[_Mover], firsts: np.ndarray, pairs: np.ndarray, *, steps: bool
) -> tuple[np.ndarray, np.ndarray]:
    """What there is to add up, the fields of each task (task, 7), and the blocks or links that each adds up."""
    tasks: list[tuple[int, ...]] = []
    sources: list[np.ndarray] = []
    count = 0

    def add(kind: int, one: int, other: int, which: np.ndarray) -> None:
        nonlocal count
        if len(which):
            spans = int(firsts[one]), int(firsts[one + 1]), int(firsts[other]), int(firsts[other + 1])
            tasks.append((kind, *spans, count, count + len(which)))
            sources.append(which)
            count += len(which)

    for one, mover in enumerate(movers):
        for kind in (link_motions.SLOPE, link_motions.PAST_SLOPE) if steps else (link_motions.SLOPE,):
            add(int(kind), one, one, mover.links)
        if not steps:
            add(int(link_motions.MIXED), one, one, mover.links)
        for other, second in enumerate(movers):
            left, right = np.meshgrid(mover.links, second.links, indexing="ij")
            across = pairs[left, right].ravel()
            if steps:
                add(int(link_blocks.ACROSS), one, other, across[across >= 0])
            if other <= one:
                # Within a frame only the pairs are added up whose first link is not before the second.
                folded = np.where((left >= right).ravel(), across, -1 - pairs[right, left].ravel())[across >= 0]
                for kind in (link_blocks.NOW, link_blocks.PAST) if steps else (link_blocks.NOW,):
                    add(int(kind), one, other, folded)
    if not steps:
        tasks.append((int(link_motions.CORNER), *([0] * 6)))
    table = np.array(tasks, dtype=np.int32).reshape(-1, 7)
    return table, np.concatenate(sources or [[]]).astype(np.int32)
