"""The size of a rigid body as an unknown: its kernels, and the rows of every term against float64 differences."""

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.reference.two_uses import Stance
from tests.two_uses_scenes import SCENES, cost_of, freeze, problem_of, seen_scene, sized_scene, stance_of, unseen_scene
from warpprior.bodies.size_prior import SizePrior
from warpprior.kernels.size_motion import carry_depth, differentiate_size, scale_areas, take_size
from warpprior.kernels.touch import find_nearest
from warpprior.support.errors import InputError
from warpprior.system.problem import Problem
from warpprior.terms import Contour, Depth, Given, Image, Penetration, Sliding, Touch

CASES = {
    "sliding": (sized_scene, Sliding()),
    "penetration of both": (sized_scene, Penetration()),
    "touch": (sized_scene, Touch()),
    "depth": (sized_scene, Depth(weight=1.0, sigma_m=0.02)),
    "given": (lambda: unseen_scene(sized_scene()), Given()),
}


def grown(stance, problem, name, step):
    """A stance with one body as much larger, and farther away."""
    factor, places, poses = np.exp(step), stance.places.copy(), dict(stance.poses)
    first = problem.motion.first_vertex(name)
    places[:, first : first + problem.motion.scene.body(name).body.vertex_count] *= factor
    poses[name] = poses[name] * [factor, factor, factor, 1.0, 1.0, 1.0, 1.0]
    return Stance(places, poses, stance.joints)


def by_size(cost, stance, factor):
    """A twin's cost where a body has another size: those that read a distance to it are told."""
    try:
        return cost(stance, factor)
    except TypeError:
        return cost(stance)


@pytest.mark.parametrize("name", CASES)
def test_rows_by_size_are_slopes_of_the_twin(nan_allowed, device, name):
    """As a body grows, and goes away with it, the cost of each term changes as the size's column of its rows says."""
    make, term = CASES[name]
    problem = problem_of(make(), device)
    bound, motion = freeze(problem, term), stance_of(problem)
    costs = [(one, cost_of(one, motion)) for one in bound]

    def total(steps):
        stance, factor = grown(motion.start, problem, "box", steps[0]), float(np.exp(steps[0]))
        return sum(by_size(cost, stance, factor if one.body.name == "box" else 1.0) for one, cost in costs)

    problem.equations.clear()
    for one in bound:
        one.add(problem.system)
    found = 2.0 * problem.equations.gradient.numpy()[:, :, problem.size_columns["box"]].sum()
    numeric = finite_difference(total, np.zeros(1), 1e-6)
    assert abs(numeric[0]) > 1.0
    compare_gradients(np.array([found]), numeric, name=f"size_motion {name}")


@pytest.mark.parametrize("term", [Contour(), Image(sample_count=120)], ids=lambda term: term.name)
def test_pictures_say_nothing_of_size(device, term):
    """A body that grows about the camera looks the same: the column is empty, but for rounding."""
    scene = seen_scene()
    scene = type(scene)(**{**vars(scene), "bodies": (_sized(scene.bodies[0]),)})
    problem = problem_of(scene, device)
    for one in freeze(problem, term):
        problem.equations.clear()
        one.add(problem.system)
        hessian = problem.equations.hessian.numpy().sum(axis=(0, 1))
        depth, size = problem.equations.starts["box"] + 2, problem.size_columns["box"]
        assert hessian[depth, depth] > 1.0
        assert hessian[size, size] < 1e-9 * hessian[depth, depth]


def _sized(body):
    return type(body)(**{**vars(body), "size": SizePrior()})


def test_size_follows_its_logarithm(device):
    """Factor and size are exponentials; areas grow with the square; depth goes with the step of its own segment."""
    single = lambda values, dtype=wp.float32: wp.array(np.asarray(values), dtype=dtype, device=device)  # noqa: E731
    factor, scale = (wp.full(1, POISON, dtype=wp.float32, device=device) for _ in range(2))
    take_size(single([0.4]), 1.5, factor_out=factor, scale_out=scale)
    np.testing.assert_allclose([factor.numpy()[0], scale.numpy()[0]], [np.exp(0.4), 1.5 * np.exp(0.4)], rtol=1e-6)
    areas = wp.full(3, POISON, dtype=wp.float32, device=device)
    scale_areas(single([1.0, 2.0, 3.0]), factor, areas_out=areas)
    np.testing.assert_allclose(areas.numpy(), np.array([1.0, 2.0, 3.0]) * np.exp(0.8), rtol=1e-6)
    increments = wp.full((4, 6), 0.25, dtype=wp.float32, device=device)
    steps = single([[7.0, 0.1], [7.0, -0.3]], wp.float64)
    carry_depth(steps, 1, single([0, 0, 1, 1], wp.int32), increments_out=increments)
    expected = np.full((4, 6), 0.25)
    expected[:, 2] += [0.1, 0.1, -0.3, -0.3]
    np.testing.assert_allclose(increments.numpy(), expected, rtol=1e-6)


def test_derivative_by_size_is_the_place_itself(device):
    """Of vertices, and of the origin, against float64 differences of the body as it grows and goes away."""
    random = np.random.default_rng(3)
    turns, rest = Rotation.random(2, random_state=4), 0.05 * random.normal(size=(5, 3))
    position = np.array([[0.1, -0.2, 0.6], [0.0, 0.1, 0.8]])
    poses = np.concatenate([position, turns.as_quat()], axis=1)

    def places(step):
        factor = np.exp(step)
        surface = np.einsum("fij,vj->fvi", turns.as_matrix(), factor * rest) + factor * position[:, None]
        return np.concatenate([surface, factor * position[:, None]], axis=1)

    step = 1e-6
    numeric = (places(step) - places(-step)) / (2.0 * step)
    vertices = wp.array(places(0.0)[:, :5].astype(np.float32), dtype=wp.vec3, device=device)
    found = wp.full((2, 8), wp.vec3(POISON, POISON, POISON), dtype=wp.vec3, device=device)
    table = np.array([*([vertex, vertex + 1] for vertex in range(5)), [-1, 7]], dtype=np.int32)
    differentiate_size(
        wp.array(table, dtype=wp.vec2i, device=device),
        vertices,
        wp.array(poses.astype(np.float32), dtype=wp.transform, device=device),
        values_out=found,
    )
    values = found.numpy()
    compare_gradients(values[:, [1, 2, 3, 4, 5, 7]], numeric, name="differentiate_size", worst=1e-5)
    assert (values[:, [0, 6]] == POISON).all()


def test_nearest_point_of_all_pairs_is_found(device):
    """Of two pairs the nearer point, and its pair; frames in which nothing is nearer keep what there was."""
    distances = wp.array([9.0, 9.0, -1.0], dtype=wp.float32, device=device)
    nearest = wp.full(3, wp.vec2i(-1, -1), dtype=wp.vec2i, device=device)
    for pair, values in enumerate(([[3.0, 2.0], [5.0, 6.0], [0.0, 0.0]], [[4.0, 2.5], [4.0, 1.0], [2.0, 0.5]])):
        samples = np.zeros((3, 2, 4), dtype=np.float32)
        samples[..., 3] = values
        array = wp.array(samples, dtype=wp.vec4, device=device)
        find_nearest(array, pair, distances_out=distances, nearest_out=nearest)
    assert nearest.numpy().tolist() == [[0, 1], [1, 1], [-1, -1]]
    assert distances.numpy().tolist() == [2.0, 1.0, -1.0]


def test_a_step_of_the_size_takes_the_body_along(device):
    """After a step the drawing is where it was, the scale is another, and what was read agrees with both."""
    scene = SCENES["sized"]()
    problem: Problem = problem_of(scene, device)
    before, box = problem.motion.screen.numpy().copy(), problem.motion.read()["box"]
    step = np.zeros((1, len(problem.shared.names)))
    step[0, problem.shared.sizes["box"]] = 0.3
    problem.shared.advance(wp.array(step, dtype=wp.float64, device=device))
    problem.motion.pose()
    problem.motion.settle()
    after, now = problem.motion.screen.numpy(), problem.motion.read()["box"]
    np.testing.assert_allclose(after[..., :2], before[..., :2], atol=2e-3)
    np.testing.assert_allclose(now.position, np.exp(0.3) * box.position, rtol=1e-5)
    assert now.scale == pytest.approx(np.exp(0.3), rel=1e-6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sigma": 0.0}, "size: sigma"),
        ({"range": (0.5,)}, "size: range"),
        ({"range": (1.2, 2.0)}, "size: range"),
        ({"range": (1.0, 1.0)}, "size: range"),
    ],
)
def test_priors_that_make_no_sense_are_refused(given, said):
    """A sigma of nothing, one factor alone, and a range that leaves the given size out."""
    with pytest.raises(InputError, match=said):
        SizePrior(**given)
