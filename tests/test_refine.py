"""Refinement of small scenes whose truth is known: what is recovered, from how far, and with how little to see."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import (
    CAMERA,
    add_millimetres,
    disturb,
    errors_of,
    make_arm_scene,
    make_ball,
    make_block,
    make_clamp,
    make_grasp,
    make_motion,
    make_scene,
    mask_error,
)
from warpprior.bodies import read_urdf
from warpprior.refinement.run import refine
from warpprior.scene import Camera
from warpprior.scenes.robot_hand import URDF_PATH
from warpprior.settings import RefineSettings
from warpprior.system.unknown_settings import UnknownSettings

CLOSE = 1.5  # ADD that counts as recovered [mm]; a pixel is 2 mm wide at the box


def start_error(scene, name="box"):
    """Median ADD of a body's start [mm]."""
    part = scene.body(name)
    return np.median(add_millimetres(part.body, part.initial, part.truth))


def with_labels(scene, change):
    """The scene with label images changed in place by ``change(labels)``."""
    labels = scene.labels.copy()
    change(labels)
    return replace(scene, labels=labels)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_held_box_is_recovered_from_far(device, seed):
    """From 12 % in depth and 15 degrees, nearly 50 mm, to less than 1.5 mm in every frame, with nothing to remark."""
    scene = make_grasp(8, seed=seed)
    assert start_error(scene) > 40.0
    result = refine(scene, device=device)
    assert errors_of(result, "box").max() < CLOSE
    assert mask_error(scene, result.poses).max() < 0.03
    assert result.complete
    assert result.notes == ()
    assert result.poses["clamp"] is scene.body("clamp").initial


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_sequences(device, frames):
    """One frame has no neighbours, two no acceleration; the picture is enough."""
    result = refine(make_grasp(frames), device=device)
    assert errors_of(result, "box").max() < 2 * CLOSE


def test_a_frame_that_missed_the_body_is_bridged(device):
    """Where the label is missing, contact and smoothness carry the box over."""
    scene = make_grasp(8)
    result = refine(
        with_labels(scene, lambda labels: labels.__setitem__(3, labels[3] * (labels[3] != 2))), device=device
    )
    assert errors_of(result, "box").max() < CLOSE


def test_a_frame_with_the_body_behind_another_is_bridged(device):
    """A known plate passes in front of the box and hides all of it for a frame, parts of it before and after."""
    truth = make_motion((0.004, -0.003, 0.45), drift=(0.004, 0.002, 0.003), spin=(0.05, 0.1, 0.06), frames=8)
    plate = make_motion((0.0, 0.0, 0.33), (0.0, 0.0, 0.0), drift=(0.03, 0.0, 0.0), frames=8)
    bodies = (make_clamp(), make_block(), make_block("plate", (0.045, 0.08, 0.001)))
    scene = make_scene(bodies, (truth, truth, plate), (truth, disturb(truth), plate), known=("clamp", "plate"))
    pixels = (scene.labels == 2).sum(axis=(1, 2))
    assert pixels.min() == 0
    assert ((pixels > 0) & (pixels < 500)).any()
    assert errors_of(refine(scene, device=device), "box").max() < 2 * CLOSE


@pytest.mark.parametrize("frames", [[3], [0, 7], [1, 2, 3, 4, 5, 6]], ids=str)
def test_frames_that_say_nothing_follow_the_others(device, frames):
    """Label images that are don't-care all over, in the middle or at the ends."""
    scene = with_labels(make_grasp(8), lambda labels: labels.__setitem__(frames, 255))
    assert errors_of(refine(scene, device=device), "box").max() < CLOSE


def test_two_moving_bodies_are_recovered_together(device):
    """Both from far, neither known, apart from each other."""
    first = make_motion((-0.06, 0.01, 0.45), drift=(0.001, 0.002, 0.003), spin=(0.05, 0.1, 0.06))
    second = make_motion((0.06, -0.01, 0.42), (1.0, 0.2, 0.5), drift=(-0.001, 0.003, 0.001), spin=(-0.05, 0.06, 0.1))
    bodies = (make_block(), make_block("brick", (0.015, 0.018, 0.025)))
    camera = Camera(128, 96, 230.0, 230.0, 64.0, 48.0)
    scene = make_scene(bodies, (first, second), (disturb(first), disturb(second, seed=5)), camera=camera)
    result = refine(scene, device=device)
    for name in ("box", "brick"):
        assert start_error(scene, name) > 35.0
        assert np.median(errors_of(result, name)) < CLOSE


@pytest.mark.parametrize(
    "camera",
    [Camera(96, 96, 230.0, 200.0, 30.0, 60.0), Camera(96, 96, 230.0, 230.0, 14.0, 48.0)],
    ids=["off-centre", "at the border"],
)
def test_any_pinhole_camera(device, camera):
    """Unequal focal lengths, a principal point far from the middle, and a body that the border of the picture cuts."""
    scene = make_grasp(8, camera=camera)
    assert errors_of(refine(scene, device=device), "box").max() < CLOSE


@pytest.mark.parametrize(
    "displace",
    [
        lambda position: position + np.array([1.0, 0.5, 0.0]),
        lambda position: position * [1.0, 1.0, -1.0],
        lambda position: 0.0 * position,
        lambda position: np.where(np.arange(len(position))[:, None] == 3, -position, position),
    ],
    ids=["out of the picture", "behind the camera", "in the camera", "one frame behind"],
)
def test_starts_that_cannot_be_seen(device, displace):
    """The closed-form start puts lost bodies on the rays through their labels."""
    scene = make_grasp(8)
    start = scene.body("box").initial
    scene = scene.with_poses({"box": replace(start, position=displace(start.position))})
    assert errors_of(refine(scene, device=device), "box").max() < CLOSE


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_scaled_bodies(device, scale):
    """A model of another size with the factor that makes up for it gives the same motion."""
    scene = make_grasp(6)
    part = scene.body("box")
    body = replace(part.body, vertices=part.body.vertices / np.float32(scale))
    initial, truth = replace(part.initial, scale=scale), replace(part.truth, scale=scale)
    scaled = replace(scene, bodies=(scene.bodies[0], replace(part, body=body, initial=initial, truth=truth)))
    plain, result = refine(scene, device=device), refine(scaled, device=device)
    assert result.poses["box"].scale == scale
    np.testing.assert_allclose(result.poses["box"].position, plain.poses["box"].position, atol=2e-4)


def test_a_sphere_turns_smoothly(device):
    """Nothing tells how a sphere is turned: its place is found, and what was given of its turns is made smooth."""
    truth = make_motion((0.0, 0.0, 0.4), drift=(0.004, 0.002, 0.003), spin=(0.05, 0.1, 0.06))
    scene = make_scene((make_ball(),), (truth,), (disturb(truth),), symmetry={"ball": "sphere"})
    poses = refine(scene, device=device).poses["ball"]
    assert 1e3 * np.linalg.norm(poses.position - truth.position, axis=1).max() < CLOSE
    given, found = (Rotation.from_quat(p.rotation) for p in (scene.body("ball").initial, poses))
    assert np.degrees((given.inv() * found).magnitude()).max() < 25.0
    assert np.degrees((found[:-1].inv() * found[1:]).magnitude()).max() < 3.0


@pytest.mark.parametrize("degrees", [0.0, 15.0])
def test_a_body_of_revolution_turns_smoothly_about_its_axis(device, degrees):
    """Its axis is found, also when it was right from the start; about the axis it hardly turns from frame to frame."""
    truth = make_motion((0.0, 0.0, 0.4), drift=(0.004, 0.002, 0.003), spin=(0.05, 0.1, 0.06))
    body = make_ball(radii=(0.02, 0.02, 0.035))
    start = disturb(truth, degrees=degrees)
    noise = Rotation.from_rotvec(np.random.default_rng(0).normal(0.0, 0.4, (len(truth.position), 1)) * [0.0, 0.0, 1.0])
    start = replace(start, rotation=(Rotation.from_quat(start.rotation) * noise).as_quat())
    scene = make_scene((body,), (truth,), (start,), symmetry={"ball": "z"})
    poses = refine(scene, device=device).poses["ball"]
    assert (
        1e3 * np.linalg.norm(poses.position - truth.position, axis=1).max() < 2.0
    )  # its facets differ from turn to turn
    turned, true = Rotation.from_quat(poses.rotation), Rotation.from_quat(truth.rotation)
    tilt = np.sum(turned.apply([0.0, 0.0, 1.0]) * true.apply([0.0, 0.0, 1.0]), axis=1)
    assert np.degrees(np.arccos(np.clip(tilt, -1.0, 1.0))).max() < 3.0
    steps = np.degrees((turned[:-1].inv() * turned[1:]).as_rotvec())[:, 2]
    assert np.abs(steps).max() < 3.0


def grown(labels, pixels):
    """Label images whose bodies reach so many pixels too far into the background; negative: end too early."""
    images = np.empty_like(labels)
    for image, label_image in zip(images, labels, strict=True):
        nearest = np.zeros_like(label_image)
        for label in np.unique(label_image[label_image > 0]):
            own = cv2.distanceTransform((label_image != label).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            nearest[(own < pixels + 0.5) & (label_image == 0)] = label
        image[:] = np.where(label_image > 0, label_image, nearest)
        if pixels < 0:
            depth = cv2.distanceTransform((label_image > 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            image[depth < 0.5 - pixels] = 0
    return images


@pytest.mark.parametrize("pixels", [-1, 1, 2])
def test_labels_too_large_or_too_small_are_measured_and_put_right(device, pixels):
    """A known body tells how far labels are off at their borders; the box no longer ends up too near or too far."""
    truth = make_motion((0.02, 0.0, 0.45), drift=(0.003, 0.002, 0.003), spin=(0.05, 0.1, 0.06), frames=8)
    post = make_motion((-0.06, 0.0, 0.45), (0.0, 0.0, 0.1), frames=8)
    bodies = (make_block("post", (0.015, 0.06, 0.015)), make_block())
    camera = Camera(160, 128, 300.0, 300.0, 80.0, 64.0)
    scene = make_scene(bodies, (post, truth), (post, disturb(truth)), known=("post",), camera=camera)
    scene = with_labels(scene, lambda labels: labels.__setitem__(slice(None), grown(labels, pixels)))
    result = refine(scene, device=device)
    (note,) = result.notes
    told = float(note.split("known bodies are ")[1].split(" px")[0]) * (1 if "too large" in note else -1)
    assert told == pytest.approx(pixels, abs=0.3)
    blind = refine(scene, replace(RefineSettings(), calibrate_masks=False), device=device)

    def depth_error(motion):
        return np.abs(np.median(motion["box"].position[:, 2] / truth.position[:, 2]) - 1.0)

    assert blind.notes == ()
    assert depth_error(result.poses) < 0.2 * depth_error(blind.poses)
    assert np.median(errors_of(result, "box")) < 0.2 * np.median(errors_of(blind, "box"))


@pytest.mark.parametrize("influences", [1, 2], ids=["links", "skin"])
def test_an_arm_finds_its_pose_and_joints(device, influences):
    """A body of links and one that bends, root, depth and joints off, seen in exact labels: all are found."""
    scene = make_arm_scene(influences=influences)
    settings = RefineSettings(contact_points=64, unknowns=UnknownSettings(estimate_mask_bias=False))
    result = refine(scene, settings, device=device)
    before = mask_error(scene, {"arm": scene.body("arm").initial}).mean()
    assert mask_error(scene, result.poses).mean() < 0.1 * before
    assert np.median(errors_of(result, "arm")) < 0.2 * start_error(scene, "arm")
    joints = result.poses["arm"].joints
    assert (np.abs(joints) <= 0.8 + 1e-6).all()
    assert np.abs(joints - scene.body("arm").truth.joints).mean() < 0.06


@pytest.mark.parametrize("influences", [1, 2], ids=["links", "skin"])
def test_without_known_bodies_the_bias_of_labels_is_estimated_with_the_joints(device, influences):
    """Labels two pixels too large about an arm six pixels wide: it would end up far too near, and no longer does."""
    scene = make_arm_scene(influences=influences)
    scene = with_labels(scene, lambda labels: labels.__setitem__(slice(None), grown(labels, 2)))
    errors = []
    for estimated in (True, False):
        settings = RefineSettings(contact_points=64, unknowns=UnknownSettings(estimate_mask_bias=estimated))
        errors.append(np.median(errors_of(refine(scene, settings, device=device), "arm")))
    assert errors[1] > 80.0
    assert errors[0] < 0.4 * errors[1]


def test_joints_stop_at_their_limits(device):
    """Labels show an arm bent beyond its limits: it ends on them, and not beyond."""
    scene = make_arm_scene(2)
    part = scene.bodies[0]
    narrow = replace(part.body, lower=np.full(2, -0.25, np.float32), upper=np.full(2, 0.25, np.float32))
    start = replace(part.initial, joints=np.tile([0.1, -0.1], (2, 1)))
    scene = replace(scene, bodies=(replace(part, body=narrow, initial=start),))
    result = refine(scene, RefineSettings(iterations=20, contact_points=16), device=device)
    joints = result.poses["arm"].joints
    assert np.abs(joints).max() <= 0.25 + 1e-7
    assert joints[:, 0].max() == pytest.approx(0.25, abs=1e-3)


def test_a_robot_hand_finds_its_pose_and_joints(device):
    """Our own robot hand of 16 joints: the mask error falls by more than half, within the joint limits."""
    body = read_urdf(URDF_PATH, "hand")
    random = np.random.default_rng(3)
    middle = np.clip(0.4, body.lower + 0.1, body.upper - 0.1)
    joints = np.tile(middle, (2, 1)) + np.array([[0.0], [0.05]])
    truth = make_motion((0.0, 0.02, 0.75), (0.2, 0.4, 0.1), drift=(0.004, 0.0, 0.0), frames=2, joints=joints)
    start = disturb(truth, depth=0.05, degrees=6.0)
    start = replace(start, joints=np.clip(joints + random.uniform(-0.2, 0.2, joints.shape), body.lower, body.upper))
    camera = replace(CAMERA, fx=260.0, fy=260.0)
    scene = make_scene((body,), (truth,), (start,), camera=camera)
    result = refine(scene, RefineSettings(iterations=60, contact_points=64), device=device)
    before = mask_error(scene, {"hand": scene.body("hand").initial}).mean()
    assert mask_error(scene, result.poses).mean() < 0.5 * before
    found = result.poses["hand"].joints
    assert (found >= body.lower - 1e-6).all()
    assert (found <= body.upper + 1e-6).all()
