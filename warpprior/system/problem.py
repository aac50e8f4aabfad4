"""What all terms share: the motion, what was observed, the unknowns and their equations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import ClassVar, Protocol, cast

import numpy as np
import warp as wp

from warpprior.geometry.bending_surface import SurfaceQuery
from warpprior.kernels.camera_motion import Viewer
from warpprior.kernels.robust import Scale
from warpprior.kernels.rows import COSTS, GRADIENT, ROWS, SYSTEM_OF_FRAMES, PointBody, System
from warpprior.kernels.slabs import frames_of, only_in, runs_of
from warpprior.kernels.world_motion import Pair
from warpprior.observations import channel
from warpprior.render.parts import Part
from warpprior.scene import SceneBody
from warpprior.system.contacts import BodyContacts, point_body
from warpprior.system.drawings import Drawings
from warpprior.system.equations import Equations
from warpprior.system.holding import Holding
from warpprior.system.link_blocks import LinkSums
from warpprior.system.motion import MotionState
from warpprior.system.moving_camera import columns_of
from warpprior.system.observed import ObservedPicture
from warpprior.system.overlap import Overlap
from warpprior.system.shared_unknowns import SharedUnknowns
from warpprior.system.stage import Stage
from warpprior.system.surface_motion import SurfaceMotion
from warpprior.system.unknown_settings import UnknownSettings

CPU_LANES, GPU_LANES = 64, 1024  # threads of a frame that may gather rows at a time, as documented


class ProblemTerm(Protocol):
    """What a problem asks of a term before it is bound."""

    compares_labels: ClassVar[bool]
    draws: ClassVar[bool]


class BoundRows(Protocol):
    """What a problem asks of a bound term."""

    in_parts: bool
    costs: wp.array

    def freeze(self) -> None: ...
    def add(self, system: System, *, alone: bool = False) -> None: ...


class DrawnRows(BoundRows, Protocol):
    """And of one that can be asked for some frames at a time."""

    def freeze_part(self, part: Part) -> None: ...
    def add_part(self, system: System, part: Part) -> None: ...
    def gauge_part(self, part: Part) -> None: ...


class Problem:
    """The least-squares problem and the energy of a sequence.

    Args:
        motion: of all bodies.
        observed: the label images.
        unknowns: which unknowns are estimated besides poses.
        holding: how much is in memory at a time; None for everything.

    Attributes:
        equations: unknowns and normal equations.
        shared: the unknowns that all frames share.
        holding: as given.
        surfaces: how surfaces move with joint coordinates.
        size_columns: of the size of each body whose size is estimated, by name.
        drawings: canvases of the estimated bodies.
        compares_labels: some term of the solver that runs holds drawings against labels.
        notes: what terms have to say about the scene, one sentence each.
    """

    def __init__(
        self,
        motion: MotionState,
        observed: ObservedPicture,
        unknowns: UnknownSettings | None = None,
        holding: Holding | None = None,
    ):
        unknowns = UnknownSettings() if unknowns is None else unknowns
        self.motion, self.observed = motion, observed
        self.holding = Holding() if holding is None else holding
        self.shared = SharedUnknowns(motion, observed, unknowns)
        self._make_room()
        self.drawings = Drawings(motion, observed, self.holding)
        self._draws = True
        self.refresh()

    def _make_room(self, segments: Sequence[int] = (0,)) -> None:
        """Everything that terms look up besides what is drawn, for the motion and shared unknowns that there are."""
        motion, device = self.motion, self.motion.device
        lanes = CPU_LANES if device.is_cpu else GPU_LANES
        names, frames = self.shared.names, motion.frame_count
        camera = motion.world is not None and motion.world.estimated
        self.equations = Equations(motion.estimated, names, frames, lanes, device, segments=segments, camera=camera)
        shapes = {name: self.equations.width + place for name, place in self.shared.shapes.items()}
        self.size_columns = {name: self.equations.width + place for name, place in self.shared.sizes.items()}
        self.surfaces = SurfaceMotion(motion, self.equations.starts, shapes, self.size_columns)
        self.compares_labels = False
        self.notes: list[str] = []
        self._stage: Stage | None = None
        self._contacts: dict[str, BodyContacts] = {}
        self._overlaps: dict[str, Overlap] = {}
        self._queries: dict[tuple[str, float], SurfaceQuery] = {}
        self._systems: dict[tuple[int, Part], tuple[System, System]] = {}
        self._links: dict[str, LinkSums] = {}

    def join(self, joined: Problem, part: Part) -> None:
        """Have equations, and what terms look up, be a part of those of several clips; before terms are bound."""
        self.equations.take_part(joined.equations, part)
        self.surfaces.values = part.of(joined.surfaces.values)
        for body in joined.motion.scene.bodies:
            links = joined.links(body)
            if links is not None:
                self._links[body.name] = links.of_clip(part, self.motion)

    def _system(self, mode: int, equations: Equations | None = None) -> System:
        equations, system = equations or self.equations, System()
        system.mode = mode
        system.chain_starts, system.chain_columns = self.surfaces.starts, self.surfaces.columns
        system.chain_values = self.surfaces.values
        system.bias_column = equations.shared.get("bias", -1)
        system.focal_column = equations.shared.get("focal", -1)
        return system

    @property
    def estimates_focal(self) -> bool:
        """The focal length is an unknown."""
        return "focal" in self.shared.names

    def viewed(self, start: int) -> tuple[Viewer, Pair]:
        """Where the camera moves: the camera, and columns of it and of a body whose root's is ``start``."""
        assert self.motion.world is not None, "the camera moves"
        camera = self.equations.camera
        return self.motion.world.viewer(camera), columns_of(start, camera)

    @property
    def can_be_recorded(self) -> bool:
        """A graph of the launches stays right, once terms are bound.

        It would keep the focal length, and what the host read from a file; and on a CPU it would leave out what Warp
        does without a launch, that trees of triangles follow a surface that bends.
        """
        follows = self.motion.device.is_cuda or not self._queries
        return not self.estimates_focal and self.holding.distances and follows

    @cached_property
    def system(self) -> System:
        """What kernels add rows to."""
        return self.rows_of(self.equations)

    def rows_of(self, equations: Equations) -> System:
        """The same for other equations of the same unknowns, which may have more shared ones behind them."""
        system = self._system(ROWS, equations)
        system.values, system.marks, system.active = equations.row_values, equations.row_marks, equations.row_active
        system.hessian, system.gradient = equations.hessian, equations.gradient
        return system

    @cached_property
    def costs_system(self) -> System:
        """What kernels are given where only costs are asked for."""
        return self._system(COSTS)

    @cached_property
    def gradient_system(self) -> System:
        """What kernels add the energy's gradient to; see :class:`warpprior.system.energy.Energy`."""
        system, device = self._system(GRADIENT), self.motion.device
        frame_count, total = self.motion.frame_count, self.equations.total
        place_count = self.surfaces.starts.shape[0] - 1
        system.seeds = wp.zeros(frame_count, dtype=wp.float32, device=device)
        system.place_gradients = wp.zeros((frame_count, place_count), dtype=wp.vec3, device=device)
        system.unknown_gradients = wp.zeros((frame_count, total), dtype=wp.float32, device=device)
        return system

    def prepare_for(self, terms: Iterable[ProblemTerm]) -> None:
        """Learn what the terms of the solver that runs next will ask for; before they are bound."""
        terms = list(terms)
        self.compares_labels = any(term.compares_labels for term in terms)
        self._draws = any(term.draws for term in terms)

    def noise(self, name: str, stated: float | None = None) -> tuple[float, float]:
        """One sigma of a channel's observations, in its unit, and their robust reach in sigmas.

        Args:
            name: of the channel.
            stated: a sigma that stands in for the scene's.
        """
        return stated or self.motion.scene.sigma(name), channel(name).reach

    def robust_scale(self, name: str, stage: Stage, weight: float, stated: float | None = None) -> Scale:
        """What a residual of a channel costs in a stage, robustly: by its noise, and by how far off it may be.

        Args:
            name: of the channel.
            stage: which says how many times the channel's reach residuals are believed.
            weight: of the square of a residual of one sigma.
            stated: a sigma that stands in for the scene's.
        """
        sigma, reach = self.noise(name, stated)
        scale = Scale()
        scale.weight, scale.reach = weight / sigma**2, stage.reach_factor * reach * sigma
        return scale

    def note(self, text: str) -> None:
        """Have a sentence said in the report, once."""
        if text not in self.notes:
            self.notes.append(text)

    def partners(self, body: SceneBody) -> list[SceneBody]:
        """All other bodies."""
        return [other for other in self.motion.scene.bodies if other.name != body.name]

    def point_body(self, body: SceneBody) -> PointBody:
        """Where a body's contact points lie on its surface, and which unknowns move them; what rows ask for."""
        return point_body(body, self.motion, self.equations.starts.get(body.name, -1))

    def contacts(self, body: SceneBody) -> BodyContacts:
        """What may touch an estimated rigid body; looked up once for all terms."""
        if body.name not in self._contacts:
            sums = {other.name: self.links(other) for other in self.partners(body)}
            given = body, self.motion, self.equations.starts, sums, self.size_columns
            contacts = self._contacts[body.name] = BodyContacts(*given)
            if self._stage is not None:
                contacts.enter(self._stage)
                contacts.update()
        return self._contacts[body.name]

    def links(self, body: SceneBody) -> LinkSums | None:
        """Sums by the links of a body; None where its shape is an unknown, which moves what links do not."""
        if body.name in self.shared.shapes:
            return None
        if body.name not in self._links:
            self._links[body.name] = LinkSums(body, self.motion)
            self._links[body.name].update()
        return self._links[body.name]

    def surface_query(self, body: SceneBody, reach: float) -> SurfaceQuery:
        """Exact distances to an estimated body that bends, no farther than ``reach`` [m]; kept up to date here."""
        key = body.name, reach
        if key not in self._queries:
            scale = float(np.max(body.initial.scale))
            query = SurfaceQuery(body.body, self.motion.frame_count, self.motion.device, reach, scale=scale)
            self._queries[key] = query
        return self._queries[key]

    def overlap(self, body: SceneBody) -> Overlap:
        """Comparison of an estimated body with its label; the sequence must have labels."""
        if body.name not in self._overlaps:
            labels, canvas = self.observed.unbiased_labels_on_device, self.drawings.alone[body.name]
            boxes, window = self.observed.unbiased_boxes(body), self.observed.window
            self._overlaps[body.name] = Overlap(body.label, labels, boxes, window, canvas, self.motion.screen)
        return self._overlaps[body.name]

    def enter(self, stage: Stage) -> None:
        """Take the scales of a stage."""
        self._stage = stage
        for contacts in self._contacts.values():
            contacts.enter(stage)

    def refresh(self, *, chains: bool = True, contacts: bool = True, drawings: bool = True) -> None:
        """Draw everything, evaluate what surfaces do, and find contacts, at the current motion; launches only.

        Without ``chains`` the derivatives of surfaces stay as they are: rows alone ask for them.  Without ``contacts``
        so does what touches, without ``drawings`` what was drawn.
        """
        if self._draws and drawings:
            self.drawings.draw()
        if chains:
            self.surfaces.update()
            for links in self._links.values():
                links.update()
        for touching in self._contacts.values() if contacts else ():
            touching.update()
        self._refit()

    def add_rows(
        self,
        terms: Sequence[BoundRows],
        system: System,
        *,
        alone: str | None = None,
        frames: np.ndarray | None = None,
        gauge: bool = False,
    ) -> None:
        """Freeze terms, add their rows to ``system``, and their costs to zero; launches only.

        Those that can be asked for some frames at a time come first, part by part as these are drawn: sums have the
        same order, and the same bits, whatever the parts.

        Args:
            terms: bound terms.
            system: whose kind is ``ROWS``, or ``COSTS`` where costs are all that is asked for.
            alone: name of the body that alone is to move; None for all.
            frames: in which it is in sight (frame,) bool; None for all.  Others need not be looked at.
            gauge: it will be asked how well what was observed is met.
        """
        for term in terms:
            term.costs.zero_()
        drawn = [cast(DrawnRows, term) for term in terms if term.in_parts]
        for part in self.drawings.each(alone, frames) if drawn else ():
            own = self._system_of(system, part)
            with only_in(runs_of(None if frames is None else frames[part.frames])):
                for term in drawn:
                    term.freeze_part(part)
                    term.add_part(own, part)
                    if gauge:
                        term.gauge_part(part)
        with only_in(runs_of(frames)):
            for term in terms:
                if not term.in_parts:
                    term.freeze()
                    term.add(system, alone=alone is not None)

    def _system_of(self, system: System, part: Part) -> System:
        """A part's frames of the equations."""
        if part.whole:
            return system
        key = id(system), part
        if key not in self._systems:
            self._systems[key] = system, frames_of(System, system, SYSTEM_OF_FRAMES, part.of)
        return self._systems[key][1]

    def refresh_body(self, name: str, frames: np.ndarray | None = None) -> None:
        """The same for one rigid body that alone has moved, in some frames (frame,) bool or all; launches only."""
        with only_in(runs_of(frames)):
            if self._draws:
                self.drawings.draw_alone(name)
            if name in self._contacts:
                self._contacts[name].update()

    def look(self) -> None:
        """Where contact points are at the current motion, all else being as last refreshed; launches only."""
        for contacts in self._contacts.values():
            contacts.look()
        self._refit()

    def _refit(self) -> None:
        for (name, _), query in self._queries.items():
            query.refit(self.motion.vertices, self.motion.first_vertex(name))

    def refresh_backdrop(self) -> None:
        """Draw the known bodies anew where the focal length may have changed."""
        if self.estimates_focal and self.motion.known:
            self.drawings.refresh_backdrop()
