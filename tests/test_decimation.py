"""Decimation: kernels against the float64 twin, and what must not change when a surface gets fewer faces."""

import numpy as np
import pytest

from tests.reference import decimation as twin
from warpprior.bodies.decimate import COLOR_ERROR, _Decimation, decimate
from warpprior.bodies.primitives import make_box
from warpprior.bodies.repair import Surface, repair_surface
from warpprior.bodies.simplify import _points_on
from warpprior.kernels.decimation import find_places

REACH = 1e-3
POISON = -77


def make_ball(rings, radius=0.02):
    """A closed ball (vertices, faces) of rings with twice as many vertices each, at most 24."""
    around = min(2 * rings, 24)
    heights, turns = np.pi * np.arange(1, rings) / rings, 2.0 * np.pi * np.arange(around) / around
    theta, phi = (part.reshape(-1) for part in np.meshgrid(heights, turns, indexing="ij"))
    places = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)
    number = np.arange(len(places)).reshape(rings - 1, around)
    after = np.roll(number, -1, axis=1)
    top, bottom = np.full(around, len(places)), np.full(around, len(places) + 1)
    a, b, c, d = (part.reshape(-1) for part in (number[:-1], number[1:], after[1:], after[:-1]))
    faces = [(a, b, c), (a, c, d), (top, number[0], after[0]), (bottom, after[-1], number[-1])]
    vertices = radius * np.concatenate([places, [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]])
    return vertices, np.concatenate([np.stack(corners, axis=1) for corners in faces])


def bumpy_ball(rings=8, seed=0):
    """A closed surface (vertices, faces, colours) that is flat nowhere, with colours that change slowly."""
    vertices, faces = make_ball(rings)
    vertices = vertices * (1.0 + 0.01 * np.random.default_rng(seed).normal(size=(len(vertices), 1)))
    return vertices, faces, 0.5 + 10.0 * vertices


def flat_plate(cells=12, size=0.05):
    """An open square of two triangles per cell (vertices, faces)."""
    grid = np.stack(np.meshgrid(*[np.linspace(0.0, size, cells + 1)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    number = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = (part.reshape(-1) for part in (number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]))
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    return np.column_stack([grid, np.zeros(len(grid))]), faces


def described(decimation, vertices, faces):
    """The decimation's mesh as the twin takes it, in its units."""
    return {
        "vertices": decimation._places.numpy().astype(float),
        "colors": decimation._colors.numpy().astype(float),
        "faces": decimation.faces.copy(),
        "sites": decimation._sites.numpy().astype(float),
        "site_colors": decimation._site_colors.numpy().astype(float),
        "owners": decimation._owners.copy(),
        "first": (decimation._places.numpy().astype(float), faces),
        "reach": 1.0,
        "color_reach": COLOR_ERROR,
    }


@pytest.mark.parametrize("steps", [0, 3])
def test_proposals_equal_the_twins(steps):
    """Where vertices go and at what cost, at the beginning and when sites have gathered."""
    vertices, faces, colors = bumpy_ball()
    decimation = _Decimation(vertices, faces, colors, REACH)
    for _ in range(steps):
        assert decimation.step()
    decimation._asked = np.unique(decimation.faces).astype(np.int32)
    mesh = described(decimation, vertices, faces)
    decimation._goals[:], decimation._costs[:] = POISON, POISON
    decimation.ask(decimation.mesh())
    costs = {}
    for vertex in decimation._asked[::2]:
        goal, cost = twin.propose(mesh, vertex)
        costs[vertex] = cost
        found = decimation._goals[vertex]
        assert (found < 0) == (goal < 0)
        if goal >= 0:
            np.testing.assert_allclose(decimation._costs[vertex], cost, rtol=1e-3, atol=1e-4)
        else:
            assert np.isinf(decimation._costs[vertex])
    assert sum(cost is not None for cost in costs.values()) > 10
    assert sum(cost is None for cost in costs.values()) > (10 if steps else -1)


def test_sites_go_to_the_nearest_faces_that_are_left():
    """Each site of a vertex that goes belongs to a face beside it, the nearest one as the twin finds it."""
    vertices, faces, colors = bumpy_ball(seed=1)
    decimation = _Decimation(vertices, faces, colors, REACH)
    decimation.step()
    decimation.ask(decimation.mesh())
    mesh = described(decimation, vertices, faces)
    going = decimation.pick()
    goals = decimation._goals[going].copy()
    left = decimation.let_go(decimation.mesh(), going)
    checked = 0
    for vertex, target in zip(going, goals, strict=True):
        ring, around = twin.walk(mesh["faces"], vertex)
        goal = ring.index(target)
        kept = {around[place]: face for place, face in twin.new_faces(ring, goal)}
        assert {f for f in around if left[f, 0] >= 0} == set(kept)
        for face, corners in kept.items():
            assert sorted(left[face]) == sorted(corners)
        for site in [vertex, *(s for f in around for s in np.flatnonzero(mesh["owners"] == f))]:
            owner = decimation._owners[site]
            assert owner in kept
            found = twin.closest(mesh["sites"][site], *mesh["vertices"][kept[owner]])
            far = np.linalg.norm(found @ mesh["vertices"][kept[owner]] - mesh["sites"][site])
            best, _ = twin.settle(mesh, site, ring, goal)
            weights = twin.closest(mesh["sites"][site], *mesh["vertices"][kept[around[best]]])
            least = np.linalg.norm(weights @ mesh["vertices"][kept[around[best]]] - mesh["sites"][site])
            np.testing.assert_allclose(far, least, atol=1e-4)
            checked += 1
    assert checked > 20


def test_a_first_pass_that_looks_no_farther_than_around_keeps_the_error(monkeypatch):
    """On what bulges steps add up, in what is known of them too; and as few faces are left as without it."""
    from warpprior.bodies.simplify import distance_between

    vertices, faces = make_ball(24)
    apart = {}
    for name, limit in (("one pass", 10_000), ("two", 100)):
        monkeypatch.setattr("warpprior.bodies.decimate.MANY_FACES", limit)
        kept, left = decimate(vertices, faces, None, 5e-4)
        apart[name] = len(left), distance_between(vertices, faces, vertices[kept], left, 5e-3)
    assert apart["two"][1] <= 5e-4 and apart["two"][0] < 1.25 * apart["one pass"][0] < 0.7 * len(faces)
    blind = _Decimation(vertices, faces, None, 5e-4, blind=True)
    while blind.step():
        pass
    kept, left = np.unique(blind.faces, return_inverse=True)
    assert len(left.reshape(-1, 3)) < 0.8 * len(faces)
    assert distance_between(vertices, faces, vertices[kept], left.reshape(-1, 3), 5e-3) <= 5e-4


def test_places_of_a_surface_are_the_nearest():
    """As near as the twin finds any, with weights of that face; none beyond the reach."""
    import warp as wp

    vertices, faces, _ = bumpy_ball()
    points = (1.05 * vertices + np.random.default_rng(2).normal(scale=5e-4, size=vertices.shape)).astype(np.float32)
    points[0] = 1.0
    corners = wp.array(faces.reshape(-1).astype(np.int32), dtype=wp.int32, device="cpu")
    mesh = wp.Mesh(wp.array(vertices.astype(np.float32), dtype=wp.vec3, device="cpu"), corners)
    found = wp.full(len(points), POISON, dtype=wp.int32, device="cpu")
    weights = wp.full(len(points), wp.vec3(float("nan")), dtype=wp.vec3, device="cpu")
    given = wp.array(points, dtype=wp.vec3, device="cpu")
    find_places(given, mesh.id, 0.01, faces_out=found, weights_out=weights)
    places = np.einsum("pc,pcx->px", weights.numpy(), vertices[faces[found.numpy()]])
    away = np.linalg.norm(places - points, axis=1)
    assert found.numpy()[0] == -1 and not weights.numpy()[0].any()
    for point, distance in zip(points[1:], away[1:], strict=True):
        assert distance == pytest.approx(twin.distance(point.astype(float), vertices, faces), abs=2e-6)


def test_vertices_that_go_together_share_no_neighbour():
    """So that none of them changes what another was judged by."""
    vertices, faces, colors = bumpy_ball(20)
    decimation = _Decimation(vertices, faces, colors, REACH)
    decimation.ask(decimation.mesh())
    going = decimation.pick()
    rings = [set(faces[(faces == vertex).any(axis=1)].reshape(-1).tolist()) for vertex in going]
    assert len(going) > 10
    assert len(set.union(*rings)) == sum(map(len, rings))


def stretch(surface):
    """Edges of a mesh (edge, 2) as often as faces run them one way more than the other."""
    ends = np.concatenate([surface[:, [0, 1]], surface[:, [1, 2]], surface[:, [2, 0]]])
    keys, group = np.unique(np.sort(ends, axis=1), axis=0, return_inverse=True)
    turns = np.bincount(group.reshape(-1), np.where(ends[:, 0] < ends[:, 1], 1, -1))
    return keys[turns != 0]


def test_a_ball_keeps_its_form_and_stays_closed():
    """Every point of either surface is near the other: at 0.3 mm a ball of 20 mm needs far fewer faces."""
    vertices, given = make_ball(40)
    kept, faces = decimate(vertices, given, None, 3e-4)
    vertices = vertices[kept]
    assert len(faces) < len(given) / 3 and len(stretch(faces)) == 0
    radii = np.linalg.norm(_points_on(vertices, faces), axis=1)
    assert 0.02 - radii.min() < 4.5e-4 and radii.max() < 0.02 + 1e-9
    middles = vertices[faces].mean(axis=1)
    corners = vertices[faces]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.sum(outward * middles, axis=1) > 0.0).all()


def test_a_flat_plate_keeps_its_border():
    """Edges of one face stay, so that openings keep their form; the inside gets few faces."""
    vertices, faces = flat_plate()
    kept, fewer = decimate(vertices, faces, None, 1e-4)
    border = {tuple(edge) for edge in stretch(faces)}
    assert {tuple(edge) for edge in kept[stretch(fewer)]} == border
    assert len(fewer) < len(faces) / 3
    corners = vertices[kept][fewer]
    areas = 0.5 * np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    assert (areas > 0.0).all()
    np.testing.assert_allclose(areas.sum(), 0.05**2)


def test_colours_stay_where_they_are():
    """A line between two colours is kept as finely as it was; within one colour faces go."""
    vertices, faces = flat_plate(16)
    colors = np.where(vertices[:, :1] + 0.3 * vertices[:, 1:2] < 0.03, [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
    kept, fewer = decimate(vertices, faces, colors, 1e-4)
    assert len(fewer) < 0.8 * len(faces)
    for vertex in range(0, len(vertices), 5):
        nearest = min(fewer, key=lambda f: twin.distance(vertices[vertex], vertices[kept], [f]))
        weights = twin.closest(vertices[vertex], *vertices[kept][nearest])
        assert np.linalg.norm(weights @ colors[kept][nearest] - colors[vertex]) < COLOR_ERROR + 1e-6


def test_a_box_and_a_tetrahedron_keep_their_corners():
    """Nothing that is needed goes."""
    box = make_box((0.02, 0.03, 0.04))
    kept, faces = decimate(box.vertices, box.faces, None, 2e-4)
    assert len(kept) == 8 and len(faces) == 12
    corners = 1e-5 * np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    kept, faces = decimate(corners, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]), None, 1.0)
    assert len(faces) == 4


def test_faces_that_disagree_and_edges_of_three_faces_stay():
    """What is no clean surface is left as it is, and nothing is raised."""
    vertices, faces = flat_plate(6)
    wall = np.array([[24, 25, 49], [25, 26, 49]])
    vertices = np.concatenate([vertices, [[0.02, 0.02, 0.03]]])
    faces = np.concatenate([faces, wall])
    faces[7] = faces[7, ::-1]
    kept, fewer = decimate(vertices, faces, None, 1e-3)
    assert {24, 25, 26, 49, *faces[7].tolist()} <= set(kept.tolist())
    surface = repair_surface("x", Surface(vertices[kept], fewer))
    assert len(surface.faces) == len(fewer)


def test_many_faces_around_a_vertex_are_left_alone():
    """More neighbours than the kernel holds."""
    count = 40
    angles = 2.0 * np.pi * np.arange(count) / count
    vertices = np.concatenate([0.01 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1), np.zeros((1, 3))])
    faces = np.stack([np.arange(count), (np.arange(count) + 1) % count, np.full(count, count)], axis=1)
    kept, fewer = decimate(vertices, faces, None, 1e-3)
    assert len(kept) == count + 1 and len(fewer) == count


def test_the_same_surface_gives_the_same_faces(monkeypatch):
    """For any number of threads, bit by bit."""
    vertices, faces, colors = bumpy_ball(24)
    answers = []
    for threads in ("1", "3"):
        monkeypatch.setenv("WARPPRIOR_THREADS", threads)
        answers.append(decimate(vertices, faces, colors, REACH))
    np.testing.assert_array_equal(answers[0][0], answers[1][0])
    np.testing.assert_array_equal(answers[0][1], answers[1][1])
