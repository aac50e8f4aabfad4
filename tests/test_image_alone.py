"""Colours alone find poses: from rough ones, with wrong masks, shadows, noise and changing light."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import make_arm, make_block, make_clamp
from tests.fit_samples import wander
from tests.solver_samples import solve_equations
from warpprior.scene import Camera, Scene, SceneBody
from warpprior.scenes.noise import MASK_NOISE, disturb_labels, sensor_picture
from warpprior.scenes.observe import Actor, Light, cast_actors
from warpprior.settings import STAGES
from warpprior.support.errors import InputError
from warpprior.system.colors import why_no_colors
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem
from warpprior.terms.image import BoundImage, Image

STUDIO = Camera(320, 260, 700.0, 700.0, 160.0, 130.0)
BLURS = (4.0, 2.0, 1.0)  # of one stage after another [px]


def painted(body, wave=0.03):
    """The body with a smooth pattern of colours, which repeats after about ``wave`` metres."""
    x, y, z = (2.0 * np.pi / wave * body.vertices.astype(float)).T
    red, green = np.sin(x + 0.4) * np.cos(y + 1.0) + np.sin(z), np.cos(x + 0.5 * z) + np.sin(z + y)
    blue = np.sin(y - z) + np.cos(0.7 * z + x)
    return replace(body, colors=(0.5 + 0.2 * np.stack([red, green, blue], axis=1)).astype(np.float32))


def film(bodies, motions, *, light, mask_noise="M1", seed=0, known=()):
    """A scene of bodies seen in some light, with a camera's noise and labels as a segmentation would return them."""
    random = np.random.default_rng(seed)
    actors = [Actor(body, k + 1, motion) for k, (body, motion) in enumerate(zip(bodies, motions, strict=True))]
    pictures = cast_actors(STUDIO, actors, light=light)
    images = [sensor_picture(colors, random) for colors in pictures.colors]
    labels = disturb_labels(pictures.labels, MASK_NOISE[mask_noise], random)
    parts = tuple(
        SceneBody(body, k + 1, body.name in known, motion, truth=motion)
        for k, (body, motion) in enumerate(zip(bodies, motions, strict=True))
    )
    return Scene("studio", STUDIO, 30.0, parts, labels=labels, read_rgb=images.__getitem__)


def disturbed(poses, degrees, metres, joint_degrees=0.0, seed=1):
    """Poses each turned and moved by exactly this much in random directions."""
    random = np.random.default_rng(seed)
    axes, ways = random.normal(size=(2, *poses.position.shape))
    axes, ways = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (axes, ways))
    turned = Rotation.from_quat(poses.rotation) * Rotation.from_rotvec(np.radians(degrees) * axes)
    bent = poses.joints + np.radians(joint_degrees) * random.choice([-1.0, 1.0], poses.joints.shape)
    return replace(poses, position=poses.position + metres * ways, rotation=turned.as_quat(), joints=bent)


def fit_colors(scene, name, device, *, iterations=6):
    """Where colours alone take a body; returns its poses and the term."""
    state = MotionState(scene, device, point_count=8)
    problem = Problem(state, observe_picture(state, 0.25))
    fit = BoundImage(Image(), scene.body(name), problem)
    equations, floor = problem.equations, np.ones(problem.equations.width)
    columns = slice(equations.starts[name], equations.starts[name] + equations.counts[name])
    for blur_px in BLURS:
        fit.enter(replace(STAGES[0], image_blur_px=blur_px))
        for _ in range(iterations):
            equations.clear()
            problem.refresh()
            fit.costs.zero_()
            fit.freeze()
            fit.add(problem.system)
            steps, _ = solve_equations(equations, columns, 1e-3, floor[columns])
            state.increments[name].assign(steps.astype(np.float32))
            state.pose()
            state.settle()
    return state.read()[name], fit


def errors(found, truth):
    """Rotation [deg], distance across the line of sight [mm] and along it [mm] (frame,)."""
    turn = Rotation.from_quat(found.rotation).inv() * Rotation.from_quat(truth.rotation)
    off = found.position - truth.position
    sight = truth.position / np.linalg.norm(truth.position, axis=1, keepdims=True)
    along = np.sum(off * sight, axis=1)
    across = np.linalg.norm(off - along[:, None] * sight, axis=1)
    return np.degrees(turn.magnitude()), 1e3 * across, 1e3 * np.abs(along)


@pytest.fixture(scope="module")
def held_box():
    """A painted box in a known clamp, five frames, in a light that casts shadows, with masks of level M1."""
    block, clamp = painted(make_block(subdivisions=4), wave=0.02), make_clamp()
    motion = wander(block, 5, seed=2, middle=(0.0, 0.0, 0.35), turn=0.3)
    return film([clamp, block], [motion, motion], light=Light(), known=("clamp",))


def test_colors_find_the_pose(device, held_box):
    """From 1.5 degrees and 3 mm off, with wrong masks, shadows and noise, to 0.3 degrees; contours play no part."""
    truth = held_box.body("box").truth
    found, _ = fit_colors(held_box.with_poses({"box": disturbed(truth, 1.5, 0.003)}), "box", device)
    turn, across, along = errors(found, truth)
    assert np.median(turn) < 0.3 and turn.max() < 0.6
    assert np.median(across) < 0.1 and np.median(along) < 0.6


def test_light_hardly_matters(device, held_box):
    """With another exposure and white balance in each frame, and one side of each picture darker, nearly the same."""
    truth = held_box.body("box").truth
    gains = np.random.default_rng(3).uniform(0.6, 1.1, (5, 3))

    def read_rgb(frame):
        image = held_box.read_rgb(frame) * gains[frame]
        image *= np.linspace(0.6, 1.0, STUDIO.width)[:, None]
        return np.clip(image + 0.5, 0, 255).astype(np.uint8)

    scene = replace(held_box, read_rgb=read_rgb).with_poses({"box": disturbed(truth, 1.5, 0.003)})
    turn, across, _ = errors(fit_colors(scene, "box", device)[0], truth)
    assert np.median(turn) < 0.4 and np.median(across) < 0.15


def test_colors_find_joints(device):
    """An arm that bends finds its joints, too."""
    arm = painted(make_arm(influences=2))
    poses = wander(arm, 3, seed=5, middle=(-0.04, 0.0, 0.3), bend=0.4, turn=0.2)
    facing = replace(poses, rotation=np.tile([0.3, 0.1, 0.05, 0.94], (3, 1)) / np.linalg.norm([0.3, 0.1, 0.05, 0.94]))
    scene = film([arm], [facing], light=Light(shadow=0.0))
    start = disturbed(facing, 1.0, 0.002, joint_degrees=3.0)
    found, _ = fit_colors(scene.with_poses({"arm": start}), "arm", device)
    assert np.degrees(np.abs(found.joints - facing.joints)).max() < 1.0
    assert np.median(errors(found, facing)[0]) < 0.8


def test_a_model_of_other_colors_pulls_little(device, held_box):
    """Painted otherwise than in the pictures, a body has far larger sigmas, and so less weight, than painted alike."""
    box = held_box.body("box")
    other = replace(box, body=replace(box.body, colors=np.ascontiguousarray(1.0 - box.body.colors[:, [2, 0, 1]])))
    sigmas = []
    for part in (box, other):
        _, fit = fit_colors(replace(held_box, bodies=(held_box.bodies[0], part)), "box", device, iterations=1)
        sigmas.append(fit.sigmas.numpy())
    np.testing.assert_allclose(sigmas[0], 0.02, atol=0.005)
    assert (sigmas[1] > 1.5 * sigmas[0]).all()


def test_frames_without_picture_or_label_add_nothing(device, held_box):
    """They have no weight, and what is not there is not read."""
    labels = held_box.labels.copy()
    labels[1][labels[1] == 2] = 0
    images = {frame: held_box.read_rgb(frame) for frame in (0, 2, 4)}
    scene = replace(held_box, labels=labels, read_rgb=images.get)
    truth = held_box.body("box").truth
    found, fit = fit_colors(scene.with_poses({"box": disturbed(truth, 1.5, 0.003)}), "box", device, iterations=1)
    np.testing.assert_array_equal((fit.seen.numpy() >= 0).any(axis=1), [True, False, True, False, True])
    start = disturbed(truth, 1.5, 0.003)
    np.testing.assert_allclose(found.position[[1, 3]], start.position[[1, 3]], atol=1e-6)


def test_without_colors_or_pictures_there_is_no_term(held_box):
    """Reasons are given where colours or pictures are missing; a body whose label is nowhere has no term either."""
    box = held_box.body("box")
    plain = replace(held_box, bodies=(held_box.bodies[0], replace(box, body=replace(box.body, colors=None))))
    grey = replace(box.body, colors=np.full_like(box.body.colors, 0.5))
    grey = replace(held_box, bodies=(held_box.bodies[0], replace(box, body=grey)))
    hidden = replace(held_box, labels=np.where(held_box.labels == 2, 0, held_box.labels))
    blind = replace(held_box, read_rgb=None)
    unlabelled = replace(held_box, labels=None)
    for scene, reason in (
        (plain, "colours"),
        (grey, "one colour"),
        (hidden, ""),
        (blind, "pictures"),
        (unlabelled, "label"),
    ):
        state = MotionState(scene, "cpu", point_count=8)
        found = why_no_colors(scene.body("box"), state)
        assert reason in found and (reason != "") == (found != "")
        assert not list(Image().bind(Problem(state, observe_picture(state, 0.25))))


def test_bodies_that_bend_have_no_term():
    """Colours are compared of rigid bodies alone, though what bends has some."""
    arm = painted(make_arm(influences=2))
    scene = film([arm], [wander(arm, 1, seed=5, middle=(-0.04, 0.0, 0.3), bend=0.4)], light=Light())
    state = MotionState(scene, "cpu", point_count=8)
    assert not why_no_colors(scene.body("arm"), state)
    assert not list(Image().bind(Problem(state, observe_picture(state, 0.25))))


def test_stages_without_blur_compare_nothing(device, held_box):
    """Until a stage says how much pictures are blurred the term costs nothing and adds nothing."""
    state = MotionState(held_box, device, point_count=8)
    problem = Problem(state, observe_picture(state, 0.25))
    (fit,) = Image().bind(problem)
    for blur_px in (None, 0.0):
        if blur_px is not None:
            fit.enter(replace(STAGES[0], image_blur_px=blur_px))
        fit.freeze()
        fit.add(problem.system)
        assert not fit.costs.numpy().any() and not problem.equations.hessian.numpy().any()


def test_settings_are_checked():
    """Numbers out of range raise errors that name them."""
    for name, value in (("sigma_grey", 0.0), ("sigma_shade", -0.1), ("sample_count", 10.5), ("least_cosine", 1.0)):
        with pytest.raises(InputError, match=f"image.{name}"):
            Image(**{name: value})
