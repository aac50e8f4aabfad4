"""How surfaces and keypoints move with shape parameters: all entries against finite differences of float64 twins."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from tests.body_samples import MANO_PARENTS, make_ball_body, make_rigid_body, make_tree_body
from tests.fit_samples import POISON, Sample, wander, with_keypoints
from tests.gradcheck import compare_gradients
from tests.reference.surface_motion import differentiate_rows
from tests.test_surface_motion import entries
from warpprior.bodies import read_hand
from warpprior.kernels.shape_motion import differentiate_origins


@pytest.fixture(scope="module")
def bodies():
    """Trees of all joint types, one of them rigidly skinned and one blended; MANO's form; both our hands."""
    return {
        "tree": with_keypoints(make_tree_body(vertices=24, pose_blend=False)),
        "one influence": with_keypoints(make_tree_body(vertices=24, influences=1, pose_blend=False)),
        "pose blend": with_keypoints(make_tree_body(vertices=24)),
        "ball joints": with_keypoints(make_ball_body(MANO_PARENTS, vertices=40)),
        "right hand": read_hand("right"),
        "left hand": read_hand("left"),
    }


def check_shape(sample, name, frame, label, most=40):
    """All shape columns of a body's vertices (of ``most`` of them) and of all its keypoints."""
    body, first, start = sample.twin.bodies[name], sample.state.first_vertex(name), sample.shape_starts[name]
    columns = slice(start, start + body.shape_count)
    chosen = np.unique(np.linspace(0, body.vertex_count - 1, most).astype(int))
    # All is linear in the shape: a long step says most.
    surface = differentiate_rows(lambda row: sample.twin.vertices(name, frame, row)[chosen], sample.width, 0.1)
    points = differentiate_rows(lambda row: sample.twin.keypoints(name, frame, row), sample.width, 0.1)
    numeric = np.concatenate([surface, points])[..., columns]
    numeric[np.abs(numeric) < 1e-12] = 0.0
    chains = [*(first + chosen), *sample.surfaces.keypoint_places[name]]
    found = np.stack([entries(sample, frame, chain)[:, columns] for chain in chains])
    compare_gradients(found, numeric, name=f"shape_motion {label}", worst=1e-4, cosine=0.99999999, bias=1e-6)
    np.testing.assert_allclose(found, numeric, atol=1e-7)


@pytest.mark.parametrize("bend", ["zero", 0.5, "pi"])
@pytest.mark.parametrize("name", ["tree", "one influence", "pose blend", "ball joints", "right hand", "left hand"])
def test_shape_columns_match_finite_differences(device, bodies, name, bend):
    """Every shape parameter of every kind of body, straight and bent, in the last of two frames."""
    body = bodies[name]
    sample = Sample([body], [wander(body, 2, bend=bend)], device, shapes=(body.name,), points=4)
    check_shape(sample, body.name, 1, f"{name} at {bend}")


def test_joint_columns_stay_as_they_were(device, bodies):
    """Shape entries come after those of the joints, which keep their places and values."""
    body = bodies["tree"]
    sample = Sample([body], [wander(body, 2)], device, shapes=(body.name,), points=4)
    alone = Sample([body], [wander(body, 2)], device, points=4)
    for chain in range(len(alone.surfaces.starts) - 1):
        np.testing.assert_array_equal(entries(sample, 1, chain)[:, : alone.width], entries(alone, 1, chain))


def test_a_larger_body_changes_more(device, bodies):
    """Shape directions are given at scale one."""
    body = bodies["tree"]
    sample = Sample([body], [replace(wander(body, 1), scale=1.7)], device, shapes=(body.name,), points=4)
    check_shape(sample, body.name, 0, "tree, scaled")


def test_bodies_keep_to_their_own_shapes(device, bodies):
    """Two bodies whose shapes are estimated, one whose is not, and a rigid one, with a shared unknown before them."""
    tree, hand = replace(bodies["tree"], name="tree"), bodies["ball joints"]
    other = replace(bodies["one influence"], name="other")
    parts = [tree, make_rigid_body(), other, hand]
    motions = [wander(body, 2, seed=k, bend=0.6) for k, body in enumerate(parts)]
    sample = Sample(parts, motions, device, shared=("focal",), shapes=("tree", hand.name), points=4)
    assert sample.shape_starts == {"tree": sample.inner + 1, hand.name: sample.inner + 1 + tree.shape_count}
    for body in (tree, hand):
        check_shape(sample, body.name, 1, f"{body.name} among others", most=8)
    for chain in sample.surfaces.keypoint_places["other"]:
        assert not entries(sample, 1, chain)[:, sample.inner :].any()


def test_a_body_without_joints_has_a_shape(device, bodies):
    """One link, so no joint coordinate, and two shape parameters."""
    rigid = make_rigid_body()
    directions = np.random.default_rng(3).normal(scale=0.1, size=(rigid.vertex_count, 3, 2)).astype(np.float32)
    body = replace(rigid, shape_directions=directions, joint_shape_directions=np.full((1, 3, 2), 0.05, np.float32))
    sample = Sample([with_keypoints(body)], [wander(body, 2)], device, shapes=(body.name,), points=4)
    check_shape(sample, body.name, 1, "one link")


def test_every_origin_is_written(device, bodies):
    """No element of the output keeps what it held."""
    body = bodies["tree"]
    sample = Sample([body], [wander(body, 2)], device, points=4)
    model, own = sample.state.models[body.name], sample.state.states[body.name]
    shape = (2, body.link_count, body.shape_count)
    origins = wp.full(shape, wp.vec3(POISON), dtype=wp.vec3, device=device)
    tree = (model.tree, model.joint_shape_directions, own.scale)
    differentiate_origins(*tree, own.poses, own.links, origins_out=origins)
    assert (np.abs(origins.numpy()) < 1.0).all()
