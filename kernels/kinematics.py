"""Forward kinematics of a tree of links, batched over frames, differentiable in pose, joint coordinates and shape.

The order of launches is :func:`shape_offsets`, :func:`pose_rest_links` (both once per shape), :func:`pose_links` and
:func:`relate_to_rest` (both per motion).  Joint types are the integers of ``warpprior.bodies.body.JointType``.
"""

import warp as wp

from warpprior.kernels.rotations import so3_exp

HINGE = wp.constant(2)
SLIDE = wp.constant(3)
BALL = wp.constant(4)

# Entries of (R - I) of one joint, row by row, and the displacement of a vertex by each.
Turn = wp.types.vector(length=9, dtype=float)
TurnDirections = wp.types.matrix(shape=(3, 9), dtype=float)


@wp.struct
class Tree:
    """The links of one body, parents before children, and their joints.  Constants: no gradient flows to them."""

    parents: wp.array[wp.int32]  # [link] -1 at the root
    types: wp.array[wp.int32]  # [link] of the joint to the parent
    axes: wp.array[wp.vec3]  # [link]
    starts: wp.array[wp.int32]  # [link] first joint coordinate, -1 for none
    gains: wp.array[wp.float32]  # [link] of mimic joints; 1 elsewhere
    biases: wp.array[wp.float32]  # [link] of mimic joints [rad or m]; 0 elsewhere


@wp.func
def joint_motion(joint_type: int, axis: wp.vec3, coordinates: wp.vec3):
    """Transform of a joint: hinge by ``x`` [rad], slide by ``x`` [m], ball by the rotation vector [rad], else none."""
    if joint_type == BALL:
        return wp.transform(wp.vec3(0.0, 0.0, 0.0), so3_exp(coordinates))
    if joint_type == HINGE:
        return wp.transform(wp.vec3(0.0, 0.0, 0.0), so3_exp(axis * coordinates[0]))
    if joint_type == SLIDE:
        return wp.transform(axis * coordinates[0], wp.quat(0.0, 0.0, 0.0, 1.0))
    return wp.transform(wp.vec3(0.0, 0.0, 0.0), wp.quat(0.0, 0.0, 0.0, 1.0))


@wp.func
def joint_coordinates(
    tree: Tree,
    joints: wp.array2d[float],  # [frame, coordinate]
    frame: int,
    link: int,
):
    """Coordinates that move a link's joint; a mimic joint's are ``gain * q + bias``."""
    start = tree.starts[link]
    if start < 0:
        return wp.vec3(0.0, 0.0, 0.0)
    if tree.types[link] == BALL:
        return wp.vec3(joints[frame, start], joints[frame, start + 1], joints[frame, start + 2])
    return wp.vec3(tree.gains[link] * joints[frame, start] + tree.biases[link], 0.0, 0.0)


@wp.func
def blend_directions(
    directions: wp.array2d[wp.vec3],  # [element, parameter]
    parameters: wp.array[float],  # [parameter]
    element: int,
):
    """Displacement of one element.  A function of its own: a kernel that goes on with what a loop of its own has
    added up gets a wrong gradient, without a word.
    """
    displacement = wp.vec3(0.0, 0.0, 0.0)
    for parameter in range(parameters.shape[0]):
        displacement += directions[element, parameter] * parameters[parameter]
    return displacement


@wp.kernel
def _shape_offsets(
    joint_offsets: wp.array[wp.transform],  # [link]
    joint_shape_directions: wp.array2d[wp.vec3],  # [link, shape]
    shape: wp.array[float],  # [shape]
    scale: wp.array[float],  # [1]
    # outputs:
    offsets_out: wp.array[wp.transform],  # [link]
):
    """One link: its joint's place in its parent for this body's shape and size.  Gradients: shape, scale."""
    link = wp.tid()
    offset = joint_offsets[link]
    position = wp.transform_get_translation(offset) + blend_directions(joint_shape_directions, shape, link)
    offsets_out[link] = wp.transform(position * scale[0], wp.transform_get_rotation(offset))


def shape_offsets(joint_offsets, joint_shape_directions, shape, scale, *, offsets_out):
    """Launch :func:`_shape_offsets` over all links."""
    wp.launch(
        _shape_offsets,
        dim=offsets_out.shape[0],
        inputs=[joint_offsets, joint_shape_directions, shape, scale],
        outputs=[offsets_out],
        device=offsets_out.device,
    )


@wp.kernel
def _pose_rest_links(
    tree: Tree,
    offsets: wp.array[wp.transform],  # [link]
    # outputs:
    rest_links_out: wp.array[wp.transform],  # [link]
):
    """One thread walks the tree at rest: root_from_link.  Gradients: offsets."""
    for link in range(tree.parents.shape[0]):
        parent = tree.parents[link]
        if parent < 0:
            rest_links_out[link] = offsets[link]
        else:
            rest_links_out[link] = wp.transform_multiply(rest_links_out[parent], offsets[link])


def pose_rest_links(tree, offsets, *, rest_links_out):
    """Launch :func:`_pose_rest_links`; one thread walks the tree."""
    wp.launch(
        _pose_rest_links,
        dim=1,
        inputs=[tree, offsets],
        outputs=[rest_links_out],
        device=rest_links_out.device,
    )


@wp.kernel
def _pose_links(
    tree: Tree,
    offsets: wp.array[wp.transform],  # [link]
    poses: wp.array[wp.transform],  # [frame]
    joints: wp.array2d[float],  # [frame, coordinate]
    # outputs:
    links_out: wp.array2d[wp.transform],  # [frame, link]
):
    """One frame walks the tree: camera_from_link.  Gradients: offsets, poses, joints.

    A link reads its parent's transform, which the same thread has written before: parents precede children.
    """
    frame = wp.tid()
    for link in range(tree.parents.shape[0]):
        coordinates = joint_coordinates(tree, joints, frame, link)
        motion = joint_motion(tree.types[link], tree.axes[link], coordinates)
        parent_from_link = wp.transform_multiply(offsets[link], motion)
        parent = tree.parents[link]
        if parent < 0:
            links_out[frame, link] = wp.transform_multiply(poses[frame], parent_from_link)
        else:
            links_out[frame, link] = wp.transform_multiply(links_out[frame, parent], parent_from_link)


def pose_links(tree, offsets, *, poses, joints, links_out):
    """Launch :func:`_pose_links` over all frames."""
    wp.launch(
        _pose_links,
        dim=links_out.shape[0],
        inputs=[tree, offsets, poses, joints],
        outputs=[links_out],
        device=links_out.device,
    )


@wp.kernel
def _relate_to_rest(
    links: wp.array2d[wp.transform],  # [frame, link]
    rest_links: wp.array[wp.transform],  # [link]
    # outputs:
    skin_out: wp.array2d[wp.transform],  # [frame, link]
):
    """One link of one frame: camera_from_rest, which carries the rest surface.  Gradients: links, rest_links."""
    frame, link = wp.tid()
    skin_out[frame, link] = wp.transform_multiply(links[frame, link], wp.transform_inverse(rest_links[link]))


def relate_to_rest(links, rest_links, *, skin_out):
    """Launch :func:`_relate_to_rest` over all frames and links."""
    wp.launch(
        _relate_to_rest,
        dim=skin_out.shape,
        inputs=[links, rest_links],
        outputs=[skin_out],
        device=skin_out.device,
    )


@wp.kernel
def _measure_turns(
    tree: Tree,
    joints: wp.array2d[float],  # [frame, coordinate]
    # outputs:
    turns_out: wp.array2d[Turn],  # [frame, link - 1]
):
    """One non-root link of one frame: what drives its pose blend shapes.  Gradients: joints."""
    frame, child = wp.tid()
    link = child + 1
    motion = joint_motion(tree.types[link], tree.axes[link], joint_coordinates(tree, joints, frame, link))
    r = wp.quat_to_matrix(wp.transform_get_rotation(motion))
    turns_out[frame, child] = Turn(
        r[0, 0] - 1.0, r[0, 1], r[0, 2], r[1, 0], r[1, 1] - 1.0, r[1, 2], r[2, 0], r[2, 1], r[2, 2] - 1.0
    )


def measure_turns(tree, *, joints, turns_out):
    """Launch :func:`_measure_turns` over all frames and links but the root."""
    wp.launch(
        _measure_turns,
        dim=turns_out.shape,
        inputs=[tree, joints],
        outputs=[turns_out],
        device=turns_out.device,
    )
