"""Scenes for tests of silhouettes: a hand in front of an object, and their coverage supersampled as the truth."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
import warp as wp
from scipy.spatial.transform import Rotation

from warpprior.bodies import rigid_body
from warpprior.bodies.assembly import assemble
from warpprior.bodies.posing import posed_vertices
from warpprior.kernels.camera import project_points
from warpprior.kernels.visibility import read_channels, scatter_faces
from warpprior.render.images import render_labels
from warpprior.render.window import whole_window
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem

HAND, OBJECT = 1, 2


def make_ellipsoid(name, radii, subdivisions):
    """An ellipsoid of 20 * 4^subdivisions faces."""
    ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=1.0)
    return rigid_body(name, ball.vertices * np.asarray(radii), ball.faces)


def make_capsule_hand(name="hand"):
    """A palm and five thin fingers that run into each other, about 1,600 vertices."""
    palm = trimesh.creation.icosphere(subdivisions=3, radius=1.0)
    palm.apply_scale([0.035, 0.04, 0.015])
    parts = [palm]
    for finger, angle in enumerate(np.radians([-55.0, -20.0, -5.0, 10.0, 26.0])):
        part = trimesh.creation.capsule(height=0.055, radius=0.006, count=[14, 14])
        part.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0]))
        part.apply_translation([0.0, -0.035, 0.002 * finger])
        part.apply_transform(trimesh.transformations.rotation_matrix(angle, [0, 0, 1]))
        parts.append(part)
    hand = trimesh.util.concatenate(parts)
    return rigid_body(name, hand.vertices, hand.faces)


def make_poses(position, rotation_vector=(0.0, 0.0, 0.0), frames=1):
    """The same pose in every frame."""
    rotation = Rotation.from_rotvec(rotation_vector).as_quat()
    return Poses(
        np.tile(np.asarray(position, float), (frames, 1)), np.tile(rotation, (frames, 1)), np.zeros((frames, 0))
    )


def make_camera(width=128, height=128, focal=None):
    """A camera that sees 0.2 m at 0.5 m across its shorter side."""
    focal = 2.5 * min(width, height) if focal is None else focal
    return Camera(width, height, focal, focal, width / 2 + 0.3, height / 2 - 0.4)


def make_scene(hand=None, thing=None, *, camera=None, labels=None, known=(), frames=1):
    """Hand over object, the object partly hidden; labels are drawn at the bodies' poses when not given."""
    hand = make_ellipsoid("hand", (0.03, 0.042, 0.02), 3) if hand is None else hand
    thing = make_ellipsoid("object", (0.05, 0.04, 0.03), 4) if thing is None else thing
    camera = make_camera() if camera is None else camera
    bodies = (
        SceneBody(hand, HAND, "hand" in known, make_poses((-0.025, 0.012, 0.45), (0.2, -0.3, 0.5), frames)),
        SceneBody(thing, OBJECT, "object" in known, make_poses((0.02, -0.012, 0.52), (-0.4, 0.5, 0.3), frames)),
    )
    if labels is None:
        labels = np.zeros((frames, camera.height, camera.width), dtype=np.uint8)
    return Scene("test", camera, 30.0, bodies, labels)


def moved(poses, increments):
    """Poses after increments (frame, 6) of (x/z, y/z, log z, rotation on the right), in float64."""
    increments = np.asarray(increments, dtype=np.float64)
    depth = poses.position[:, 2:] * np.exp(increments[:, 2:3])
    bearing = poses.position[:, :2] / poses.position[:, 2:] + increments[:, :2]
    rotation = Rotation.from_quat(poses.rotation) * Rotation.from_rotvec(increments[:, 3:6])
    return replace(poses, position=np.hstack([bearing * depth, depth]), rotation=rotation.as_quat())


def true_coverage(camera, bodies, poses, *, samples=16, device="cpu"):
    """Share of each pixel in which each body is seen (frame, body, height, width) by samples x samples points."""
    assembly = assemble([body.body for body in bodies])
    width, height = samples * camera.width, samples * camera.height
    arrays = [
        wp.array(assembly.faces, dtype=wp.vec3i, device=device),
        wp.array(assembly.face_bodies, dtype=wp.int32, device=device),
        wp.array(assembly.face_two_sided, dtype=wp.int32, device=device),
    ]
    table = wp.array(np.arange(16, dtype=np.uint8), dtype=wp.uint8, device=device)
    shares = []
    for frame in range(poses[bodies[0].name].frame_count):
        cut = slice(frame, frame + 1)
        points = [posed_vertices(body.body, poses[body.name].frames(cut), device=device) for body in bodies]
        vertices = wp.array(np.concatenate(points, axis=1), dtype=wp.vec3, device=device)
        screen = wp.empty(vertices.shape, dtype=wp.vec3, device=device)
        focal, center = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
        project_points(vertices, wp.vec2(*(focal * samples)), wp.vec2(*(center * samples)), screen_out=screen)
        keys = wp.zeros((1, width * height), dtype=wp.uint64, device=device)
        origins = whole_window(1, width, height).device_origins(device)
        scatter_faces(screen, *arrays, origins, width, height, keys_out=keys)
        seen = wp.empty(keys.shape, dtype=wp.uint8, device=device)
        read_channels(keys, table, channels_out=seen)
        blocks = seen.numpy().reshape(camera.height, samples, camera.width, samples)
        shares.append([(blocks == index).mean(axis=(1, 3), dtype=np.float32) for index in range(len(bodies))])
    return np.array(shares)


def draw_labels(scene, device="cpu"):
    """Label images at the bodies' initial poses."""
    return render_labels(scene, {body.name: body.initial for body in scene.bodies}, device)


def shift(scene, name, steps):
    """The scene with one body's motion changed by increments (frame, 6)."""
    return scene.with_poses({name: moved(scene.body(name).initial, steps)})


def bind_all(scene, labels, device, term, *, margin=10.0):
    """The bound terms of a scene with these labels, in a window as large as the picture."""
    motion = MotionState(replace(scene, labels=labels), device, point_count=64)
    problem = Problem(motion, observe_picture(motion, margin, calibrate=False))
    problem.prepare_for([term])
    return list(term.bind(problem))


def bind(scene, labels, device, term, *, margin=10.0):
    """The one bound term of a scene; work arrays of its masks poisoned."""
    (bound,) = bind_all(scene, labels, device, term, margin=margin)
    for mask in bound.masks:
        mask.differences.fill_(1e30)
    return bound


def evaluate(bound, *, row=0, terms=1, times=1):
    """Values (frame,) and the gradients (frame, 6) by each estimated body's increments."""
    motion = bound.problem.motion
    rows = wp.zeros((terms, motion.frame_count), dtype=wp.float32, device=motion.device, requires_grad=True)
    tape = wp.Tape()
    with tape:
        motion.pose()
        for _ in range(times):
            bound.evaluate(rows, row)
    bound.freeze()
    tape.backward(grads={rows: wp.ones(rows.shape, dtype=wp.float32, device=motion.device)})
    gradients = {name: array.grad.numpy()[:, :6].astype(np.float64) for name, array in motion.increments.items()}
    tape.zero()
    return rows.numpy()[row].astype(np.float64), gradients


def depth_optimum(losses, steps):
    """Least point of a parabola through the losses around the smallest."""
    near = np.argsort(losses)[:7]
    curve = np.polyfit(steps[near], losses[near], 2)
    best = -curve[1] / (2.0 * curve[0])
    print(f"optimum at {100.0 * np.expm1(best):+.2f} % of the depth")
    return best


def depth_scan(body_radii, steps, device, term):
    """Values of the term with one body's depth changed by factors exp(step), one per frame."""
    camera = make_camera(256, 256)
    thing = make_ellipsoid("object", body_radii, 4)
    body = SceneBody(thing, OBJECT, False, make_poses((0.006, -0.004, 0.5), (0.3, 0.2, 0.4), frames=len(steps)))
    scene = Scene("depth", camera, 30.0, (body,))
    labels = draw_labels(scene)
    scan = np.zeros((len(steps), 6))
    scan[:, 2] = steps
    return evaluate(bind(shift(scene, "object", scan), labels, device, term, margin=0.25))[0]


def check_replay(term, device):
    """Forward and backward, captured once, give the eager result at poses set after the capture."""
    if not hasattr(wp, "capture_begin"):
        pytest.skip("this Warp cannot capture")
    scene = make_scene()
    bound = bind(scene, draw_labels(scene), device, term)
    motion = bound.problem.motion
    rows = wp.zeros((1, 1), dtype=wp.float32, device=device, requires_grad=True)
    ones = wp.ones((1, 1), dtype=wp.float32, device=device)
    step = np.array([[0.008, -0.005, 0.01, 0.1, 0.0, 0.0]], dtype=np.float32)
    increments = motion.increments["object"]

    def iterate():
        rows.zero_()
        tape = wp.Tape()
        with tape:
            motion.pose()
            bound.evaluate(rows, 0)
        tape.backward(grads={rows: ones})
        return tape

    iterate().zero()
    increments.assign(step)
    tape = iterate()
    expected, pull = rows.numpy().copy(), increments.grad.numpy().copy()
    tape.zero()
    increments.zero_()
    try:
        with wp.ScopedCapture(device=device) as capture:
            tape = iterate()
    except (RuntimeError, ValueError) as error:
        if wp.get_device(device).is_cuda:  # every Warp captures there
            raise
        pytest.skip(f"this Warp cannot capture on {device}: {error}")
    tape.zero()
    increments.assign(step)
    wp.capture_launch(capture.graph)
    np.testing.assert_allclose(rows.numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(increments.grad.numpy(), pull, rtol=1e-5, atol=1e-5)
