"""The image term on the energy: a pose that only colours show, light that does not matter, and what is left out."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.ball_scene import CAMERA, CENTER, TURNS, ball_scene, motion, pixel_rays
from warpprior.refinement.adam import Adam
from warpprior.settings import AdamSettings, RefineSettings
from warpprior.support.errors import InputError
from warpprior.system.energy import Energy
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem
from warpprior.system.stage import Stage
from warpprior.terms import Image

STAGE = Stage(image_blur_px=1.0)


@pytest.fixture
def scene():
    """Two frames of the ball, seen as it is."""
    return ball_scene()


def make_problem(scene, device):
    """The problem of a scene at its initial poses."""
    state = MotionState(scene, device, point_count=8)
    return Problem(state, observe_picture(state, 0.5, calibrate=False))


def measure(scene, device, term=None):
    """Problem and energy of the term, frozen and differentiated, and its values (frame,)."""
    problem, term = make_problem(scene, device), Image() if term is None else term
    problem.prepare_for([term])
    energy = Energy(problem, list(term.bind(problem)))
    problem.enter(STAGE)
    for bound in energy.terms:
        bound.enter(STAGE)
    energy.freeze()
    energy.differentiate()
    return problem, energy, energy.rows.numpy()[0] if energy.terms else np.zeros(scene.frame_count)


def test_values_are_least_at_the_truth(device, scene):
    """Turning the ball either way about any axis costs more."""
    _, _, values = measure(scene, device)
    for axis in np.eye(3):
        for angle in (-0.1, 0.1):
            turned = scene.with_poses({"ball": motion(TURNS + angle * axis)})
            assert (measure(turned, device)[2] > 2.0 * values).all(), (axis, angle)


def test_gain_and_offset_do_not_matter(device, scene):
    """Pictures darker and flatter by a factor cost the same in units of a sigma that shrank with them."""
    turned = scene.with_poses({"ball": motion(TURNS + 0.1)})
    expected = measure(turned, device, Image(sigma_grey=0.2, sigma_shade=0.0))[2]
    darker = replace(turned, read_rgb=lambda frame: np.round(0.5 * turned.read_rgb(frame) + 40.0).astype(np.uint8))
    found = measure(darker, device, Image(sigma_grey=0.1, sigma_shade=0.0))[2]
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_colours_recover_a_rotation_that_no_mask_shows(device, scene):
    """Adam on the image term turns a ball, 10 degrees off, to under half a degree; its silhouette never changes."""
    start = TURNS + np.array([[0.12, -0.08, 0.1], [-0.1, 0.1, 0.1]])
    problem = make_problem(scene.with_poses({"ball": motion(start)}), device)
    turning = AdamSettings(rate=2.0, tolerance=0.0, step_px=1e-6, step_log_depth=1e-6, stage=STAGE)
    settings = RefineSettings(terms=(Image(solvers=("adam",)),), adam=turning)
    adam = Adam(problem, settings)
    adam.run(120, lambda done: None)
    rotations = Rotation.from_quat(problem.motion.read()["ball"].rotation)
    errors = np.degrees((rotations.inv() * Rotation.from_rotvec(TURNS)).magnitude())
    assert (errors < 0.5).all(), errors
    assert adam.skipped == 0


def test_a_lamp_on_one_side_does_not_move_the_ball(device, scene):
    """Pictures shaded from one side still fit at the true pose, and not when the ball is turned."""
    facing = pixel_rays() - CENTER[:2] / CENTER[2]
    shade = np.clip(0.75 + 2.5 * facing[..., :1] - 1.5 * facing[..., 1:], 0.2, 1.0)
    lit = replace(scene, read_rgb=lambda frame: np.round(shade * scene.read_rgb(frame)).astype(np.uint8))
    term = Image(sigma_grey=0.05, sigma_shade=0.0)
    values = measure(lit, device, term)[2]
    turned = measure(lit.with_poses({"ball": motion(TURNS + 0.1)}), device, term)[2]
    assert (turned > 4.0 * values).all(), (values, turned)


def test_samples_are_seen_where_the_label_shows_the_body(device, scene):
    """What is seen lies within the label, the margin taken off, wherever on the surface the sample is."""
    energy = measure(scene, device, Image(margin_px=3))[1]
    (bound,) = energy.terms
    seen, points = bound.seen.numpy() >= 0, bound._samples.points.numpy()
    for frame in range(2):
        assert seen[frame].sum() > 50
        place = points[frame][seen[frame]]
        columns = np.floor(CAMERA.fx * place[:, 0] / place[:, 2] + CAMERA.cx).astype(int)
        rows = np.floor(CAMERA.fy * place[:, 1] / place[:, 2] + CAMERA.cy).astype(int)
        for dr, dc in ((2, 0), (-2, 0), (0, 2), (0, -2)):
            assert (scene.labels[frame][rows + dr, columns + dc] == 3).all()


def test_a_body_that_left_its_label_costs_nothing_and_pulls_nothing(device, scene):
    """Out of sight every sample is unseen: zero rows, zero gradients, and no NaN."""
    away = replace(motion(TURNS), position=np.array([[1.0, 0.0, 0.5], [0.0, 0.0, -0.3]]))
    problem, energy, values = measure(scene.with_poses({"ball": away}), device)
    assert len(energy.terms) == 1
    np.testing.assert_array_equal(values, 0.0)
    np.testing.assert_array_equal(problem.motion.increments["ball"].grad.numpy(), 0.0)


@pytest.mark.parametrize(
    "change",
    [
        {"read_rgb": None},
        {"labels": None},
        {"labels": np.zeros((2, CAMERA.height, CAMERA.width), dtype=np.uint8)},
    ],
)
def test_without_something_to_compare_there_is_no_term(device, scene, change):
    """A scene without pictures, labels or the body in them binds nothing."""
    assert measure(replace(scene, **change), device)[1].terms == ()


@pytest.mark.parametrize("colors", [None, np.full((2562, 3), 0.4, dtype=np.float32)], ids=["none", "plain"])
def test_a_body_without_texture_has_no_term(device, scene, colors):
    """No colours, or one colour all over, carry no information."""
    body = scene.bodies[0]
    plain = replace(scene, bodies=(replace(body, body=replace(body.body, colors=colors)),))
    assert measure(plain, device)[1].terms == ()


def test_frames_without_a_picture_are_left_out(device, scene):
    """One missing picture leaves its frame at zero and the other as it was."""
    turned = scene.with_poses({"ball": motion(TURNS + 0.1)})
    whole = measure(turned, device)[2]
    gappy = replace(turned, read_rgb=lambda frame: None if frame == 0 else turned.read_rgb(frame))
    np.testing.assert_allclose(measure(gappy, device)[2], [0.0, whole[1]], rtol=1e-5)


@pytest.mark.parametrize("settings", [{"sigma_grey": 0.0}, {"sample_count": 10.5}, {"least_cosine": 1.0}])
def test_settings_are_checked(settings):
    """Numbers out of range are refused by name."""
    with pytest.raises(InputError, match=next(iter(settings))):
        Image(**settings)
