"""The far term: against its float64 twin, its gate, and that it brings bodies back from where no mask can."""

import numpy as np
import pytest
import warp as wp

from tests.gradcheck import compare_gradients, finite_difference
from tests.reference import far as twin
from tests.silhouette_scenes import (
    HAND,
    OBJECT,
    bind_all,
    make_camera,
    make_ellipsoid,
    make_poses,
    make_scene,
    moved,
)
from warpprior.kernels.far import close_gates, compare_moments, gather_moments
from warpprior.render.images import render_labels
from warpprior.render.window import Window
from warpprior.scene import Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.system.targets import TARGET_BACKGROUND, TARGET_IGNORE
from warpprior.terms import Far
from warpprior.terms.far import label_moments

FOCAL = (320.0, 310.0)


def run_kernels(points, shares, targets, gates, sigma, device):
    """Values (frame,) and gradients by the points, from poisoned or zeroed outputs."""
    frames = len(points)
    places = wp.array(points.astype(np.float32), dtype=wp.vec3, device=device, requires_grad=True)
    moments = wp.zeros(frames, dtype=wp.vec3, device=device, requires_grad=True)
    rows = wp.zeros((1, frames), dtype=wp.float32, device=device, requires_grad=True)
    with wp.Tape() as tape:
        gather_moments(
            places,
            wp.array(shares, dtype=wp.float32, device=device),
            wp.vec2(*FOCAL),
            moments_out=moments,
        )
        compare_moments(
            moments,
            wp.array(targets.astype(np.float32), dtype=wp.vec4, device=device),
            wp.array(gates, dtype=wp.float32, device=device),
            wp.full(1, sigma, dtype=wp.float32, device=device),
            0,
            rows_out=rows,
        )
    tape.backward(grads={rows: wp.ones(rows.shape, dtype=wp.float32, device=device)})
    return rows.numpy()[0], places.grad.numpy()


def test_values_and_gradients_equal_the_twin(device):
    """Ordinary frames, a closed gate, a body at the target, one that is a single point, one behind the near plane."""
    random = np.random.default_rng(0)
    points = random.normal([0.05, -0.02, 0.5], 0.03, size=(5, 12, 3))
    points[3] = points[3, :1]
    points[4, :3, 2] = -0.2
    shares = random.uniform(0.5, 1.5, 12)
    shares /= shares.sum()
    targets = np.tile([60.0, 40.0, 25.0, 1.0], (5, 1))
    targets[2] = [32.0, -12.0, 20.0, 0.0]
    gates = np.array([1.0, 0.0, 1.0, 0.6, 1.0])
    values, gradients = run_kernels(points, shares, targets, gates, 2.0, device)
    for frame in range(5):
        cost = lambda p, f=frame: twin.value(p, shares, FOCAL, targets[f], gates[f], 2.0)  # noqa: E731
        np.testing.assert_allclose(values[frame], cost(points[frame]), rtol=2e-4)
        truth = finite_difference(cost, points[frame], step=1e-5)
        compare_gradients(gradients[frame], truth, name=f"far points, frame {frame}", worst=5e-3)


def test_gates_follow_the_overlap(device):
    """Open below 0.3, closed from 0.5, closed without a label; computed into poisoned memory."""
    shared = np.array([0.0, 30.0, 40.0, 50.0, 100.0, 0.0], dtype=np.float32)
    drawn = np.zeros((6, 3), np.float32)
    labelled = np.zeros((6, 3), np.float32)
    drawn[:, 0] = 100.0
    labelled[:5, 0] = shared[:5]
    labelled[0, 0] = 10.0
    gates = wp.full(6, 1e30, dtype=wp.float32, device=device)
    arrays = [wp.array(a, dtype=wp.float32, device=device) for a in (drawn, labelled, shared, np.array([0.3, 0.5]))]
    close_gates(*arrays, gates_out=gates)
    np.testing.assert_allclose(gates.numpy(), [1.0, 1.0, 0.5, 0.0, 0.0, 0.0], atol=1e-6)


def make_lone_scene(steps):
    """An ellipsoid with labels where it belongs, starting elsewhere, one frame per step."""
    thing = make_ellipsoid("object", (0.03, 0.025, 0.02), 3)
    truth = make_poses((0.01, -0.01, 0.5), (0.3, 0.2, 0.4), frames=len(steps))
    scene = Scene("far", make_camera(), 30.0, (SceneBody(thing, OBJECT, False, truth),))
    labels = render_labels(scene, {"object": truth})
    return scene.with_poses({"object": moved(truth, steps)}), labels


def descend(scene, labels, device, iterations=60):
    """Plain steps along the normalised gradient; returns the motion and the term, frozen where they end."""
    (bound,) = bind_all(scene, labels, device, Far())
    motion = bound.problem.motion
    rows = wp.zeros((1, scene.frame_count), dtype=wp.float32, device=device, requires_grad=True)
    ones = wp.ones(rows.shape, dtype=wp.float32, device=device)
    for _ in range(iterations):
        bound.problem.refresh()
        bound.freeze()
        rows.zero_()
        tape = wp.Tape()
        with tape:
            motion.pose()
            bound.evaluate(rows, 0)
        tape.backward(grads={rows: ones})
        gradient = motion.increments["object"].grad.numpy().astype(np.float64)
        tape.zero()
        assert np.isfinite(gradient).all()
        step = -gradient * [3.0 / 320.0**2, 3.0 / 320.0**2, 0.002, 0.0, 0.0, 0.0]
        motion.increments["object"].assign(step.astype(np.float32))
        motion.pose()
        motion.settle()
    bound.problem.refresh()
    bound.freeze()
    return motion, bound


def test_bodies_come_back_from_outside(device):
    """From beside the label, from outside the picture, and from twice too near: until the masks can take over."""
    steps = np.zeros((3, 6))
    steps[0, 0], steps[1, :2], steps[2, 2] = 0.15, (-0.3, 0.25), -0.7
    scene, labels = make_lone_scene(steps)
    motion, bound = descend(scene, labels, device)
    assert (bound.gates.numpy() < 1.0).all()
    screen = motion.poses["object"].numpy()[:, :3]
    offset = 320.0 * (screen[:, :2] / screen[:, 2:] - [0.02, -0.02])
    assert np.abs(offset).max() < 12.0  # of a radius of twenty: the gate closes on the way
    assert np.abs(np.log(screen[2, 2] / 0.5)) < 0.45


def test_closed_where_masks_overlap_and_without_labels(device):
    """At the truth, and in frames without a label: no value and no gradient."""
    scene, labels = make_lone_scene(np.zeros((2, 6)))
    labels[1] = 0
    _, bound = descend(scene, labels, device, iterations=1)
    assert (bound.gates.numpy() == 0.0).all()


def test_bodies_behind_others(device):
    """The overlap is judged where nothing hides the body: an occluder's label does not open the gate."""
    scene = make_scene()
    labels = render_labels(scene, {body.name: body.initial for body in scene.bodies})
    for bound in bind_all(scene, labels, device, Far()):
        bound.problem.refresh()
        bound.freeze()
        assert bound.gates.numpy()[0] == 0.0
    assert {HAND, OBJECT} <= set(np.unique(labels))


def test_moments_of_labels():
    """Centre and radius of a disc in a crop; the size of a half-hidden region is not trusted; none is zero."""
    v, u = np.mgrid[:60, :80] + 0.5
    disc = np.hypot(u - 33.0, v - 28.0) < 20.0
    targets = np.where(disc, 0, TARGET_BACKGROUND)[None].repeat(3, axis=0)
    targets[1][:, 40:] = TARGET_IGNORE
    targets[2] = TARGET_BACKGROUND
    window = Window(np.array([[5, 7]] * 3, dtype=np.int32), 80, 60)
    moments = label_moments(targets, window)
    np.testing.assert_allclose(moments[0], [38.0, 35.0, 20.0 / np.sqrt(2.0), 1.0], atol=0.1)
    assert moments[1, 3] == 0.0
    np.testing.assert_array_equal(moments[2], 0.0)


@pytest.mark.parametrize("settings", [{"overlap_begin": 0.6}, {"sigma_px": -1.0}, {"overlap_end": float("inf")}])
def test_bad_settings_are_named(settings):
    """The message names the setting."""
    with pytest.raises(InputError, match=next(iter(settings)).split("_")[0]):
        Far(**settings)
