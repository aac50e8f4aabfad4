"""How the vertices of a skinned surface move with its joint coordinates: the entries of :class:`rows.Chains`."""

import warp as wp

from warpprior.kernels.kinematics import BALL, SLIDE, Tree, joint_coordinates
from warpprior.kernels.rotations import so3_right_jacobian
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})


@wp.struct
class Share:
    """The part of a skinned point that moves with a joint."""

    moment: wp.vec3  # places that the links carry the point to, times their weights, summed
    weight: wp.float32  # sum of these weights


@wp.func
def origin_share(links: wp.array2d[wp.transform], frame: int, link: int, weight: float) -> Share:
    """The share of a link's origin."""
    share = Share()
    share.moment = wp.transform_get_translation(links[frame, link]) * weight
    share.weight = weight
    return share


@wp.func
def carried_share(
    skin: wp.array2d[wp.transform],  # [frame, link]
    skin_links: wp.array2d[int],  # [vertex, influence]
    skin_weights: wp.array2d[float],  # [vertex, influence]
    descends: wp.array2d[wp.int32],  # [link, link]
    frame: int,
    vertex: int,
    joint: int,
    point: wp.vec3,
) -> Share:
    """The share of a vertex, from the links that a joint moves."""
    share = Share()
    for influence in range(skin_links.shape[1]):
        link = skin_links[vertex, influence]
        weight = skin_weights[vertex, influence]
        if descends[joint, link] == 1 and weight > 0.0:
            share.moment = share.moment + wp.transform_point(skin[frame, link], point) * weight
            share.weight = share.weight + weight
    return share


@wp.func
def share_lever(share: Share, link: wp.transform) -> wp.vec3:
    """The arm, times its weight, from the origin of the joint's link to a share."""
    return share.moment - wp.transform_get_translation(link) * share.weight


@wp.kernel
def _differentiate_surface(
    first_frame: int,
    pairs: wp.array[wp.vec3i],  # [pair] vertex (-1 - link for the origin of a link), joint, first entry
    tree: Tree,
    descends: wp.array2d[wp.int32],  # [link, link] 1: the second moves with the first
    joints: wp.array2d[wp.float32],  # [frame, coordinate]
    links: wp.array2d[wp.transform],  # [frame, link] camera_from_link
    skin: wp.array2d[wp.transform],  # [frame, link] camera_from_rest
    rest: wp.array2d[wp.vec3],  # [1 or frame, vertex]
    skin_links: wp.array2d[wp.int32],  # [vertex, influence]
    skin_weights: wp.array2d[wp.float32],  # [vertex, influence]
    values_out: wp.array2d[wp.vec3],  # [frame, entry]
):
    """One vertex, and one joint that moves it: derivative by the joint's coordinates, in the camera frame.

    How pose blend shapes swell with the joint is left out: millimetres beside the lever arm.
    """
    slab_frame, pair = wp.tid()
    frame = first_frame + slab_frame
    vertex = pairs[pair][0]
    joint = pairs[pair][1]
    entry = pairs[pair][2]
    if vertex < 0:
        share = origin_share(links, frame, -1 - vertex, 1.0)
    else:
        point = rest[wp.min(frame, rest.shape[0] - 1), vertex]
        share = carried_share(skin, skin_links, skin_weights, descends, frame, vertex, joint, point)
    turn = wp.transform_get_rotation(links[frame, joint])
    lever = share_lever(share, links[frame, joint])
    if tree.types[joint] == BALL:
        jacobian = so3_right_jacobian(joint_coordinates(tree, joints, frame, joint))
        for k in range(3):
            axis = wp.vec3(jacobian[0, k], jacobian[1, k], jacobian[2, k])
            values_out[frame, entry + k] = wp.cross(wp.quat_rotate(turn, axis), lever)
    else:
        axis = wp.quat_rotate(turn, tree.axes[joint]) * tree.gains[joint]
        if tree.types[joint] == SLIDE:
            values_out[frame, entry] = axis * share.weight
        else:
            values_out[frame, entry] = wp.cross(axis, lever)


def differentiate_surface(pairs, tree, descends, joints, links, skin, rest, skin_links, skin_weights, *, values_out):
    """Launch :func:`_differentiate_surface` over all frames and pairs of a vertex and a joint that moves it."""
    launch_slabs(
        _differentiate_surface,
        dim=(values_out.shape[0], pairs.shape[0]),
        inputs=[pairs, tree, descends, joints, links, skin, rest, skin_links, skin_weights],
        outputs=[values_out],
        device=values_out.device,
    )
