"""Surfaces of moving bodies: a rigid object, and a hand-sized skinned one."""

from dataclasses import replace

import numpy as np
import warp as wp

from warpprior.bench.harness import Trial, case
from warpprior.bodies import Body, BodyModel, JointType, rigid_body

FRAMES = 60
ALLOWED = 1e-5  # float32 at half a metre, through a chain of five joints [m]


def _hand(random: np.random.Generator) -> Body:
    """Five chains of three ball joints on a root, 778 vertices that follow four links each."""
    links, vertices = 16, 778
    parents = np.array([-1] + [0 if i % 3 == 0 else i for i in range(15)], dtype=np.int32)
    weights = random.uniform(0.1, 1.0, (vertices, 4))
    offsets = np.concatenate([random.normal(0.0, 0.03, (links, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (links, 1))], axis=1)
    ball_links = np.arange(1, links)
    body = rigid_body("hand", random.normal(0.0, 0.05, (vertices, 3)), np.array([[0, 1, 2]]))
    return replace(
        body,
        link_names=tuple(f"link{i}" for i in range(links)),
        parents=parents,
        joint_types=np.array([JointType.FREE] + [JointType.BALL] * 15, dtype=np.int32),
        joint_offsets=offsets.astype(np.float32),
        joint_axes=np.zeros((links, 3), np.float32),
        coordinate_starts=np.concatenate([[-1], 3 * (ball_links - 1)]).astype(np.int32),
        coordinate_gains=np.ones(links, np.float32),
        coordinate_biases=np.zeros(links, np.float32),
        coordinate_names=tuple(f"q{i}" for i in range(45)),
        lower=np.full(45, -np.inf, np.float32),
        upper=np.full(45, np.inf, np.float32),
        skin_links=np.argsort(random.random((vertices, links)), axis=1)[:, :4].astype(np.int32),
        skin_weights=(weights / weights.sum(axis=1, keepdims=True)).astype(np.float32),
        joint_shape_directions=np.zeros((links, 3, 0), np.float32),
    )


def _matrices(position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Homogeneous matrices (frame, 4, 4) of positions and rotation matrices."""
    matrices = np.tile(np.eye(4), (len(position), 1, 1))
    matrices[:, :3, :3], matrices[:, :3, 3] = rotation, position
    return matrices


def _expected(body: Body, poses: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Skinned vertices (frame, vertex, 3) in float64."""
    from scipy.spatial.transform import Rotation

    count = len(poses)
    rest, moved = [], []
    for link, parent in enumerate(body.parents):
        offset = _matrices(body.joint_offsets[None, link, :3].repeat(count, 0), np.eye(3))
        start = body.coordinate_starts[link]
        turn = np.eye(3) if start < 0 else Rotation.from_rotvec(joints[:, start : start + 3]).as_matrix()
        own = offset @ _matrices(np.zeros((count, 3)), turn)
        root = _matrices(poses[:, :3], Rotation.from_quat(poses[:, 3:]).as_matrix())
        rest.append(offset if parent < 0 else rest[parent] @ offset)
        moved.append(root @ own if parent < 0 else moved[parent] @ own)
    carry = np.stack([m @ np.linalg.inv(r) for m, r in zip(moved, rest, strict=True)], axis=1)
    points = np.concatenate([body.vertices, np.ones((len(body.vertices), 1))], axis=1)
    chosen = carry[:, body.skin_links]
    return np.einsum("vi,fvixy,vy->fvx", body.skin_weights, chosen, points)[..., :3]


def _trial(body: Body, random: np.random.Generator, device: str) -> Trial:
    model = BodyModel(body, device)
    state = model.state(FRAMES)
    rotation = random.normal(size=(FRAMES, 4))
    rotation /= np.linalg.norm(rotation, axis=1, keepdims=True)
    poses = np.concatenate([random.normal(0.0, 0.2, (FRAMES, 3)), rotation], axis=1).astype(np.float32)
    joints = random.normal(0.0, 0.4, (FRAMES, body.coordinate_count)).astype(np.float32)
    state.poses.assign(poses)
    if joints.size:
        state.joints.assign(joints)
    vertices = wp.empty((FRAMES, body.vertex_count), dtype=wp.vec3, device=device, requires_grad=True)
    model.shape(state)

    def run() -> None:
        model.pose(state)
        model.skin(state, vertices)

    def check() -> str | None:
        error = float(np.max(np.abs(vertices.numpy() - _expected(body, poses, joints))))
        return None if error <= ALLOWED else f"off by {1e6 * error:.1f} um, {1e6 * ALLOWED:.1f} um is allowed"

    return Trial(run=run, check=check)


@case("skinning/rigid_60x1000", unit="ms", target=1.0)
def prepare_rigid(device: str) -> Trial:
    """60 frames of a rigid body of 1,000 vertices."""
    random = np.random.default_rng(0)
    return _trial(rigid_body("object", random.normal(0.0, 0.05, (1000, 3)), np.array([[0, 1, 2]])), random, device)


@case("skinning/hand_60x778", unit="ms")
def prepare_hand(device: str) -> Trial:
    """60 frames of a hand of 778 vertices, 15 ball joints and four influences."""
    random = np.random.default_rng(0)
    return _trial(_hand(random), random, device)
