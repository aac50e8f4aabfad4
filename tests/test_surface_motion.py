"""How surfaces and keypoints move with joint coordinates: all entries against finite differences of float64 twins."""

from dataclasses import replace

import numpy as np
import pytest

from tests.body_samples import MANO_PARENTS, make_ball_body, make_rigid_body, make_tree_body
from tests.fit_samples import Sample, wander, with_keypoints
from tests.gradcheck import compare_gradients
from tests.reference.surface_motion import differentiate_rows
from warpprior.bodies import posed_keypoints, posed_vertices, read_hand, read_urdf
from warpprior.scenes.robot_hand import URDF_PATH


@pytest.fixture(scope="module")
def bodies():
    """A tree of all joint types, rigid and blended; a body built like MANO; our robot hand and our human hands."""
    robot = read_urdf(URDF_PATH, "robot")
    return {
        "tree": with_keypoints(make_tree_body(vertices=24, pose_blend=False)),
        "one influence": with_keypoints(make_tree_body(vertices=24, influences=1, pose_blend=False)),
        "pose blend": with_keypoints(make_tree_body(vertices=24)),
        "ball joints": with_keypoints(make_ball_body(MANO_PARENTS, vertices=40)),
        "robot hand": with_keypoints(robot),
        "right hand": read_hand("right", name="right"),
        "left hand": read_hand("left", name="left"),
        "rigid": make_rigid_body(),
    }


def entries(sample, frame, chain):
    """Derivative (3, column) of one chain of a frame."""
    chains = sample.surfaces
    first, last = chains.starts.numpy()[chain : chain + 2]
    table = np.zeros((3, sample.width))
    for column, value in zip(chains.columns.numpy()[first:last], chains.values.numpy()[frame, first:last], strict=True):
        table[:, column] += value
    return table


def check_surface(sample, name, frame, label, most=40):
    """All joint columns of a body's vertices (of ``most`` of them) and keypoints."""
    body, first = sample.twin.bodies[name], sample.state.first_vertex(name)
    chosen = np.unique(np.linspace(0, body.vertex_count - 1, most).astype(int))
    joints = np.zeros(sample.width, dtype=bool)
    start = sample.equations.starts[name]
    joints[start + 6 : start + 6 + body.coordinate_count] = True
    numeric = differentiate_rows(lambda row: sample.twin.vertices(name, frame, row)[chosen], sample.width)
    numeric[..., ~joints] = 0.0  # roots are the kernels' own business
    found = np.stack([entries(sample, frame, first + vertex) for vertex in chosen])
    # A finite difference of what does not move is rounding noise.
    numeric[np.abs(numeric) < 1e-9] = 0.0
    compare_gradients(found, numeric, name=f"surface_motion {label}", worst=5e-4, cosine=0.9999999, bias=1e-5)
    np.testing.assert_allclose(found, numeric, atol=2e-6)
    if body.keypoints is not None:
        numeric = differentiate_rows(lambda row: sample.twin.keypoints(name, frame, row), sample.width)
        numeric[..., ~joints] = 0.0
        found = np.stack([entries(sample, frame, chain) for chain in sample.surfaces.keypoint_places[name]])
        np.testing.assert_allclose(found, numeric, atol=2e-6)


CASES = {
    "tree": 1.0,
    "one influence": 0.6,
    "pose blend": 1.0,
    "ball joints": 0.8,
    "robot hand": 0.5,
    "right hand": 0.4,
    "left hand": 0.4,
}


@pytest.mark.parametrize("name", CASES)
def test_joint_columns_match_finite_differences(device, bodies, name):
    """Every joint coordinate of every kind of body, at vertices and keypoints, in the last of two frames."""
    body = bodies[name]
    sample = Sample([body], [wander(body, 2, bend=CASES[name])], device, points=4)
    check_surface(sample, body.name, 1, name)


@pytest.mark.parametrize("bend", ["zero", "pi", 2.9])
@pytest.mark.parametrize("name", ["tree", "ball joints"])
def test_hard_angles(device, bodies, name, bend):
    """Joints at exactly zero, at half a turn, and near it, where rotation vectors are singular or nearly so."""
    body = bodies[name]
    sample = Sample([body], [wander(body, 1, bend=bend, wag=0.02)], device, points=4)
    check_surface(sample, body.name, 0, f"{name} at {bend}", most=12)


def test_tiny_angles_are_as_right_as_none(device, bodies):
    """Ball joints turned by a hundred-thousandth of a radian: series and closed forms meet without noise."""
    body = bodies["tree"]
    for angle in (1e-5, 0.49, 0.51):
        sample = Sample([body], [wander(body, 1, bend=angle, wag=0.0)], device, points=4)
        check_surface(sample, body.name, 0, f"tree at {angle}", most=8)


def test_the_twin_is_where_the_device_puts_surfaces_and_keypoints(device, bodies):
    """What the derivatives above are derivatives of: posed_vertices and posed_keypoints."""
    for body in (bodies["tree"], bodies["right hand"], bodies["robot hand"]):
        motion = wander(body, 2, bend=0.5)
        sample = Sample([body], [motion], device, points=4)
        row = np.zeros(sample.width)
        surfaces = np.stack([sample.twin.vertices(body.name, frame, row) for frame in range(2)])
        keypoints = np.stack([sample.twin.keypoints(body.name, frame, row) for frame in range(2)])
        np.testing.assert_allclose(posed_vertices(body, motion, device), surfaces, atol=2e-6)
        np.testing.assert_allclose(posed_keypoints(body, motion, device), keypoints, atol=2e-6)
        np.testing.assert_allclose(sample.state.vertices.numpy(), surfaces, atol=2e-6)


def test_bodies_keep_to_their_own_columns(device, bodies):
    """Two bodies with joints and a rigid one between them: entries name their body's columns, rigid vertices none."""
    tree, hand = replace(bodies["tree"], name="tree"), bodies["ball joints"]
    parts = [tree, bodies["rigid"], hand]
    sample = Sample(parts, [wander(body, 2, seed=k) for k, body in enumerate(parts)], device, points=4)
    starts, chains = sample.equations.starts, sample.surfaces
    assert starts == {"tree": 0, "rigid": 14, "sample": 20}
    lengths = np.diff(chains.starts.numpy())
    rigid = sample.state.first_vertex("rigid")
    assert not lengths[rigid : rigid + bodies["rigid"].vertex_count].any()
    for body in (tree, hand):
        check_surface(sample, body.name, 1, f"{body.name} among others", most=8)


def test_known_bodies_have_no_entries(device, bodies):
    """Only what is estimated has columns: a known hand beside a moving tree leaves the tree's chains as they are."""
    tree, hand = replace(bodies["tree"], name="tree"), bodies["ball joints"]
    motions = [wander(tree, 1), wander(hand, 1, seed=1)]
    alone = Sample([tree], motions[:1], device, points=4).surfaces
    beside = Sample([tree, hand], motions, device, known=("sample",), points=4).surfaces
    for name in ("starts", "columns", "values"):
        np.testing.assert_array_equal(getattr(alone, name).numpy(), getattr(beside, name).numpy())
    assert set(beside.keypoint_places) == {"tree"}


def test_faint_influences_have_no_entries(device, bodies):
    """A weight that moves a vertex by less than a micrometre is not worth a column."""
    body = bodies["one influence"]
    weights = np.column_stack([np.full(24, 1.0 - 5e-5), np.full(24, 5e-5)]).astype(np.float32)
    links = np.column_stack([np.zeros(24), np.full(24, 6)]).astype(np.int32)
    faint = replace(body, skin_links=links, skin_weights=weights, keypoints=None)
    sample = Sample([faint], [wander(faint, 1)], device, points=4)
    assert not np.diff(sample.surfaces.starts.numpy()).any()


def test_scale_and_shape_are_part_of_the_lever(device, bodies):
    """A larger body of another shape swings its vertices farther."""
    body = bodies["tree"]
    motion = replace(wander(body, 1), scale=1.5)
    check_surface(Sample([body], [motion], device, points=4), body.name, 0, "tree, scaled", most=12)


def test_threads_give_the_same_bits(monkeypatch, bodies):
    """Nine frames on one thread and on two."""
    body, found = bodies["tree"], []
    for threads in ("1", "2"):
        monkeypatch.setenv("WARPPRIOR_THREADS", threads)
        sample = Sample([body], [wander(body, 9)], "cpu", points=4)
        found.append(sample.surfaces.values.numpy().copy())
    np.testing.assert_array_equal(*found)
    assert (np.abs(found[0]) < 10.0).all()  # no rubbish is left in entries
