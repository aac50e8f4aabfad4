"""Bodies for tests, made of random numbers: a small tree with every joint type, and MANO- and SMPL-shaped ones."""

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies import Body, JointType, rigid_body

MANO_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)


def make_tree_body(*, influences=3, shapes=3, pose_blend=True, vertices=40, seed=0):
    """Every joint type, rotated offsets, an offset root, a mimic with gain and bias and a mimic of a branch."""
    ball, hinge, slide, fixed = JointType.BALL, JointType.HINGE, JointType.SLIDE, JointType.FIXED
    return make_body(
        types=(JointType.FREE, ball, hinge, slide, hinge, fixed, ball, hinge),
        parents=(-1, 0, 1, 2, 3, 4, 0, 6),
        mimics={4: (2, -0.7, 0.3), 7: (2, 1.3, 0.0)},
        influences=influences,
        shapes=shapes,
        pose_blend=pose_blend,
        vertices=vertices,
        turned=True,
        seed=seed,
    )


def make_ball_body(parents, *, vertices, shapes=10, seed=0):
    """Ball joints, four influences, shape and pose blend shapes: how MANO (778 vertices) and SMPL are built."""
    types = (JointType.FREE, *(JointType.BALL,) * (len(parents) - 1))
    return make_body(types, parents, {}, 4, shapes, True, vertices, False, seed)


def make_rigid_body(vertices=30, seed=0):
    """One link."""
    random = np.random.default_rng(seed)
    return rigid_body("rigid", 0.1 * random.normal(size=(vertices, 3)), random.integers(0, vertices, (20, 3)))


def make_body(types, parents, mimics, influences, shapes, pose_blend, vertices, turned, seed) -> Body:
    """A body of random sizes in metres; ``mimics`` maps a link to (link it follows, gain, bias)."""
    random = np.random.default_rng(seed)
    links = len(parents)
    starts, names = np.full(links, -1, dtype=np.int32), []
    gains, biases = np.ones(links), np.zeros(links)
    for link, kind in enumerate(types):
        if link in mimics:
            source, gains[link], biases[link] = mimics[link]
            starts[link] = starts[source]
        elif kind in (JointType.HINGE, JointType.SLIDE, JointType.BALL):
            starts[link] = len(names)
            names += [f"{link}.{axis}" for axis in ("xyz" if kind == JointType.BALL else "x")]
    straight = np.tile([0.0, 0.0, 0.0, 1.0], (links, 1))
    rotations = Rotation.random(links, random_state=seed).as_quat() if turned else straight
    axes = random.normal(size=(links, 3))
    weights = random.uniform(0.1, 1.0, (vertices, influences))
    return Body(
        name="sample",
        kind="skin",
        vertices=random.normal(scale=0.08, size=(vertices, 3)).astype(np.float32),
        faces=random.integers(0, vertices, (30, 3)).astype(np.int32),
        link_names=tuple(f"link{link}" for link in range(links)),
        parents=np.array(parents, dtype=np.int32),
        joint_types=np.array(types, dtype=np.int32),
        joint_offsets=np.hstack([random.normal(scale=0.04, size=(links, 3)), rotations]).astype(np.float32),
        joint_axes=(axes / np.linalg.norm(axes, axis=1, keepdims=True)).astype(np.float32),
        coordinate_starts=starts,
        coordinate_gains=gains.astype(np.float32),
        coordinate_biases=biases.astype(np.float32),
        coordinate_names=tuple(names),
        lower=np.full(len(names), -np.inf, dtype=np.float32),
        upper=np.full(len(names), np.inf, dtype=np.float32),
        skin_links=random.integers(0, links, (vertices, influences)).astype(np.int32),
        skin_weights=(weights / weights.sum(axis=1, keepdims=True)).astype(np.float32),
        shape_directions=random.normal(scale=0.01, size=(vertices, 3, shapes)).astype(np.float32),
        joint_shape_directions=random.normal(scale=0.005, size=(links, 3, shapes)).astype(np.float32),
        pose_directions=random.normal(scale=0.003, size=(vertices, 3, 9 * (links - 1) if pose_blend else 0)).astype(
            np.float32
        ),
    )


def make_motion(body, frames, *, angle=1.0, seed=0):
    """Poses (frame, 7), joints (frame, coordinate), shape (shape,) and scale as a dictionary of float32 arrays.

    ``angle`` is the size [rad] of the joint coordinates: a number, or ``"zero"`` or ``"pi"`` for exactly that about
    random axes.
    """
    random = np.random.default_rng(seed)
    position = random.normal(loc=(0.0, 0.0, 0.6), scale=0.1, size=(frames, 3))
    rotation = Rotation.random(frames, random_state=seed).as_quat()
    joints = np.zeros((frames, body.coordinate_count))
    for link in range(body.link_count):
        start, kind = body.coordinate_starts[link], body.joint_types[link]
        if start < 0 or angle == "zero":
            continue
        size = 3 if kind == JointType.BALL else 1
        drawn = random.normal(size=(frames, size))
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        reach = np.pi if angle == "pi" else angle * random.uniform(0.2, 1.0, (frames, 1))
        joints[:, start : start + size] = drawn * (0.05 if kind == JointType.SLIDE else reach)
    return {
        "poses": np.hstack([position, rotation]).astype(np.float32),
        "joints": joints.astype(np.float32),
        "shape": random.normal(size=body.shape_count).astype(np.float32),
        "scale": np.array([1.1], dtype=np.float32),
    }
