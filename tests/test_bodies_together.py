"""All bodies refined as one problem, end to end: tongs and what they hold, hands and boxes, keypoints on their own."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
import warp as wp

from tests.estimator_scenes import (
    add_millimetres,
    change_terms,
    disturb,
    enter,
    errors_of,
    frame_costs,
    linearise,
    make_block,
    make_motion,
    make_scene,
    make_solver,
)
from tests.reference.equations import assemble
from warpprior.bodies import JointType, posed_keypoints, posed_vertices, read_hand, rigid_body
from warpprior.refinement.hypotheses import choose_poses
from warpprior.refinement.run import refine
from warpprior.scene import Camera
from warpprior.settings import GaussNewtonSettings, RefineSettings
from warpprior.system.unknown_settings import UnknownSettings

CAMERA = Camera(128, 112, 230.0, 230.0, 64.0, 56.0)
SETTINGS = RefineSettings(contact_points=64, unknowns=UnknownSettings(estimate_mask_bias=False))


def make_tongs(name="tongs"):
    """Two jaws on the +-x faces of the tests' box: one fixed to a bar behind it, one on a hinge at the bar's end."""
    x, y, _ = 0.03, 0.022, 0.016
    jaw = (0.006, 0.012, 0.010)
    parts, links = [], []
    for link, size, middle in (
        (0, jaw, (-x - jaw[0], 0.0, 0.0)),
        (0, (x + 2 * jaw[0], 0.005, 0.008), (0.0, -y - 0.012, 0.0)),
        (1, jaw, (x + jaw[0], 0.0, 0.0)),
    ):
        part = trimesh.creation.box(2.0 * np.asarray(size)).subdivide().subdivide()
        part.apply_translation(middle)
        parts.append(part)
        links += [link] * len(part.vertices)
    mesh = trimesh.util.concatenate(parts)
    straight = [0.0, 0.0, 0.0, 1.0]
    corner = [x + jaw[0], -y - 0.012, 0.0]
    return replace(
        rigid_body(name, mesh.vertices, np.asarray(mesh.faces)),
        kind="urdf",
        link_names=("bar", "jaw"),
        parents=np.array([-1, 0], dtype=np.int32),
        joint_types=np.array([JointType.FREE, JointType.HINGE], dtype=np.int32),
        joint_offsets=np.array([[0, 0, 0, *straight], [*corner, *straight]], dtype=np.float32),
        joint_axes=np.array([[0, 0, 0], [0, 0, 1]], dtype=np.float32),
        coordinate_starts=np.array([-1, 0], dtype=np.int32),
        coordinate_gains=np.ones(2, dtype=np.float32),
        coordinate_biases=np.zeros(2, dtype=np.float32),
        coordinate_names=("hinge",),
        lower=np.array([-1.0], dtype=np.float32),
        upper=np.array([1.0], dtype=np.float32),
        skin_links=np.array(links, dtype=np.int32)[:, None],
        joint_shape_directions=np.zeros((2, 3, 0), dtype=np.float32),
    )


def shifted(poses, distance, *, joints=0.0, seed=0):
    """A motion each frame of which is off by ``distance`` [m] and its joints by up to ``joints`` [rad]."""
    random = np.random.default_rng(seed)
    away = random.normal(size=poses.position.shape)
    away *= distance / np.linalg.norm(away, axis=1, keepdims=True)
    bent = poses.joints + random.uniform(-joints, joints, poses.joints.shape)
    return replace(poses, position=poses.position + away, joints=bent)


def make_tongs_scene(frames=4, *, distance=0.02):
    """Tongs that hold a box and carry it, both starting off, the hinge up to 0.2 rad."""
    truth = make_motion((0.0, 0.005, 0.42), (0.5, -0.4, 0.3), drift=(0.004, 0.002, 0.003), spin=(0.05, 0.1, 0.06),
                        frames=frames)  # fmt: skip
    holding = replace(truth, joints=np.zeros((frames, 1)))
    bodies, truths = (make_tongs(), make_block()), (holding, truth)
    starts = (shifted(holding, distance, joints=0.2, seed=1), shifted(truth, distance, seed=2))
    return make_scene(bodies, truths, starts, camera=CAMERA)


@pytest.fixture(scope="module")
def tongs_scene():
    """Tongs and a box, four frames, 2 cm off."""
    return make_tongs_scene()


@pytest.fixture(scope="module")
def hand_scene():
    """A human hand with bent fingers beside a box, two frames, both 2 cm and fingers 0.15 rad off, with keypoints."""
    hand, joints = read_hand(), np.tile([0.3, 0.0, 0.0] * 15, (2, 1))
    drift = {"drift": (0.004, 0.002, 0.003), "spin": (0.02, 0.05, 0.03), "frames": 2}
    reach = make_motion((-0.09, 0.0, 0.5), (1.4, 0.3, 0.2), joints=joints, **drift)
    lying = make_motion((0.06, 0.01, 0.45), **drift)
    starts = (shifted(reach, 0.02, joints=0.15, seed=1), shifted(lying, 0.02, seed=2))
    scene = make_scene((hand, make_block()), (reach, lying), starts, camera=CAMERA)
    return replace(scene, keypoints2d={"hand": seen_keypoints(hand, reach)})


def seen_keypoints(body, poses):
    """Where the keypoints of a motion are seen, with full confidence (frame, keypoint, 3)."""
    places = posed_keypoints(body, poses).astype(float)
    screen = places[..., :2] / places[..., 2:] * [CAMERA.fx, CAMERA.fy] + [CAMERA.cx, CAMERA.cy]
    return np.concatenate([screen, np.ones((*screen.shape[:2], 1))], axis=2)


def run_all(solver):
    """All stages; returns the rows of the history."""
    return [row for number in range(len(solver.stages)) for row in solver.run(number)]


def start_errors(scene, name):
    """ADD of a body's start in each frame [mm]."""
    part = scene.body(name)
    return add_millimetres(part.body, part.initial, part.truth)


def test_tongs_and_what_they_hold_are_both_found(device, tongs_scene):
    """Neither pose nor hinge known: pictures, and each other, tell where they are."""
    result = refine(tongs_scene, SETTINGS, device=device)
    for name in ("tongs", "box"):
        assert start_errors(tongs_scene, name).min() > 15.0
        assert errors_of(result, name).max() < 2.0, name
    assert np.abs(result.poses["tongs"].joints).max() < 0.06
    assert [note for note in result.notes if "hardly observed" not in note] == []  # how a box this small is turned
    for name in ("sliding", "penetration", "pose"):
        assert result.history[name].any(), name


def test_a_hand_and_a_box_are_both_found(device, hand_scene):
    """Neither known: labels and keypoints bring a hand of 45 joints within 5 mm, and a box within 6."""
    result = refine(hand_scene, SETTINGS, device=device)
    assert errors_of(result, "hand").max() < 5.0
    assert errors_of(result, "box").max() < 6.0
    assert result.complete
    body = hand_scene.body("hand").body
    joints = result.poses["hand"].joints
    assert (joints >= body.lower - 1e-6).all() and (joints <= body.upper + 1e-6).all()


def test_keypoints_alone_find_a_hand(device, hand_scene):
    """Without any label image, and though a keypoint is missing in one frame and wrong in another."""
    keypoints = hand_scene.keypoints2d["hand"].copy()
    keypoints[0, 8] = [np.nan, np.nan, 1.0]
    keypoints[1, 12, :2] += 60.0
    alone = replace(hand_scene, bodies=hand_scene.bodies[:1], labels=None, keypoints2d={"hand": keypoints})
    result = refine(alone, SETTINGS, device=device)
    assert errors_of(result, "hand").max() < 6.0
    assert errors_of(result, "hand").max() < 0.3 * start_errors(alone, "hand").min()


def test_two_blocks_that_overlap_part(device):
    """Nothing is seen: penetration moves both, against each other, until it is within what is allowed."""
    frames, half = 2, 0.03
    truth = [make_motion((side * 0.026, 0.0, 0.5), (0.0, 0.0, 0.0), frames=frames) for side in (-1.0, 1.0)]
    scene = make_scene((make_block("left"), make_block("right")), truth, truth, camera=CAMERA)
    solver = make_solver(replace(scene, labels=None), device, SETTINGS)
    run_all(solver)
    left, right = (solver.problem.motion.read()[name].position for name in ("left", "right"))
    gap = right[:, 0] - left[:, 0] - 2.0 * half
    assert (gap > -0.004).all() and (gap < 0.002).all(), gap
    moved = np.stack([left[:, 0] + 0.026, 0.026 - right[:, 0]])
    assert (moved < -0.002).all(), moved
    np.testing.assert_allclose(moved[0], moved[1], atol=2e-3)


def test_the_hand_is_pushed_as_the_box_is(device, hand_scene):
    """A box put into the palm: contact terms of both bodies pull the box out, and the hand away from it."""
    hand = hand_scene.body("hand").truth
    inside = replace(hand_scene.body("box").truth, position=posed_vertices_middle(hand_scene))
    scene = replace(hand_scene.with_poses({"hand": hand, "box": inside}), labels=None, keypoints2d={})
    settings = change_terms(SETTINGS, smoothness={"weight": 0.0}, consistency={"weight": 0.0})
    solver = make_solver(scene, device, settings)
    enter(solver, -1)
    before = sum_contact(solver)
    for name in ("hand", "box"):
        assert frame_costs(solver, "penetration", name).all(), name
    solver.solve()
    for name in ("hand", "box"):
        assert np.abs(solver.problem.motion.increments[name].numpy()[:, :3]).max() > 1e-4, name
    solver.advance()
    assert sum_contact(solver) < before


def posed_vertices_middle(scene):
    """Middle of the hand's surface in each frame (frame, 3) [m]."""
    part = scene.body("hand")
    return posed_vertices(part.body, part.truth).astype(float).mean(axis=1)


def sum_contact(solver):
    """Cost of contact at the current motion."""
    costs = linearise(solver)
    return costs["sliding"] + costs["penetration"]


@pytest.mark.parametrize("which", ["tongs", "hand"])
def test_the_whole_matrix_has_no_negative_curvature(device, which, tongs_scene, hand_scene):
    """All bodies, joints, detections and the labels' bias: symmetric by construction, no eigenvalue below zero."""
    scene = tongs_scene if which == "tongs" else hand_scene
    solver = make_solver(scene, device, RefineSettings(contact_points=64))
    equations = solver.problem.equations
    for stage in (0, 2):
        enter(solver, stage)
        linearise(solver)
        assert not equations.row_marks.numpy().any()
        matrix, gradient = assemble(equations.hessian.numpy(), equations.gradient.numpy())
        assert np.isfinite(matrix).all() and np.isfinite(gradient).all()
        size = np.sqrt(np.diag(matrix) + 1e-12 * matrix.max())
        assert np.linalg.eigvalsh(matrix / np.outer(size, size)).min() > -1e-6
    column = equations.shared["bias"]
    assert equations.hessian.numpy()[:, 0, column, column].all()


def test_bias_is_estimated_only_where_nothing_else_shows_it(device, tongs_scene, hand_scene):
    """With a known body, without anything that bends, without labels, or where settings say so, it is no unknown."""
    estimating = RefineSettings(contact_points=16)
    known = replace(tongs_scene, bodies=(tongs_scene.bodies[0], replace(tongs_scene.bodies[1], known=True)))
    rigid = replace(tongs_scene, bodies=tongs_scene.bodies[1:])
    found = [
        "bias" in make_solver(scene, device, settings).problem.shared.names
        for scene, settings in (
            (tongs_scene, estimating),
            (tongs_scene, SETTINGS),
            (known, estimating),
            (rigid, estimating),
            (replace(hand_scene, labels=None), estimating),
        )
    ]
    assert found == [True, False, False, False, False]


def test_each_body_chooses_among_what_the_others_have_become(device, monkeypatch):
    """Before a body's poses are tried, all others are drawn where they are by then, not where they were tried last."""
    first = make_motion((-0.03, 0.0, 0.45), drift=(0.004, 0.0, 0.0), frames=3)
    second = make_motion((0.025, 0.0, 0.4), drift=(-0.002, 0.002, 0.0), frames=3)
    bodies = (make_block("a"), make_block("b"))
    starts = (disturb(first, depth=0.05), disturb(second, depth=0.05, seed=4))
    solver = make_solver(make_scene(bodies, (first, second), starts, camera=CAMERA), device, SETTINGS)
    drawings, seen = solver.problem.drawings, []

    def check(fit, rounds, **options):
        others = drawings.behind(fit.body.name)
        given = others.numpy().copy()
        drawings.draw()
        np.testing.assert_array_equal(given, others.numpy(), err_msg=fit.body.name)
        seen.append(choose_poses(fit, rounds, **options))

    monkeypatch.setattr("warpprior.refinement.gauss_newton.choose_poses", check)
    solver.run(0)
    solver.run(1)
    assert len(seen) == 2 and seen[0] > 0


SHORT = replace(
    RefineSettings(contact_points=32),
    gauss_newton=GaussNewtonSettings(
        stages=tuple(replace(stage, iterations=6) for stage in GaussNewtonSettings().stages[::2])
    ),
)


def test_replayed_graphs_give_the_same_bits(device, hand_scene, graphs_or_skip):
    """Stages of hand and box, bias and detections included, replayed from a graph and launched."""
    found = []
    for capture in (False, True):
        solver = make_solver(hand_scene, device, SHORT, capture=capture)
        with graphs_or_skip():
            rows = run_all(solver)
        found.append((solver.problem.motion.read_transforms(), rows))
    for name in ("hand", "box"):
        if wp.get_device(device).is_cuda:
            np.testing.assert_allclose(found[0][0][name], found[1][0][name], atol=1e-3)
        else:
            np.testing.assert_array_equal(found[0][0][name], found[1][0][name])
    if not wp.get_device(device).is_cuda:
        assert found[0][1] == found[1][1]


def test_threads_and_repetition_give_the_same_bits(monkeypatch):
    """Nine frames of tongs and box: one thread, one again, and two."""
    scene, found = make_tongs_scene(9, distance=0.005), []
    for threads in ("1", "1", "2"):
        monkeypatch.setenv("WARPPRIOR_THREADS", threads)
        solver = make_solver(scene, "cpu", SHORT)
        rows = run_all(solver)
        found.append((solver.problem.motion.read_transforms(), rows))
    for poses, rows in found[1:]:
        for name in ("tongs", "box"):
            np.testing.assert_array_equal(poses[name], found[0][0][name])
        assert rows == found[0][1]


def test_one_frame(device):
    """Nothing but the picture: no neighbours, one block."""
    scene = make_tongs_scene(1)
    result = refine(scene, SETTINGS, device=device)
    for name in ("tongs", "box"):
        assert errors_of(result, name).max() < 4.0, name
