"""Bodies on a device and known motion; points spread over surfaces."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from tests.body_samples import MANO_PARENTS, make_ball_body, make_motion, make_rigid_body, make_tree_body
from tests.reference import kinematics, skinning
from warpprior.bodies import (
    BodyModel,
    assign_poses,
    link_transforms,
    posed_vertices,
    rigid_body,
)
from warpprior.bodies.primitives import make_box, make_sphere
from warpprior.geometry.sampling import sample_surface
from warpprior.scene import Poses

TREE = make_tree_body()


def poses_from(motion):
    """The motion as the :class:`Poses` a scene holds, float64."""
    values = {key: value.astype(np.float64) for key, value in motion.items()}
    position, rotation = values["poses"][:, :3], values["poses"][:, 3:]
    return Poses(position, rotation, values["joints"], values["shape"], float(values["scale"][0]))


@pytest.fixture
def sphere():
    """A sphere of 5 cm."""
    surface = make_sphere(0.05)
    return rigid_body("sphere", surface.vertices, surface.faces)


@pytest.mark.parametrize(
    "body", [TREE, make_rigid_body(), make_ball_body(MANO_PARENTS, vertices=50)], ids=lambda b: b.name
)
def test_known_motion_equals_the_twin(device, body):
    """posed_vertices and link_transforms agree with the float64 twin for shape, scale and every joint."""
    motion = make_motion(body, 3)
    poses = poses_from(motion)
    surface, links = posed_vertices(body, poses, device), link_transforms(body, poses, device)
    assert surface.shape == (3, body.vertex_count, 3) and surface.dtype == np.float32
    assert links.shape == (3, body.link_count, 7)
    for frame, pose in enumerate(kinematics.matrices(motion["poses"])):
        arguments = (body, pose, poses.joints[frame], poses.shape, poses.scale)
        np.testing.assert_allclose(surface[frame], skinning.surface(*arguments), atol=3e-6)
        np.testing.assert_allclose(kinematics.matrices(links[frame]), kinematics.links(*arguments), atol=3e-6)


def test_without_shape_the_mean_is_meant(device):
    """An empty shape stands for zeros."""
    poses = poses_from(make_motion(TREE, 2))
    empty, zeros = replace(poses, shape=np.zeros(0)), replace(poses, shape=np.zeros(TREE.shape_count))
    np.testing.assert_array_equal(posed_vertices(TREE, empty, device), posed_vertices(TREE, zeros, device))


def test_rest_pose_returns_the_rest_surface(device):
    """With nothing moved the surface is the one the body was given, for any rest orientation of its links."""
    body = replace(make_tree_body(pose_blend=False), coordinate_biases=np.zeros(TREE.link_count, np.float32))
    poses = Poses(np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0, 1.0]]), np.zeros((1, body.coordinate_count)))
    np.testing.assert_allclose(posed_vertices(body, poses, device)[0], body.vertices, atol=1e-6)


def test_wrong_sizes_are_refused(device):
    """Joints, shape and frames of another size than the body's are refused before anything is copied."""
    state = BodyModel(TREE, device).state(2)
    poses = poses_from(make_motion(TREE, 2))
    for wrong, message in (
        (replace(poses, joints=poses.joints[:, 1:]), "joints"),
        (replace(poses, shape=np.zeros(4)), "shape"),
        (poses.frames(slice(1)), "joints|frames"),
    ):
        with pytest.raises(ValueError, match=message):
            assign_poses(state, wrong)


def test_gradients_are_allocated_where_asked(device):
    """By default poses and joints have gradients and the shape has none; without any, nothing has."""
    model = BodyModel(TREE, device)
    state = model.state(2)

    def gradients(state):
        return {name: array.requires_grad for name, array in vars(state).items() if isinstance(array, wp.array)}

    given = {name for name, has in gradients(state).items() if has}
    assert given == {"poses", "joints", "links", "skin", "turns", "blended"}
    assert all(gradients(model.state(2, shape_requires_grad=True)).values())
    assert not any(gradients(model.state(2, requires_grad=False)).values())


def test_rigid_body_shares_its_pose(device):
    """The only link of a rigid body is its pose: no second copy, no second gradient."""
    state = BodyModel(make_rigid_body(), device).state(2)
    assert state.links.ptr == state.poses.ptr and state.skin.grad.ptr == state.poses.grad.ptr


def test_bodies_are_plain_host_data(sphere):
    """Counts follow the arrays; a rigid body has one link, no coordinates and no shape."""
    assert (sphere.link_count, sphere.coordinate_count, sphere.shape_count) == (1, 0, 0)
    assert sphere.is_rigid and not TREE.is_rigid and sphere.vertex_count == len(sphere.vertices)


BROKEN = {
    "vertices": np.full((40, 3), np.nan, np.float32),
    "faces": np.array([[0, 1, 40]]),
    "parents": np.array([-1, 0, 1, 2, 3, 4, 0, 7]),
    "joint_types": np.zeros(8, int),
    "coordinate_starts": np.array([-1, 0, 3, 4, 3, -1, 6, 3]),
    "skin_links": np.full((40, 3), 8),
    "skin_weights": np.full((40, 3), 0.5),
    "pose_directions": np.zeros((40, 3, 5), np.float32),
    "joint_offsets": np.zeros((8, 6)),
    "lower": np.zeros(2),
    "colors": np.zeros((39, 3)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_inconsistent_bodies_cannot_be_made(name):
    """What would send a kernel out of bounds is refused on construction, by the name of the field."""
    with pytest.raises(ValueError, match=f"body 'sample': {name} "):
        replace(TREE, **{name: BROKEN[name]})


def test_points_are_spread_evenly(sphere):
    """On a sphere neighbours are nearly equally far, and all shares of the area are alike."""
    faces, shares, areas = sample_surface(sphere, 200, seed=1)
    assert faces.dtype == np.int32 and (shares >= 0.0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-6)
    assert areas.sum() == pytest.approx(1.0, abs=1e-6) and areas.min() > 0.3 / 200 and areas.max() < 2.0 / 200
    points = np.einsum("pc,pcx->px", shares, sphere.vertices[sphere.faces[faces]])
    distance = np.linalg.norm(points[:, None] - points[None], axis=2) + 10.0 * np.eye(200)
    nearest = distance.min(axis=1)
    assert nearest.min() > 0.75 * nearest.mean()
    assert np.abs(areas @ points).max() < 2e-3  # the weighted mean is the centre


def test_both_sides_of_a_thin_plate_are_sampled():
    """A plate of 1 mm gets as many points on one side as on the other."""
    surface = make_box([0.1, 0.1, 0.001])
    plate = rigid_body("plate", surface.vertices, surface.faces)
    faces, shares, areas = sample_surface(plate, 100, seed=0)
    height = np.einsum("pc,pcx->px", shares, plate.vertices[plate.faces[faces]])[:, 2]
    assert areas[height > 4.9e-4].sum() == pytest.approx(0.5, abs=0.05)
    assert areas[height < -4.9e-4].sum() == pytest.approx(0.5, abs=0.05)


def test_points_are_the_same_for_the_same_seed(sphere):
    """Seeds decide; faces without area get no points."""
    one, same, other = (sample_surface(sphere, 50, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0])
    flat = rigid_body("flat", sphere.vertices, np.vstack([np.zeros((5, 3), int), sphere.faces]))
    assert sample_surface(flat, 50, seed=0)[0].min() >= 5


def test_points_need_area_and_a_count(sphere):
    """No points, or a surface without area, is refused."""
    with pytest.raises(ValueError, match="0 points"):
        sample_surface(sphere, 0)
    with pytest.raises(ValueError, match="area"):
        sample_surface(rigid_body("none", sphere.vertices, np.zeros((2, 3), int)), 5)


def test_model_arrays_are_on_the_device(device):
    """Constants and state live on the device asked for."""
    model = BodyModel(TREE, device)
    arrays = [*vars(model).values(), *vars(model.state(1)).values()]
    assert all(array.device == wp.get_device(device) for array in arrays if isinstance(array, wp.array))


def test_reading_bodies_needs_no_warp():
    """Bodies and their readers are plain arrays: Warp is imported when one goes to a device."""
    script = (
        "import sys, warpprior.bodies as bodies\n"
        "assert bodies.read_hand().vertex_count and 'warp' not in sys.modules\n"
        "assert bodies.BodyModel and 'warp' in sys.modules\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
