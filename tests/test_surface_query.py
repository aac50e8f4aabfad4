"""Distances to surfaces that bend: every frame against a float64 search, and what must never look like contact."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
import warp as wp
from scipy.spatial.transform import Rotation

from tests.body_samples import MANO_PARENTS, make_ball_body, make_tree_body
from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.reference import distance as reference
from warpprior.bodies import Body, BodyModel, JointType, rigid_body
from warpprior.bodies.readers.hand import read_hand
from warpprior.geometry.bending_surface import SurfaceQuery
from warpprior.support.errors import InputError

LENGTH, RADIUS = 0.03, 0.008


def finger_body(sides=12, rings=25):
    """A round-ended rod of three links that hinge about x, blended smoothly where they meet (about 600 faces)."""
    z = np.linspace(-RADIUS, 3 * LENGTH + RADIUS, rings)
    beyond = np.clip(np.maximum(-z, z - 3 * LENGTH) / RADIUS, 0.0, 0.999)
    radius, angle = RADIUS * np.sqrt(1.0 - beyond**2), np.arange(sides) * (2.0 * np.pi / sides)
    circles = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    vertices = np.concatenate(
        [np.column_stack([r * circles, np.full(sides, h)]) for r, h in zip(radius, z, strict=True)]
    )
    quads = [(i, j) for i in range(rings - 1) for j in range(sides)]
    faces = []
    for i, j in quads:
        a, b = i * sides + j, i * sides + (j + 1) % sides
        faces += [[a, b, b + sides], [a, b + sides, a + sides]]
    for base, order in ((0, -1), ((rings - 1) * sides, 1)):
        faces += [[base, base + j, base + j + 1][::order] for j in range(1, sides - 1)]
    bent = np.clip((vertices[:, 2:] - LENGTH * np.array([1.0, 2.0])) / (2.0 * RADIUS) + 0.5, 0.0, 1.0)
    weights = np.column_stack([1.0 - bent[:, 0], bent[:, 0] * (1.0 - bent[:, 1]), bent[:, 0] * bent[:, 1]])
    straight = np.tile([0.0, 0.0, LENGTH, 0.0, 0.0, 0.0, 1.0], (3, 1)).astype(np.float32)
    straight[0, 2] = 0.0
    rigid = rigid_body("finger", vertices, np.array(faces))
    return replace(
        rigid,
        kind="skin",
        link_names=("base", "middle", "tip"),
        parents=np.array([-1, 0, 1], dtype=np.int32),
        joint_types=np.array([JointType.FREE, JointType.HINGE, JointType.HINGE], dtype=np.int32),
        joint_offsets=straight,
        joint_axes=np.tile(np.float32([1.0, 0.0, 0.0]), (3, 1)),
        coordinate_starts=np.array([-1, 0, 1], dtype=np.int32),
        coordinate_gains=np.ones(3, dtype=np.float32),
        coordinate_biases=np.zeros(3, dtype=np.float32),
        coordinate_names=("middle", "tip"),
        lower=np.zeros(2, dtype=np.float32),
        upper=np.full(2, 1.6, dtype=np.float32),
        skin_links=np.tile(np.arange(3, dtype=np.int32), (len(vertices), 1)),
        skin_weights=weights.astype(np.float32),
        joint_shape_directions=np.zeros((3, 3, 0), dtype=np.float32),
        pose_directions=np.zeros((len(vertices), 3, 0), dtype=np.float32),
    )


def pose_surface(body: Body, poses, joints, device="cpu"):
    """Surface of a body in each frame (frame, vertex, 3) float32."""
    model = BodyModel(body, device)
    state = model.state(len(poses), requires_grad=False)
    state.poses.assign(np.asarray(poses, dtype=np.float32))
    if joints.size:
        state.joints.assign(np.asarray(joints, dtype=np.float32))
    vertices = wp.zeros((len(poses), body.vertex_count), dtype=wp.vec3, device=device)
    model.shape(state)
    model.pose(state)
    model.skin(state, vertices)
    return vertices.numpy().copy()


def wander(frames, seed=0):
    """Poses (frame, 7) that tumble in front of the camera."""
    random = np.random.default_rng(seed)
    position = [0.1, -0.05, 0.6] + 0.1 * random.normal(size=(frames, 3))
    return np.hstack([position, Rotation.random(frames, random_state=seed).as_quat()])


def around(vertices, count, spread, seed=1):
    """Points (frame, count, 3) float32 scattered about the vertices of each frame."""
    random = np.random.default_rng(seed)
    chosen = random.integers(0, vertices.shape[1], (len(vertices), count))
    points = np.take_along_axis(vertices, chosen[..., None], axis=1)
    return (points + spread * random.normal(size=points.shape)).astype(np.float32)


def refitted(body, vertices, device, reach=0.05, first=0, winding=False):
    """A query that has taken ``vertices`` (frame, vertex, 3), which begin at ``first`` in the scene's array."""
    query = SurfaceQuery(body, len(vertices), device, reach, winding=winding)
    scene = np.full((len(vertices), first + vertices.shape[1] + 2, 3), POISON, dtype=np.float32)
    scene[:, first : first + vertices.shape[1]] = vertices
    query.refit(wp.array(scene, dtype=wp.vec3, device=device), first)
    return query


@pytest.fixture(scope="module")
def bent():
    """The finger in seven frames, straight to bent by 70 degrees in both joints."""
    body = finger_body()
    angles = np.linspace(0.0, np.radians(70.0), 7)
    return body, pose_surface(body, wander(7), np.column_stack([angles, angles]))


@pytest.fixture(scope="module")
def egg():
    """A rigid egg that tumbles through thirty frames."""
    ball = trimesh.creation.icosphere(subdivisions=2)
    body = rigid_body("egg", np.asarray(ball.vertices) * (0.04, 0.05, 0.07), np.asarray(ball.faces))
    return body, pose_surface(body, wander(30, seed=4), np.zeros((30, 0)))


def check_frames(query, vertices, faces, points, frames):
    """Distances, normals and closest points of some frames equal the float64 search."""
    distances, normals, found, weights = query.measure(points)
    for frame in frames:
        expected = reference.signed_distances(points[frame], vertices[frame], faces)
        hit = np.abs(expected) < query.reach_m
        np.testing.assert_array_equal(found[frame] >= 0, hit)
        np.testing.assert_allclose(distances[frame][hit], expected[hit], atol=1e-7)
        np.testing.assert_array_equal(distances[frame][~hit], np.float32(query.reach_m))
        closest = np.einsum("pc,pcx->px", weights[frame], vertices[frame][faces[found[frame]]])
        np.testing.assert_allclose(
            (points[frame] - distances[frame][:, None] * normals[frame])[hit], closest[hit], atol=2e-7
        )
        np.testing.assert_allclose(np.linalg.norm(normals[frame], axis=1), hit, atol=1e-5)
    return distances


def test_every_frame_of_a_bent_finger(device, bent):
    """Each frame's answers are those of its own surface, and points in and out of it get their signs."""
    body, vertices = bent
    points = around(vertices, 150, 0.006)
    distances = check_frames(refitted(body, vertices, device), vertices, body.faces, points, range(7))
    assert (distances < 0.0).mean() > 0.2 and (distances > 0.0).mean() > 0.2


def test_many_frames_and_short_reach(device, egg):
    """Thirty cells side by side; points beyond the reach, inside too, are misses."""
    body, vertices = egg
    points = around(vertices, 100, 0.04)
    query = refitted(body, vertices, device, reach=0.02)
    distances = check_frames(query, vertices, body.faces, points, (0, 7, 29))
    assert 0.2 < (distances == query.reach_m).mean() < 0.8


def test_against_trimesh(device, bent):
    """Distances equal those of an independent library."""
    body, vertices = bent
    points = around(vertices, 100, 0.01, seed=5)
    distances = refitted(body, vertices, device).measure(points)[0]
    mesh = trimesh.Trimesh(vertices[6], body.faces, process=False)
    _, expected, _ = trimesh.proximity.closest_point_naive(mesh, points[6])
    np.testing.assert_allclose(np.abs(distances[6]), expected, atol=2e-7)


def test_normals_are_the_gradient(device, bent):
    """Normals equal finite differences of the float64 distance."""
    body, vertices = bent
    points = around(vertices[5:6], 12, 0.004, seed=8)
    query = refitted(body, vertices[5:6], device)
    normals = query.measure(points)[1][0]
    for index, point in enumerate(points[0].astype(float)):
        numeric = finite_difference(lambda p: reference.signed_distances(p[None], vertices[5], body.faces)[0], point)
        compare_gradients(normals[index], numeric, name=f"query_surfaces normal {index}", worst=2e-3)


def test_refitting_follows_the_motion_and_the_offset(device, bent):
    """The same query serves other poses, taken from the middle of a scene's vertices."""
    body, vertices = bent
    query = refitted(body, vertices, device, first=5)
    for moved in (vertices[::-1].copy(), vertices + np.float32(0.3)):
        scene = np.concatenate([np.full((7, 3, 3), 9.0, dtype=np.float32), moved], axis=1)
        query.refit(wp.array(scene, dtype=wp.vec3, device=device), 3)
        check_frames(query, moved, body.faces, around(moved, 40, 0.006), (0, 6))


def test_frames_do_not_see_each_other(device, bent):
    """A point on the surface of another frame, 0.2 m away or more, is a miss."""
    body, vertices = bent
    apart = vertices - vertices.mean(axis=1, keepdims=True) + np.arange(7, dtype=np.float32)[:, None, None] * 0.2
    query = refitted(body, apart, device, reach=0.05)
    _, _, faces, _ = query.measure(apart[[1, 2, 3, 4, 5, 6, 0]])
    np.testing.assert_array_equal(faces, -1)


def test_misses_never_look_like_contact(device, egg, nan_allowed):
    """Points and surfaces that are not finite, huge or far away answer: reach, no normal, no face, no weights."""
    body, vertices = egg
    vertices = vertices[:5].copy()
    vertices[1, 3, 0] = np.nan
    vertices[2] = np.inf
    vertices[3, 7] = 50.0
    query = SurfaceQuery(body, 5, device, 0.03)
    query.refit(wp.array(vertices, dtype=wp.vec3, device=device))
    np.testing.assert_array_equal(query.usable.numpy(), [1, 0, 0, 0, 1])
    points = np.repeat(vertices[:, :1], 6, axis=1)
    points[:, 1:5] = [[[np.nan, 0, 0], [0, np.inf, 0], [0, 0, -1e30], [9.0, 9.0, 9.0]]]
    answers = query.answers(6)
    for array in (answers.distances, answers.normals, answers.barycentrics):
        array.assign(np.full((*array.shape, 3)[: array.numpy().ndim], POISON, dtype=np.float32))
    answers.faces.fill_(7)
    query.query(wp.array(points, dtype=wp.vec3, device=device), answers)
    good = np.zeros((5, 6), dtype=bool)
    good[[[0], [4]], [0, 5]] = True
    np.testing.assert_array_equal(answers.faces.numpy() >= 0, good)
    np.testing.assert_array_equal(answers.distances.numpy()[~good], np.float32(0.03))
    np.testing.assert_allclose(answers.distances.numpy()[good], 0.0, atol=1e-7)
    for array in (answers.normals, answers.barycentrics):
        np.testing.assert_array_equal(array.numpy()[~good], 0.0)
        assert np.isfinite(array.numpy()).all()


def test_normals_on_the_surface(device):
    """On a face, an edge and a corner of a box whose corners are not welded: the mean of the faces around."""
    box = trimesh.creation.box((0.06, 0.08, 0.18))
    seamed = np.asarray(box.vertices)[np.asarray(box.faces)].reshape(-1, 3)
    body = rigid_body("box", seamed, np.arange(36).reshape(-1, 3))
    query = refitted(body, body.vertices[None] + np.float32([0.0, 0.0, 0.5]), device)
    points = np.float32([[0.03, 0.01, 0.52], [0.03, 0.04, 0.52], [-0.03, -0.04, 0.41], [0.02, 0.03, 0.5]])[None]
    distances, normals, _, _ = query.measure(points)
    np.testing.assert_allclose(distances[0], [0.0, 0.0, 0.0, -0.01], atol=1e-7)
    np.testing.assert_allclose(normals[0, :2], [[1, 0, 0], [0.5**0.5, 0.5**0.5, 0]], atol=1e-5)
    np.testing.assert_allclose(normals[0, 2], np.full(3, -(3.0**-0.5)), atol=1e-5)


@pytest.mark.parametrize("side", ["right", "left"])
def test_our_hand_around_an_object(device, side):
    """With its fingers bent by a third and by a half of what they can, in signs and distances."""
    hand = read_hand(side)
    flexions = np.array([name.endswith(".x") for name in hand.coordinate_names])
    joints = np.array([0.33, 0.5])[:, None] * np.where(flexions, hand.upper, 0.0)
    vertices = pose_surface(hand, wander(2), joints)
    points = around(vertices, 80, 0.004)
    check_frames(refitted(hand, vertices, device), vertices, hand.faces, points, (0, 1))


@pytest.mark.parametrize("winding", [False, True], ids=["normals", "winding"])
def test_signs_where_the_surface_meets_itself(device, winding):
    """Bent by 110 degrees the finger runs through itself: what is outside stays so, and winding numbers are right."""
    body = finger_body()
    vertices = pose_surface(body, wander(2), np.radians([[110.0, 110.0], [30.0, 20.0]]))
    points = around(vertices, 1000, 0.004)
    distances, normals, _, _ = refitted(body, vertices, device, winding=winding).measure(points)
    for frame in range(2):
        numbers = reference.winding_numbers(points[frame], vertices[frame], body.faces)
        assert (numbers > 1.5).any() == (frame == 0)
        assert (distances[frame][numbers < 0.01] > 0.0).all()
        assert (distances[frame][numbers > 0.99] < 0.0).mean() > (0.6 if frame == 0 and not winding else 0.999)
        exact = reference.closest_points(points[frame], vertices[frame], body.faces)
        np.testing.assert_allclose(np.abs(distances[frame]), np.linalg.norm(points[frame] - exact, axis=1), atol=2e-7)
        np.testing.assert_allclose(points[frame] - distances[frame][:, None] * normals[frame], exact, atol=5e-6)


def test_collapsed_surfaces_do_not_crash(device, egg):
    """Triangles without area, in some frames or all over, and open surfaces give finite answers."""
    body, vertices = egg
    vertices = vertices[:3].copy()
    vertices[0, body.faces[:40].ravel()] = vertices[0, body.faces[0, 0]]
    vertices[1, :, 2] = 0.5
    vertices[2] = vertices[2, 0]
    points = around(vertices, 50, 0.01)
    distances, normals, _, weights = refitted(body, vertices, device).measure(points)
    for values in (distances, normals, weights):
        assert np.isfinite(values).all()
    flat = np.abs(reference.signed_distances(points[1], vertices[1], body.faces))
    np.testing.assert_allclose(np.abs(distances[1]), flat, atol=2e-7)
    sheet = rigid_body("sheet", body.vertices, body.faces[:150])
    distances, _, faces, _ = refitted(sheet, vertices[2:] * 0 + body.vertices[None], device).measure(points[:1] * 0)
    assert np.isfinite(distances).all() and (faces >= -1).all()


@pytest.mark.parametrize(
    "make", [make_tree_body, lambda: make_ball_body(MANO_PARENTS, vertices=120)], ids=["tree", "mano"]
)
def test_cells_have_room_for_any_pose(device, make):
    """However the joints turn within their limits, no frame loses its surface."""
    body = make()
    random = np.random.default_rng(3)
    joints = random.uniform(-3.0, 3.0, (40, body.coordinate_count))
    joints = np.clip(joints, np.maximum(body.lower, -3.0), np.minimum(body.upper, 3.0))
    query = refitted(body, pose_surface(body, wander(40), joints), device)
    np.testing.assert_array_equal(query.usable.numpy(), 1)


def test_unusable_arguments_are_refused(bent):
    """No triangles, a reach that is no distance and points of another shape raise errors that say so."""
    body, vertices = bent
    empty = rigid_body("empty", np.zeros((3, 3)), np.zeros((0, 3), dtype=int))
    with pytest.raises(InputError, match="triangles"):
        SurfaceQuery(empty, 2)
    for reach in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="reach"):
            SurfaceQuery(body, 2, reach_m=reach)
    with pytest.raises(InputError, match="triangles in all"):
        SurfaceQuery(body, 10**9)
    with pytest.raises(InputError, match="points"):
        refitted(body, vertices, "cpu").measure(np.zeros((2, 5, 3)))
    assert [len(answer[0]) for answer in refitted(body, vertices, "cpu").measure(np.zeros((7, 0, 3)))] == [0, 0, 0, 0]
