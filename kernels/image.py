"""Image (Eq. 1): a body's own colours lie where the picture shows them.

Samples are fixed places on the surface.  Each compares the colour that it should have in the light of the frame with
the picture where it is seen, blurred to the scale of the stage; the picture's slope there says where to move.
"""

import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.robust import log_one_plus
from warpprior.kernels.rows import PointBody, System, add_entry, add_point, close_row
from warpprior.kernels.shading import ray_color
from warpprior.kernels.slabs import launch_slabs
from warpprior.kernels.visibility import crop_size, key_channel, key_face, key_inverse_depth

wp.set_module_options({"enable_backward": False})

LEAST_TRUST = wp.constant(0.5)  # share of a blurred pixel that must be of the body
LEAST_COLOR = wp.constant(0.02)  # darker than this a colour has no hue [grey levels]
HALF_NORMAL = wp.constant(1.2533)  # sqrt(pi / 2): a Gaussian's standard deviation over its mean size
BELIEVED = wp.constant(2.0)  # residuals beyond this many sigmas count less and less


@wp.struct
class Blurred:
    """Pictures of one body, blurred: a crop of their own in each frame."""

    values: wp.array(dtype=wp.vec4, ndim=2)  # [frame, pixel] colour, and share of the pixel that is of the body
    origins: wp.array(dtype=wp.vec2i)  # [frame] column, row of the crop's corner in the picture
    sizes: wp.array(dtype=wp.vec2i)  # [frame] width and height of the crop, if they differ; else empty [px]
    width: wp.int32  # of the crop in the picture, of which the last columns may make no whole pixel of these
    height: wp.int32
    shrink: wp.int32  # picture pixels to a pixel of these
    sigma: wp.float32  # of the blur [px]


@wp.struct
class View:
    """What the camera sees of one body among others."""

    keys: wp.array(dtype=wp.uint64, ndim=2)  # [frame, pixel] of all bodies
    origins: wp.array(dtype=wp.vec2i)  # [frame] column, row of their crop's corner in the picture
    sizes: wp.array(dtype=wp.vec2i)  # [frame] width and height, if they differ; else empty
    width: wp.int32
    height: wp.int32
    channel: wp.int32  # of the body
    faces: wp.array(dtype=wp.vec3i)  # [face of a key] scene vertices
    colors: wp.array(dtype=wp.vec3)  # [scene vertex]
    focal: wp.vec2
    center: wp.vec2
    clearance: wp.float32  # deeper than this behind what is seen is hidden [m]
    least_cosine: wp.float32


@wp.func
def pixel_at(crop_x: float, crop_y: float, width: int, height: int) -> int:
    """Flat index of the pixel that a place [px from the crop's corner] is in; -1 outside."""
    if not (crop_x >= 0.0 and crop_y >= 0.0 and crop_x < float(width) and crop_y < float(height)):
        return -1
    return int(crop_y) * width + int(crop_x)


@wp.func
def seen_color(
    view: View,
    vertices: wp.array2d[wp.vec3],
    frame: int,
    x: float,
    y: float,
    inverse_depth: float,
    pixels: wp.array3d[wp.uint8],
    blurred: Blurred,
) -> wp.vec4:
    """The body's own colour at a place of the picture [px], and 1; 0 where it does not count there.

    -1 where another part of the body is seen, not at the given inverse depth: it moves otherwise.
    """
    size = crop_size(view.sizes, frame, view.width, view.height)
    own = crop_size(blurred.sizes, frame, blurred.width, blurred.height)
    pixel = pixel_at(x - float(view.origins[frame][0]), y - float(view.origins[frame][1]), size[0], size[1])
    marked = pixel_at(
        x - float(blurred.origins[frame][0]),
        y - float(blurred.origins[frame][1]),
        own[0],
        own[1],
    )
    if pixel < 0 or marked < 0:
        return wp.vec4(0.0, 0.0, 0.0, 0.0)
    key = view.keys[frame, pixel]
    if key_channel(key) != view.channel:
        return wp.vec4(0.0, 0.0, 0.0, 0.0)
    # A difference of inverse depths is a gap over the depth squared.
    gap = wp.abs(key_inverse_depth(key) - inverse_depth)
    if gap > 2.0 * view.clearance * inverse_depth * inverse_depth:
        return wp.vec4(0.0, 0.0, 0.0, -1.0)
    if pixels[frame, marked, 3] == wp.uint8(0):
        return wp.vec4(0.0, 0.0, 0.0, 0.0)
    corners = view.faces[key_face(key)]
    ray = wp.vec2((x - view.center[0]) / view.focal[0], (y - view.center[1]) / view.focal[1])
    color = ray_color(
        ray,
        vertices[frame, corners[0]],
        vertices[frame, corners[1]],
        vertices[frame, corners[2]],
        view.colors[corners[0]],
        view.colors[corners[1]],
        view.colors[corners[2]],
    )
    return wp.vec4(color[0], color[1], color[2], 1.0)


@wp.func
def blurred_albedo(
    view: View,
    vertices: wp.array2d[wp.vec3],
    frame: int,
    x: float,
    y: float,
    own: wp.vec3,
    normal: wp.vec3,
    point: wp.vec3,
    pixels: wp.array3d[wp.uint8],
    blurred: Blurred,
) -> wp.vec4:
    """The body's own colours, blurred around a place as the picture is, and 1; 0 beside a fold of the surface.

    A mean over seven places: itself, with half of the weight, and a hexagon at two sigmas.  Were all of them of the
    body, it would be exact for polynomials of degree five (Stroud 1971).
    """
    total = wp.vec4(0.5 * own[0], 0.5 * own[1], 0.5 * own[2], 0.5)
    # Inverse depth is affine on the screen.
    toward = wp.dot(normal, point)
    slope_x = normal[0] / (toward * view.focal[0])
    slope_y = normal[1] / (toward * view.focal[1])
    folded = bool(False)
    for turn in range(6):
        angle = wp.pi / 3.0 * float(turn)
        beside_x = 2.0 * blurred.sigma * wp.cos(angle)
        beside_y = 2.0 * blurred.sigma * wp.sin(angle)
        expected = 1.0 / point[2] + slope_x * beside_x + slope_y * beside_y
        found = seen_color(view, vertices, frame, x + beside_x, y + beside_y, expected, pixels, blurred)
        if found[3] < 0.0:
            folded = True
        else:
            total += found / 12.0
    if folded:
        return wp.vec4(0.0, 0.0, 0.0, 0.0)
    return total / total[3]


@wp.kernel
def _see_samples(
    first_frame: int,
    vertices: wp.array2d[wp.vec3],  # [frame, scene vertex] camera frame
    samples: PointBody,
    areas: wp.array[wp.float32],  # [sample] [m^2]
    view: View,
    pixels: wp.array3d[wp.uint8],  # [frame, pixel, 4] the pictures, not blurred
    blurred: Blurred,
    points_out: wp.array2d[wp.vec3],  # [frame, sample] camera frame
    normals_out: wp.array2d[wp.vec3],  # [frame, sample] of its face, towards the camera
    seen_out: wp.array2d[wp.int32],  # [frame, sample] -1 where it is not seen
    pixels_out: wp.array2d[wp.float32],  # [frame, sample] pixels that it stands for
    albedo_out: wp.array2d[wp.vec3],  # [frame, sample] the body's own colour, blurred
    colors_out: wp.array2d[wp.vec3],  # [frame, sample] of the picture
    slopes_out: wp.array3d[wp.vec3],  # [frame, sample, 2] its derivative by column and row [1/px]
):
    """Where each sample is, whether the camera sees it, its own colour, and the picture there."""
    slab_frame, sample = wp.tid()
    frame = first_frame + slab_frame
    corners = samples.corners[sample]
    shares = samples.barycentrics[sample]
    a = vertices[frame, corners[0]]
    b = vertices[frame, corners[1]]
    c = vertices[frame, corners[2]]
    point = a * shares[0] + b * shares[1] + c * shares[2]
    normal = wp.normalize(wp.cross(b - a, c - a))
    points_out[frame, sample] = point
    normals_out[frame, sample] = wp.vec3(0.0, 0.0, 0.0)
    seen_out[frame, sample] = -1
    pixels_out[frame, sample] = 0.0
    albedo_out[frame, sample] = wp.vec3(0.0, 0.0, 0.0)
    colors_out[frame, sample] = wp.vec3(0.0, 0.0, 0.0)
    slopes_out[frame, sample, 0] = wp.vec3(0.0, 0.0, 0.0)
    slopes_out[frame, sample, 1] = wp.vec3(0.0, 0.0, 0.0)
    facing = -wp.dot(normal, point)
    if not (point[2] > NEAR and facing > view.least_cosine * wp.length(point)):
        return
    x = view.focal[0] * point[0] / point[2] + view.center[0]
    y = view.focal[1] * point[1] / point[2] + view.center[1]
    size = crop_size(view.sizes, frame, view.width, view.height)
    pixel = pixel_at(x - float(view.origins[frame][0]), y - float(view.origins[frame][1]), size[0], size[1])
    if pixel < 0:
        return
    key = view.keys[frame, pixel]
    inverse = key_inverse_depth(key)
    if key_channel(key) != view.channel or point[2] * inverse > 1.0 + view.clearance * inverse:
        return
    # Bilinear between pixel centres, all four of which must have a colour.
    u = (x - float(blurred.origins[frame][0])) / float(blurred.shrink) - 0.5
    v = (y - float(blurred.origins[frame][1])) / float(blurred.shrink) - 0.5
    small = crop_size(blurred.sizes, frame, blurred.width, blurred.height) / blurred.shrink
    if pixel_at(u, v, small[0] - 1, small[1] - 1) < 0:
        return
    first = int(v) * small[0] + int(u)
    s = u - float(int(u))
    t = v - float(int(v))
    f00 = blurred.values[frame, first]
    f10 = blurred.values[frame, first + 1]
    f01 = blurred.values[frame, first + small[0]]
    f11 = blurred.values[frame, first + small[0] + 1]
    if wp.min(wp.min(f00[3], f10[3]), wp.min(f01[3], f11[3])) < LEAST_TRUST:
        return
    own = (
        view.colors[corners[0]] * shares[0] + view.colors[corners[1]] * shares[1] + view.colors[corners[2]] * shares[2]
    )
    albedo = blurred_albedo(view, vertices, frame, x, y, own, normal, point, pixels, blurred)
    if albedo[3] == 0.0:
        return
    top = f00 + (f10 - f00) * s
    bottom = f01 + (f11 - f01) * s
    value = top + (bottom - top) * t
    along = ((f10 - f00) * (1.0 - t) + (f11 - f01) * t) / float(blurred.shrink)
    down = (bottom - top) / float(blurred.shrink)
    normals_out[frame, sample] = normal
    seen_out[frame, sample] = sample
    magnified = view.focal[0] * view.focal[1] / (point[2] * point[2] * point[2])
    pixels_out[frame, sample] = areas[sample] * facing * magnified
    albedo_out[frame, sample] = wp.vec3(albedo[0], albedo[1], albedo[2])
    colors_out[frame, sample] = wp.vec3(value[0], value[1], value[2])
    slopes_out[frame, sample, 0] = wp.vec3(along[0], along[1], along[2])
    slopes_out[frame, sample, 1] = wp.vec3(down[0], down[1], down[2])


def see_samples(
    vertices, samples, areas, view, pixels, blurred,
    *, points_out, normals_out, seen_out, pixels_out, albedo_out, colors_out, slopes_out,
):  # fmt: skip
    """Launch :func:`_see_samples` over all frames and samples."""
    launch_slabs(
        _see_samples,
        dim=seen_out.shape,
        inputs=[vertices, samples, areas, view, pixels, blurred],
        outputs=[points_out, normals_out, seen_out, pixels_out, albedo_out, colors_out, slopes_out],
        device=seen_out.device,
    )


@wp.func
def color_axes(color: wp.vec3) -> wp.mat33:
    """Rows: the direction of a colour, along which it only gets brighter, and two at right angles to it."""
    bright = wp.normalize(wp.max(color, wp.vec3(LEAST_COLOR, LEAST_COLOR, LEAST_COLOR)))
    # Of a direction whose entries are all positive this is never along it.
    across = wp.normalize(wp.cross(bright, wp.vec3(1.0, -1.0, 0.0)))
    return wp.matrix_from_rows(bright, across, wp.cross(bright, across))


@wp.struct
class Samples:
    """Places on a body's surface, and what is seen of them."""

    body: PointBody
    points: wp.array(dtype=wp.vec3, ndim=2)  # [frame, sample] camera frame
    seen: wp.array(dtype=wp.int32, ndim=2)  # [frame, sample] -1: not seen
    pixels: wp.array(dtype=wp.float32, ndim=2)  # [frame, sample] that a sample stands for
    albedo: wp.array(dtype=wp.vec3, ndim=2)  # [frame, sample] the body's own colours
    colors: wp.array(dtype=wp.vec3, ndim=2)  # [frame, sample] of the picture
    slopes: wp.array(dtype=wp.vec3, ndim=3)  # [frame, sample, 2] [1/px]
    gains: wp.array(dtype=wp.float32, ndim=3)  # [frame, sample, channel] of the light
    offsets: wp.array(dtype=wp.float32, ndim=2)  # [frame, channel]


SAMPLES_OF_FRAMES = (
    *("points", "seen", "pixels", "albedo"),
    *("colors", "slopes", "gains", "offsets"),
)  # [frame, ...] of Samples


@wp.struct
class Trust:
    """How well colours must agree."""

    shares: wp.array(dtype=wp.float32)  # [frame] weight of a pixel
    sigmas: wp.array(dtype=wp.float32)  # [frame] of colours [grey levels]
    shade: wp.float32  # sigma of brightness as a share of it


@wp.func
def lit_color(samples: Samples, frame: int, sample: int) -> wp.vec3:
    """A sample's own colour in the light of the frame."""
    albedo = samples.albedo[frame, sample]
    return wp.vec3(
        albedo[0] * samples.gains[frame, sample, 0] + samples.offsets[frame, 0],
        albedo[1] * samples.gains[frame, sample, 1] + samples.offsets[frame, 1],
        albedo[2] * samples.gains[frame, sample, 2] + samples.offsets[frame, 2],
    )


@wp.kernel
def _gauge_misses(
    samples: Samples,
    sigma: float,  # the least [grey levels]
    sigmas_out: wp.array[wp.float32],  # [frame] [grey levels]
):
    """How well the body's colours are those of each frame at best: models are often painted otherwise than things.

    The standard deviation of a Gaussian whose mean size is that of the differences in hue.
    """
    frame = wp.tid()
    total = float(0.0)
    count = float(0.0)
    for sample in range(samples.seen.shape[1]):
        if samples.seen[frame, sample] >= 0:
            expected = lit_color(samples, frame, sample)
            misses = color_axes(expected) * (expected - samples.colors[frame, sample])
            total += 0.5 * (wp.abs(misses[1]) + wp.abs(misses[2]))
            count += 1.0
    sigmas_out[frame] = wp.max(sigma, HALF_NORMAL * total / wp.max(count, 1.0))


def gauge_misses(samples, sigma, *, sigmas_out):
    """Launch :func:`_gauge_misses` over all frames."""
    wp.launch(
        _gauge_misses,
        dim=sigmas_out.shape[0],
        inputs=[samples, sigma],
        outputs=[sigmas_out],
        device=sigmas_out.device,
        record_tape=False,
    )


@wp.kernel
def _add_image(
    first_frame: int,
    samples: Samples,
    trust: Trust,
    poses: wp.array[wp.transform],  # [frame]
    focal: wp.vec2,
    system: System,
    lanes: int,
    cost_out: wp.array[wp.float64],  # [frame] added to
):
    """Move samples to where the picture has their colours, light and what is seen being held.

    Shadows and highlights change how bright a colour is, and hardly its hue: differences in brightness count less.
    """
    slab_frame, lane = wp.tid()
    frame = first_frame + slab_frame
    cost = wp.float64(0.0)
    for sample in range(lane, samples.seen.shape[1], lanes):
        if samples.seen[frame, sample] >= 0:
            point = samples.points[frame, sample]
            expected = lit_color(samples, frame, sample)
            axes = color_axes(expected)
            misses = axes * (expected - samples.colors[frame, sample])
            along = axes * samples.slopes[frame, sample, 0]
            down = axes * samples.slopes[frame, sample, 1]
            for k in range(3):
                sigma = trust.sigmas[frame]
                if k == 0:
                    sigma = sigma + trust.shade * wp.length(expected)
                scale = trust.shares[frame] * samples.pixels[frame, sample] / (3.0 * sigma * sigma)
                width = sigma * BELIEVED
                ratio = misses[k] / width
                cost += wp.float64(scale * width * width) * log_one_plus(wp.float64(ratio * ratio))
                weight = wp.float64(scale / (1.0 + ratio * ratio))
                pull = weight * wp.float64(misses[k])
                pull_x = -along[k] * focal[0] / point[2]
                pull_y = -down[k] * focal[1] / point[2]
                away = -(pull_x * point[0] + pull_y * point[1]) / point[2]
                direction = wp.vec3(pull_x, pull_y, away)
                count = add_point(
                    system, samples.body, frame, frame, lane, poses[frame], sample, point, direction, pull
                )
                if system.focal_column >= 0:
                    count = add_entry(system, frame, frame, lane, count, system.focal_column, -away * point[2], pull)
                close_row(system, frame, lane, count, weight, pull)
    if cost > wp.float64(0.0):
        wp.atomic_add(cost_out, frame, cost)


def add_image(samples, trust, poses, focal, system, *, lanes, cost_out):
    """Launch :func:`_add_image` with ``lanes`` threads per frame sharing the samples."""
    launch_slabs(
        _add_image,
        dim=(cost_out.shape[0], lanes),
        inputs=[samples, trust, poses, focal, system, lanes],
        outputs=[cost_out],
        device=cost_out.device,
    )
