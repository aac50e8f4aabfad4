"""What unknowns do to the links of a body, and the normal equations that follow from sums of samples by link.

An unknown turns and shifts all the links behind it alike.  So its part of the normal equations is that motion times a
sum of blocks (:mod:`warpprior.kernels.link_blocks`).  Forward only.
"""

import warp as wp

from warpprior.kernels.kinematics import BALL, SLIDE, Tree, joint_coordinates
from warpprior.kernels.link_blocks import ACROSS, NOW, PAST, Carriers, mat63d, mat66d, vec6, vec6d
from warpprior.kernels.rotations import so3_right_jacobian
from warpprior.kernels.rows import BACK, BEFORE, OWN
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False, "max_unroll": 1})

# What a task adds up beside blocks of the kinds NOW, ACROSS and PAST: slopes of a frame and of the one before, what is
# coupled with unknowns that all frames share, and these with each other.
SLOPE = wp.constant(3)
PAST_SLOPE = wp.constant(4)
MIXED = wp.constant(5)
CORNER = wp.constant(6)
# Movers that are no joint.
ROOT = wp.constant(-1)
AGAINST = wp.constant(-2)


@wp.func
def turning(axis: wp.vec3, arm: wp.vec3) -> vec6:
    """Motion of a turn about an axis, ``arm`` being from a point of the axis to the body's origin."""
    shift = wp.cross(axis, arm)
    return vec6(axis[0], axis[1], axis[2], shift[0], shift[1], shift[2])


@wp.func
def shifting(shift: wp.vec3) -> vec6:
    """Motion of a shift."""
    return vec6(0.0, 0.0, 0.0, shift[0], shift[1], shift[2])


@wp.func
def write_root_motions(
    motions_out: wp.array2d[vec6],
    frame: int,
    first: int,
    pose: wp.transform,
    origin: wp.vec3,
    sign: float,
) -> int:
    """What the six increments of a pose do (:func:`warpprior.kernels.camera.advance_pose`)."""
    place = wp.transform_get_translation(pose)
    turn = wp.quat_to_matrix(wp.transform_get_rotation(pose))
    motions_out[frame, first] = shifting(wp.vec3(sign * place[2], 0.0, 0.0))
    motions_out[frame, first + 1] = shifting(wp.vec3(0.0, sign * place[2], 0.0))
    motions_out[frame, first + 2] = shifting(place * sign)
    for k in range(3):
        axis = wp.vec3(turn[0, k], turn[1, k], turn[2, k]) * sign
        motions_out[frame, first + 3 + k] = turning(axis, origin - place)
    return first + 6


@wp.kernel
def _move_links(
    first_frame: int,
    movers: wp.array[wp.vec2i],  # [mover] joint, ROOT or AGAINST, and its first motion
    tree: Tree,
    joints: wp.array2d[wp.float32],  # [frame, coordinate]
    links: wp.array2d[wp.transform],  # [frame, link] camera_from_link
    poses: wp.array[wp.transform],  # [frame] of the body
    against: wp.array[wp.transform],  # [frame] of what it moves against
    motions_out: wp.array2d[vec6],  # [frame, motion]
):
    """How one mover's coordinates turn and shift the links behind it, about the body's origin."""
    slab_frame, mover = wp.tid()
    frame = first_frame + slab_frame
    joint = movers[mover][0]
    first = movers[mover][1]
    origin = wp.transform_get_translation(poses[frame])
    if joint == ROOT:
        write_root_motions(motions_out, frame, first, poses[frame], origin, 1.0)
    elif joint == AGAINST:
        write_root_motions(motions_out, frame, first, against[frame], origin, -1.0)
    else:
        turn = wp.transform_get_rotation(links[frame, joint])
        arm = origin - wp.transform_get_translation(links[frame, joint])
        if tree.types[joint] == BALL:
            jacobian = so3_right_jacobian(joint_coordinates(tree, joints, frame, joint))
            for k in range(3):
                axis = wp.vec3(jacobian[0, k], jacobian[1, k], jacobian[2, k])
                motions_out[frame, first + k] = turning(wp.quat_rotate(turn, axis), arm)
        else:
            axis = wp.quat_rotate(turn, tree.axes[joint]) * tree.gains[joint]
            if tree.types[joint] == SLIDE:
                motions_out[frame, first] = shifting(axis)
            else:
                motions_out[frame, first] = turning(axis, arm)


def move_links(movers, tree, joints, links, poses, against, *, motions_out):
    """Launch :func:`_move_links` over all frames and movers."""
    launch_slabs(
        _move_links,
        dim=(motions_out.shape[0], movers.shape[0]),
        inputs=[movers, tree, joints, links, poses, against],
        outputs=[motions_out],
        device=motions_out.device,
    )


@wp.struct
class Task:
    """What one thread adds to the equations of a frame: a sum of blocks, seen by the motions of two movers."""

    kind: wp.int32
    first: wp.int32  # motion of the one
    last: wp.int32  # one past its last
    other_first: wp.int32  # motion of the other
    other_last: wp.int32
    source: wp.int32  # first block or link that counts
    source_last: wp.int32


@wp.func
def sum_blocks(carriers: Carriers, sources: wp.array[wp.int32], task: Task, frame: int) -> mat66d:
    """Blocks of the links behind the one mover with those behind the other; -1 - pair: transposed."""
    total = mat66d()
    for index in range(task.source, task.source_last):
        pair = sources[index]
        if pair >= 0:
            total += carriers.blocks[frame, task.kind, pair]
        else:
            total += wp.transpose(carriers.blocks[frame, task.kind, -1 - pair])
    return total


@wp.func
def add_symmetric(
    hessian: wp.array4d[wp.float64], frame: int, block: int, one: int, other: int, value: wp.float64
) -> int:
    """Add to the lower triangle of a block."""
    wp.atomic_add(hessian, frame, block, wp.max(one, other), wp.min(one, other), value)
    return 0


@wp.func
def add_blocks(
    carriers: Carriers,
    sources: wp.array[wp.int32],
    task: Task,
    columns: wp.array[wp.int32],
    motions: wp.array2d[vec6],
    hessian: wp.array4d[wp.float64],
    frame: int,
) -> int:
    """Add what two movers have to do with each other."""
    total = sum_blocks(carriers, sources, task, frame)
    left = int(frame)
    right = int(frame)
    if task.kind == PAST:
        left = frame - 1
    if task.kind != NOW:
        right = frame - 1
    for b in range(task.other_first, task.other_last):
        pulled = total * vec6d(motions[right, b])
        for a in range(task.first, task.last):
            value = wp.dot(vec6d(motions[left, a]), pulled)
            if task.kind == ACROSS:
                wp.atomic_add(hessian, frame, BACK, columns[a], columns[b], value)
            else:
                block = OWN
                if task.kind == PAST:
                    block = BEFORE
                if task.first != task.other_first:
                    # Two joints may have one coordinate; then both halves of the product lie on the diagonal.
                    if columns[a] == columns[b]:
                        value = value * wp.float64(2.0)
                    add_symmetric(hessian, frame, block, columns[a], columns[b], value)
                elif b <= a:
                    add_symmetric(hessian, frame, block, columns[a], columns[b], value)
    return 0


@wp.kernel
def _follow_links(
    first_frame: int,
    tasks: wp.array[Task],  # [task]
    sources: wp.array[wp.int32],
    columns: wp.array[wp.int32],  # [motion]
    shared_columns: wp.vec3i,  # -1 for none
    motions: wp.array2d[vec6],  # [frame, motion]
    carriers: Carriers,
    hessian_out: wp.array4d[wp.float64],  # [frame, 4, column, column] added to
    gradient_out: wp.array3d[wp.float64],  # [frame, 2, column] added to
):
    """Add the sums of a frame to its equations: what the links are moved by, times what their motion does."""
    slab_frame, index = wp.tid()
    frame = first_frame + slab_frame
    task = tasks[index]
    if frame == 0 and (task.kind == ACROSS or task.kind == PAST or task.kind == PAST_SLOPE):
        return
    if task.kind <= PAST:
        add_blocks(carriers, sources, task, columns, motions, hessian_out, frame)
    elif task.kind <= PAST_SLOPE:
        when = task.kind - SLOPE
        total = vec6d()
        for source in range(task.source, task.source_last):
            total += carriers.slopes[frame, when, sources[source]]
        for a in range(task.first, task.last):
            value = wp.dot(vec6d(motions[frame - when, a]), total)
            wp.atomic_add(gradient_out, frame, when, columns[a], value)
    elif task.kind == MIXED:
        coupling = mat63d()
        for source in range(task.source, task.source_last):
            coupling += carriers.mixed[frame, sources[source]]
        for a in range(task.first, task.last):
            values = vec6d(motions[frame, a]) * coupling
            for k in range(3):
                if shared_columns[k] >= 0:
                    add_symmetric(hessian_out, frame, OWN, shared_columns[k], columns[a], values[k])
    else:
        for k in range(3):
            if shared_columns[k] >= 0:
                wp.atomic_add(gradient_out, frame, 0, shared_columns[k], carriers.corner_slopes[frame][k])
                for j in range(k + 1):
                    if shared_columns[j] >= 0:
                        value = carriers.corners[frame][k, j]
                        add_symmetric(hessian_out, frame, OWN, shared_columns[k], shared_columns[j], value)


def follow_links(
    tasks, sources, columns, shared_columns, motions, carriers, *, hessian_out, gradient_out
):  # fmt: skip
    """Launch :func:`_follow_links` over all frames and tasks."""
    launch_slabs(
        _follow_links,
        dim=(motions.shape[0], tasks.shape[0]),
        inputs=[tasks, sources, columns, shared_columns, motions, carriers],
        outputs=[hessian_out, gradient_out],
        device=motions.device,
    )
