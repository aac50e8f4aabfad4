"""Where points of a body are, how they move with its pose and joints, and how far they are from another body.

Errors of a pose are those of a filter: a shift in the camera frame [m], then a rotation about the body's origin along
the camera's axes [rad], then joint coordinates.  Forward only.
"""

import warp as wp

from warpprior.kernels.distance import grid_sample
from warpprior.kernels.kinematics import BALL, SLIDE, Tree, joint_coordinates
from warpprior.kernels.rotations import so3_right_jacobian
from warpprior.kernels.surface_motion import Share, carried_share, origin_share, share_lever

wp.set_module_options({"enable_backward": False})

UNUSED = wp.constant(-1000000)  # a slot that holds no point
ROOT = wp.constant(6)  # columns of the root; joint coordinates follow


@wp.func
def skinned_share(
    links: wp.array2d[wp.transform],  # [frame, link]
    skin: wp.array2d[wp.transform],  # [frame, link]
    rest: wp.array2d[wp.vec3],  # [1 or frame, vertex]
    skin_links: wp.array2d[int],  # [vertex, influence]
    skin_weights: wp.array2d[float],  # [vertex, influence]
    descends: wp.array2d[wp.int32],  # [link, link]
    frame: int,
    place: int,
    joint: int,
) -> Share:
    """The part of a point that moves with a joint."""
    if place < 0:
        return origin_share(links, frame, -1 - place, float(descends[joint, -1 - place]))
    point = rest[wp.min(frame, rest.shape[0] - 1), place]
    return carried_share(skin, skin_links, skin_weights, descends, frame, place, joint, point)


@wp.kernel
def _linearise_points(
    places: wp.array2d[wp.int32],  # [frame, slot] vertex, -1 - link for the origin of a link, or UNUSED
    tree: Tree,
    descends: wp.array2d[wp.int32],  # [link, link] 1: the second moves with the first
    origins: wp.array[wp.vec3],  # [frame] what the root turns about, camera frame
    joints: wp.array2d[wp.float32],  # [frame, coordinate]
    links: wp.array2d[wp.transform],  # [frame, link] camera_from_link
    skin: wp.array2d[wp.transform],  # [frame, link] camera_from_rest
    rest: wp.array2d[wp.vec3],  # [1 or frame, vertex]
    skin_links: wp.array2d[wp.int32],  # [vertex, influence]
    skin_weights: wp.array2d[wp.float32],  # [vertex, influence]
    points_out: wp.array2d[wp.vec3],  # [frame, slot] camera frame
    jacobians_out: wp.array4d[wp.float32],  # [frame, slot, 3, 6 + coordinate] added to
):
    """One slot and one link: the point itself and its root columns, or the columns of the link's joint."""
    frame, slot, joint = wp.tid()
    place = places[frame, slot]
    if place == UNUSED:
        if joint == 0:
            points_out[frame, slot] = wp.vec3(0.0, 0.0, 0.0)
        return
    share = skinned_share(links, skin, rest, skin_links, skin_weights, descends, frame, place, joint)
    if joint == 0:
        points_out[frame, slot] = share.moment
        arm = share.moment - origins[frame]
        for axis in range(3):
            jacobians_out[frame, slot, axis, axis] = 1.0
            unit = wp.vec3(0.0, 0.0, 0.0)
            unit[axis] = 1.0
            turned = wp.cross(unit, arm)
            for row in range(3):
                jacobians_out[frame, slot, row, 3 + axis] = turned[row]
        return
    start = tree.starts[joint]
    if start < 0 or share.weight == 0.0:
        return
    turn = wp.transform_get_rotation(links[frame, joint])
    lever = share_lever(share, links[frame, joint])
    if tree.types[joint] == BALL:
        jacobian = so3_right_jacobian(joint_coordinates(tree, joints, frame, joint))
        for k in range(3):
            axis_k = wp.vec3(jacobian[0, k], jacobian[1, k], jacobian[2, k])
            change = wp.cross(wp.quat_rotate(turn, axis_k), lever)
            for row in range(3):
                wp.atomic_add(jacobians_out, frame, slot, row, ROOT + start + k, change[row])
    else:
        along = wp.quat_rotate(turn, tree.axes[joint]) * tree.gains[joint]
        change = wp.cross(along, lever)
        if tree.types[joint] == SLIDE:
            change = along * share.weight
        for row in range(3):
            wp.atomic_add(jacobians_out, frame, slot, row, ROOT + start, change[row])


def linearise_points(
    places, tree, descends, origins, joints, links, skin, rest, skin_links, skin_weights, *, points_out, jacobians_out
):
    """Place chosen points of a body and differentiate them by its errors.

    How pose blend shapes swell with the joints is left out.  ``jacobians_out`` is cleared first.
    """
    jacobians_out.zero_()
    wp.launch(
        _linearise_points,
        dim=(*points_out.shape, links.shape[1]),
        inputs=[places, tree, descends, origins, joints, links, skin, rest, skin_links, skin_weights],
        outputs=[points_out, jacobians_out],
        device=points_out.device,
    )


@wp.kernel
def _measure_clearance(
    points: wp.array[wp.vec3],  # [point] camera frame
    poses: wp.array[wp.transform],  # [1] camera_from_body
    values: wp.array3d[wp.float32],  # [x, y, z]
    origin: wp.vec3,
    inverse_spacing: float,
    distance_out: wp.array[wp.float32],  # [point]
    local_out: wp.array[wp.vec3],  # [point] body frame
    gradient_out: wp.array[wp.vec3],  # [point] body frame, of the distance
):
    """One point: its distance from the body, and where it is in the frame of the body."""
    point = wp.tid()
    local = wp.transform_point(wp.transform_inverse(poses[0]), points[point])
    sample = grid_sample(values, origin, inverse_spacing, local)
    distance_out[point] = sample[3]
    local_out[point] = local
    gradient_out[point] = wp.vec3(sample[0], sample[1], sample[2])


def measure_clearance(points, poses, values, origin, inverse_spacing, *, distance_out, local_out, gradient_out):
    """Signed distance of points from a rigid body [m], where they are in its frame, and the distance's gradient."""
    wp.launch(
        _measure_clearance,
        dim=points.shape[0],
        inputs=[points, poses, values, origin, inverse_spacing],
        outputs=[distance_out, local_out, gradient_out],
        device=points.device,
    )
