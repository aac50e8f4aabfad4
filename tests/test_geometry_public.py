"""The public geometry: NumPy in and out, and Warp arrays on the caller's own tape, against the float64 twins."""

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.body_samples import make_motion, make_tree_body
from tests.estimator_scenes import make_ball, make_block
from tests.gradcheck import compare_gradients, finite_difference
from tests.reference import distance, kinematics, quasistatic, skinning
from warpprior import Poses, geometry
from warpprior.bodies import posed_vertices
from warpprior.support.errors import InputError

TREE = make_tree_body(vertices=20)
BLOCK = make_block()
FRAMES = 2


def on_device(values, dtype, device):
    """A Warp array that takes gradients."""
    return wp.array(np.asarray(values, dtype=np.float32), dtype=dtype, device=device, requires_grad=True)


def weighted(outputs, weights):
    """Seeds of ``sum(weights * outputs)`` for :meth:`wp.Tape.backward`."""
    return {outputs: wp.array(weights.astype(np.float32), dtype=outputs.dtype, device=outputs.device)}


def block_poses(frames=FRAMES, seed=3):
    """Poses (frame, 7) float64 in front of the camera, exact in float32."""
    random = np.random.default_rng(seed)
    position = [0.02, -0.01, 0.5] + 0.02 * random.normal(size=(frames, 3))
    poses = np.hstack([position, Rotation.random(frames, random_state=seed).as_quat()])
    return poses.astype(np.float32).astype(np.float64)


def points_about(poses, count=15, spread=0.01, seed=5):
    """Points (frame, point, 3) float64 about the block's surface, exact in float32."""
    surface = geometry.skin(BLOCK, poses)
    chosen = np.random.default_rng(seed).integers(0, BLOCK.vertex_count, (len(poses), count))
    points = np.take_along_axis(surface, chosen[..., None], axis=1)
    moved = points + spread * np.random.default_rng(seed + 1).normal(size=points.shape)
    return moved.astype(np.float32).astype(np.float64)


def split(motion):
    """Position, rotation, joints, shape and scale of a motion of ``make_motion``."""
    return motion["poses"][:, :3], motion["poses"][:, 3:], motion["joints"], motion["shape"], motion["scale"]


def test_skin_takes_poses_in_every_form(device):
    """NumPy, Warp arrays, transforms, matrices, longer quaternions and Poses put the surface at the same place."""
    position, rotation, joints, shape, scale = split(make_motion(TREE, FRAMES))
    poses = Poses(position.astype(float), rotation.astype(float), joints.astype(float), shape.astype(float), scale[0])
    expected = posed_vertices(TREE, poses)
    words = {"shape": shape, "scale": float(scale[0])}
    whole = np.hstack([position, rotation])
    matrices = Rotation.from_quat(rotation).as_matrix()
    forms = [
        geometry.skin(TREE, poses),
        geometry.skin(TREE, position, rotation, joints, **words),
        geometry.skin(TREE, position, 3.0 * rotation, joints, **words),
        geometry.skin(TREE, position, matrices, joints, **words),
        geometry.skin(TREE, whole, joints=joints, **words),
        geometry.skin(TREE, np.hstack([position, 1.5 * rotation]), joints=joints, **words),
        geometry.skin(TREE, on_device(whole, wp.transform, device), joints=joints, **words).numpy(),
        geometry.skin(TREE, on_device(position, float, device), rotation, joints, **words).numpy(),
        geometry.skin(TREE, position, rotation, joints, shape=shape, scale=on_device(scale, float, device)).numpy(),
    ]
    for surface in forms:
        assert isinstance(surface, np.ndarray)
        np.testing.assert_allclose(surface, expected, atol=2e-6)
    at_rest = geometry.skin(TREE, position, rotation)
    np.testing.assert_allclose(at_rest, geometry.skin(TREE, position, rotation, np.zeros_like(joints)))


def test_skin_is_differentiable_in_all_it_takes(device):
    """Position, rotation, joints, shape and scale, on the caller's tape, against the float64 twin."""
    motion = make_motion(TREE, FRAMES, seed=1)
    position, rotation, joints, shape, scale = split(motion)
    rotation = 1.5 * rotation
    given = {
        "position": on_device(position, wp.vec3, device),
        "rotation": on_device(rotation, wp.quat, device),
        "joints": on_device(joints, float, device),
        "shape": on_device(shape, float, device),
        "scale": on_device(scale, float, device),
    }
    weights = np.random.default_rng(0).normal(size=(FRAMES, TREE.vertex_count, 3))
    with wp.Tape() as tape:
        surface = geometry.skin(TREE, **given)
    tape.backward(grads=weighted(surface, weights))
    values = {"position": position, "rotation": rotation, "joints": joints, "shape": shape, "scale": scale}

    def objective(name, x):
        now = {**{key: value.astype(np.float64) for key, value in values.items()}, name: x}
        total = 0.0
        for frame in range(FRAMES):
            pose = kinematics.matrices(np.concatenate([now["position"][frame], now["rotation"][frame]]))
            place = skinning.surface(TREE, pose, now["joints"][frame], now["shape"], now["scale"][0])
            total += float((weights[frame] * place).sum())
        return total

    for name, array in given.items():
        numeric = finite_difference(lambda x, name=name: objective(name, x), values[name].astype(np.float64))
        compare_gradients(array.grad.numpy(), numeric, name=f"skin by {name}", worst=5e-3, cosine=0.99999)


def test_rotation_matrices_pass_gradients_of_turns(device):
    """Along every turn of the matrix the gradient is the surface's; other directions leave the rotations."""
    poses = block_poses()
    matrices = Rotation.from_quat(poses[:, 3:]).as_matrix()
    array = on_device(matrices, wp.mat33, device)
    weights = np.random.default_rng(0).normal(size=(FRAMES, BLOCK.vertex_count, 3))
    with wp.Tape() as tape:
        surface = geometry.skin(BLOCK, poses[:, :3], array)
    tape.backward(grads=weighted(surface, weights))

    def objective(turns):
        turned = (Rotation.from_rotvec(turns) * Rotation.from_matrix(matrices)).as_matrix()
        return float(np.einsum("fvx,fxy,vy->", weights, turned, BLOCK.vertices.astype(np.float64)))

    numeric = finite_difference(objective, np.zeros((FRAMES, 3)))
    gradient = array.grad.numpy().astype(np.float64)
    axes = np.cross(np.eye(3)[:, None], np.eye(3)[None]).swapaxes(1, 2)  # generators of turns
    tangent = np.einsum("fxy,axz,fzy->fa", gradient, axes, matrices)
    compare_gradients(tangent, numeric, name="join_matrices by turns", worst=2e-3)


@pytest.mark.parametrize("method", ["exact", "grid"])
def test_the_length_of_a_quaternion_in_whole_poses_does_not_matter(device, method):
    """A descent on position and quaternion leaves the sphere; the body stays as large, and no gradient goes along."""
    poses = block_poses()
    points = points_about(poses)
    found = []
    for length in (1.0, 1.3):
        longer = poses * [1.0, 1.0, 1.0, length, length, length, length]
        whole = wp.array(longer.astype(np.float32), dtype=wp.transform, device=device, requires_grad=True)
        with wp.Tape() as tape:
            distance = geometry.signed_distance(BLOCK, points, whole, method=method, device=device).distance
        tape.backward(grads={distance: wp.full(distance.shape, 1.0, dtype=wp.float32, device=device)})
        gradient = whole.grad.numpy() * [1.0, 1.0, 1.0, length, length, length, length]
        assert np.abs((gradient[:, 3:] * longer[:, 3:]).sum(axis=1)).max() < 1e-3 * np.abs(gradient[:, 3:]).max()
        found.append((distance.numpy(), gradient))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=2e-3 * np.abs(found[0][1]).max())


def test_a_quaternion_without_length_is_no_rotation(device):
    """It neither divides by zero nor gives a gradient that is not finite."""
    rotation = on_device(np.zeros((1, 4)), wp.quat, device)
    with wp.Tape() as tape:
        poses = geometry.join_poses(np.zeros((1, 3)), rotation)
    tape.backward(grads=weighted(poses, np.ones((1, 7))))
    np.testing.assert_array_equal(poses.numpy()[0, 3:], [0.0, 0.0, 0.0, 1.0])
    assert np.isfinite(rotation.grad.numpy()).all()


def test_signed_distance_is_that_of_the_twin(device):
    """Values, normals and nearest places in motion and at rest; a grid is near, far points are misses."""
    poses = block_poses()
    points = points_about(poses)
    surface = geometry.skin(BLOCK, poses)
    found = geometry.signed_distance(BLOCK, points, poses)
    closest = geometry.closest_points(BLOCK, points, poses)
    baked = geometry.signed_distance(BLOCK, points, poses, method="grid")
    for frame in range(FRAMES):
        expected = distance.signed_distances(points[frame], surface[frame], BLOCK.faces)
        places = distance.closest_points(points[frame], surface[frame], BLOCK.faces)
        np.testing.assert_allclose(found.distance[frame], expected, atol=2e-7)
        np.testing.assert_allclose(closest.position[frame], places, atol=3e-7)
        np.testing.assert_allclose(
            points[frame] - found.distance[frame][:, None] * found.normal[frame], places, atol=5e-7
        )
        near = np.abs(expected) < 0.008
        np.testing.assert_allclose(baked.distance[frame][near], expected[near], atol=4e-4)
    assert baked.face is None and (found.face >= 0).all()
    at_rest = geometry.signed_distance(BLOCK, [[0.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    np.testing.assert_allclose(at_rest.distance, [-0.016, 0.5], atol=1e-7)
    assert at_rest.face[1] == -1 and (at_rest.normal[1] == 0.0).all()
    assert np.isnan(geometry.closest_points(BLOCK, [[0.0, 0.0, 3.0]]).position).all()
    larger = geometry.signed_distance(BLOCK, [[0.0, 0.0, 0.0]], scale=2.0)
    np.testing.assert_allclose(larger.distance, [-0.032], atol=1e-7)


@pytest.mark.parametrize("method", ["exact", "grid"])
def test_signed_distance_is_differentiable_in_points_and_poses(device, method):
    """Against finite differences of the float64 twin, or of the grid's interpolant; twice on one tape adds up."""
    from warpprior.geometry.signed_distance import shared_field

    poses, weights = block_poses(), np.random.default_rng(0).normal(size=(FRAMES, 15))
    points = points_about(poses)
    given = {
        "points": on_device(points, wp.vec3, device),
        "position": on_device(poses[:, :3], wp.vec3, device),
        "rotation": on_device(poses[:, 3:], wp.quat, device),
    }
    with wp.Tape() as tape:
        once = [
            geometry.signed_distance(
                BLOCK, given["points"], (given["position"], given["rotation"]), method=method
            ).distance
            for _ in range(2)
        ]
    tape.backward(grads={**weighted(once[0], 0.25 * weights), **weighted(once[1], 0.75 * weights)})
    values = {"points": points, "position": poses[:, :3], "rotation": poses[:, 3:]}
    field = shared_field(BLOCK)
    grid, origin = field.grid.numpy(), np.array(field.origin, dtype=np.float64)

    def objective(name, x):
        now = {**values, name: x}
        total = 0.0
        for frame in range(FRAMES):
            turn = Rotation.from_quat(now["rotation"][frame])
            local = turn.inv().apply(now["points"][frame] - now["position"][frame])
            if method == "exact":
                found = distance.signed_distances(local, BLOCK.vertices, BLOCK.faces)
            else:
                found = [distance.interpolate(grid, origin, field.spacing, point) for point in local]
            total += float(weights[frame] @ np.asarray(found))
        return total

    for name, array in given.items():
        numeric = finite_difference(lambda x, name=name: objective(name, x), values[name], step=1e-7)
        compare_gradients(array.grad.numpy(), numeric, name=f"signed distance, {method}, by {name}", worst=5e-3)


def test_signed_distance_by_each_vertex(device):
    """The surface itself, as it bends, against finite differences of the float64 twin."""
    poses = block_poses(frames=1)
    points, surface = points_about(poses, count=6), geometry.skin(BLOCK, poses)
    vertices = on_device(surface, wp.vec3, device)
    with wp.Tape() as tape:
        found = geometry.signed_distance(BLOCK, points, vertices)
    tape.backward(grads=weighted(found.distance, np.ones((1, 6))))
    moved = np.unique(BLOCK.faces[found.face.numpy()[0]])

    def objective(x):
        now = surface[0].astype(np.float64)
        now[moved] = x
        return distance.signed_distances(points[0], now, BLOCK.faces).sum()

    numeric = finite_difference(objective, surface[0, moved].astype(np.float64))
    gradient = vertices.grad.numpy()[0]
    compare_gradients(gradient[moved], numeric, name="signed distance by vertices", worst=5e-3)
    others = np.setdiff1d(np.arange(BLOCK.vertex_count), moved)
    assert (gradient[others] == 0.0).all()


def test_points_that_ride_on_a_surface(device):
    """Samples move with the surface, their gradient reaches it; closest points do, too."""
    faces, barycentrics, areas = geometry.sample_surface(BLOCK, 10)
    assert areas.sum() == pytest.approx(1.0)
    poses = block_poses()
    surface = on_device(geometry.skin(BLOCK, poses), wp.vec3, device)
    with wp.Tape() as tape:
        riding = geometry.surface_points(BLOCK, surface, faces, barycentrics)
        closest = geometry.closest_points(BLOCK, riding, surface).position
    np.testing.assert_allclose(closest.numpy(), riding.numpy(), atol=1e-6)
    np.testing.assert_allclose(geometry.surface_points(BLOCK, surface.numpy(), faces, barycentrics), riding.numpy())
    for points in (riding, closest):
        tape.zero()
        tape.backward(grads=weighted(points, np.ones((FRAMES, 10, 3))))
        np.testing.assert_allclose(surface.grad.numpy().sum(axis=1), 10.0, rtol=1e-5)


def contacts(seed=0, count=8, misfit_m=0.01):
    """Contact points before and after, weights and poses before, exact in float32."""
    random = np.random.default_rng(seed)
    before = random.normal(scale=0.03, size=(FRAMES, count, 3)) + np.array([0.0, 0.0, 0.5])
    turn = Rotation.from_rotvec([0.1, -0.2, 0.15])
    after = turn.apply(before.reshape(-1, 3)).reshape(before.shape) + misfit_m * random.normal(size=before.shape)
    weights = random.uniform(0.2, 1.0, (FRAMES, count))
    return [x.astype(np.float32).astype(np.float64) for x in (before, after, block_poses(), weights)]


def test_transfer_is_differentiable(device):
    """Poses after equal the twin's; so do gradients by contacts, weights and the pose before."""
    before, after, poses, weights = contacts()
    values = {"points_before": before, "points_after": after, "weights": weights, "poses_before": poses}
    types = {"points_before": wp.vec3, "points_after": wp.vec3, "weights": float, "poses_before": wp.transform}
    given = {name: on_device(values[name], types[name], device) for name in values}
    share = np.random.default_rng(1).normal(size=(FRAMES, 3))
    with wp.Tape() as tape:
        found = geometry.transfer(**given)
    tape.backward(grads=weighted(found.poses, np.hstack([share, np.zeros((FRAMES, 4))])))
    still = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])

    def twin(now, frame):
        contact = (now["points_before"][frame], now["points_after"][frame], now["weights"][frame])
        return quasistatic.transfer(*contact, now["poses_before"][frame], still, 1e-4, 1e-6 / 0.18)[2]

    on_host = geometry.transfer(**values)
    np.testing.assert_allclose(on_host.poses, found.poses.numpy(), atol=1e-6)
    for frame in range(FRAMES):
        np.testing.assert_allclose(on_host.poses[frame, :3], twin(values, frame)[:3], atol=1e-6)
    for name, array in given.items():
        numeric = finite_difference(
            lambda x, name=name: sum(share[f] @ twin({**values, name: x}, f)[:3] for f in range(FRAMES)), values[name]
        )
        analytic = array.grad.numpy()
        if name == "poses_before":  # the position after does not depend on the rotation before
            analytic, numeric = analytic[:, :3], numeric[:, :3]
        compare_gradients(analytic, numeric, name=f"transfer by {name}", worst=1e-2, cosine=0.9999, bias=2e-3)


def test_the_covariance_of_a_transfer_is_that_of_trials(device):
    """Contacts after disturbed 4,000 times: spread of position and turn as the covariance says, rank three."""
    before, after, poses, weights = (values[:1] for values in contacts(count=5, misfit_m=0.0))
    sigma, trials = 5e-4, 4000
    noisy = after + sigma * np.random.default_rng(2).normal(size=(trials, *after.shape[1:])) / np.sqrt(
        weights[..., None]
    )
    many = [np.repeat(values, trials, axis=0) for values in (before, poses, weights)]
    words = {"contact_sigma_m": sigma, "prior_angle": 3.0, "prior_shift_m": 100.0}
    middle = geometry.transfer(before, after, poses, weights, **words)
    found = geometry.transfer(many[0], noisy, many[1], many[2], device=device, **words).poses.numpy().astype(np.float64)
    turns = (Rotation.from_quat(found[:, 3:]) * Rotation.from_quat(middle.poses[0, 3:]).inv()).as_rotvec()
    spread = np.cov(np.hstack([found[:, :3] - middle.poses[0, :3], turns]).T)
    covariance = middle.covariance[0].astype(np.float64)
    scale = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(spread / np.outer(scale, scale), covariance / np.outer(scale, scale), atol=0.12)
    assert middle.rank[0] == 3


def test_without_contacts_a_body_goes_where_it_was_expected(device):
    """The prior motion is taken, and the covariance says how little is known."""
    poses = block_poses(frames=1)
    shift = np.array([[0.01, 0.0, -0.02, 0.0, 0.0, 0.0, 1.0]])
    none = np.zeros((1, 2, 3))
    found = geometry.transfer(none, none, poses, np.zeros((1, 2)), prior_motions=shift)
    np.testing.assert_allclose(found.poses[0, :3], poses[0, :3] + shift[0, :3], atol=1e-6)
    assert found.covariance[0, 0, 0] == pytest.approx(0.1**2, rel=1e-3)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: geometry.skin(BLOCK, np.zeros((2, 3)), np.zeros((3, 4))), r"rotation: shape \(3, 4\); shape \(2, 4\)"),
        (lambda: geometry.skin(TREE, block_poses(), joints=np.zeros((2, 1))), "joints of body 'sample': shape"),
        (lambda: geometry.skin(BLOCK, block_poses(), scale=0.0), "scale of body 'box': 0.0; a positive"),
        (lambda: geometry.skin(BLOCK, np.full((1, 7), np.nan)), "not|nan"),
        (lambda: geometry.skin(BLOCK, Poses(np.ones((1, 3)), np.ones((1, 4)), np.zeros((1, 0)))), "length 2; unit"),
        (lambda: geometry.signed_distance(BLOCK, np.zeros((2, 5, 3)), block_poses(3)), "points: 2 frames; 3, as"),
        (lambda: geometry.signed_distance(BLOCK, np.zeros((2, 5, 3)), (np.zeros((2, 3)),)), "a tuple of 1; position,"),
        (lambda: geometry.transfer(*np.zeros((2, 2, 4, 3)), (np.zeros((2, 3)),)), "before: a tuple of 1; position,"),
        (lambda: geometry.signed_distance(BLOCK, np.zeros((5, 3)), method="best"), "method: 'best'; exact or grid"),
        (lambda: geometry.signed_distance(TREE, np.zeros((5, 3)), method="grid"), "8 links; a rigid body"),
        (lambda: geometry.signed_distance(BLOCK, np.zeros((5, 3)), reach_m=0.0), "reach: 0.0; a positive"),
        (lambda: geometry.surface_points(BLOCK, np.zeros((1, BLOCK.vertex_count, 3)), [999], [[1, 0, 0]]), "faces"),
        (lambda: geometry.transfer(np.zeros((2, 4, 3)), np.zeros((2, 5, 3)), block_poses()), "points after: shape"),
        (lambda: geometry.transfer(*np.zeros((2, 2, 4, 3)), block_poses(), contact_sigma_m=0.0), "contact_sigma_m"),
    ],
)
def test_what_is_refused(call, sentence):
    """Shapes that do not fit, numbers out of range, bodies that a method is not for: one sentence each."""
    with pytest.raises(InputError, match=sentence):
        call()


def test_nothing_is_recorded_without_a_gradient(device):
    """Arrays that need none make answers that need none."""
    poses = wp.array(block_poses(), dtype=wp.transform, device=device)
    with wp.Tape() as tape:
        surface = geometry.skin(BLOCK, poses)
        found = geometry.signed_distance(make_ball(), surface, poses)
    assert not surface.requires_grad and not found.distance.requires_grad
    tape.zero()
