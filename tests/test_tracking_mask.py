"""A label image as evidence about poses: signs, units, what it is worth, what it does not see, how sure it is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from warpprior.scene import IGNORE_LABEL, Camera, Poses
from warpprior.scenes.noise import disturb_labels, mask_noise
from warpprior.scenes.robot_lift import robot_lift
from warpprior.support.errors import InputError
from warpprior.system.mask_bias import measure_mask_bias
from warpprior.tracking.evidence import Evidence, error_from_unknowns, move, seen_from, without_unseen_turns
from warpprior.tracking.known_borders import MARGIN, PARTS, KnownBorders
from warpprior.tracking.mask_evidence import MaskResidual
from warpprior.tracking.mask_search import EAGER, EVERY
from warpprior.tracking.mask_view import MaskView
from warpprior.tracking.single_frame import SingleFrame, coarse_to_fine

SMALL = Camera(320, 240, 307.5, 307.5, 160.0, 120.0)
SIGMA = np.array([0.005] * 3 + [np.radians(3.0)] * 3) / np.sqrt(3.0)  # 5 mm and 3 degrees off
PRIOR = np.diag(1.0 / SIGMA**2)


@pytest.fixture(scope="module")
def exact():
    """A bottle lifted, with exact masks."""
    return robot_lift(frame_count=8, images=False, camera=SMALL, mask_noise="M0")


@pytest.fixture(scope="module")
def noisy(exact):
    """The same with masks of level M1, four times."""
    level = mask_noise("M1")
    return [
        replace(exact, labels=disturb_labels(exact.labels, level, np.random.default_rng(seed))) for seed in range(4)
    ]


def truth_at(scene, frame):
    """True poses of one frame."""
    return {body.name: body.truth.frames(slice(frame, frame + 1)) for body in scene.bodies}


def error_between(given, true):
    """The error (6,) of a given pose."""
    turn = Rotation.from_quat(true.rotation[0]) * Rotation.from_quat(given.rotation[0]).inv()
    return np.concatenate([true.position[0] - given.position[0], turn.as_rotvec()])


def displaced(scene, frame, error):
    """Poses of one frame with the object moved, and its error then."""
    poses = truth_at(scene, frame)
    off = poses | {"bottle": move(poses["bottle"], -np.asarray(error, dtype=float))}
    return off, error_between(off["bottle"], poses["bottle"])


def one_pose(random):
    """A pose of one frame in front of the camera."""
    position = np.array([0.1, -0.2, 0.6]) + 0.1 * random.normal(size=3)
    return Poses(position[None], Rotation.random(random_state=3).as_quat()[None], np.zeros((1, 0)))


def test_errors_become_the_unknowns_of_the_alignment():
    """A small error and the increment it stands for move a pose alike."""
    random = np.random.default_rng(0)
    pose = one_pose(random)
    rotation = Rotation.from_quat(pose.rotation[0])
    error = 1e-5 * random.normal(size=6)
    unknowns = error_from_unknowns(pose.position[0], rotation.as_matrix()) @ error
    x, y, z = pose.position[0]
    depth = z * np.exp(unknowns[2])
    position = np.array([x / z + unknowns[0], y / z + unknowns[1], 1.0]) * depth
    moved = move(pose, error)
    np.testing.assert_allclose(moved.position[0], position, atol=1e-9)
    turned = rotation * Rotation.from_rotvec(unknowns[3:])
    assert (turned.inv() * Rotation.from_quat(moved.rotation[0])).magnitude() < 1e-9


def test_evidence_can_be_told_about_another_pose():
    """A quadratic about a moved pose and the same about the pose before have one minimum."""
    random = np.random.default_rng(1)
    pose, error, rest = one_pose(random), 0.05 * random.normal(size=6), 1e-3 * random.normal(size=6)
    root = random.normal(size=(6, 6))
    here = Evidence(root @ root.T, root @ root.T @ rest, 1.0)
    found = seen_from(here, error)
    best = np.linalg.solve(found.information, found.vector)
    there, wanted = move(pose, best), move(move(pose, error), rest)
    np.testing.assert_allclose(error_between(there, wanted), np.zeros(6), atol=2e-6)


def test_rows_say_the_same():
    """As many independent rows as there are observed directions, and the same information from them."""
    random = np.random.default_rng(2)
    root = random.normal(size=(6, 4))
    evidence = Evidence(root @ root.T, root @ random.normal(size=4), 0.0)
    rows, values = evidence.rows()
    assert rows.shape == (4, 6)
    np.testing.assert_allclose(rows.T @ rows, evidence.information, atol=1e-12)
    np.testing.assert_allclose(rows.T @ values, evidence.vector, atol=1e-12)


@pytest.mark.parametrize(("symmetry", "seen"), [("none", 6), ("x", 5), ("z", 5), ("sphere", 3)])
def test_unseen_turns_are_forgotten(symmetry, seen):
    """A projection that takes away turns about the body's axis, and nothing else."""
    rotation = Rotation.random(random_state=5).as_matrix()
    kept = without_unseen_turns(symmetry, rotation)
    np.testing.assert_allclose(kept @ kept, kept, atol=1e-12)
    assert np.linalg.matrix_rank(kept) == seen
    for letter in "xyz" if symmetry == "sphere" else symmetry.replace("none", ""):
        np.testing.assert_allclose(kept[3:, 3:] @ rotation[:, "xyz".index(letter)], 0.0, atol=1e-12)


def test_the_vector_is_the_slope_of_the_cost(device, exact):
    """Minus half of it, by central differences of the cost at poses beside, in metres and radians of the camera."""
    residual = MaskResidual(exact, device, reaches_px=(8.0,), sigma_bias_px=1e-3, sigma_border_px=8.0)
    here, _ = displaced(exact, 5, [0.004, -0.003, 0.01, 0.05, -0.04, 0.05])
    found = residual.measure(exact.labels[5], here)["bottle"]
    numeric = np.zeros(6)
    for k, step in enumerate([1e-3] * 3 + [1e-2] * 3):
        costs = [
            residual.measure(exact.labels[5], here | {"bottle": move(here["bottle"], s * step * np.eye(6)[k])})[
                "bottle"
            ].cost
            for s in (1.0, -1.0)
        ]
        numeric[k] = -0.25 * (costs[0] - costs[1]) / step
    scaled = SIGMA * numeric, SIGMA * found.vector
    print(f"cosine {np.dot(*scaled) / np.prod([np.linalg.norm(s) for s in scaled]):.4f}", *scaled)
    assert np.dot(*scaled) > 0.98 * np.prod([np.linalg.norm(s) for s in scaled])
    assert abs(np.linalg.norm(scaled[1]) / np.linalg.norm(scaled[0]) - 1.0) < 0.15


def test_steps_reduce_the_error(device, exact):
    """From 5 mm and 3 degrees off, with exact masks: position in every frame, rotation in most."""
    residual, random = MaskResidual(exact, device), np.random.default_rng(3)
    before, after = [], []
    for frame in range(exact.frame_count):
        poses, error = displaced(exact, frame, SIGMA * random.normal(size=6))
        found = residual.measure(exact.labels[frame], poses, prior={"bottle": PRIOR})["bottle"]
        rest = error - np.linalg.solve(found.information + PRIOR, found.vector)
        before.append([np.linalg.norm(error[:3]), np.linalg.norm(error[3:])])
        after.append([np.linalg.norm(rest[:3]), np.linalg.norm(rest[3:])])
    better = np.array(after) < np.array(before)
    assert better[:, 0].mean() > 0.8 and better[:, 1].mean() > 0.6
    assert np.median(after, axis=0)[0] < 0.6 * np.median(before, axis=0)[0]


def test_information_is_symmetric_and_not_negative(device, exact, noisy):
    """Also where the hand hides much; across the line of sight there is more of it than along it."""
    for scene in [exact, *noisy]:
        residual = MaskResidual(scene, device)
        found = residual.measure(scene.labels[6], truth_at(scene, 6))["bottle"]
        np.testing.assert_array_equal(found.information, found.information.T)
        values = np.linalg.eigvalsh(found.information)
        assert values[0] > -1e-9 * values[-1]
        assert np.isfinite(found.vector).all() and found.cost > 0.0
        assert found.information[2, 2] < 0.5 * found.information[0, 0]


@pytest.mark.parametrize("hidden", ["no label", "don't care", "no image", "behind the camera"])
def test_nothing_is_said_of_what_is_not_seen(device, exact, hidden):
    """Exact zeros."""
    labels, poses = exact.labels[5].copy(), truth_at(exact, 5)
    label = exact.body("bottle").label
    if hidden == "no label":
        labels[labels == label] = 0
    elif hidden == "don't care":
        labels[labels == label] = IGNORE_LABEL
    elif hidden == "no image":
        labels = None
    else:
        poses["bottle"] = replace(poses["bottle"], position=-poses["bottle"].position)
    found = MaskResidual(exact, device).measure(labels, poses)["bottle"]
    assert not found.information.any() and not found.vector.any() and found.cost == 0.0


def test_a_hand_in_front_takes_information_away(device, exact):
    """What may hide behind don't-care pixels is not told: half of the label hidden, and less is known."""
    labels = exact.labels[5].copy()
    rows = np.flatnonzero((labels == exact.body("bottle").label).any(axis=1))
    labels[: int(rows.mean())] = IGNORE_LABEL
    residual, poses = MaskResidual(exact, device), truth_at(exact, 5)
    whole = residual.measure(exact.labels[5], poses)["bottle"].information
    half = residual.measure(labels, poses)["bottle"].information
    assert half.any()
    assert np.trace(half[:3, :3]) < 0.8 * np.trace(whole[:3, :3])


def test_the_same_picture_says_the_same(device, exact):
    """What was learnt given back, frames in between, of other sizes on the screen, leave nothing behind."""
    residual = MaskResidual(exact, device)
    start = residual.snapshot()
    first = residual.measure(exact.labels[2], truth_at(exact, 2))["bottle"]
    near = truth_at(exact, 6)
    near["bottle"] = replace(near["bottle"], position=near["bottle"].position * 0.6)
    residual.measure(exact.labels[6], near)
    assert not all(np.array_equal(start[key], values) for key, values in residual.snapshot().items())
    residual.restore(start)
    again = residual.measure(exact.labels[2], truth_at(exact, 2))["bottle"]
    tolerance = 0.0 if residual.frame.device.is_cpu else 1e-6
    np.testing.assert_allclose(again.information, first.information, rtol=tolerance, atol=tolerance * 1e6)
    np.testing.assert_allclose(again.vector, first.vector, rtol=tolerance, atol=tolerance * 1e6)


def test_errors_are_as_large_as_said(device, noisy):
    """Noise of level M1, four seeds: chi-square of the error after the step, six degrees of freedom, and of its mean.

    The length over which borders err together was chosen so that both are about what they should be at 640 x 480.
    """
    random, squares, steps = np.random.default_rng(4), [], []
    for scene in noisy:
        residual = MaskResidual(scene, device)
        for frame in range(0, scene.frame_count, 2):
            poses, error = displaced(scene, frame, SIGMA * random.normal(size=6))
            found = residual.measure(scene.labels[frame], poses, prior={"bottle": PRIOR})["bottle"]
            total = found.information + PRIOR
            rest = error - np.linalg.solve(total, found.vector)
            squares.append(rest @ total @ rest)
            steps.append(np.linalg.cholesky(total).T @ rest)
    print(f"NEES {np.mean(squares):.2f} of 6, mean {np.round(np.mean(steps, axis=0), 2)}")
    assert 3.0 < np.mean(squares) < 10.0
    assert np.abs(np.mean(steps, axis=0)).max() < 1.5


def test_known_bodies_tell_how_biased_borders_are(device, exact, noisy):
    """Exact masks have no bias, and it becomes surer; masks a pixel too large or small are found out."""
    for scene in [exact, *noisy]:
        residual = MaskResidual(scene, device)
        for frame in range(0, scene.frame_count, 2):
            residual.frame_index = 0  # the first picture is looked at as a whole
            residual.measure(scene.labels[frame], truth_at(scene, frame))
        assert residual.sigma_bias_px < 0.8
        if scene is exact:
            assert abs(residual.bias_px) < 0.1
        else:
            assert 0.2 < abs(residual.bias_px) < 1.3


def test_parts_of_a_picture_say_what_the_whole_does(device, noisy):
    """Borders that are compared one part after the other, against all of them at once."""
    scene, frame = noisy[0], SingleFrame(noisy[0], device)
    borders, label = KnownBorders(frame), scene.body("hand").label
    for number in (2, 6):
        frame.place(truth_at(scene, number))
        for part in range(PARTS):
            borders.look(scene.labels[number], part)
        found, (left, top, right, bottom) = borders.found(), frame.box(frame.known, MARGIN)
        canvas = frame.canvas(["hand"], outlined=False)
        canvas.draw_faces(frame.state.screen)
        drawn = np.where(canvas.keys.numpy().reshape(1, *scene.labels[0].shape) > 0, label, 0).astype(np.uint8)
        both = (image[:, top:bottom, left:right] for image in (scene.labels[number][None], drawn))
        wanted = measure_mask_bias(*both)
        assert found.count == wanted.count > 200
        assert abs(found.pixels - wanted.pixels) < 1e-6
        assert not borders.sums.any()


def test_a_surface_that_is_given_stands_for_the_pose(device, exact):
    """The hand by its vertices hides and shows what the hand by its joints does."""
    residual, poses = MaskResidual(exact, device), truth_at(exact, 5)
    by_joints = residual.measure(exact.labels[5], poses)["bottle"]
    hand = next(body.name for body in exact.bodies if body.known)
    state = residual.frame.state
    first = state.first_vertex(hand)
    vertices = state.vertices.numpy()[0, first : first + exact.body(hand).body.vertex_count].copy()
    far = replace(poses[hand], position=poses[hand].position + 1.0)
    residual = MaskResidual(exact, device)
    by_surface = residual.measure(exact.labels[5], poses | {hand: far}, surfaces={hand: vertices})["bottle"]
    np.testing.assert_allclose(by_surface.information, by_joints.information, rtol=1e-6, atol=1.0)


def test_pictures_of_another_size_are_refused(device, exact):
    """In words."""
    with pytest.raises(InputError, match="label image"):
        MaskResidual(exact, device).measure(exact.labels[0][:-1], truth_at(exact, 0))


@pytest.mark.parametrize(
    ("widest", "reaches"),
    [(3.0, [8.0, 4.0]), (30.0, [30.0, 30.0, 15.0, 15.0, 8.0, 4.0]), (90.0, [40.0, 40.0, 20.0, 20.0, 8.0, 4.0])],
)
def test_reaches_go_from_coarse_to_fine(widest, reaches):
    """Wider ones first where they are asked for, but none beyond the limit, and always the same in the end."""
    assert coarse_to_fine(widest, (8.0, 4.0), 40.0) == reaches


def test_what_is_far_off_is_found_or_little_is_said(device, noisy):
    """From some 20 mm and 8 degrees off: nearer in most frames, and rarely surer than right."""
    sigma = np.array([0.008, 0.008, 0.016, 0.08, 0.08, 0.08])
    prior, random, squares, shares = np.diag(1.0 / sigma**2), np.random.default_rng(6), [], []
    for scene in noisy:
        residual = MaskResidual(scene, device)
        for frame in range(1, scene.frame_count, 2):
            poses, error = displaced(scene, frame, sigma * random.normal(size=6))
            found = residual.measure(scene.labels[frame], poses, prior={"bottle": prior})["bottle"]
            total = found.information + prior
            rest = error - np.linalg.solve(total, found.vector)
            squares.append(rest @ total @ rest)
            shares.append(np.linalg.norm(rest[:3]) / np.linalg.norm(error[:3]))
    print(f"NEES {np.mean(squares):.2f} of 6, error {np.median(shares):.2f} of what it was")
    assert np.mean(squares) < 15.0 and np.mean(np.array(squares) > 20.0) < 0.2
    assert np.median(shares) < 0.7


def test_a_label_of_something_else_says_little(device, exact):
    """A label that no pose fits, a ring around nothing, weakens the evidence by much."""
    labels, poses = exact.labels[5].copy(), truth_at(exact, 5)
    own = labels == exact.body("bottle").label
    rows, columns = np.nonzero(own)
    wrong = np.where(own, 0, labels)
    wrong[int(rows.mean()) - 4 : int(rows.mean()) + 4, columns.min() - 15 : columns.max() + 15] = labels[own][0]
    residual = MaskResidual(exact, device)
    right, other = residual.measure(labels, poses)["bottle"], residual.measure(wrong, poses)["bottle"]
    assert right.fits and not other.fits
    assert residual.snapshot()["missed"] == [1]  # and the next picture is searched more widely
    assert np.trace(other.information[:3, :3]) < 0.1 * np.trace(right.information[:3, :3])


@pytest.mark.parametrize("error", [[0.03, -0.02, 0.1, 0.1, 0.0, -0.1], [-0.08, 0.06, -0.06, 0.0, 0.15, 0.0]])
def test_a_body_that_is_elsewhere_is_searched_for(device, exact, error):
    """From 11 cm off, where no contour of it is in reach: found where the label has its size and middle."""
    residual, frame = MaskResidual(exact, device), 5
    poses, error = displaced(exact, frame, error)
    sigma = np.array([0.05, 0.05, 0.08, 0.15, 0.15, 0.15])
    prior = np.diag(1.0 / sigma**2)
    found = residual.measure(exact.labels[frame], poses, prior={"bottle": prior})["bottle"]
    rest = error - np.linalg.solve(found.information + prior, found.vector)
    print(1e3 * np.linalg.norm(rest[:3]), np.degrees(np.linalg.norm(rest[3:])))
    assert found.fits and np.linalg.norm(rest[:3]) < 0.1 * np.linalg.norm(error[:3])


def test_searches_become_rare(device, exact, monkeypatch):
    """What is not found is searched for in each of the first pictures, then in every fourth: searches take long."""
    residual, asked = MaskResidual(exact, device), []
    monkeypatch.setattr(MaskView, "find_label", lambda view, pose: asked.append(True) or (pose.position[0], 0.0))
    label, wrong = exact.body("bottle").label, np.zeros_like(exact.labels[5])
    wrong[10:14, 10:60] = label
    counts = []
    for _ in range(EAGER + 9):
        found = residual.measure(wrong, truth_at(exact, 5))["bottle"]
        assert not found.fits
        counts.append(len(asked))
    assert counts[:EAGER] == list(range(1, EAGER + 1))
    assert counts[-1] == EAGER + len([n for n in range(EAGER + 1, EAGER + 10) if n % EVERY == 0]) < len(counts)
