"""A depth image as evidence about poses: exact planes, steps, what is hidden, and how sure it is."""

from dataclasses import replace

import numpy as np
import pytest

from tests.estimator_scenes import make_block, make_motion, make_scene
from tests.test_tracking_mask import PRIOR, SIGMA, error_between
from warpprior.render.images import render_depth
from warpprior.scenes.noise import depth_sigma
from warpprior.support.errors import InputError
from warpprior.tracking.depth_evidence import DepthResidual
from warpprior.tracking.evidence import move

SIMULATED = 0.0013  # sigma of simulated depth at half a metre [m], independent in every pixel


@pytest.fixture(scope="module")
def boxes():
    """A box that turns, a small one in front of part of it, and exact depth images (frame, height, width)."""
    motion = make_motion((0.0, 0.0, 0.45), spin=(0.1, 0.2, 0.0), frames=6)
    front = make_motion((0.02, 0.01, 0.36), spin=(0.0, 0.1, 0.0), frames=6)
    blocks = (make_block(), make_block("front", (0.008, 0.012, 0.006)))
    scene = make_scene(blocks, (motion, front), (motion, front), known=("front",))
    return scene, render_depth(scene, {"box": motion, "front": front})


def truth_at(scene, frame):
    """True poses of one frame."""
    return {body.name: body.truth.frames(slice(frame, frame + 1)) for body in scene.bodies}


def displaced(scene, frame, error):
    """Poses of one frame with the box moved, and its error then."""
    poses = truth_at(scene, frame)
    off = poses | {"box": move(poses["box"], -np.asarray(error, dtype=float))}
    return off, error_between(off["box"], poses["box"])


def test_at_the_true_pose_nothing_pulls(device, boxes):
    """The step is less than half a millimetre and half a degree; pixels are not points."""
    scene, depths = boxes
    residual = DepthResidual(scene, device)
    for frame in range(scene.frame_count):
        found = residual.measure(depths[frame], truth_at(scene, frame))["box"]
        step = np.linalg.solve(found.information + 1e-3 * PRIOR, found.vector)
        assert np.linalg.norm(step[:3]) < 5e-4 and np.degrees(np.linalg.norm(step[3:])) < 0.5


@pytest.mark.parametrize("with_labels", [True, False])
def test_steps_reduce_the_error(device, boxes, with_labels):
    """From 5 mm and 3 degrees off to less than half of that, with labels and without."""
    scene, depths = boxes
    residual, random = DepthResidual(scene, device, sigma_depth_m=0.001), np.random.default_rng(0)
    before, after = [], []
    for frame in range(scene.frame_count):
        poses, error = displaced(scene, frame, SIGMA * random.normal(size=6))
        labels = scene.labels[frame] if with_labels else None
        found = residual.measure(depths[frame], poses, labels=labels, prior={"box": PRIOR})["box"]
        rest = error - np.linalg.solve(found.information + PRIOR, found.vector)
        before.append([np.linalg.norm(error[:3]), np.linalg.norm(error[3:])])
        after.append([np.linalg.norm(rest[:3]), np.linalg.norm(rest[3:])])
    print(np.median(before, axis=0), np.median(after, axis=0))
    assert (np.median(after, axis=0) < 0.5 * np.median(before, axis=0)).all()


def test_a_nearer_picture_pulls_nearer(device, boxes):
    """Depth 3 mm less all over: the step is that far along the line of sight."""
    scene, depths = boxes
    nearer = np.where(depths[0] > 0.0, depths[0] - 0.003, 0.0).astype(np.float32)
    found = DepthResidual(scene, device).measure(nearer, truth_at(scene, 0))["box"]
    step = np.linalg.solve(found.information + 1e-3 * PRIOR, found.vector)
    np.testing.assert_allclose(step[2], -0.003, atol=4e-4)
    assert np.linalg.norm(step[:2]) < 1e-3


@pytest.mark.parametrize("missing", ["image", "pixels", "finite", "label"])
def test_nothing_is_said_of_what_was_not_measured(device, boxes, missing):
    """Exact zeros."""
    scene, depths = boxes
    image, labels = depths[0], None
    if missing == "image":
        image = None
    elif missing == "pixels":
        image = np.zeros_like(image)
    elif missing == "finite":
        image = np.full_like(image, np.nan)
    else:
        labels = np.zeros_like(scene.labels[0])
    found = DepthResidual(scene, device).measure(image, truth_at(scene, 0), labels=labels)["box"]
    assert not found.information.any() and not found.vector.any() and found.cost == 0.0


def test_what_is_in_front_is_not_taken_for_the_body(device, boxes):
    """Points behind the small box do not count: the cost at the true pose hardly grows with it in the picture."""
    scene, depths = boxes
    poses = truth_at(scene, 0)
    away = {**poses, "front": replace(poses["front"], position=poses["front"].position + 1.0)}
    residual = DepthResidual(scene, device, reaches=(4.0,))
    seen, blind = residual.measure(depths[0], poses)["box"], residual.measure(depths[0], away)["box"]
    assert np.trace(seen.information) < np.trace(blind.information)
    assert seen.cost < 0.2 * blind.cost


def test_errors_are_as_large_as_said(device, boxes):
    """Noise of a depth camera, its own sigma given and no correlation: chi-square of six degrees of freedom."""
    scene, depths = boxes
    residual = DepthResidual(scene, device, sigma_depth_m=SIMULATED, correlated_points=1.0)
    random, squares = np.random.default_rng(1), []
    for _ in range(4):
        for frame in range(scene.frame_count):
            exact = depths[frame]
            image = np.where(exact > 0.0, exact + depth_sigma(exact) * random.normal(size=exact.shape), 0.0)
            poses, error = displaced(scene, frame, SIGMA * random.normal(size=6))
            found = residual.measure(image, poses, labels=scene.labels[frame], prior={"box": PRIOR})["box"]
            total = found.information + PRIOR
            rest = error - np.linalg.solve(total, found.vector)
            squares.append(rest @ total @ rest)
    print(f"NEES {np.mean(squares):.2f} of 6")
    assert 2.0 < np.mean(squares) < 10.0


def test_pictures_of_another_size_are_refused(device, boxes):
    """In words."""
    scene, depths = boxes
    with pytest.raises(InputError, match="depth image"):
        DepthResidual(scene, device).measure(depths[0][1:], truth_at(scene, 0))
