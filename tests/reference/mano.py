"""Float64 twin of MANO and SMPL, from the arrays of their files: the equations of the papers, joint by joint."""

import numpy as np
from scipy.spatial.transform import Rotation


def surface(arrays, global_orient, pose, shape, transl):
    """Vertices (vertex, 3) and joints (joint, 3) of one frame.

    Args:
        arrays: by the names of the file.
        global_orient: rotation vector of the root joint (3,).
        pose: rotation vectors of the other joints (3 * (joint - 1),).
        shape: (shape,).
        transl: (3,).
    """
    parents = arrays["kintree_table"][0].astype(np.int64)
    turns = Rotation.from_rotvec(np.concatenate([global_orient, pose]).reshape(-1, 3)).as_matrix()
    shaped = arrays["v_template"] + arrays["shapedirs"][:, :, : len(shape)] @ shape
    rest = arrays["J_regressor"] @ shaped
    posed = shaped + arrays["posedirs"] @ (turns[1:] - np.eye(3)).reshape(-1)
    world = np.zeros((len(rest), 4, 4))
    for joint in range(len(rest)):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = rest[joint] - (rest[parents[joint]] if joint else 0.0)
        world[joint] = world[parents[joint]] @ local if joint else local
    places = world[:, :3, 3].copy()
    carried = world.copy()
    carried[:, :3, 3] -= np.einsum("jxy,jy->jx", world[:, :3, :3], rest)
    blended = np.einsum("vj,jxy->vxy", arrays["weights"], carried)
    vertices = np.einsum("vxy,vy->vx", blended[:, :3, :3], posed) + blended[:, :3, 3]
    return vertices + transl, places + transl
