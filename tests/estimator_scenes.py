"""Small scenes for tests of the estimators: a box in a clamp, bodies on their own, arms of three links."""

from dataclasses import replace

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from warpprior.bodies import JointType, posed_vertices, rigid_body
from warpprior.refinement.gauss_newton import GaussNewton
from warpprior.render.images import render_labels
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.settings import RefineSettings
from warpprior.support.history import History
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem

CAMERA = Camera(96, 96, 230.0, 230.0, 48.0, 48.0)
HALF = (0.03, 0.022, 0.016)  # of the box [m]


def make_block(name="box", half=HALF, subdivisions=2):
    """A box whose faces are split, so that it has enough vertices for a mesh of its kind (192 faces)."""
    mesh = trimesh.creation.box(2.0 * np.asarray(half))
    for _ in range(subdivisions):
        mesh = mesh.subdivide()
    return rigid_body(name, mesh.vertices, np.asarray(mesh.faces))


def make_clamp(name="clamp", half=HALF):
    """A rigid hand for the box: two jaws on its +-x faces and a bar that joins them beyond its -y face."""
    x, y, _ = half
    jaw = (0.006, 0.012, 0.010)
    parts = []
    for size, middle in (
        (jaw, (x + jaw[0], 0.0, 0.0)),
        (jaw, (-x - jaw[0], 0.0, 0.0)),
        ((x + 2 * jaw[0], 0.005, 0.008), (0.0, -y - 0.012, 0.0)),
    ):
        part = trimesh.creation.box(2.0 * np.asarray(size)).subdivide().subdivide()
        part.apply_translation(middle)
        parts.append(part)
    mesh = trimesh.util.concatenate(parts)
    return rigid_body(name, mesh.vertices, np.asarray(mesh.faces))


def make_ball(name="ball", radii=(0.025, 0.025, 0.025), subdivisions=2):
    """An ellipsoid."""
    ball = trimesh.creation.icosphere(subdivisions=subdivisions)
    return rigid_body(name, ball.vertices * np.asarray(radii), np.asarray(ball.faces))


def make_arm(name="arm", *, influences=1, limit=1.2):
    """Three boxes of 40 mm in a row along x, joined by two hinges about z; with two influences the surface bends."""
    parts, links = [], []
    for link in range(3):
        part = trimesh.creation.box((0.036, 0.014 + 0.004 * (2 - link), 0.012)).subdivide().subdivide()
        part.apply_translation([0.04 * link + 0.02, 0.0, 0.0])
        parts.append(part)
        links += [link] * len(part.vertices)
    mesh = trimesh.util.concatenate(parts)
    links = np.array(links)
    weights = np.ones((len(links), 1))
    skin_links = links[:, None]
    if influences == 2:
        # Each vertex leans on the neighbouring link the more, the nearer it is to the joint between them.
        along = mesh.vertices[:, 0] / 0.04 - links
        other = np.clip(np.where(along < 0.5, links - 1, links + 1), 0, 2)
        share = np.where(other == links, 0.0, 0.5 - np.minimum(along, 1.0 - along))
        skin_links = np.column_stack([links, other])
        weights = np.column_stack([1.0 - share, share])
    body = rigid_body(name, mesh.vertices, np.asarray(mesh.faces))
    straight = [0.0, 0.0, 0.0, 1.0]
    return replace(
        body,
        kind="urdf" if influences == 1 else "skin",
        link_names=("upper", "lower", "tip"),
        parents=np.array([-1, 0, 1], dtype=np.int32),
        joint_types=np.array([JointType.FREE, JointType.HINGE, JointType.HINGE], dtype=np.int32),
        joint_offsets=np.array([[0, 0, 0, *straight], [0.04, 0, 0, *straight], [0.04, 0, 0, *straight]], np.float32),
        joint_axes=np.array([[0, 0, 0], [0, 0, 1], [0, 0, 1]], dtype=np.float32),
        coordinate_starts=np.array([-1, 0, 1], dtype=np.int32),
        coordinate_gains=np.ones(3, dtype=np.float32),
        coordinate_biases=np.zeros(3, dtype=np.float32),
        coordinate_names=("elbow", "wrist"),
        lower=np.full(2, -limit, dtype=np.float32),
        upper=np.full(2, limit, dtype=np.float32),
        skin_links=skin_links.astype(np.int32),
        skin_weights=weights.astype(np.float32),
        joint_shape_directions=np.zeros((3, 3, 0), dtype=np.float32),
    )


def make_motion(position, turn=(0.4, 0.5, 0.1), *, drift=(0.0, 0.0, 0.0), spin=(0.0, 0.0, 0.0), frames=6, joints=None):
    """A motion at constant velocity: ``drift`` [m] and ``spin`` [rad] per frame."""
    steps = np.arange(frames)[:, None] - 0.5 * (frames - 1)
    rotation = Rotation.from_rotvec(steps * np.asarray(spin)) * Rotation.from_rotvec(turn)
    joints = np.zeros((frames, 0)) if joints is None else np.asarray(joints, dtype=np.float64)
    return Poses(np.asarray(position) + steps * np.asarray(drift), rotation.as_quat(), joints)


def disturb(poses, *, depth=0.12, degrees=15.0, bearing=0.0, seed=0):
    """A motion spoilt in each frame: depth off by a share of it, turned by an angle about some axis, shifted [rad]."""
    random = np.random.default_rng(seed)
    count = poses.frame_count
    axes = random.normal(size=(count, 3))
    axes *= np.radians(degrees) / np.linalg.norm(axes, axis=1, keepdims=True)
    factors = 1.0 + depth * random.choice([-1.0, 1.0], (count, 1)) * random.uniform(0.7, 1.0, (count, 1))
    shifts = bearing * random.uniform(-1.0, 1.0, (count, 2))
    position = poses.position.copy()
    position[:, :2] += shifts * position[:, 2:]
    rotation = Rotation.from_quat(poses.rotation) * Rotation.from_rotvec(axes)
    return replace(poses, position=position * factors, rotation=rotation.as_quat())


def make_scene(bodies, truths, starts, *, known=(), camera=CAMERA, symmetry=None, labels=None, device="cpu"):
    """A scene of bodies at ``truths`` as its labels show it, labelled 1, 2, ... in their order."""
    symmetry = symmetry or {}
    parts = tuple(
        SceneBody(body, index + 1, body.name in known, start, truth, symmetry.get(body.name, "none"))
        for index, (body, truth, start) in enumerate(zip(bodies, truths, starts, strict=True))
    )
    scene = Scene("test", camera, 30.0, parts, labels)
    if labels is None:
        scene = replace(scene, labels=render_labels(scene, {part.name: part.truth for part in parts}, device))
    return scene


def make_grasp(frames=6, *, camera=CAMERA, seed=0, known=("clamp",), **spoil):
    """A box carried and turned by a clamp that is known; the box starts 12 % and 15 degrees off."""
    truth = make_motion((0.004, -0.003, 0.45), drift=(0.004, 0.002, 0.003), spin=(0.05, 0.1, 0.06), frames=frames)
    bodies = (make_clamp(), make_block())
    return make_scene(bodies, (truth, truth), (truth, disturb(truth, seed=seed, **spoil)), known=known, camera=camera)


def make_arm_scene(frames=4, *, influences=1, seed=0):
    """A three-link arm that bends, its root, depth and joints all off."""
    random = np.random.default_rng(seed)
    bends = np.column_stack([np.linspace(0.3, 0.7, frames), np.linspace(-0.2, -0.5, frames)])
    truth = make_motion(
        (-0.045, -0.01, 0.5),
        (0.2, -0.3, 0.3),
        drift=(0.002, 0.001, 0.0),
        spin=(0, 0, 0.03),
        frames=frames,
        joints=bends,
    )
    start = disturb(truth, depth=0.05, degrees=6.0, seed=seed)
    start = replace(start, joints=bends + random.uniform(-0.25, 0.25, bends.shape))
    return make_scene((make_arm(influences=influences, limit=0.8),), (truth,), (start,))


def add_millimetres(body, poses, truth):
    """Mean distance of vertices to their true places in each frame (frame,) [mm]."""
    ours, theirs = posed_vertices(body, poses), posed_vertices(body, truth)
    return 1e3 * np.linalg.norm(ours - theirs, axis=2).mean(axis=1)


def errors_of(result, name):
    """ADD of a body of a result in each frame (frame,) [mm]."""
    part = result.scene.body(name)
    return add_millimetres(part.body, result.poses[name], part.truth)


def mask_error(scene, poses):
    """Share of pixels, of those in any label, that another body is drawn in (frame,)."""
    drawn = render_labels(scene, poses)
    wrong = (drawn != scene.labels).sum(axis=(1, 2))
    return wrong / np.maximum((scene.labels > 0).sum(axis=(1, 2)), 1)


def change_terms(settings, **changes):
    """The settings with other values in some of their terms: ``change_terms(settings, depth={"weight": 1.0})``."""
    assert set(changes) <= {term.name for term in settings.terms}
    return replace(settings, terms=tuple(replace(term, **changes.get(term.name, {})) for term in settings.terms))


def make_problem(scene, device, *, points=128, unknowns=None):
    """What terms share, of a scene."""
    motion = MotionState(scene, device, point_count=points)
    return Problem(motion, observe_picture(motion, 0.5), unknowns)


def make_solver(scene, device, settings=None, **options):
    """Gauss-Newton on a scene, its settings' points and unknowns."""
    settings = RefineSettings(contact_points=128) if settings is None else settings
    problem = make_problem(scene, device, points=settings.contact_points, unknowns=settings.unknowns)
    return GaussNewton(problem, settings, **options)


def enter(solver, stage):
    """Let a solver's terms take the scales of a stage, or of one of its own by its number."""
    stage = solver.stages[stage] if isinstance(stage, int) else stage
    solver.problem.enter(stage)
    for term in solver.terms:
        term.enter(stage)


def linearise(solver):
    """Evaluate all equations where the motion is; returns the cost of each term."""
    history = History(solver.names, 1, solver.problem.motion.device)
    solver.linearise(history)
    return dict(zip(solver.names, history.read()[0], strict=True))


def frame_costs(solver, name, body=None):
    """Cost of a term in each frame (frame,), of all bodies or of one."""
    found = [term.costs.numpy() for term in solver.terms if term.name == name and body in (None, term.body.name)]
    return np.sum(found, axis=0)
