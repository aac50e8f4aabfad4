"""How sure a refined motion is said to be: against what a ball's contour tells, and what nothing tells."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import (
    CAMERA,
    make_arm_scene,
    make_ball,
    make_block,
    make_motion,
    make_scene,
    make_solver,
)
from warpprior.refinement.run import refine
from warpprior.refinement.sureness import measure_sureness
from warpprior.settings import CovarianceSettings, RefineSettings
from warpprior.uncertainty import observable, standard_deviations

RADIUS, DEPTH = 0.025, 0.3
BIAS = 1.5  # sigma of the bias of labels [px]
ALONE = CovarianceSettings(alike_frames=1.0, border_length_px=20.0)
LABELS = ("image", "smoothness", "consistency", "rest", "sliding", "penetration", "pose")


def ball_scene(symmetry=None, frames=3):
    """A ball before the camera, seen as it is."""
    truth = make_motion((0.0, 0.0, DEPTH), frames=frames)
    return make_scene([make_ball(subdivisions=4)], [truth], [truth], symmetry=symmetry)


def sureness_of(scene, device, settings=ALONE, bias=BIAS, without=LABELS):
    """At the truth, which is where the scene starts."""
    solver = make_solver(scene, device, RefineSettings(contact_points=64, without=without))
    return measure_sureness(solver.problem, solver.terms, solver.stages[2], settings, bias)


def test_a_balls_contour_tells_its_place_as_theory_has_it(device):
    """Across, a circle of radius r px is pi r / length measurements; its depth is as unknown as the bias of labels."""
    found = sureness_of(ball_scene(), device)
    radius = CAMERA.fx * RADIUS / np.sqrt(DEPTH**2 - RADIUS**2)
    pixel = 2.0 * np.sqrt(found.noise["contour"] * ALONE.border_length_px / (np.pi * radius))
    sigma = standard_deviations(found.poses["ball"])
    np.testing.assert_allclose(sigma[:, :2], pixel * DEPTH / CAMERA.fx, rtol=0.1)
    # Pixels tell the two apart a little.
    np.testing.assert_allclose(sigma[:, 2], BIAS * DEPTH / radius, rtol=0.2)
    assert found.shared["bias"] == pytest.approx(BIAS, rel=0.25)


def test_without_a_bias_depth_is_as_sure_as_the_contour(device):
    """A border of 2 pi r / length measurements, all of which depth moves alike."""
    found = sureness_of(ball_scene(), device, bias=1e-3)
    radius = CAMERA.fx * RADIUS / np.sqrt(DEPTH**2 - RADIUS**2)
    pixel = 2.0 * np.sqrt(found.noise["contour"] * ALONE.border_length_px / (2.0 * np.pi * radius))
    np.testing.assert_allclose(standard_deviations(found.poses["ball"])[:, 2], pixel * DEPTH / radius, rtol=0.1)


def test_longer_borders_that_err_alike_tell_less(device):
    """Four times the length is twice the sigma, at one noise."""
    sigmas = []
    for length in (20.0, 80.0):
        found = sureness_of(ball_scene(), device, replace(ALONE, border_length_px=length))
        sigma = standard_deviations(found.poses["ball"])[:, :2]
        sigmas.append(sigma / np.sqrt(found.noise["contour"]))
    np.testing.assert_allclose(sigmas[1], 2.0 * sigmas[0], rtol=0.02)


@pytest.mark.parametrize(("symmetry", "unseen"), [("z", 1), ("sphere", 3)])
def test_turns_that_look_the_same_are_unobserved(device, symmetry, unseen):
    """As many directions of rotation as the symmetry has are beyond the limits; the place is not."""
    found = sureness_of(ball_scene({"ball": symmetry}), device)
    turns = found.poses["ball"][:, 3:6, 3:6]
    spread = np.linalg.eigvalsh(turns)
    assert (np.count_nonzero(spread > np.pi**2, axis=1) >= unseen).all()
    assert observable(found.poses["ball"])[:, :3].all()
    assert not [note for note in found.notes if symmetry == "sphere"]
    truth = make_motion((0.0, 0.0, DEPTH), frames=3)
    axis = Rotation.from_quat(truth.rotation).apply([0.0, 0.0, 1.0])
    assert (np.einsum("fi,fij,fj->f", axis, turns, axis) > np.pi**2).all()


def test_frames_in_which_nothing_is_seen_are_unobserved(device):
    """A ball without a label in one frame, nothing tying frames together, may be anywhere there; smoothness ties it."""
    scene = ball_scene(frames=5)
    labels = scene.labels.copy()
    labels[2] = 0
    scene = replace(scene, labels=labels)
    found = sureness_of(scene, device)
    np.testing.assert_array_equal(observable(found.poses["ball"])[:, :3].all(axis=1), [True, True, False, True, True])
    assert any("where it is, is hardly observed in frame 2: up to" in note for note in found.notes)
    tied = sureness_of(scene, device, without=tuple(name for name in LABELS if name != "smoothness"))
    sigma = standard_deviations(tied.poses["ball"])
    assert observable(tied.poses["ball"])[:, :3].all()
    assert (sigma[2, :2] > 1.1 * sigma[1, :2]).all()


def test_noisier_labels_make_a_result_less_sure(device):
    """Borders that err by 3 px in cells of 12 px are found to: noise and sigmas grow against those of exact labels."""
    block = make_block()
    truth = make_motion((0.0, 0.0, 0.25), frames=6)
    scene = make_scene([block], [truth], [truth])
    random = np.random.default_rng(3)
    labels = scene.labels.copy()
    for image in labels:
        cells = np.kron(random.integers(-3, 4, (8, 8)), np.ones((12, 12), dtype=int))
        rows, columns = np.indices(image.shape)
        image[:] = image[rows, np.clip(columns + cells, 0, image.shape[1] - 1)]
    exact, noisy = (sureness_of(each, device) for each in (scene, replace(scene, labels=labels)))
    assert noisy.noise["contour"] > 4.0 * exact.noise["contour"]
    ratio = standard_deviations(noisy.poses["box"])[:, :2] / standard_deviations(exact.poses["box"])[:, :2]
    assert (ratio > 1.5).all()
    assert exact.noise["contour"] < 0.5


def test_results_carry_covariances_of_all_that_is_estimated(device):
    """Symmetric and positive, joints included; shared sigmas are the marginal ones; the settings turn it off."""
    scene = make_arm_scene(3)
    result = refine(scene, RefineSettings(contact_points=64, iterations=2), device=device)
    size = 6 + scene.body("arm").body.coordinate_count
    covariance = result.poses["arm"].covariance
    assert covariance.shape == (3, size, size)
    np.testing.assert_array_equal(covariance, covariance.transpose(0, 2, 1))
    assert (np.linalg.eigvalsh(covariance) > 0.0).all()
    assert all(entry["sigma"] is not None for entry in result.shared.values())
    quick = RefineSettings(contact_points=64, iterations=2, covariance=CovarianceSettings(stated=False))
    plain = refine(scene, quick, device=device)
    assert plain.poses["arm"].covariance is None
    np.testing.assert_array_equal(plain.poses["arm"].position, result.poses["arm"].position)


def test_the_papers_settings_state_none(device):
    """They have no least squares to take it from."""
    scene = make_arm_scene(3)
    literal = replace(RefineSettings.paper_literal(), iterations=1, contact_points=64)
    assert refine(scene, literal, device=device).poses["arm"].covariance is None
