"""Quasi-static dynamics: values, gradients at easy and hard contact sets, uncertainty, invariances."""

from dataclasses import dataclass

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.reference import quasistatic as reference
from warpprior.kernels import quasistatic

NOTHING = (0.0, 0.0)  # prior weight, prior strength [m^2]
USUAL = (1e-4, 2e-6)


@dataclass
class Case:
    """Contacts of a few frames, rounded to float32 so that twin and kernel see the same numbers."""

    before: np.ndarray
    after: np.ndarray
    weights: np.ndarray
    poses: np.ndarray
    prior: np.ndarray
    prior_weight: float
    prior_strength: float

    def arguments(self, frame):
        return [getattr(self, name)[frame] for name in ("before", "after", "weights", "poses", "prior")]

    def twin(self, frame):
        return reference.transfer(*self.arguments(frame), self.prior_weight, self.prior_strength)


def make_case(local, *, noise=1e-3, angle=0.06, priors=USUAL, frames=3, seed=0, weights=None):
    """Contacts at ``local`` (contact, 3) [m] around a point 0.6 m away, moved rigidly with noise."""
    random = np.random.default_rng(seed)
    local = np.asarray(local, dtype=float).reshape(-1, 3)
    center = np.array([0.02, -0.03, 0.6])
    turns = Rotation.from_rotvec(random.normal(size=(frames, 3)) * angle)
    before = np.stack([center + local for _ in range(frames)])
    after = np.stack([turn.apply(local) + center + [0.01, -0.005, 0.004] for turn in turns])
    after = after + noise * random.normal(size=after.shape)
    weights = random.uniform(0.2, 1.0, (frames, len(local))) if weights is None else np.tile(weights, (frames, 1))
    poses = np.concatenate(
        [center + 0.02 * random.normal(size=(frames, 3)), Rotation.random(frames, random).as_quat()], 1
    )
    small = Rotation.from_rotvec(0.02 * random.normal(size=(frames, 3)))
    prior = np.concatenate([0.002 * random.normal(size=(frames, 3)), small.as_quat()], axis=1)
    arrays = [a.astype(np.float32).astype(float) for a in (before, after, weights, poses, prior)]
    return Case(*arrays, *(float(np.float32(p)) for p in priors))


def transfer(case, device, seed=None):
    """Run the launchers on poisoned outputs; with ``seed`` (frame, 7) also return gradients of sum(seed * pose)."""
    frames = len(case.before)

    def array(values, dtype):
        values = np.ascontiguousarray(values, dtype=np.float32)
        if values.size == 0:
            return wp.zeros(values.shape[:2], dtype=dtype, device=device, requires_grad=True)
        return wp.array(values, dtype=dtype, device=device, requires_grad=True)

    def poisoned(dtype, size):
        shape = (frames, *size)
        return wp.array(np.full(shape, POISON, np.float32), dtype=dtype, device=device, requires_grad=True)

    inputs = [
        array(case.before, wp.vec3),
        array(case.after, wp.vec3),
        array(case.weights, float),
        array(case.poses, wp.transform),
        array(case.prior, wp.transform),
    ]
    prior_weight, strength = array([case.prior_weight], float), array([case.prior_strength], float)
    sums = [poisoned(float, ()), poisoned(wp.vec3, (3,)), poisoned(wp.vec3, (3,))]
    moments, rotations = poisoned(wp.mat33, (3, 3)), poisoned(wp.mat33, (3, 3))
    poses = poisoned(wp.transform, (7,))
    with wp.Tape() as tape:
        quasistatic.sum_contacts(
            *inputs, prior_weight, weight_sums_out=sums[0], sums_before_out=sums[1], sums_after_out=sums[2]
        )
        quasistatic.correlate_contacts(*inputs, prior_weight, strength, *sums, moments_out=moments)
        quasistatic.carry_poses(inputs[3], inputs[4], *sums, moments, rotations_out=rotations, poses_after_out=poses)
    results = {"moments": moments.numpy(), "rotations": rotations.numpy(), "poses": poses.numpy()}
    results["arrays"] = (moments, rotations, sums[0])
    if seed is not None:
        tape.backward(grads={poses: wp.array(seed.astype(np.float32), dtype=wp.transform, device=device)})
        results["gradients"] = [a.grad.numpy() for a in inputs]
    return results


def measure(results, sigma, device):
    """Covariance, centroid variance, rank and smallest eigenvalue of a transfer."""
    moments, rotations, weight_sums = results["arrays"]
    frames = len(moments)
    covariance = wp.array(np.full((frames, 3, 3), POISON, np.float32), dtype=wp.mat33, device=device)
    variance = wp.full(frames, POISON, dtype=float, device=device)
    rank, smallest = wp.full(frames, -1, dtype=int, device=device), wp.full(frames, POISON, dtype=float, device=device)
    quasistatic.measure_transfer(
        moments,
        rotations,
        weight_sums,
        wp.array([sigma], dtype=float, device=device),
        rotation_covariance_out=covariance,
        centroid_variance_out=variance,
        rank_out=rank,
        smallest_out=smallest,
    )
    return covariance.numpy(), variance.numpy(), rank.numpy(), smallest.numpy()


def aligned(pose, other):
    """``pose`` with the sign of its quaternion that is nearer to ``other``'s."""
    sign = np.sign(pose[3:] @ other[3:])
    return np.concatenate([pose[:3], sign * pose[3:]])


random_points = np.random.default_rng(7).normal(size=(100, 3))
HARD_CASES = {
    "generic": make_case(0.02 * random_points[:5]),
    "hundred contacts": make_case(0.03 * random_points, frames=1),
    "three contacts": make_case(0.02 * random_points[:3]),
    "three contacts, no prior": make_case(0.02 * random_points[:3], priors=NOTHING),
    "patch of 3 mm": make_case(0.003 * random_points[:6]),
    "coplanar": make_case(0.02 * random_points[:6] * [1, 1, 0], priors=NOTHING),
    "equal singular values": make_case(
        0.02 * np.vstack([np.eye(3), -np.eye(3)]), priors=NOTHING, noise=0.0, weights=6 * [0.5]
    ),
    "coplanar and equal": make_case(
        0.02 * np.vstack([np.eye(3)[:2], -np.eye(3)[:2]]), priors=NOTHING, noise=0.0, weights=4 * [1]
    ),
    "collinear": make_case(0.03 * np.array([[-1, 0.2, 0], [0, 0, 0], [1, -0.2, 0]]), noise=0.0),
    "two contacts": make_case(0.03 * np.array([[-1, 0.2, 0], [1, -0.2, 0.1]])),
    "one contact": make_case([[0.01, 0.02, -0.01]]),
    "no contact": make_case(np.zeros((0, 3)), priors=(1e-3, 2e-6)),
    "a fifth of a turn": make_case(0.02 * random_points[:5], angle=0.8),
    "half a turn": make_case(0.02 * random_points[:5], angle=2.0),
}

# Where the contacts agree on one motion their weights do not matter: the gradient is a difference of rounding errors.
WEIGHTLESS = ("one contact", "equal singular values", "coplanar and equal")
# The smallest eigenvalue of K is then 1/300 of the others, and float32 knows it that much less well.
ON_A_LINE = {"collinear": 1e-3, "two contacts": 1e-3}


@pytest.mark.parametrize("name", HARD_CASES)
def test_transfer_equals_float64_twin(name, device):
    """Rotation and carried pose match the twin to float32 rounding at every contact set."""
    case = HARD_CASES[name]
    results = transfer(case, device)
    for frame in range(len(case.before)):
        moment, rotation, pose = case.twin(frame)
        np.testing.assert_allclose(results["moments"][frame], moment, atol=2e-6 * max(np.abs(moment).max(), 1e-6))
        np.testing.assert_allclose(results["rotations"][frame], rotation, atol=2e-5)
        np.testing.assert_allclose(results["poses"][frame], aligned(pose, results["poses"][frame]), atol=2e-6)
        assert np.linalg.det(results["rotations"][frame]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("name", HARD_CASES)
def test_gradients_match_finite_differences(name, device):
    """Gradients to contact points, weights and the pose before match the float64 twin's finite differences."""
    case = HARD_CASES[name]
    frames = len(case.before)
    seed = np.random.default_rng(3).normal(size=(frames, 7)).astype(np.float32).astype(float)
    results = transfer(case, device, seed)
    names = ("before", "after", "weights", "poses", "prior")
    for index in (0, 1, 2, 3):
        if (case.before.size == 0 and index < 3) or (index == 2 and name in WEIGHTLESS):
            continue
        analytic, numeric = results["gradients"][index].astype(float), []
        for frame in range(frames):
            arguments, out = case.arguments(frame), results["poses"][frame]

            def loss(x, arguments=arguments, out=out, frame=frame, index=index):
                changed = [x if k == index else a for k, a in enumerate(arguments)]
                pose = reference.transfer(*changed, case.prior_weight, case.prior_strength)[2]
                return aligned(pose, out) @ seed[frame]

            step = 1e-4 if index == 2 else 1e-6
            numeric.append(finite_difference(loss, arguments[index], step=step))
        numeric = np.array(numeric)
        if index == 3:  # only what is tangent to the unit quaternions is a change of the pose
            for gradient in (analytic, numeric):
                along = np.sum(gradient[:, 3:] * case.poses[:, 3:], axis=1, keepdims=True)
                gradient[:, 3:] -= along * case.poses[:, 3:]
        # Elements of a weight's gradient are small differences of large ones: ten times the tolerance.
        worst = ON_A_LINE.get(name, 1e-4) * (10.0 if index == 2 else 1.0)
        compare_gradients(analytic, numeric, name=f"carry_poses {names[index]}, {name}", worst=worst, bias=1e-4)


def test_prior_gradient_without_contact(device):
    """Without contacts the pose follows the prior motion, and the whole gradient goes to it."""
    case = HARD_CASES["no contact"]
    seed = np.ones((len(case.before), 7))
    results = transfer(case, device, seed)
    np.testing.assert_allclose(results["gradients"][4][:, :3], 1.0, atol=1e-6)
    np.testing.assert_allclose(results["poses"][:, :3], case.poses[:, :3] + case.prior[:, :3], atol=1e-7)
    expected = Rotation.from_quat(case.prior[:, 3:]) * Rotation.from_quat(case.poses[:, 3:])
    assert (expected.inv() * Rotation.from_quat(results["poses"][:, 3:])).magnitude().max() < 1e-6


@pytest.mark.parametrize("strength", [0.0, USUAL[1]])
def test_nothing_at_all_is_the_prior(strength, device):
    """No contact and no weight on the prior motion still gives the prior motion, finite and with finite gradients."""
    case = make_case(np.zeros((0, 3)), priors=(0.0, strength))
    results = transfer(case, device, np.ones((3, 7)))
    np.testing.assert_allclose(results["poses"][:, :3], case.poses[:, :3] + case.prior[:, :3], atol=1e-7)
    assert all(np.isfinite(g).all() for g in results["gradients"])


def test_collinear_without_prior_freezes_the_rotation(device):
    """Contacts on a line and no prior strength: the prior's rotation, and no rotation gradient to the contacts."""
    case = make_case(0.03 * np.array([[-1.0, 0.5, 0], [0, 0, 0], [1, -0.5, 0]]), priors=NOTHING, noise=0.0)
    seed = np.zeros((3, 7))
    seed[:, 3:] = 1.0
    results = transfer(case, device, seed)
    prior = Rotation.from_quat(case.prior[:, 3:]).as_matrix()
    np.testing.assert_allclose(results["rotations"], prior, atol=1e-6)
    assert np.abs(results["gradients"][0]).max() == 0.0
    _, _, rank, _ = measure(results, 1e-3, device)
    assert rank.tolist() == [2, 2, 2]


def test_absent_contacts_are_not_read(device):
    """Contacts of weight zero may hold anything, NaN too."""
    case = make_case(0.02 * random_points[:6])
    case.weights[:, 4:] = 0.0
    case.before[:, 4:], case.after[:, 4:] = np.nan, np.inf
    fewer = Case(case.before[:, :4], case.after[:, :4], case.weights[:, :4], *list(vars(case).values())[3:])
    np.testing.assert_array_equal(transfer(case, device)["poses"], transfer(fewer, device)["poses"])


def test_rotation_equals_scipy(device):
    """Without a prior the rotation is SciPy's weighted alignment of the centred contacts."""
    case = make_case(0.02 * random_points[:8], priors=NOTHING, noise=2e-3, frames=20)
    results = transfer(case, device)
    for frame in range(20):
        before, after, weights = case.before[frame], case.after[frame], case.weights[frame]
        centered = [p - np.average(p, axis=0, weights=weights) for p in (after, before)]
        expected, _ = Rotation.align_vectors(*centered, weights=weights)
        turn = expected.inv() * Rotation.from_matrix(results["rotations"][frame])
        assert turn.magnitude() < 2e-6


def test_mirrored_contacts_do_not_reflect(device):
    """Contacts that a mirror would map best still give a proper rotation."""
    case = make_case(0.02 * random_points[:5], priors=NOTHING, noise=0.0, angle=0.3)
    case.after[:, :, 2] = 1.2 - case.after[:, :, 2]
    results = transfer(case, device)
    assert np.linalg.det(results["rotations"]) == pytest.approx(np.ones(3), abs=1e-5)
    for frame in range(3):
        np.testing.assert_allclose(results["rotations"][frame], case.twin(frame)[1], atol=1e-4)


def test_exact_motion_is_recovered(device):
    """Contacts that move rigidly carry the pose exactly, far from the contacts too."""
    case = make_case(0.02 * random_points[:5], priors=NOTHING, noise=0.0, angle=0.5)
    case.poses[:, :3] += [0.3, -0.2, 0.1]
    results = transfer(case, device)
    for frame in range(3):
        turn = Rotation.align_vectors(
            case.after[frame] - case.after[frame, 0], case.before[frame] - case.before[frame, 0]
        )[0]
        expected = turn.apply(case.poses[frame, :3] - case.before[frame, 0]) + case.after[frame, 0]
        np.testing.assert_allclose(results["poses"][frame, :3], expected, atol=5e-6)


def test_prior_steadies_a_small_patch(device):
    """Three noisy contacts 4 mm apart: the prior's strength keeps the rotation from following the noise."""
    local = 0.004 * np.array([[0, 0, 0], [1.0, 0, 0], [0, 1, 0]])
    loose = make_case(local, priors=NOTHING, frames=200, angle=0.03)
    held = Case(*list(vars(loose).values())[:5], 1e-6, 1e-6 / (2 * 0.05**2))
    held.prior[:, 3:] = [0, 0, 0, 1]
    truth = Rotation.from_rotvec(np.random.default_rng(0).normal(size=(200, 3)) * 0.03)
    errors = [
        np.median((truth.inv() * Rotation.from_matrix(transfer(c, device)["rotations"])).magnitude())
        for c in (loose, held)
    ]
    assert errors[1] < 0.4 * errors[0]


def test_invariances(device):
    """A change of world, of the order of the contacts and of the unit changes the answer only as it must."""
    case = make_case(0.02 * random_points[:6])
    plain = transfer(case, device)["poses"]
    order = [3, 1, 5, 0, 2, 4]
    permuted = Case(case.before[:, order], case.after[:, order], case.weights[:, order], *list(vars(case).values())[3:])
    np.testing.assert_allclose(transfer(permuted, device)["poses"], plain, atol=2e-6)

    scaled = Case(1e3 * case.before, 1e3 * case.after, case.weights, case.poses.copy(), case.prior.copy(), *USUAL)
    scaled.poses[:, :3] *= 1e3
    scaled.prior[:, :3] *= 1e3
    scaled.prior_strength *= 1e6
    in_millimetres = transfer(scaled, device)["poses"]
    np.testing.assert_allclose(in_millimetres[:, :3], 1e3 * plain[:, :3], atol=2e-3)
    np.testing.assert_allclose(in_millimetres[:, 3:], plain[:, 3:], atol=2e-5)

    world = Rotation.from_rotvec([0.4, -1.0, 0.7])
    moved = Case(
        world.apply(case.before.reshape(-1, 3)).reshape(case.before.shape),
        world.apply(case.after.reshape(-1, 3)).reshape(case.after.shape),
        case.weights,
        np.concatenate([world.apply(case.poses[:, :3]), (world * Rotation.from_quat(case.poses[:, 3:])).as_quat()], 1),
        np.concatenate(
            [world.apply(case.prior[:, :3]), (world * Rotation.from_quat(case.prior[:, 3:]) * world.inv()).as_quat()], 1
        ),
        *USUAL,
    )
    poses = transfer(moved, device)["poses"]
    np.testing.assert_allclose(poses[:, :3], world.apply(plain[:, :3]), atol=3e-6)
    turn = Rotation.from_quat(poses[:, 3:]).inv() * world * Rotation.from_quat(plain[:, 3:])
    assert turn.magnitude().max() < 5e-5


def test_covariance_matches_repeated_noise(device):
    """The reported covariance of the rotation is that of many draws of contact noise, along every axis."""
    sigma, draws = 2e-4, 4000
    local = 0.02 * random_points[:5] * [1.0, 0.6, 0.2]
    case = make_case(local, priors=NOTHING, noise=sigma, frames=draws, angle=0.0, weights=np.ones(5))
    results = transfer(case, device)
    errors = Rotation.from_matrix(results["rotations"]).as_rotvec()
    covariance, variance, rank, smallest = measure(results, sigma, device)
    scatter = np.cov(errors.T)
    values, axes = np.linalg.eigh(covariance.mean(axis=0))
    np.testing.assert_allclose(np.diag(axes.T @ scatter @ axes) / values, 1.0, atol=0.12)
    assert variance == pytest.approx(np.full(draws, sigma**2 / 5), rel=1e-5)
    assert (rank == 3).all()
    moment, rotation, _ = case.twin(0)
    assert smallest[0] == pytest.approx(np.linalg.eigvalsh(reference.information(moment, rotation))[0], rel=1e-4)


def test_uncertainty_of_nothing_is_honest(device):
    """Without contact or prior no direction is known, and the variance reported is that of an unknown angle."""
    results = transfer(make_case(np.zeros((0, 3)), priors=NOTHING), device)
    covariance, variance, rank, smallest = measure(results, 1e-3, device)
    np.testing.assert_allclose(covariance, np.tile(np.pi**2 * np.eye(3), (3, 1, 1)), rtol=1e-5)
    assert np.isfinite(variance).all()
    assert rank.tolist() == [0, 0, 0]
    assert smallest.tolist() == [0.0, 0.0, 0.0]
