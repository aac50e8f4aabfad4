"""How a skinned surface moves with its shape parameters: the last entries of :class:`rows.Chains`.

All is linear in the shape at a given pose, so the derivatives are exact.
"""

import warp as wp

from warpprior.kernels.kinematics import Tree
from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _differentiate_origins(
    tree: Tree,
    joint_shape_directions: wp.array2d[wp.vec3],  # [link, shape]
    scale: wp.array[wp.float32],  # [1]
    poses: wp.array[wp.transform],  # [frame] camera_from_body
    links: wp.array2d[wp.transform],  # [frame, link] camera_from_link
    origins_out: wp.array3d[wp.vec3],  # [frame, link, shape]
):
    """One thread walks the tree: derivative of the links' origins by one shape parameter, camera frame."""
    frame, shape = wp.tid()
    for link in range(tree.parents.shape[0]):
        moved = joint_shape_directions[link, shape] * scale[0]
        parent = tree.parents[link]
        if parent < 0:
            origins_out[frame, link, shape] = wp.quat_rotate(wp.transform_get_rotation(poses[frame]), moved)
        else:
            turned = wp.quat_rotate(wp.transform_get_rotation(links[frame, parent]), moved)
            origins_out[frame, link, shape] = origins_out[frame, parent, shape] + turned


def differentiate_origins(tree, joint_shape_directions, scale, poses, links, *, origins_out):
    """Launch :func:`_differentiate_origins` over all frames and shape parameters."""
    wp.launch(
        _differentiate_origins,
        dim=(origins_out.shape[0], origins_out.shape[2]),
        inputs=[tree, joint_shape_directions, scale, poses, links],
        outputs=[origins_out],
        device=origins_out.device,
        record_tape=False,
    )


@wp.func
def blend_shape_motion(
    skin: wp.array2d[wp.transform],  # [frame, link]
    skin_links: wp.array2d[wp.int32],  # [vertex, influence]
    skin_weights: wp.array2d[wp.float32],  # [vertex, influence]
    origins: wp.array3d[wp.vec3],  # [frame, link, shape]
    rest_origins: wp.array3d[wp.vec3],  # [1, link, shape]
    frame: int,
    vertex: int,
    shape: int,
    moved: wp.vec3,
) -> wp.vec3:
    """Where a vertex goes whose rest place moves by ``moved`` while the links it follows move, too."""
    total = wp.vec3(0.0, 0.0, 0.0)
    for influence in range(skin_links.shape[1]):
        link = skin_links[vertex, influence]
        turn = wp.transform_get_rotation(skin[frame, link])
        carried = origins[frame, link, shape] + wp.quat_rotate(turn, moved - rest_origins[0, link, shape])
        total += carried * skin_weights[vertex, influence]
    return total


@wp.kernel
def _differentiate_shape(
    first_frame: int,
    places: wp.array[wp.vec2i],  # [place] vertex (-1 - link for the origin of a link), first entry
    shape_directions: wp.array2d[wp.vec3],  # [vertex, shape]
    scale: wp.array[wp.float32],  # [1]
    origins: wp.array3d[wp.vec3],  # [frame, link, shape]
    rest_origins: wp.array3d[wp.vec3],  # [1, link, shape]
    skin: wp.array2d[wp.transform],  # [frame, link] camera_from_rest
    skin_links: wp.array2d[wp.int32],  # [vertex, influence]
    skin_weights: wp.array2d[wp.float32],  # [vertex, influence]
    values_out: wp.array2d[wp.vec3],  # [frame, entry]
):
    """Derivative of one vertex, or of one link's origin, by one shape parameter, camera frame."""
    slab_frame, place, shape = wp.tid()
    frame = first_frame + slab_frame
    vertex = places[place][0]
    entry = places[place][1] + shape
    if vertex < 0:
        values_out[frame, entry] = origins[frame, -1 - vertex, shape]
    else:
        moved = shape_directions[vertex, shape] * scale[0]
        values_out[frame, entry] = blend_shape_motion(
            skin, skin_links, skin_weights, origins, rest_origins, frame, vertex, shape, moved
        )


def differentiate_shape(
    places, shape_directions, scale, origins, rest_origins, skin, skin_links, skin_weights, *, values_out
):
    """Launch :func:`_differentiate_shape` over all frames, places and shape parameters."""
    launch_slabs(
        _differentiate_shape,
        dim=(values_out.shape[0], places.shape[0], origins.shape[2]),
        inputs=[places, shape_directions, scale, origins, rest_origins, skin, skin_links, skin_weights],
        outputs=[values_out],
        device=values_out.device,
    )
