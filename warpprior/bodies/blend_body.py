"""The body that the arrays of a MANO or SMPL file describe: ball joints, blend shapes, linear blend skinning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpprior.bodies.body import Body, JointType
from warpprior.bodies.readers.model_file import ModelArrays

LEAST_WEIGHT = 1e-6  # smaller skinning weights are left out


def blend_body(arrays: ModelArrays, name: str, kind: str, link_names: tuple[str, ...]) -> Body:
    """A body of ball joints whose root frame has its origin at the root joint, whatever the shape.

    The file's frame is only shifted: axes are the file's.  Joint coordinates are rotation vectors of the file's
    ``pose`` without its first three entries, in the same order, and zero is the file's template.

    Args:
        arrays: the model.
        name: name of the body.
        kind: ``mano`` or ``smpl``.
        link_names: one per link.
    """
    link_count = len(link_names)
    joints = arrays.J_regressor @ arrays.v_template
    moved = np.einsum("jv,vxs->jxs", arrays.J_regressor, arrays.shapedirs)
    parents = arrays.kintree_table[0].astype(np.int32)
    parents[0] = -1
    offsets, offset_directions = joints - joints[parents], moved - moved[parents]
    offsets[0], offset_directions[0] = 0.0, 0.0
    straight = np.tile([0.0, 0.0, 0.0, 1.0], (link_count, 1))
    skin_links, skin_weights = strongest_links(arrays.weights)
    coordinates = 3 * (link_count - 1)
    return Body(
        name=name,
        kind=kind,
        vertices=(arrays.v_template - joints[0]).astype(np.float32),
        faces=arrays.f.astype(np.int32),
        link_names=link_names,
        parents=parents,
        joint_types=np.array([JointType.FREE] + [JointType.BALL] * (link_count - 1), dtype=np.int32),
        joint_offsets=np.hstack([offsets, straight]).astype(np.float32),
        joint_axes=np.zeros((link_count, 3), dtype=np.float32),
        coordinate_starts=np.array([-1, *range(0, coordinates, 3)], dtype=np.int32),
        coordinate_gains=np.ones(link_count, dtype=np.float32),
        coordinate_biases=np.zeros(link_count, dtype=np.float32),
        coordinate_names=tuple(f"{link}.{axis}" for link in link_names[1:] for axis in "xyz"),
        lower=np.full(coordinates, -np.inf, dtype=np.float32),
        upper=np.full(coordinates, np.inf, dtype=np.float32),
        skin_links=skin_links,
        skin_weights=skin_weights,
        shape_directions=(arrays.shapedirs - moved[0]).astype(np.float32),
        joint_shape_directions=offset_directions.astype(np.float32),
        pose_directions=arrays.posedirs.astype(np.float32),
        closed=False,
    )


def strongest_links(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Links and weights (vertex, influence) of dense skinning weights (vertex, link), strongest first, summing to one.

    As many influences as the vertex with the most of them has.
    """
    weights = np.where(weights > LEAST_WEIGHT, weights, 0.0)
    count = int((weights > 0.0).sum(axis=1).max())
    links = np.argsort(-weights, axis=1, kind="stable")[:, :count]
    chosen = np.take_along_axis(weights, links, axis=1)
    return links.astype(np.int32), (chosen / chosen.sum(axis=1, keepdims=True)).astype(np.float32)


def with_lid(body: Body, lid: np.ndarray) -> Body:
    """The body with further faces (face, 3), closed by them."""
    return replace(body, faces=np.concatenate([body.faces, lid]).astype(np.int32), closed=True)
