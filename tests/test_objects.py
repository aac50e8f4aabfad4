"""Our own objects: closed, outward, free of self-intersection, of the sizes they say, told apart when turned."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from warpprior.geometry.signed_distance import DistanceField
from warpprior.scenes.objects import OBJECTS, make_object
from warpprior.scenes.objects.implicit import mesh_solid
from warpprior.scenes.objects.rings import revolve, zip_rings
from warpprior.support.errors import InputError

EXTENTS = {  # [mm]
    "cracker_box": (158, 60, 210),
    "bottle": (92, 58, 192),
    "box": (58, 86, 160),
    "mug": (117, 80, 90),
    "can": (67, 67, 101),
    "bowl": (160, 160, 55),
    "drill": (174, 54, 185),
    "banana": (188, 60, 36),
}
HAND_MADE = [name for name in OBJECTS if name not in ("bottle", "box")]  # what has triangles of one size


@pytest.fixture(scope="module", params=OBJECTS)
def spec(request):
    """Each object in turn."""
    return make_object(request.param)


@pytest.fixture(scope="module")
def field(spec):
    """The distance to it."""
    return DistanceField(spec.body)


def directed_edges(faces):
    """Every edge of every face (edge, 2), in the face's direction."""
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def volume(corners):
    """Signed volume of triangles (face, 3, 3)."""
    return np.einsum("fx,fx->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6.0


def winding_numbers(points, corners):
    """How often a surface of triangles (face, 3, 3) goes around each point: its solid angle over 4 pi."""
    a, b, c = (corners[None, :, k] - points[:, None] for k in range(3))
    la, lb, lc = (np.linalg.norm(v, axis=2) for v in (a, b, c))
    triple = np.einsum("pfx,pfx->pf", a, np.cross(b, c))
    rest = la * lb * lc + (a * b).sum(2) * lc + (b * c).sum(2) * la + (c * a).sum(2) * lb
    return 2.0 * np.arctan2(triple, rest).sum(axis=1) / (4.0 * np.pi)


def test_closed_and_outward(spec):
    """Every edge joins two faces in opposite directions, every vertex is used, the volume is positive."""
    body = spec.body
    edges = directed_edges(body.faces)
    forward = set(map(tuple, edges))
    assert len(forward) == len(edges)
    assert {(b, a) for a, b in forward} == forward
    np.testing.assert_array_equal(np.unique(body.faces), np.arange(body.vertex_count))
    assert volume(body.vertices[body.faces].astype(float)) > 1e-4
    assert body.closed
    assert body.colors.shape == (body.vertex_count, 3) and body.colors.min() >= 0.0 and body.colors.max() <= 1.0


def test_one_piece_of_the_right_genus(spec):
    """The mug's handle is the only hole through any of them, and none falls apart."""
    body = spec.body
    euler = body.vertex_count - len(directed_edges(body.faces)) // 2 + body.face_count
    assert euler == (0 if spec.body.name == "mug" else 2)
    reached = np.zeros(body.vertex_count, dtype=bool)
    reached[0] = True
    while True:
        grown = reached.copy()
        grown[body.faces[reached[body.faces].any(axis=1)]] = True
        if (grown == reached).all():
            break
        reached = grown
    assert reached.all()


def test_extents_and_origin(spec):
    """Sizes are the stated ones; the origin is at mid height, and amid the box except where there is an axis."""
    vertices = spec.body.vertices
    np.testing.assert_allclose(1e3 * np.ptp(vertices, axis=0), EXTENTS[spec.body.name], atol=1.0)
    middle = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    assert abs(middle[2]) < 1e-6
    if spec.body.name != "mug":
        np.testing.assert_allclose(middle[:2], 0.0, atol=1e-3)
    assert spec.standing_height == pytest.approx(0.5 * EXTENTS[spec.body.name][2] * 1e-3, abs=1e-3)


@pytest.mark.parametrize("name", HAND_MADE)
def test_triangles_are_well_shaped(name):
    """No sliver: 2,000 to 5,000 triangles, each with at least a third of the shape of an equilateral one."""
    body = OBJECTS[name]()
    assert 1900 < body.face_count < 5100
    corners = body.vertices[body.faces].astype(float)
    sides = corners - np.roll(corners, 1, axis=1)
    area = 0.5 * np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    assert (4.0 * np.sqrt(3.0) * area / (sides**2).sum(axis=(1, 2))).min() > 0.33


def test_surface_does_not_cross_itself(spec):
    """Just outside each of many faces nothing is around a point, just inside the surface goes around it once."""
    corners = spec.body.vertices[spec.body.faces].astype(float)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    faces = np.random.default_rng(0).choice(len(corners), 250, replace=False)
    middle = corners[faces].mean(axis=1)
    offset = 2e-5 * normals[faces] / np.linalg.norm(normals[faces], axis=1)[:, None]
    np.testing.assert_allclose(winding_numbers(middle + offset, corners), 0.0, atol=1e-6)
    np.testing.assert_allclose(winding_numbers(middle - offset, corners), 1.0, atol=1e-6)


def test_symmetry_is_that_of_the_shape(spec, field):
    """Turned about z, can and bowl keep their surface, the others do not; none keeps its colours."""
    vertices = spec.body.vertices.astype(float)
    moved = []
    for angle in (0.7, 1.9, np.pi):
        turned = Rotation.from_rotvec([0.0, 0.0, angle]).apply(vertices)
        moved.append(np.abs(field.signed_distance(turned)).max())
    if spec.symmetry == "z":
        assert max(moved) < 3e-4
    else:
        assert max(moved) > 2e-3
    flipped = vertices * [-1.0, -1.0, 1.0]
    nearest = np.argmin(((flipped[::7, None] - vertices[None]) ** 2).sum(axis=2), axis=1)
    assert np.mean(np.abs(spec.body.colors[::7] - spec.body.colors[nearest]).max(axis=1) > 0.15) > 0.03


def test_holds_are_on_the_object(spec, field):
    """A hold's middle is half its width from the surface; palms come across the axis and do not start inside."""
    low, high = spec.body.vertices.min(axis=0), spec.body.vertices.max(axis=0)
    for hold in spec.holds:
        distance = abs(float(field.signed_distance(hold.center[None])[0]))
        assert distance == pytest.approx(0.5 * hold.width, rel=0.25, abs=1e-3)
        assert np.linalg.norm(hold.axis) == pytest.approx(1.0)
        assert low[2] <= hold.heights[0] <= hold.heights[1] <= high[2]
        ends = hold.center + 0.5 * hold.length * hold.axis * np.array([[-1.0], [1.0]])
        assert ((ends > low - 0.01) & (ends < high + 0.01)).all()
        if hold.palm is not None:
            assert abs(hold.palm @ hold.axis) < 0.2
            assert field.signed_distance((hold.center - 0.1 * hold.palm)[None])[0] > 0.0
    assert spec.grasp_height == spec.holds[0].heights


def test_mug_lets_a_finger_through():
    """Between the mug's wall and its handle there is room for a finger 18 mm thick."""
    mug = make_object("mug")
    gap = np.array([[0.040 + 0.5 * 0.029, y, 0.0] for y in np.linspace(-0.03, 0.03, 9)])
    assert DistanceField(mug.body).signed_distance(gap).min() > 0.009
    assert DistanceField(mug.body).signed_distance(np.array([[0.0, 0.0, 0.02]]))[0] > 0.03  # hollow


def test_objects_are_the_same_every_time(spec):
    """Nothing about them is random."""
    again = make_object(spec.body.name).body
    np.testing.assert_array_equal(again.vertices, spec.body.vertices)
    np.testing.assert_array_equal(again.faces, spec.body.faces)
    np.testing.assert_array_equal(again.colors, spec.body.colors)


def test_unknown_object_is_explained():
    """The names there are are listed."""
    with pytest.raises(InputError, match="cracker_box"):
        make_object("teapot")


def test_surface_nets_of_a_torus():
    """A torus comes out closed, of genus 1, its vertices on the surface and its volume right."""
    big, small = 0.05, 0.015

    def distance(points):
        return np.hypot(np.hypot(points[:, 0], points[:, 1]) - big, points[:, 2]) - small

    vertices, faces = mesh_solid(distance, [-0.066, -0.066, -0.016], [0.066, 0.066, 0.016], 0.004)
    edges = set(map(tuple, directed_edges(faces)))
    assert len(edges) == 3 * len(faces) and {(b, a) for a, b in edges} == edges
    assert len(vertices) - len(edges) // 2 + len(faces) == 0
    assert np.abs(distance(vertices)).max() < 1e-6
    assert volume(vertices[faces]) == pytest.approx(2.0 * np.pi**2 * big * small**2, rel=0.03)


def test_zipped_rings_use_every_edge_once():
    """Between rings of any counts there are as many triangles as edges on both; a pole makes a fan."""
    for a, b in ((1, 7), (7, 1), (6, 6), (6, 11), (40, 13)):
        faces = np.array(zip_rings(np.arange(a), a + np.arange(b)))
        assert len(faces) == (a if a > 1 else 0) + (b if b > 1 else 0)
        edges = list(map(tuple, directed_edges(faces)))
        assert len(set(edges)) == len(edges)


def test_solid_of_revolution_has_the_volume_of_its_outline():
    """A cylinder is the prism of its ring."""
    vertices, faces, rings = revolve(np.array([(0.0, 0.0), (0.03, 0.0), (0.03, 0.1), (0.0, 0.1)]), 0.004)
    sides = max(len(ring) for ring in rings)
    area = 0.5 * sides * 0.03**2 * np.sin(2.0 * np.pi / sides)
    assert volume(vertices[faces]) == pytest.approx(area * 0.1, rel=1e-3)
