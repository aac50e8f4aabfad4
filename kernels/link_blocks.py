"""Normal equations by pairs of links: samples of a surface add up by what carries them, before chains are followed.

A sample that is skinned to some links moves as they do, each by its share.  So the derivative of whatever is measured
there is one row of six per link, and a product of two rows a 6 x 6 block of two links, however many unknowns move
these.  Blocks of all samples are added up first; :mod:`warpprior.kernels.link_motions` goes on to the unknowns, once
per frame instead of once per residual.  Forward only.

Links turn and shift about the body's origin, in axes of the camera: three numbers of turn, then three of shift.
"""

import warp as wp

from warpprior.kernels.slabs import launch_slabs

wp.set_module_options({"enable_backward": False, "max_unroll": 1})

vec6 = wp.types.vector(length=6, dtype=wp.float32)
vec6d = wp.types.vector(length=6, dtype=wp.float64)
mat36 = wp.types.matrix(shape=(3, 6), dtype=wp.float32)
mat63d = wp.types.matrix(shape=(6, 3), dtype=wp.float64)
mat66d = wp.types.matrix(shape=(6, 6), dtype=wp.float64)

# Kinds of blocks: of a frame with itself, with the frame before, and of the frame before with itself.
NOW = wp.constant(0)
ACROSS = wp.constant(1)
PAST = wp.constant(2)
KIND_COUNT = 3


@wp.struct
class Carriers:
    """Which links carry the samples of a surface, and the sums of all samples by link.

    Without ``starts`` one link carries all.
    """

    on: wp.int32  # 0: rows are added to the equations themselves
    poses: wp.array[wp.transform]  # [frame] of the body: moments are about its origin
    moments: wp.array2d[wp.vec3]  # [frame, entry] where a link carries a vertex, times the vertex's share of it
    shares: wp.array[wp.float32]  # [entry] that share
    starts: wp.array[wp.int32]  # [sample + 1] first of the sample's links
    links: wp.array[wp.int32]  # [sample's link] ascending for each sample
    entries: wp.array[wp.vec3i]  # [sample's link] of the three vertices that the sample lies between, -1 for none
    pairs: wp.array2d[wp.int32]  # [link, link] which block
    blocks: wp.array3d[mat66d]  # [frame, kind, pair]
    slopes: wp.array3d[vec6d]  # [frame, now or before, link]
    mixed: wp.array2d[mat63d]  # [frame, link] coupling with up to three shared unknowns
    corners: wp.array[wp.mat33d]  # [frame] of these with each other
    corner_slopes: wp.array[wp.vec3d]  # [frame]


CARRIERS_OF_FRAMES = ("poses", "moments", "blocks", "slopes", "mixed", "corners", "corner_slopes")  # [frame, ...]


@wp.kernel
def _carry_entries(
    first_frame: int,
    table: wp.array[wp.vec2i],  # [entry] vertex, link
    shares: wp.array[wp.float32],  # [entry]
    poses: wp.array[wp.transform],  # [frame] camera_from_body
    skin: wp.array2d[wp.transform],  # [frame, link] camera_from_rest
    rest: wp.array2d[wp.vec3],  # [1 or frame, vertex]
    moments_out: wp.array2d[wp.vec3],  # [frame, entry]
):
    """Where a link carries a vertex, from the body's origin, times the vertex's share of it."""
    slab_frame, entry = wp.tid()
    frame = first_frame + slab_frame
    point = rest[wp.min(frame, rest.shape[0] - 1), table[entry][0]]
    carried = wp.transform_point(skin[frame, table[entry][1]], point)
    moments_out[frame, entry] = (carried - wp.transform_get_translation(poses[frame])) * shares[entry]


def carry_entries(table, shares, poses, skin, rest, *, moments_out):
    """Launch :func:`_carry_entries` over all frames and entries."""
    launch_slabs(
        _carry_entries,
        dim=moments_out.shape,
        inputs=[table, shares, poses, skin, rest],
        outputs=[moments_out],
        device=moments_out.device,
    )


@wp.func
def links_of(carriers: Carriers, sample: int) -> wp.vec2i:
    """First and one past the last of the links of a sample."""
    if carriers.starts.shape[0] == 0:
        return wp.vec2i(0, 1)
    return wp.vec2i(carriers.starts[sample], carriers.starts[sample + 1])


@wp.func
def link_at(carriers: Carriers, one: int) -> int:
    """One of the links of a sample."""
    if carriers.starts.shape[0] == 0:
        return 0
    return carriers.links[one]


@wp.func
def moment_at(carriers: Carriers, frame: int, one: int, weights: wp.vec3, place: wp.vec3) -> wp.vec4:
    """Where one of its links carries a sample, from the body's origin, times the sample's share of it; that share.

    ``weights`` are those of the three vertices that the sample at ``place`` lies between.
    """
    if carriers.starts.shape[0] == 0:
        arm = place - wp.transform_get_translation(carriers.poses[frame])
        return wp.vec4(arm[0], arm[1], arm[2], 1.0)
    moment = wp.vec3(0.0, 0.0, 0.0)
    share = float(0.0)
    entries = carriers.entries[one]
    for k in range(3):
        if entries[k] >= 0:
            moment += carriers.moments[frame, entries[k]] * weights[k]
            share += carriers.shares[entries[k]] * weights[k]
    return wp.vec4(moment[0], moment[1], moment[2], share)


@wp.func
def row_of(moment: wp.vec4, direction: wp.vec3) -> vec6:
    """Derivative of ``dot(direction, place)`` by the motion of a link that carries the place."""
    turn = wp.cross(wp.vec3(moment[0], moment[1], moment[2]), direction)
    shift = direction * moment[3]
    return vec6(turn[0], turn[1], turn[2], shift[0], shift[1], shift[2])


@wp.func
def rows_of(moment: wp.vec4, directions: wp.mat33) -> mat36:
    """The same along three directions, the rows of ``directions``."""
    found = mat36()
    for k in range(3):
        found[k] = row_of(moment, directions[k])
    return found


@wp.func
def add_carried_row(
    carriers: Carriers,
    frame: int,
    sample: int,
    weights: wp.vec3,
    place: wp.vec3,
    direction: wp.vec3,
    shared: wp.vec3,  # derivatives by the shared unknowns
    weight: wp.float64,
    pull: wp.float64,
) -> int:
    """Add a residual that depends on a place of the surface along a direction; ``pull`` is its weight times it."""
    span = links_of(carriers, sample)
    scale = float(weight)
    coupled = wp.dot(shared, shared) > 0.0
    for one in range(span[0], span[1]):
        link = link_at(carriers, one)
        row = row_of(moment_at(carriers, frame, one, weights, place), direction)
        scaled = row * scale
        wp.atomic_add(carriers.slopes, frame, 0, link, vec6d(row) * pull)
        if coupled:
            wp.atomic_add(carriers.mixed, frame, link, mat63d(wp.outer(scaled, shared)))
        for other in range(span[0], one):
            across = row_of(moment_at(carriers, frame, other, weights, place), direction)
            pair = carriers.pairs[link, link_at(carriers, other)]
            wp.atomic_add(carriers.blocks, frame, NOW, pair, mat66d(wp.outer(scaled, across)))
        wp.atomic_add(carriers.blocks, frame, NOW, carriers.pairs[link, link], mat66d(wp.outer(scaled, row)))
    if coupled:
        wp.atomic_add(carriers.corners, frame, wp.mat33d(wp.outer(shared * scale, shared)))
        wp.atomic_add(carriers.corner_slopes, frame, wp.vec3d(shared) * pull)
    return span[1] - span[0]


@wp.func
def add_carried_step(
    carriers: Carriers,
    frame: int,
    sample: int,
    weights: wp.vec3,
    place: wp.vec3,
    before: wp.vec3,
    directions: wp.mat33,
    past_directions: wp.mat33,
    weight: wp.float64,
    pull: wp.vec3d,
) -> int:
    """Add three residuals between a frame and the one before, in both of which they depend on a place of the surface.

    The rows of ``directions`` are those of ``place``, now, and of ``past_directions`` those of ``before``, then.
    """
    span = links_of(carriers, sample)
    scale = float(weight)
    for one in range(span[0], span[1]):
        link = link_at(carriers, one)
        now = wp.transpose(rows_of(moment_at(carriers, frame, one, weights, place), directions))
        past = wp.transpose(rows_of(moment_at(carriers, frame - 1, one, weights, before), past_directions))
        wp.atomic_add(carriers.slopes, frame, 0, link, mat63d(now) * pull)
        wp.atomic_add(carriers.slopes, frame, 1, link, mat63d(past) * pull)
        now = now * scale
        past = past * scale
        for other in range(span[0], span[1]):
            pair = carriers.pairs[link, link_at(carriers, other)]
            then = rows_of(moment_at(carriers, frame - 1, other, weights, before), past_directions)
            wp.atomic_add(carriers.blocks, frame, ACROSS, pair, mat66d(now * then))
            if other <= one:
                own = rows_of(moment_at(carriers, frame, other, weights, place), directions)
                wp.atomic_add(carriers.blocks, frame, NOW, pair, mat66d(now * own))
                wp.atomic_add(carriers.blocks, frame, PAST, pair, mat66d(past * then))
    return span[1] - span[0]
