"""The kernels of contact maps: rigid and bending bodies, normals, joined points, for rows and energy, against twins."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from tests.contact_samples import PAIRS, Pair
from tests.fit_samples import Sample, check_equations, wander
from tests.reference.contact_map import Distances, Facing, Joined
from tests.reference.contacts import ContactPair
from tests.test_penetration import BENT, COUNT, HAND, STONE, Entered
from warpprior.kernels.contact_map import Joined as JoinedPlaces
from warpprior.kernels.contact_map import Miss, Wanted, add_bent_map, add_facing, add_joined, add_rigid_map
from warpprior.kernels.penetration import BentSurface

MISS = (2.5e5, 0.006, 2.5, 0.001, 40.0)  # weight, width, missing, touching, growth
FACING = 3.0


def misses(sample, miss=MISS, facing=FACING):
    """What kernels take of it."""
    weight, width, missing, touching, growth = miss
    given = {"weight": weight, "width": width, "missing": missing, "touching": touching, "growth": growth}
    return sample.one(Miss, facing=facing, **given)


def exact(values):
    """As single precision has them, in double."""
    return np.asarray(values, dtype=np.float32).astype(float)


def a_map(shape, seed=7):
    """Distances with contact among them, and shares with places that are not told (frame, place)."""
    random = np.random.default_rng(seed)
    wanted = exact(random.uniform(0.0015, 0.03, shape))
    wanted[:, ::3] = exact(random.uniform(-0.002, 0.001, wanted[:, ::3].shape))  # to touch
    shares = random.uniform(0.5, 1.5, shape)
    shares[:, 1::5] = 0.0
    return wanted, exact(shares / shares.sum(axis=1, keepdims=True))


def on_device(sample, wanted, shares, normals=None):
    """The same as kernels take it; what is not told holds rubbish."""
    found = Wanted()
    found.distances = sample.constants(np.where(shares > 0.0, wanted, np.nan))
    found.shares = sample.constants(shares)
    found.normals = sample.constants(np.zeros((*wanted.shape, 3)) if normals is None else normals, wp.vec3)
    return found


@pytest.mark.parametrize("kind", PAIRS)
def test_places_at_a_rigid_body_match_the_twin(device, kind):
    """Either may be known, and both may be rigid; near, far, inside, not told, and just as wanted."""
    pair = Pair(device, kind, depth=0.02)
    sample = pair.sample
    wanted, shares = a_map(pair.samples.shape[:2])
    assert (pair.samples[..., 3] < 0.0).any()
    contacts, _ = pair.contacts(pair.weights)
    sample.add(add_rigid_map, contacts, on_device(sample, wanted, shares), misses(sample), lanes=3)
    twin = ContactPair(
        sample.twin, pair.touching.name, pair.touched.name, pair.corners, pair.barycentrics, pair.samples,
        pair.weights, pair.areas,
    )  # fmt: skip

    def distances(steps):
        moved = twin.places(steps) - twin.places(0.0 * steps)
        return pair.samples[..., 3] + np.sum(pair.samples[..., :3] * moved, axis=2)

    check_equations(sample, Distances(distances, wanted, shares, MISS), f"contact map, {kind}")


@pytest.mark.parametrize("kind", BENT)
def test_places_at_a_bent_surface_match_the_twin(device, kind):
    """Places of a body that bends, of a rigid and of a known one; and one that nothing is near to."""
    entered = Entered(device, kind)
    sample, twin = entered.sample, entered.twin()
    state, starts = sample.state, sample.equations.starts
    wanted, shares = a_map(entered.distances.shape)
    bent = BentSurface()
    bent.points, bent.body = state.points[entered.partner.name], sample.points_of(entered.partner.name)
    bent.body_poses, bent.start = state.states[entered.partner.name].poses, starts.get("hand", -1)
    bent.first_vertex = state.first_vertex("hand") if "hand" in starts else 0
    bent.faces, bent.poses = state.models["hand"].faces, state.states["hand"].poses
    bent.distances, bent.normals = sample.constants(entered.distances), sample.constants(entered.normals, wp.vec3)
    bent.closest = sample.constants(entered.closest, wp.int32)
    bent.barycentrics = sample.constants(np.tile(entered.shares, (sample.frames, 1, 1)), wp.vec3)
    sample.add(add_bent_map, bent, on_device(sample, wanted, shares), misses(sample), lanes=4)

    def distances(steps):
        moved = twin.offsets(steps) - twin.offsets(0.0 * steps)
        return entered.distances + np.sum(entered.normals * moved, axis=2)

    shares = np.where(entered.closest >= 0, shares, 0.0)
    check_equations(sample, Distances(distances, wanted, shares, MISS), f"contact map of a bent surface, {kind}")


def two_bodies(device, known=(), other=STONE, bend=0.3):
    """A hand and another body that wander on their own."""
    motions = [wander(HAND, 2, bend=bend), wander(other, 2, seed=5, bend=bend)]
    return Sample([HAND, other], motions, device, known=known, points=COUNT)


@pytest.mark.parametrize("known", [(), ("stone",)])
@pytest.mark.parametrize("bend", [0.3, "zero", "pi"])
def test_normals_match_the_twin(device, known, bend):
    """Of a hand in the frame of a body that moves or not; at ordinary and at hard angles; some are not told."""
    sample = two_bodies(device, known, bend=bend)
    state = sample.state
    random = np.random.default_rng(3)
    normals = random.normal(size=(2, COUNT, 3))
    normals = exact(normals / np.linalg.norm(normals, axis=2, keepdims=True))
    normals[:, ::4] = 0.0
    wanted, shares = a_map((2, COUNT))
    points, start = sample.points_of("hand"), sample.equations.starts.get("stone", -1)
    poses = state.states["hand"].poses, start, state.states["stone"].poses
    given = on_device(sample, wanted, shares, normals)
    sample.add(add_facing, state.vertices, points, *poses, given, misses(sample))
    faces, _ = state.point_places("hand")
    weights = np.where(normals.any(axis=2), FACING * shares, 0.0)
    twin = Facing(sample.twin, "hand", "stone", HAND.faces[faces.numpy()], normals, weights)
    check_equations(sample, twin, f"normals of a contact map, {known}, {bend}", worst=2e-3)


@pytest.mark.parametrize("known", [(), ("hand",), ("twin",)])
def test_joined_points_match_the_twin(device, known):
    """Of two bodies that bend; either may be known."""
    twin = replace(HAND, name="twin")
    sample = two_bodies(device, known, twin)
    state, joined = sample.state, JoinedPlaces()
    _, shares = a_map((2, COUNT))
    joined.points, joined.body = state.points["hand"], sample.points_of("hand")
    joined.other_points, joined.other = state.points["twin"], sample.points_of("twin")
    joined.body_poses, joined.other_poses = state.states["hand"].poses, state.states["twin"].poses
    joined.shares = sample.constants(shares)
    sample.add(add_joined, joined, misses(sample, (2.5e5, 0.02, 1.0, 0.0, 0.0)))
    sides = []
    for name in ("hand", "twin"):
        faces, barycentrics = state.point_places(name)
        sides.append((name, HAND.faces[faces.numpy()], barycentrics.numpy().astype(float)))
    check_equations(sample, Joined(sample.twin, sides, 2.5e5 * shares, 0.02), f"joined points, {known}")


def test_what_is_as_wanted_adds_nothing(device):
    """Contact where contact is wanted, places that are not told, and normals without a weight: exact zeros."""
    pair = Pair(device, depth=0.0)
    sample = pair.sample
    pair.samples[..., 3] = -0.004  # inside
    shape = pair.samples.shape[:2]
    contacts, _ = pair.contacts(pair.weights)
    touching = on_device(sample, np.zeros(shape), np.full(shape, 1.0 / shape[1]))
    untold = on_device(sample, np.full(shape, 0.02), np.zeros(shape))
    for wanted in (touching, untold):
        sample.add(add_rigid_map, contacts, wanted, misses(sample), lanes=1)
    starts, states = sample.equations.starts, sample.state.states
    poses = states[pair.touching.name].poses, starts[pair.touched.name], states[pair.touched.name].poses
    facing = on_device(sample, np.zeros(shape), np.full(shape, 1.0), np.full((*shape, 3), [0.0, 0.0, 1.0]))
    points = sample.points_of(pair.touching.name)
    sample.add(add_facing, sample.state.vertices, points, *poses, facing, misses(sample, facing=0.0))
    sample.read()
    for values in sample.bits():
        np.testing.assert_array_equal(values, 0.0)
