"""Contact maps (the paper's IV-D): bodies are as near to each other, place by place, as a map of contact has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from warpprior.bodies.contact_map import TOUCHING_M, ContactMap, TouchingPoints
from warpprior.support.limits import number, positive, weight
from warpprior.terms.term import BoundTerm, Term

if TYPE_CHECKING:
    import warp as wp

    from warpprior.kernels.rows import System
    from warpprior.scene import SceneBody
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage
    from warpprior.system.surface_places import MovedPlaces, Places

SURFACE_REACH_M = 0.3  # how far from a surface that bends places are looked for
DOUBTED = 0.25  # of distances that are believed less it is said
SNAP_M = 0.005  # places that are farther from the surface than this are mentioned


@dataclass(frozen=True)
class ContactMaps(Term):
    """Distances of places to the other body's surface against those of the map, by a Cauchy cost, and their normals.

    Contact values 1/distance hardly change where distances are large, so distances are compared.

    Attributes:
        sigma_m: error of a distance near contact [m].
        growth: distances are known the less the larger they are: sigma grows by this share per metre of them [1/m].
        width_sigmas: what is off by more sigmas counts less and less; many times as much while a stage is coarse.
        missing: contact that is missing weighs so many times as much as contact where none should be.
        sigma_normal: error of each axis of a normal, where the map has normals.
        independent: a map says as much as so many independent distances.
        places: of a map with more places so many are used, spread over what is told.
    """

    name: ClassVar[str] = "contact_map"
    observes: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("contact_maps",)

    sigma_m: float = positive(0.002)
    growth: float = weight(50.0)
    width_sigmas: float = positive(4.0)
    missing: float = positive(2.5)
    sigma_normal: float = positive(0.5)
    independent: float = positive(100.0)
    places: int = number(1000, 1, 100_000)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each map of which a body is estimated."""
        scene = problem.motion.scene
        for wanted in scene.contact_maps:
            pair = scene.body(wanted.body), scene.body(wanted.other)
            estimated = [body for body in pair if not body.known]
            if not estimated:
                problem.note(f"contact map of {wanted.body} on {wanted.other}: not used, for both are known.")
                continue
            owner = next((body for body in estimated if body.body.is_rigid), estimated[0])
            if isinstance(wanted, TouchingPoints):
                yield BoundPoints(self, owner, wanted, problem)
                continue
            places = _used_places(wanted, pair[0], self.places, problem)
            if places is None:
                problem.note(f"contact map of {wanted.body} on {wanted.other}: it says nothing of any place.")
                continue
            kind = BoundRigidMap if pair[1].body.is_rigid else BoundBentMap
            yield kind(self, owner, wanted, places, problem)

    def miss(self, stage: Stage):
        """What kernels take in a stage."""
        from warpprior.kernels.contact_map import Miss

        miss = Miss()
        miss.weight = self.weight * self.independent / self.sigma_m**2
        miss.width = self.width_sigmas * self.sigma_m * stage.reach_factor
        miss.missing, miss.touching, miss.growth = self.missing, TOUCHING_M, self.growth
        miss.facing = self.weight * self.independent / self.sigma_normal**2
        return miss


@dataclass(frozen=True, eq=False)
class _Used:
    """Places of a map that are used.

    Attributes:
        places: where they are.
        chosen: which of the map's they are (place,).
        areas: of the surface around each (place,), times how far it is believed, (place,) or (frame, place).
    """

    places: Places
    chosen: np.ndarray
    areas: np.ndarray


def _used_places(wanted: ContactMap, body: SceneBody, most: int, problem: Problem) -> _Used | None:
    """Some of the places of which a map tells anything; None where it tells nothing."""
    from scipy.spatial import KDTree

    from warpprior.bodies.triangles import doubled_areas_around
    from warpprior.geometry.sampling import spread_vertices
    from warpprior.system.surface_places import Places, places_near, places_of_vertices

    model = body.body
    told = np.isfinite(wanted.distances).reshape(-1, wanted.distances.shape[-1]).any(axis=0)
    if wanted.places is None:
        places = places_of_vertices(model, np.arange(model.vertex_count))
        at, areas = model.vertices, doubled_areas_around(model.vertices.astype(np.float64), model.faces)
        told &= places.faces >= 0
    else:
        places, away = places_near(model, wanted.places)
        at, areas = wanted.places, np.ones(len(wanted.places))
        if away > SNAP_M:
            problem.note(
                f"contact map of {wanted.body} on {wanted.other}: places are up to {1e3 * away:.1f} mm off the surface "
                f"of {wanted.body} at rest; the nearest places on it are taken."
            )
    known = np.flatnonzero(told)
    if not len(known):
        return None
    chosen = known[spread_vertices(at[known].astype(np.float64), most)] if len(known) > most else known
    _, nearest = KDTree(at[chosen]).query(at[known])
    shares = np.bincount(nearest, weights=np.maximum(areas[known], 1e-12), minlength=len(chosen))
    trust = wanted.trust(model)
    doubted = np.count_nonzero(np.isfinite(wanted.distances) & (trust < DOUBTED))
    if doubted:
        problem.note(
            f"contact map of {wanted.body} on {wanted.other}: {doubted} of {np.isfinite(wanted.distances).sum()} "
            "distances contradict those around them: they differ by more than they are apart, and count little."
        )
    return _Used(Places(places.faces[chosen], places.barycentrics[chosen]), chosen, shares * trust[..., chosen])


class _Bound(BoundTerm):
    """What all kinds of maps share: scales, and places that move."""

    asks_contacts = False
    term: ContactMaps

    def __init__(self, term: ContactMaps, owner: SceneBody, problem: Problem):
        import warp as wp

        from warpprior.kernels.contact_map import Miss

        super().__init__(term, owner, problem)
        self._miss = wp.zeros(1, dtype=Miss, device=problem.motion.device)
        self._lanes = 1 if problem.motion.device.is_cpu else 32
        self._told = float(problem.motion.frame_count)

    def enter(self, stage: Stage) -> None:
        self._miss.assign([self.term.miss(stage)])

    def add(self, system: System, *, alone: bool = False) -> None:
        from warpprior.kernels.rows import GRADIENT

        if system.mode != GRADIENT:  # that comes after the costs, at the same motion
            self._look()
        self._add_rows(system)

    def _look(self) -> None:
        """Find where places are, and what they are near to; launches only."""
        raise NotImplementedError

    def _add_rows(self, system: System) -> None:
        """Add the residuals of what was looked at; launches only."""
        raise NotImplementedError

    def measurements(self, pixels: float) -> float:
        """So many in each frame of which anything is told."""
        return self._told * self.term.independent

    def _moved(self, name: str, places: Places) -> MovedPlaces:
        from warpprior.system.surface_places import MovedPlaces

        motion, starts = self.problem.motion, self.problem.equations.starts
        return MovedPlaces(motion.scene.body(name), places, motion, starts.get(name, -1))

    def _shares(self, told: np.ndarray, areas: np.ndarray) -> wp.array:
        """What each place counts in each frame (frame, place), of those that are told."""
        import warp as wp

        shares = np.where(told, areas, 0.0)
        total = shares.sum(axis=1, keepdims=True)
        self._told = float(np.count_nonzero(total))
        shares = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0.0)
        return wp.array(shares.astype(np.float32), dtype=wp.float32, device=self.problem.motion.device)


class _BoundMap(_Bound):
    """Places of one body at another's surface."""

    def __init__(self, term: ContactMaps, owner: SceneBody, wanted: ContactMap, used: _Used, problem: Problem):
        import warp as wp

        from warpprior.kernels.contact_map import Wanted

        super().__init__(term, owner, problem)
        motion, device = problem.motion, problem.motion.device
        self._other = motion.scene.body(wanted.other)
        self._places = self._moved(wanted.body, used.places)
        every = wanted.in_frames(motion.frame_count)
        distances = every.distances[:, used.chosen]
        told = np.isfinite(distances)
        normals = np.zeros((*distances.shape, 3))
        self._faces_some = every.normals is not None
        if every.normals is not None:
            normals = np.nan_to_num(every.normals[:, used.chosen])
            normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
        self._wanted = Wanted()
        self._wanted.distances = wp.array(np.where(told, distances, 0.0).astype(np.float32), device=device)
        self._wanted.normals = wp.array(normals.astype(np.float32), dtype=wp.vec3, device=device)
        self._wanted.shares = self._shares(told, used.areas)

    def _add_facing(self, system: System) -> None:
        """Normals, where the map has some."""
        from warpprior.kernels.contact_map import add_facing

        motion, places = self.problem.motion, self._places
        if not self._faces_some or places.body.start < 0:
            return
        other = self._other.name
        add_facing(
            motion.vertices,
            places.body,
            places.poses,
            self.problem.equations.starts.get(other, -1),
            motion.states[other].poses,
            self._wanted,
            self._miss,
            system,
            cost_out=self.costs,
        )


class BoundRigidMap(_BoundMap):
    """Places of one body at a rigid one, by its baked grid."""

    def __init__(self, term: ContactMaps, owner: SceneBody, wanted: ContactMap, used: _Used, problem: Problem):
        import warp as wp

        from warpprior.geometry.signed_distance import shared_field
        from warpprior.kernels.contacts import Contacts, Reach

        super().__init__(term, owner, wanted, used, problem)
        motion, other = problem.motion, self._other
        self._field = shared_field(other.body, motion.device, scale=other.initial.scale)
        shape = self._places.points.shape
        arrays = [wp.zeros(shape, dtype=dtype, device=motion.device) for dtype in (wp.vec3, wp.vec4, wp.float32)]
        contacts = self._contacts = Contacts()
        contacts.points = self._places.points
        contacts.areas = wp.zeros(shape[1], dtype=wp.float32, device=motion.device)  # weights are not asked for
        contacts.body, contacts.body_poses = self._places.body, self._places.poses
        contacts.start, contacts.poses = problem.equations.starts.get(other.name, -1), motion.states[other.name].poses
        contacts.places, contacts.samples, contacts.weights = arrays
        column = problem.size_columns.get(other.name, -1)
        contacts.sized, contacts.size_column = int(column >= 0), column
        self._reach = wp.zeros(1, dtype=Reach, device=motion.device)

    def _look(self) -> None:
        from warpprior.kernels.contacts import weigh_contacts

        found, field = self._contacts, self._field
        self._places.place()
        given = found.points, found.areas, found.poses, field.grid, field.origin, field.inverse_spacing
        factor = self.problem.motion.factors[self._other.name]
        out = {"places_out": found.places, "samples_out": found.samples, "weights_out": found.weights}
        weigh_contacts(*given, factor, self._reach, 1, **out)

    def _add_rows(self, system: System) -> None:
        from warpprior.kernels.contact_map import add_rigid_map

        add_rigid_map(self._contacts, self._wanted, self._miss, system, lanes=self._lanes, cost_out=self.costs)
        self._add_facing(system)


class BoundBentMap(_BoundMap):
    """Places of one body at a surface that bends."""

    def __init__(self, term: ContactMaps, owner: SceneBody, wanted: ContactMap, used: _Used, problem: Problem):
        from warpprior.geometry.bending_surface import SurfaceQuery
        from warpprior.kernels.penetration import BentSurface
        from warpprior.system.surface_places import known_surface

        super().__init__(term, owner, wanted, used, problem)
        motion, other = problem.motion, self._other
        if other.known:
            scale = float(np.max(other.initial.scale))
            self._query = SurfaceQuery(other.body, motion.frame_count, motion.device, SURFACE_REACH_M, scale=scale)
            self._query.refit(known_surface(other, motion))
        else:
            self._query = problem.surface_query(other, SURFACE_REACH_M)
        self._answers = self._query.answers(len(used.places))
        bent = self._bent = BentSurface()
        bent.points, bent.body, bent.body_poses = self._places.points, self._places.body, self._places.poses
        bent.start = problem.equations.starts.get(other.name, -1)
        bent.first_vertex = 0 if other.known else motion.first_vertex(other.name)
        bent.faces, bent.poses = motion.models[other.name].faces, motion.states[other.name].poses
        bent.distances, bent.normals = self._answers.distances, self._answers.normals
        bent.closest, bent.barycentrics = self._answers.faces, self._answers.barycentrics

    def _look(self) -> None:
        self._places.place()
        self._query.query(self._places.points, self._answers)

    def _add_rows(self, system: System) -> None:
        from warpprior.kernels.contact_map import add_bent_map

        add_bent_map(self._bent, self._wanted, self._miss, system, lanes=self._lanes, cost_out=self.costs)
        self._add_facing(system)

    def note_far(self) -> None:
        """Say of how many places, as last looked up, the surface is beyond the reach: nothing pulls them."""
        told = self._wanted.shares.numpy() > 0.0
        far = np.count_nonzero(told & (self._answers.faces.numpy() < 0))
        if far:
            self.problem.note(
                f"contact map on {self._other.name}: {far} of {np.count_nonzero(told)} places start more than "
                f"{100 * SURFACE_REACH_M:.0f} cm from its surface, from where nothing pulls them."
            )


class BoundPoints(_Bound):
    """Points of two bodies that are to touch each other."""

    def __init__(self, term: ContactMaps, owner: SceneBody, wanted: TouchingPoints, problem: Problem):
        from warpprior.kernels.contact_map import Joined
        from warpprior.system.surface_places import places_near

        super().__init__(term, owner, problem)
        scene, sides = problem.motion.scene, []
        for name, points in ((wanted.body, wanted.points), (wanted.other, wanted.other_points)):
            places, away = places_near(scene.body(name).body, points)
            if away > SNAP_M:
                problem.note(
                    f"touching points of {wanted.body} and {wanted.other}: they are up to {1e3 * away:.1f} mm off the "
                    f"surface of {name} at rest; the nearest places on it are taken."
                )
            sides.append(self._moved(name, places))
        self._sides = sides
        joined = self._joined = Joined()
        joined.points, joined.body, joined.body_poses = sides[0].points, sides[0].body, sides[0].poses
        joined.other_points, joined.other, joined.other_poses = sides[1].points, sides[1].body, sides[1].poses
        joined.shares = self._shares(wanted.in_frames(scene.frame_count), np.ones(len(wanted.points)))

    def _look(self) -> None:
        for side in self._sides:
            side.place()

    def _add_rows(self, system: System) -> None:
        from warpprior.kernels.contact_map import add_joined

        add_joined(self._joined, self._miss, system, cost_out=self.costs)
