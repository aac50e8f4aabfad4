"""How the vertices of a skinned surface move with its joint coordinates: the entries of :class:`rows.Chains`."""

import warp as wp

from warpprior.kernels.kinematics import BALL, SLIDE, joint_coordinates
from warpprior.kernels.rotations import so3_right_jacobian
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})


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
) -> wp.vec4:
    """Weighted sum of where the links that a joint moves would carry a point, and the sum of their weights."""
    total = wp.vec4(0.0, 0.0, 0.0, 0.0)
    for influence in range(skin_links.shape[1]):
        link = skin_links[vertex, influence]
        weight = skin_weights[vertex, influence]
        if descends[joint, link] == 1 and weight > 0.0:
            place = wp.transform_point(skin[frame, link], point) * weight
            total += wp.vec4(place[0], place[1], place[2], weight)
    return total


@wp.kernel
def _differentiate_surface(
    first_frame: int,
    pairs: wp.array[wp.vec3i],  # [pair] vertex (-1 - link for the origin of a link), joint, first entry
    joint_types: wp.array[wp.int32],  # [link]
    joint_axes: wp.array[wp.vec3],  # [link]
    coordinate_starts: wp.array[wp.int32],  # [link]
    coordinate_gains: wp.array[wp.float32],  # [link]
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
        origin = wp.transform_get_translation(links[frame, -1 - vertex])
        share = wp.vec4(origin[0], origin[1], origin[2], 1.0)
    else:
        point = rest[wp.min(frame, rest.shape[0] - 1), vertex]
        share = carried_share(skin, skin_links, skin_weights, descends, frame, vertex, joint, point)
    turn = wp.transform_get_rotation(links[frame, joint])
    lever = wp.vec3(share[0], share[1], share[2]) - wp.transform_get_translation(links[frame, joint]) * share[3]
    kind = joint_types[joint]
    if kind == BALL:
        start = coordinate_starts[joint]
        coordinates = joint_coordinates(joints, frame, kind, start, 1.0, 0.0)
        jacobian = so3_right_jacobian(coordinates)
        for k in range(3):
            axis = wp.vec3(jacobian[0, k], jacobian[1, k], jacobian[2, k])
            values_out[frame, entry + k] = wp.cross(wp.quat_rotate(turn, axis), lever)
    else:
        axis = wp.quat_rotate(turn, joint_axes[joint]) * coordinate_gains[joint]
        if kind == SLIDE:
            values_out[frame, entry] = axis * share[3]
        else:
            values_out[frame, entry] = wp.cross(axis, lever)


def differentiate_surface(
    pairs, joint_types, joint_axes, coordinate_starts, coordinate_gains, descends,
    joints, links, skin, rest, skin_links, skin_weights, *, values_out,
):  # fmt: skip
    """Launch :func:`_differentiate_surface` over all frames and pairs of a vertex and a joint that moves it."""
    launch_slabs(
        _differentiate_surface,
        dim=(values_out.shape[0], pairs.shape[0]),
        inputs=[
            pairs, joint_types, joint_axes, coordinate_starts, coordinate_gains, descends,
            joints, links, skin, rest, skin_links, skin_weights,
        ],
        outputs=[values_out],
        device=values_out.device,
    )  # fmt: skip
