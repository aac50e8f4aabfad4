"""MANO's forward kinematics in float64, as its published code does it, and poses to try it with."""

import numpy as np
from scipy.spatial.transform import Rotation

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)


def mano_vertices(arrays, orient, joints, betas, transl=(0.0, 0.0, 0.0)):
    """Vertices (778, 3) and joints (16, 3) of full rotation vectors: (3,), (45,), shape (10,) and a translation."""
    rest = arrays["v_template"] + arrays["shapedirs"] @ betas
    places = arrays["J_regressor"] @ rest
    turns = Rotation.from_rotvec(np.concatenate([[orient], np.reshape(joints, (15, 3))])).as_matrix()
    rest = rest + arrays["posedirs"] @ (turns[1:] - np.eye(3)).ravel()
    world = np.zeros((16, 4, 4))
    for joint, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = places[joint] - (places[parent] if parent >= 0 else 0.0)
        world[joint] = local if parent < 0 else world[parent] @ local
    posed = world[:, :3, 3].copy()
    world[:, :3, 3] -= np.einsum("jab,jb->ja", world[:, :3, :3], places)
    blended = np.einsum("vj,jab->vab", arrays["weights"], world)
    vertices = np.einsum("vab,vb->va", blended[:, :3, :3], rest) + blended[:, :3, 3]
    return vertices + transl, posed + transl


def hand_motion(count, *, seed=0, place=(0.0, 0.05, 0.5)):
    """Global rotations (frame, 3), translations (frame, 3), finger poses (frame, 45) and a shape (10,)."""
    random = np.random.default_rng(seed)
    steps = np.arange(count)[:, None]
    orient = random.normal(scale=0.8, size=3) + steps * random.normal(scale=0.03, size=3)
    transl = np.array(place) + steps * random.normal(scale=0.004, size=3)
    joints = random.normal(scale=0.15, size=45) + steps * random.normal(scale=0.01, size=45)
    return orient, transl, joints, random.normal(scale=0.7, size=10)
