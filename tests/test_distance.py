"""Signed distance: exact queries on good and bad meshes, and the baked grid."""

import gc
from dataclasses import replace
from weakref import ref

import numpy as np
import pytest
import trimesh
import warp as wp

from tests.gradcheck import compare_gradients, finite_difference
from tests.reference import distance as reference
from warpprior.bodies import rigid_body
from warpprior.geometry.signed_distance import DistanceField, LinkFields, Surface, shared_field
from warpprior.kernels.distance import FAR
from warpprior.kernels.grid_distance import sample_grid
from warpprior.support.errors import InputError

SIZE = (0.06, 0.08, 0.18)


@pytest.fixture(scope="module")
def box():
    """A box [m] of 12 faces."""
    mesh = trimesh.creation.box(SIZE)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


@pytest.fixture(scope="module")
def ball():
    """An egg [m] of 320 faces: curved, no symmetry."""
    mesh = trimesh.creation.icosphere(subdivisions=2)
    return np.asarray(mesh.vertices) * (0.04, 0.05, 0.07) + (0.01, -0.02, 0.03), np.asarray(mesh.faces)


@pytest.fixture(scope="module")
def box_field(box):
    """A small grid of the box."""
    return DistanceField(rigid_body("box", *box), resolution=32)


def points_around(vertices, count, seed=0):
    """Points in the box around a surface and half as far again."""
    random = np.random.default_rng(seed)
    lower, upper = vertices.min(axis=0), vertices.max(axis=0)
    grown = 0.5 * (upper - lower)
    return random.uniform(lower - grown, upper + grown, (count, 3)).astype(np.float32)


def damaged(name, vertices, faces):
    """The named kind of bad mesh."""
    random = np.random.default_rng(3)
    if name == "inverted":
        return vertices, faces[:, ::-1]
    if name == "some faces flipped":
        flipped = random.random(len(faces)) < 0.1
        return vertices, np.where(flipped[:, None], faces[:, ::-1], faces)
    if name == "some faces missing":
        return vertices, faces[random.random(len(faces)) > 0.05]
    if name == "every face twice":
        return vertices, np.concatenate([faces, faces])
    if name == "faces without area":
        return vertices, np.concatenate([faces, [[0, 0, 1], [5, 5, 5]]])
    if name == "unwelded":
        return vertices[faces].reshape(-1, 3), np.arange(3 * len(faces)).reshape(-1, 3)
    shell = len(vertices)
    inner = 0.5 * (vertices - vertices.mean(axis=0)) + vertices.mean(axis=0)
    return np.concatenate([vertices, inner]), np.concatenate([faces, faces[:, ::-1] + shell])


def test_exact_distance_matches_every_triangle(device, ball, box):
    """Distance, normal and sign equal the float64 search over all triangles, for a curved and a sharp surface."""
    for vertices, faces in (ball, box):
        surface = Surface(vertices, faces, "test", device)
        points = points_around(surface.vertices, 300)
        distances, normals, found = surface.measure(points)
        expected = reference.signed_distances(points, surface.vertices, surface.faces)
        assert surface.closed and surface.simple and found.all()
        np.testing.assert_allclose(distances, expected, atol=3e-7)
        outward = points - reference.closest_points(points, surface.vertices, surface.faces)
        np.testing.assert_allclose(normals, outward / expected[:, None], atol=1e-3)


def test_exact_distance_matches_trimesh(device, ball):
    """Distances equal those of an independent library."""
    surface = Surface(*ball, "test", device)
    points = points_around(surface.vertices, 300, seed=5)
    mesh = trimesh.Trimesh(*ball, process=False)
    _, expected, _ = trimesh.proximity.closest_point_naive(mesh, points)
    np.testing.assert_allclose(np.abs(surface.measure(points)[0]), expected, atol=3e-7)


@pytest.mark.parametrize(
    ("name", "closed", "share"),
    [
        ("inverted", True, 1.0),
        ("some faces flipped", False, 0.99),
        ("some faces missing", False, 0.99),
        ("every face twice", True, 1.0),
        ("faces without area", True, 1.0),
        ("unwelded", True, 1.0),
        ("nested inner shell", True, 1.0),
    ],
)
def test_sign_survives_bad_meshes(device, ball, name, closed, share):
    """Inverted, torn, repeated, unwelded and hollow surfaces keep the sign of the good surface almost everywhere."""
    vertices, faces = ball
    surface = Surface(*damaged(name, vertices, faces), "test", device)
    points = points_around(vertices, 1000, seed=1)
    expected = reference.winding_numbers(points, vertices, faces) > 0.5
    if name == "nested inner shell":
        inner = 0.5 * (vertices - vertices.mean(axis=0)) + vertices.mean(axis=0)
        expected &= reference.winding_numbers(points, inner, faces) < 0.5
    assert surface.closed == closed
    assert np.mean((surface.measure(points)[0] < 0.0) == expected) >= share
    if name in ("inverted", "every face twice", "faces without area"):
        assert len(surface.notes) == 1


def test_open_box_is_hollow_up_to_its_winding_number(device, box):
    """Without a lid the inside still counts as inside, the outside as outside, and the grid follows."""
    vertices, faces = box
    lid = np.all(vertices[faces][:, :, 2] > 0.0, axis=1)
    field = DistanceField(rigid_body("open", vertices, faces[~lid]), device, resolution=24)
    assert not field.surface.closed
    points = np.array([[0.0, 0.0, -0.05], [0.0, 0.0, 0.0], [0.0, 0.0, 0.13], [0.1, 0.0, 0.0]])
    signs = [-1.0, -1.0, 1.0, 1.0]
    np.testing.assert_array_equal(np.sign(field.signed_distance(points)), signs)
    np.testing.assert_array_equal(np.sign(field.grids.interpolate(0, points)[0]), signs)
    # Across the mouth, 3 cm from any surface, the grid passes through zero without a jump.
    through = np.linspace(-0.05, 0.12, 1000)[:, None] * np.array([[0.0, 0.0, 1.0]])
    values, gradients = field.grids.interpolate(0, through)
    assert values.min() < -0.02 and values.max() > 0.02
    assert np.linalg.norm(gradients, axis=1).max() < 3.0


def test_self_intersection_falls_back_to_winding(device, box):
    """Two overlapping boxes: pseudo-normals would call buried faces a surface's outside; the sign stays right."""
    vertices, faces = box
    moved = vertices + np.array([0.03, 0.04, 0.05])
    both = np.concatenate([vertices, moved]), np.concatenate([faces, faces + len(vertices)])
    surface = Surface(*both, "test", device)
    assert surface.closed and not surface.simple
    points = points_around(vertices, 500, seed=2)
    expected = reference.winding_numbers(points, *both) > 0.5
    np.testing.assert_array_equal(surface.measure(points)[0] < 0.0, expected)


def test_failed_queries_are_never_contact(device, box):
    """Points that are not finite, too large or out of reach are not found and far away; no points is no points."""
    surface = Surface(*box, "test", device)
    points = [[np.nan, 0, 0], [np.inf, 0, 0], [0, -1e30, 0], [1, 0, 0], [0.04, 0, 0]]
    for simple in (True, False):
        surface.simple = simple
        distances, normals, found = surface.measure(points, max_distance=0.05)
        np.testing.assert_array_equal(found, [False, False, False, False, True])
        np.testing.assert_allclose(distances, [0.05, 0.05, 0.05, 0.05, 0.01], atol=1e-7)
        np.testing.assert_allclose(normals, [[0, 0, 0]] * 4 + [[1, 0, 0]], atol=1e-6)
        assert [len(answer) for answer in surface.measure(np.zeros((0, 3)))] == [0, 0, 0]


def test_normals_on_the_surface(device, box):
    """On faces, edges and corners the normal is the mean of the faces around, of unit length."""
    surface = Surface(*box, "test", device)
    x, y, z = 0.5 * np.array(SIZE)
    points = [[x, 0.01, 0.02], [x, y, 0.02], [-x, -y, -z]]
    distances, normals, _ = surface.measure(points)
    np.testing.assert_allclose(distances, 0.0, atol=1e-7)
    expected = [[1, 0, 0], [0.5**0.5, 0.5**0.5, 0], np.full(3, -(3.0**-0.5))]
    np.testing.assert_allclose(normals, expected, atol=1e-6)


def test_closest_points(device, box):
    """Closest points lie on the surface; points that are not finite give NaN."""
    field = DistanceField(rigid_body("box", *box), device, resolution=8)
    closest, normals = field.closest([[0.1, 0.0, 0.0], [0.02, 0.0, 0.0], [np.nan, 0.0, 0.0]])
    np.testing.assert_allclose(closest, [[0.03, 0, 0], [0.03, 0, 0], [np.nan] * 3], atol=1e-7)
    np.testing.assert_allclose(normals, [[1, 0, 0], [1, 0, 0], [np.nan] * 3], atol=1e-6)


def test_grid_holds_exact_distances_near_the_surface(device, ball):
    """Nodes within the band equal the float64 search; none is off by more than one coarse spacing."""
    field = DistanceField(rigid_body("ball", *ball), device, resolution=16)
    nodes = np.random.default_rng(4).integers(0, field.grid.shape, (1000, 3))
    places = np.array(field.origin) + field.spacing * nodes
    expected = reference.signed_distances(places, field.surface.vertices, field.surface.faces)
    found = field.grid.numpy()[tuple(nodes.T)]
    near = np.abs(expected) < 3.0 * field.spacing
    assert near.sum() > 200
    np.testing.assert_allclose(found[near], expected[near], atol=5e-7)
    assert np.abs(found - expected).max() < field.spacing


def test_grid_error_is_measured(device, ball, box):
    """The reported error bounds the error at other points near the surface, and a finer grid has less."""
    errors = []
    for resolution in (16, 48):
        field = DistanceField(rigid_body("ball", *ball), device, resolution=resolution)
        points = field.surface.sample_near(500, 0.003, np.random.default_rng(9))
        error = np.abs(field.grids.interpolate(0, points)[0] - field.signed_distance(points))
        assert error.max() < 1.5 * field.grid_error_m
        errors.append(field.grid_error_m)
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("ordinary", (0.031, 0.012, -0.043)),
        ("inside", (0.011, -0.021, 0.033)),
        ("medial axis", (0.0003, 0.0002, 0.0004)),
        ("beside a corner", (0.0303, 0.0405, 0.0902)),
        ("outside the grid on one side", (0.231, 0.012, -0.043)),
        ("outside the grid on all sides", (0.231, -0.312, 0.443)),
        ("far away", (12.3, 4.5, -6.7)),
    ],
)
def test_grid_gradient(device, box_field, box, name, point):
    """The gradient of the grid's value equals finite differences of the twin, inside and outside of the grid."""
    field = box_field if device == "cpu" else DistanceField(rigid_body("box", *box), device, resolution=32)
    point = np.array(point, dtype=np.float32)
    points = wp.array(point[None], dtype=wp.vec3, device=device, requires_grad=True)
    distances = wp.full(1, np.nan, dtype=wp.float32, device=device, requires_grad=True)
    with wp.Tape() as tape:
        sample_grid(points, field.grid, field.origin, field.inverse_spacing, distance_out=distances)
    tape.backward(grads={distances: wp.ones(1, dtype=wp.float32, device=device)})
    values, origin = field.grid.numpy().astype(np.float64), np.array(field.origin, dtype=np.float64)

    def twin(p):
        return reference.interpolate(values, origin, field.spacing, p)

    assert distances.numpy()[0] == pytest.approx(twin(point), abs=1e-6 * max(1.0, float(np.abs(point).max())))
    numeric = finite_difference(twin, point.astype(np.float64), step=1e-7)
    compare_gradients(points.grad.numpy()[0], numeric, name=f"grid_distance {name}", worst=2e-3)


def test_grid_answers_bad_points(device, box_field, box):
    """Points that are not finite or too large are far away, with zero gradient."""
    field = box_field if device == "cpu" else DistanceField(rigid_body("box", *box), device, resolution=32)
    distances, gradients = field.grids.interpolate(0, [[np.nan, 0, 0], [np.inf, 0, 0], [0, 1e30, 0]])
    np.testing.assert_array_equal(distances, FAR)
    np.testing.assert_array_equal(gradients, 0.0)


def test_grid_is_continuous_and_an_upper_bound_outside(box_field):
    """Along a ray that leaves the grid the value never jumps, and is never less than the exact distance."""
    ray = np.linspace(0.0, 0.5, 2001)[:, None] * np.array([[0.6, 0.48, 0.64]])
    grid, exact = box_field.grids.interpolate(0, ray)[0], box_field.signed_distance(ray)
    assert np.abs(np.diff(grid)).max() < 2.0 * 0.5 / 2000
    outside = exact > 0.05
    assert (grid - exact)[outside].min() > -box_field.grid_error_m


def test_scale_and_padding(device, box):
    """A scaled body has scaled distances, and padding sets how far the grid reaches."""
    field = DistanceField(rigid_body("box", *box), device, resolution=16, padding=0.1, scale=2.0)
    assert field.signed_distance([[0.16, 0.0, 0.0]])[0] == pytest.approx(0.1, abs=1e-6)
    assert field.origin[0] <= -0.06 - 0.1 + 1e-6


def test_shared_fields_live_as_long_as_their_body(device, box):
    """One field per body, device and scale; it goes when the body does."""
    body = rigid_body("box", *box)
    field = shared_field(body, device)
    assert shared_field(body, device) is field and shared_field(body, device, scale=2.0) is not field
    assert shared_field(replace(body), device) is not field
    kept = ref(field)
    del body, field
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize(
    ("vertices", "faces", "where"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3), int), "vertices"),
        (np.eye(3), np.zeros((0, 3), int), "faces"),
        (np.eye(3), np.array([[0, 1, 3]]), "faces"),
        (np.eye(3), np.array([[0, 1, -1]]), "faces"),
        (np.eye(3), np.array([[0.0, 1.0, 2.0]]), "faces"),
        (np.eye(3), np.array([[0, 1, 1]]), "faces"),
        (np.eye(3) * [1, 1, np.nan], np.array([[0, 1, 2]]), "vertex 0"),
        (np.eye(3)[:, :2], np.array([[0, 1, 2]]), "vertices"),
    ],
)
def test_unusable_surfaces_are_refused(vertices, faces, where):
    """What would crash or silently mislead Warp raises an error that says where."""
    with pytest.raises(InputError, match=where):
        Surface(vertices, faces, "mug")


def test_settings_are_checked(box):
    """Resolution, padding and scale out of range raise errors that name them."""
    for name, value in (("resolution", 2), ("padding", -0.1), ("padding", np.nan), ("scale", 0.0)):
        with pytest.raises(InputError, match=name):
            DistanceField(rigid_body("box", *box), **{name: value})


def test_bodies_that_bend_are_refused(box):
    """A field per body is for rigid ones, a field per link for rigid links; both say so."""
    from tests.body_samples import make_tree_body

    body = make_tree_body()
    with pytest.raises(InputError, match="links"):
        DistanceField(body)
    with pytest.raises(InputError, match="bends"):
        LinkFields(body)
