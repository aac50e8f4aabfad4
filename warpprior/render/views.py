"""What a camera sees of bodies in motion, on the device: labels, normals, colours, and differentiable silhouettes and
depth, recorded on the caller's own tape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import warp as wp

from warpprior.bodies.assembly import assemble
from warpprior.bodies.body import Body
from warpprior.geometry.posed import surface_of
from warpprior.kernels import silhouette as outlines
from warpprior.kernels import surface_image, visibility
from warpprior.kernels.surface_projection import project_surface
from warpprior.render.canvas import CHANNEL_LIMIT, Canvas
from warpprior.render.window import whole_window
from warpprior.scene import Camera, Scene
from warpprior.support.arrays import device_of
from warpprior.support.errors import InputError
from warpprior.support.pieces import pieces
from warpprior.support.tape import record_adjoint

CHUNK_PIXELS = 8_000_000  # drawn at once where nothing is kept for a backward pass
PLAIN = 0.7  # grey level of bodies without colours

Drawable: TypeAlias = "Scene | Body | Sequence[Body]"
"""What the functions below draw."""


def silhouette(
    scene: Drawable,
    poses: Mapping[str, Any] | None = None,
    *,
    camera: Camera | None = None,
    occluded: bool = True,
    device: Any = None,
) -> wp.array:
    """Antialiased masks: the share of each pixel in which each body is seen; differentiable.

    On the tape that is recording, gradients flow to the surfaces, and through them to the poses, of every body whose
    arrays require them.  They are those of the area that a body covers: exact where its contour crosses between two
    pixel centres, at occlusions too, without any blur.  Values leave [0, 1] a little where several contours meet in a
    pixel.

    Args:
        scene: a scene; or bodies, drawn in their order, with ``camera``.
        poses: by body name: the surface that :func:`warpprior.geometry.skin` returns; or poses as that function takes
            them: a :class:`warpprior.Poses`, transforms, or a tuple of position, rotation and joints.  Known bodies
            of a scene may be left out: they stay where the scene has them.
        camera: other than the scene's.
        occluded: bodies hide each other; otherwise each is drawn as if it were alone.
        device: where to work; None takes that of the arrays among the poses, the CPU for arrays of the host.

    Returns:
        [frame, body, height, width] float32, on the device.

    Raises:
        InputError: no camera, a body without poses, numbers of frames that differ, an array that is refused, or more
            than 15 bodies that hide each other.
    """
    view = _View(scene, poses, camera, device)
    count, pixels = len(view.bodies), view.camera.width * view.camera.height
    grad = view.screen.requires_grad
    shape = (view.frame_count, count, pixels)
    images = wp.zeros(shape, dtype=wp.float32, device=view.device, requires_grad=grad)
    layers = [tuple(range(count))] if occluded else [_alone(index, count) for index in range(count)]
    for index, channels in enumerate(layers):
        canvas, cut = view.canvas(channels, outlined=True), slice(None) if occluded else slice(index, index + 1)
        canvas.draw(view.screen)
        own: Any = images[:, cut]
        surface_image.fill_coverage(canvas.keys, coverage_out=own)
        outlines.cover_pixels(canvas.outline(view.screen), stride=canvas.stride, coverage_out=own)
        if grad:
            _record_coverage(view.screen, canvas, images, cut)
    return images.reshape((view.frame_count, count, view.camera.height, view.camera.width))


def depth(
    scene: Drawable,
    poses: Mapping[str, Any] | None = None,
    *,
    camera: Camera | None = None,
    device: Any = None,
) -> wp.array:
    """Depth of the visible surface at pixel centres, zero where there is none; differentiable.

    On the tape that is recording, gradients flow as for :func:`silhouette`.  They are those of the depth of the face
    that a pixel sees.  Which face it is is held: what a moving contour uncovers is in the silhouettes' gradient alone.

    Args and errors: as for :func:`silhouette`.

    Returns:
        [frame, height, width] float32 [m], on the device.
    """
    view = _View(scene, poses, camera, device)
    grad, camera = view.screen.requires_grad, view.camera
    shape = (view.frame_count, camera.width * camera.height)
    images = wp.zeros(shape, dtype=wp.float32, device=view.device, requires_grad=grad)
    if grad:
        canvas = view.canvas(tuple(range(len(view.bodies))), outlined=False)
        canvas.draw_faces(view.screen)
        visibility.read_depths(canvas.keys, depths_out=images)
        gradients: Any = images.grad

        def push() -> None:
            surface_image.push_depths(
                canvas.keys, view.screen, canvas.faces, camera.width, gradients, screen_gradients_out=view.screen.grad
            )
            gradients.zero_()

        record_adjoint(push, [view.screen, images])
    else:
        for canvas, _, cut in view.parts():
            visibility.read_depths(canvas.keys, depths_out=images[cut])
    return images.reshape((view.frame_count, camera.height, camera.width))


def labels(
    scene: Drawable,
    poses: Mapping[str, Any] | None = None,
    *,
    camera: Camera | None = None,
    device: Any = None,
) -> wp.array:
    """Label images: which body each pixel's centre sees.

    Args and errors: as for :func:`silhouette`.

    Returns:
        [frame, height, width] uint8: 0 where there is none; the scene's labels of its bodies, or 1, 2, ... for bodies
        without a scene.
    """
    view = _View(scene, poses, camera, device)
    table = np.zeros(CHANNEL_LIMIT + 1, dtype=np.uint8)
    table[: len(view.labels)] = view.labels
    values = wp.array(table, dtype=wp.uint8, device=view.device)
    return view.read(wp.uint8, lambda canvas, _, out: visibility.read_channels(canvas.keys, values, channels_out=out))


def normals(
    scene: Drawable,
    poses: Mapping[str, Any] | None = None,
    *,
    camera: Camera | None = None,
    device: Any = None,
) -> wp.array:
    """Unit normals of the faces that pixel centres see, towards the camera.

    Args and errors: as for :func:`silhouette`.

    Returns:
        [frame, height, width] vec3, camera frame; zero where there is no body.
    """
    view = _View(scene, poses, camera, device)

    def read(canvas: Canvas, screen: wp.array, out: wp.array) -> None:
        surface_image.read_normals(canvas.keys, screen, canvas.faces, *view.lens, normals_out=out)

    return view.read(wp.vec3, read)


def colors(
    scene: Drawable,
    poses: Mapping[str, Any] | None = None,
    *,
    camera: Camera | None = None,
    device: Any = None,
) -> wp.array:
    """The bodies' own colours at pixel centres, without light or shadow.

    Args and errors: as for :func:`silhouette`.

    Returns:
        [frame, height, width] vec3 in [0, 1]; zero where there is no body, grey for bodies without colours.
    """
    view = _View(scene, poses, camera, device)
    parts = [
        np.full((body.vertex_count, 3), PLAIN) if body.colors is None else np.asarray(body.colors)
        for body in view.bodies
    ]
    table = wp.array(np.concatenate(parts).astype(np.float32), dtype=wp.vec3, device=view.device)

    def read(canvas: Canvas, screen: wp.array, out: wp.array) -> None:
        surface_image.read_colors(canvas.keys, screen, canvas.faces, table, view.camera.width, colors_out=out)

    return view.read(wp.vec3, read)


class _View:
    """Bodies, a camera, and the bodies' surfaces projected into its picture.

    Attributes:
        bodies: in the order of channels.
        labels: of the bodies.
        lens: focal lengths and principal point [px].
        screen: u, v [px] and depth [m] of all bodies' vertices [frame, vertex] vec3.
    """

    def __init__(self, scene: Any, poses: Mapping[str, Any] | None, camera: Camera | None, device: Any):
        poses = dict(poses or {})
        if isinstance(scene, Scene):
            self.bodies = tuple(body.body for body in scene.bodies)
            self.labels = [body.label for body in scene.bodies]
            camera = scene.camera if camera is None else camera
            for body in scene.bodies:
                if body.known:
                    poses.setdefault(body.name, body.initial)
        else:
            self.bodies = (scene,) if isinstance(scene, Body) else tuple(scene)
            self.labels = list(range(1, len(self.bodies) + 1))
        if camera is None:
            raise InputError("camera", "none", "a scene, or bodies with camera=warpprior.Camera(...)")
        _check_names(self.bodies, poses)
        self.camera = camera
        self.lens = (wp.vec2(camera.fx, camera.fy), wp.vec2(camera.cx, camera.cy))
        parts = [part for value in poses.values() for part in (value if isinstance(value, tuple) else (value,))]
        self.device = device_of(*parts, device=device)
        surfaces = [surface_of(body, poses[body.name], self.device) for body in self.bodies]
        counts = {body.name: len(surface) for body, surface in zip(self.bodies, surfaces, strict=True)}
        if len(set(counts.values())) > 1 or 0 in counts.values():
            raise InputError("poses", f"frames {counts}", "the same number for all bodies, at least one")
        self.frame_count = surfaces[0].shape[0]
        total = sum(body.vertex_count for body in self.bodies)
        grad = any(surface.requires_grad for surface in surfaces)
        self.screen = wp.zeros((self.frame_count, total), dtype=wp.vec3, device=self.device, requires_grad=grad)
        if grad:  # recorded first, so last in a backward pass: what was handed on is not handed on again by the next
            handed: Any = self.screen.grad
            record_adjoint(handed.zero_, [self.screen])
        first = 0
        for surface in surfaces:
            project_surface(surface, *self.lens, first=first, screen_out=self.screen)
            first += surface.shape[1]

    def canvas(self, channels: tuple[int | None, ...], *, outlined: bool, frame_count: int | None = None) -> Canvas:
        """A canvas of its own, so that what is drawn later leaves what a tape holds alone."""
        count = self.frame_count if frame_count is None else frame_count
        window = whole_window(count, self.camera.width, self.camera.height)
        return _layer(self.bodies, channels, outlined, str(self.device)).again(window)

    def parts(self) -> Iterator[tuple[Canvas, wp.array, slice]]:
        """Faces drawn for some frames at a time: canvas, their screen, and which frames they are."""
        for cut in pieces(self.frame_count, CHUNK_PIXELS // (self.camera.width * self.camera.height)):
            canvas = self.canvas(tuple(range(len(self.bodies))), outlined=False, frame_count=cut.stop - cut.start)
            screen: Any = self.screen[cut]
            canvas.draw_faces(screen)
            yield canvas, screen, cut

    def read(self, dtype: Any, read: Callable[[Canvas, wp.array, wp.array], None]) -> wp.array:
        """An image [frame, height, width] that ``read(canvas, screen, out)`` fills part by part."""
        height, width = self.camera.height, self.camera.width
        images = wp.zeros((self.frame_count, height * width), dtype=dtype, device=self.device)
        for canvas, screen, cut in self.parts():
            own: Any = images[cut]
            read(canvas, screen, own)
        return images.reshape((self.frame_count, height, width))


@lru_cache(maxsize=16)
def _layer(bodies: tuple[Body, ...], channels: tuple[int | None, ...], outlined: bool, device: str) -> Canvas:
    """Topology of a layer on a device, kept for those that were used last; a canvas of one pixel to make others of."""
    return Canvas(assemble(bodies), channels, [outlined] * len(bodies), whole_window(1, 1, 1), device)


def _alone(index: int, count: int) -> tuple[int | None, ...]:
    """Channels of a layer that holds one body."""
    return tuple(0 if other == index else None for other in range(count))


def _check_names(bodies: Sequence[Body], poses: Mapping[str, Any]) -> None:
    """Every body has poses, every pose a body, and names tell bodies apart."""
    names = [body.name for body in bodies]
    if not names or len(set(names)) < len(names):
        raise InputError("bodies", f"{names}", "at least one, each with a name of its own")
    missing, unknown = [n for n in names if n not in poses], [n for n in poses if n not in names]
    if missing:
        raise InputError(f"poses of body {missing[0]!r}", "none", "poses of every body that is not known")
    if unknown:
        raise InputError("poses", f"of a body {unknown[0]!r}", f"of some of {names}")


def _record_coverage(screen: wp.array, canvas: Canvas, images: wp.array, cut: slice) -> None:
    """The adjoint of a layer's masks, which are some channels of the images."""
    whole = wp.full((1, screen.shape[0]), 1.0, dtype=wp.float32, device=canvas.device)
    gradients: Any = images.grad

    def push() -> None:
        own = gradients[:, cut]
        outlines.push_coverage_gradient(
            canvas.outline(screen), own, 0, whole, stride=canvas.stride, screen_gradients_out=screen.grad
        )
        own.zero_()

    record_adjoint(push, [screen, images])
