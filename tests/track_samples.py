"""Small scenes for tests of the tracker: a gripper takes a block, lifts and turns it, without a picture."""

from dataclasses import replace

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import make_block
from warpprior.bodies import JointType, Keypoints, posed_keypoints, rigid_body
from warpprior.scene import Camera, Poses, Scene, SceneBody, box_center
from warpprior.tracking.recorded import observe_frame
from warpprior.tracking.run import Tracker
from warpprior.tracking.settings import TrackSettings
from warpprior.uncertainty import pose_errors

CAMERA = Camera(160, 120, 300.0, 300.0, 80.0, 60.0)
HALF = (0.025, 0.02, 0.03)  # of the block [m]
OPEN = 0.03  # how far the jaws are apart from the block before they close [m]
REACH, CLOSED, LIFTED = 4, 8, 14  # frames in which the gripper has come, the jaws are closed, and the block leaves
RAMP = 0.3  # until the full speed is reached [s]
FPS = 30.0


def make_gripper(name="hand"):
    """A palm and two jaws: the left one slides along x, the right one as far against it, both on a wrist that bends.

    At rest the jaws touch a block in the middle.  Its keypoints are the corners of the jaws and the origins of links.
    """
    parts, links = [], []
    for link, size, middle in (
        (0, (0.02, 0.03, 0.02), (0.0, 0.0, -0.075)),
        (1, (0.09, 0.03, 0.012), (0.0, 0.0, -0.056)),
        (2, (0.008, 0.032, 0.06), (-HALF[0] - 0.004, 0.0, 0.0)),
        (3, (0.008, 0.032, 0.06), (HALF[0] + 0.004, 0.0, 0.0)),
    ):
        part = trimesh.creation.box(size).subdivide().subdivide()
        part.apply_translation(middle)
        parts.append(part)
        links += [link] * len(part.vertices)
    mesh, links = trimesh.util.concatenate(parts), np.array(links)
    body = rigid_body(name, mesh.vertices, np.asarray(mesh.faces))
    straight = [0.0, 0.0, 0.0, 1.0]
    offsets = [[0, 0, 0, *straight], [0, 0, -0.06, *straight], [0, 0, 0.06, *straight], [0, 0, 0.06, *straight]]
    corners = [
        np.flatnonzero(links == jaw)[np.argsort(mesh.vertices[links == jaw] @ way)[-1]]
        for jaw in (2, 3)
        for way in ([0, 1, 2], [0, -1, 2], [0, 1, -2])
    ]
    points = np.array([-1, -1, *corners])
    return replace(
        body,
        kind="urdf",
        link_names=("arm", "wrist", "left", "right"),
        parents=np.array([-1, 0, 1, 1], dtype=np.int32),
        joint_types=np.array([JointType.FREE, JointType.HINGE, JointType.SLIDE, JointType.SLIDE], dtype=np.int32),
        joint_offsets=np.array(offsets, dtype=np.float32),
        joint_axes=np.array([[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]], dtype=np.float32),
        coordinate_starts=np.array([-1, 0, 1, 1], dtype=np.int32),
        coordinate_gains=np.array([1, 1, -1, 1], dtype=np.float32),
        coordinate_biases=np.zeros(4, dtype=np.float32),
        coordinate_names=("bend", "width"),
        lower=np.array([-1.0, -0.01], dtype=np.float32),
        upper=np.array([1.0, 0.06], dtype=np.float32),
        skin_links=links[:, None].astype(np.int32),
        joint_shape_directions=np.zeros((4, 3, 0), dtype=np.float32),
        keypoints=Keypoints(
            tuple(f"k{k}" for k in range(len(points))),
            np.where(points < 0, [0, 1, *[0] * 6], links[points]).astype(np.int32),
            points.astype(np.int32),
        ),
    )


def grasp_motion(frames, *, release=None):
    """Poses of gripper and block: it comes, closes, lifts, carries and turns the block; lets go at ``release``.

    After that the gripper goes on as before, and the block flies at the speed it had and falls; gravity is along +y.
    """
    after = np.maximum(np.arange(frames) - LIFTED, 0) / FPS
    held = np.where(after < RAMP, 0.5 * after**2 / RAMP, after - 0.5 * RAMP)
    turn = Rotation.from_rotvec(np.outer(np.sin(2.0 * held), [0.5, 0.7, 0.3])) * Rotation.from_rotvec([1.2, 0.2, 0.1])
    places = np.stack([0.15 * np.sin(2.0 * held), -0.25 * np.sin(1.5 * held), 0.5 + 0.1 * np.sin(2.5 * held)], axis=1)
    reach = np.clip(1.0 - np.arange(frames) / REACH, 0.0, 1.0)
    width = OPEN * np.clip((CLOSED - np.arange(frames)) / (CLOSED - REACH), 0.0, 1.0)
    bend = 0.2 * np.sin(np.arange(frames) / FPS)
    wrist = Rotation.from_rotvec(np.outer(bend, [0.0, -1.0, 0.0]))
    rotation = turn * wrist  # of the arm, so that the jaws stay around the block
    pivot = np.array([0.0, 0.0, -0.06])
    position = places + turn.apply(pivot) - rotation.apply(pivot) + turn.apply(np.outer(reach, [0.0, 0.0, -0.12]))
    if release is not None:
        free = np.maximum(np.arange(frames) - release, 0) / FPS
        width = np.maximum(width, OPEN * np.clip(10.0 * free, 0.0, 1.0))
        flying = places[release] + np.outer(free, (places[release] - places[release - 1]) * FPS)
        flying[:, 1] += 0.5 * 9.81 * free**2
        places = np.where(free[:, None] > 0.0, flying, places)
        turn = Rotation.from_quat(np.where(free[:, None] > 0.0, turn[release].as_quat(), turn.as_quat()))
    gripper = Poses(position, rotation.as_quat(), np.stack([bend, width], axis=1))
    return gripper, Poses(places, turn.as_quat(), np.zeros((frames, 0)))


def wandering(random, sigma, times, length_s):
    """Noise of this deviation (frame, n) whose values ``length_s`` apart are alike to 1/e."""
    out = random.normal(size=(len(times), len(sigma)))
    for frame in range(1, len(times)):
        keeps = np.exp(-(times[frame] - times[frame - 1]) / length_s)
        out[frame] = keeps * out[frame - 1] + np.sqrt(1.0 - keeps**2) * out[frame]
    return out * sigma


def spoil(body, truth, noise, times, random):
    """A control: the true motion with errors as ``noise`` describes them."""
    sigma = [noise.lateral_m, noise.lateral_m, noise.depth_m, *[noise.rotation_rad] * 3]
    errors = wandering(random, np.array(sigma), times, noise.correlation_s)
    turned = Rotation.from_rotvec(errors[:, 3:]) * Rotation.from_quat(truth.rotation)
    span = np.minimum(noise.joint_rad, (body.upper - body.lower) / 6.0)
    joints = truth.joints + wandering(random, span, times, noise.correlation_s)
    return replace(truth, position=truth.position + errors[:, :3], rotation=turned.as_quat(), joints=joints)


def observe_points(body, truth, random, sigma):
    """Keypoints in space with noise (frame, keypoint, 4)."""
    points = posed_keypoints(body, truth)
    points = points + sigma * random.normal(size=points.shape)
    return np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2)


def observe_centers(body, truth, random, sigma):
    """Middles of a body with noise (frame, 3)."""
    middles = truth.position + Rotation.from_quat(truth.rotation).apply(box_center(body))
    return middles + sigma * random.normal(size=middles.shape)


def make_scene(frames=40, *, seed=0, known=False, release=None, quiet=1.0, middle=(0.0, 0.0, 0.0)):
    """The gripper and the block, with errors as the default settings expect them times ``quiet``.

    Args:
        frames: how many.
        seed: of all noise.
        known: the gripper is a robot: its poses are measured.
        release: frame in which the jaws open.
        quiet: factor of all noise.
        middle: of the block in its own frame [m].
    """
    settings, random = TrackSettings().with_sigmas({}), np.random.default_rng(seed)
    hand, block = make_gripper(), make_block("block", HALF)
    block = replace(block, vertices=block.vertices + np.asarray(middle, dtype=np.float32))
    grip, carried = grasp_motion(frames, release=release)
    carried = replace(
        carried, position=carried.position - Rotation.from_quat(carried.rotation).apply(np.asarray(middle, dtype=float))
    )
    times = np.arange(frames) / FPS
    noise = settings.measured if known else settings.estimated
    noise = replace(
        noise, **{name: quiet * getattr(noise, name) for name in ("lateral_m", "depth_m", "rotation_rad", "joint_rad")}
    )
    control = spoil(hand, grip, noise, times, random)
    start = replace(
        carried,
        position=carried.position + quiet * random.normal(size=3) * [0.01, 0.01, 0.02],
        rotation=(
            Rotation.from_rotvec(0.1 * quiet * random.normal(size=3)) * Rotation.from_quat(carried.rotation)
        ).as_quat(),
    )
    bodies = (SceneBody(hand, 1, known, control, grip), SceneBody(block, 2, False, start, carried))
    return Scene(
        "grip",
        CAMERA,
        FPS,
        bodies,
        keypoints3d={"hand": observe_points(hand, grip, random, quiet * settings.keypoint3d_m)},
        centers={"block": observe_centers(block, carried, random, quiet * settings.center_m)},
    )


def near(scene, *names):
    """The scene with these objects some 12 mm and 6 degrees off at first."""
    starts = {}
    for name in names:
        truth = scene.body(name).truth
        turned = Rotation.from_rotvec([0.05, -0.05, 0.08]) * Rotation.from_quat(truth.rotation)
        off = np.array([0.006, -0.005, 0.009])
        starts[name] = Poses(truth.position + off, turned.as_quat(), truth.joints)
    return scene.with_poses(starts)


def run(scene, settings=None, sensors="keypoints3d,center"):
    """All estimates of a scene, on the CPU."""
    tracker = Tracker(scene, settings, observe=sensors, device="cpu")
    frames = enumerate(scene.times)
    return [tracker.step(observe_frame(scene, frame, tracker.sensors), time) for frame, time in frames]


def positions(estimates, name="block"):
    """Where a body is believed to be (frame, 3)."""
    return np.array([estimate.position[name] for estimate in estimates])


def errors(result, name="block"):
    """Errors of position [m] and rotation [rad] in each frame, each (frame,)."""
    found = pose_errors(result.poses[name], result.scene.body(name).truth)
    return np.linalg.norm(found[:, :3], axis=1), np.linalg.norm(found[:, 3:6], axis=1)


def sigmas(result, name="block"):
    """Squared Mahalanobis length of the error of position in each frame (frame,)."""
    found = pose_errors(result.poses[name], result.scene.body(name).truth)[:, :3]
    return np.einsum("fi,fij,fj->f", found, np.linalg.inv(result.poses[name].covariance[:, :3, :3]), found)
