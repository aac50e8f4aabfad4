"""The colours of one moving body on the pictures, as normal equations."""

from __future__ import annotations

import math

import numpy as np
import warp as wp
from scipy.ndimage import binary_erosion

from warpprior.geometry.sampling import sample_surface
from warpprior.kernels import blur, image_fit
from warpprior.kernels.rows import PointBody
from warpprior.kernels.shading import fit_light
from warpprior.render.canvas import Canvas
from warpprior.scene import SceneBody
from warpprior.system.problem import Problem
from warpprior.terms.image import why_not
from warpprior.terms.image_settings import ImageFitSettings, surface_area
from warpprior.terms.prior import single

CORRELATION_LENGTH = 10.0  # what light and blur do wrong they do alike over about this many pixels [px]
SENSOR_BLUR = 0.5  # what lenses, pixels and interpolation between them blur a picture anyway [px^2]
BLUR_REACH = 2.5  # sigmas after which a Gaussian ends
LEAST_SIGMA = 0.5  # of a Gaussian, in its own pixels: a smaller one is none


class ImageFit:
    """A body's own colours against the pictures, wherever it is seen and its label says that it is there.

    Samples are spread over the surface.  Their colours are blurred among those around them on the screen, as the
    picture is.
    The light of a frame, an offset and a gain that is affine in the normal, is fitted at each linearisation and held
    in it.  Pixels outside of the label leave no trace in the blurred pictures.

    Args:
        body: the body, which may bend; it must be moving and have vertex colours, else this is not active.
        problem: the sequence's.
        settings: sigmas and where to compare.
        weight: of the term; with 1, each square as wide as errors are correlated counts as one observation.
        canvas: shows the body where it is seen, drawn by the caller before each linearisation; None makes one, with
            all moving bodies on their places in the scene as channels over the picture's backdrop, and draws it.
        channel: of the body in ``canvas``; None is its place in the scene.

    Attributes:
        active: there is something to compare; if not, :meth:`enter` and :meth:`add` do nothing.
        reason: why it is not active, one sentence, or "".
        canvas: as given, or its own.
        seen: -1 for samples that were not seen at the last linearisation [frame, sample] int32.
        sigmas: of hue, taken at the last linearisation: at least the settings', more where colours differ [frame].
    """

    def __init__(
        self,
        body: SceneBody,
        problem: Problem,
        settings: ImageFitSettings | None = None,
        *,
        weight: float = 1.0,
        canvas: Canvas | None = None,
        channel: int | None = None,
    ):
        self.settings = ImageFitSettings() if settings is None else settings
        self.body, self.problem, self.canvas, self._redraw = body, problem, canvas, canvas is None
        state, picture = problem.state, problem.picture
        self._channel = state.scene.bodies.index(body) if channel is None else channel
        self.reason = why_not(body, state, picture.labels)
        if not self.reason and not (picture.labels == body.label).any():
            self.reason = f"no picture shows {body.name}"
        self.active = not self.reason
        if not self.active:
            return
        device = state.device
        if canvas is None:
            channels = [state.scene.bodies.index(other) for other in state.estimated]
            self.canvas = Canvas(
                state.assembly, channels, [False] * len(channels), picture.window, device, backdrop=picture.backdrop
            )
        self._load_pictures()
        self._spread_samples()
        self._view = self._look()
        scales = weight * (picture.labels == body.label).any(axis=(1, 2)) / CORRELATION_LENGTH**2
        self._scales = wp.array(scales.astype(np.float32), dtype=wp.float32, device=device)
        self._sigma = single(self.settings.sigma_grey, device)
        self._shade = single(self.settings.sigma_shade, device)
        self.sigmas = wp.full(state.frame_count, self.settings.sigma_grey, dtype=wp.float32, device=device)
        self._lanes = 1 if device.is_cpu else 32

    def _load_pictures(self) -> None:
        """Crops around the body's label, in which what is of the body is marked."""
        state, picture = self.problem.state, self.problem.picture
        window, own = picture.crop_around(self.body.label)
        pixels = np.zeros((state.frame_count, window.height, window.width, 4), dtype=np.uint8)
        for frame, mask in enumerate(own):
            image = state.scene.read_rgb(frame) if mask.any() else None
            if image is None:
                continue
            if self.settings.margin_px:
                mask = binary_erosion(mask, iterations=int(self.settings.margin_px), border_value=1)
            column, row = window.origins[frame]
            pixels[frame, ..., :3] = image[row : row + window.height, column : column + window.width]
            pixels[frame, ..., 3] = np.where(mask, 255, 0)
        self._window = window
        shape = (state.frame_count, window.height * window.width)
        self._pixels = wp.array(pixels.reshape(*shape, 4), dtype=wp.uint8, device=state.device)
        self._half_way = wp.zeros(shape, dtype=wp.vec4, device=state.device)
        self._blurred = image_fit.Blurred()
        self._blurred.values = wp.zeros(shape, dtype=wp.vec4, device=state.device)
        self._blurred.origins = window.device_origins(state.device)

    def _spread_samples(self) -> None:
        """Places on the surface, and arrays for what they see."""
        state, body, device = self.problem.state, self.body.body, self.problem.state.device
        count = int(self.settings.sample_count)
        faces, barycentrics, shares = sample_surface(body, count)
        self._samples = PointBody()
        self._samples.start = self.problem.equations.starts[body.name]
        corners = body.faces[faces] + state.first_vertex(body.name)
        self._samples.corners = wp.array(corners.astype(np.int32), dtype=wp.vec3i, device=device)
        self._samples.barycentrics = wp.array(barycentrics, dtype=wp.vec3, device=device)
        areas = shares * surface_area(body) * self.body.initial.scale**2
        self._areas = wp.array(areas.astype(np.float32), dtype=wp.float32, device=device)

        def zeros(*inner, dtype=wp.vec3):
            return wp.zeros((state.frame_count, *inner), dtype=dtype, device=device)

        self._points, self._normals, self._colors, self._albedo = (zeros(count) for _ in range(4))
        self._slopes = zeros(count, 2)
        self.seen = wp.full((state.frame_count, count), -1, dtype=wp.int32, device=device)
        self._pixel_counts = zeros(count, dtype=wp.float32)
        self._gains, self._offsets = zeros(count, 3, dtype=wp.float32), zeros(3, dtype=wp.float32)
        self._counts = zeros(dtype=wp.float32)

    def _look(self) -> image_fit.View:
        """The camera, what it sees, and the body's colours."""
        problem, state = self.problem, self.problem.state
        colors = np.zeros((state.assembly.vertex_count, 3), dtype=np.float32)
        first = state.first_vertex(self.body.name)
        colors[first : first + self.body.body.vertex_count] = self.body.body.colors
        view = image_fit.View()
        view.keys, view.origins, view.faces = self.canvas.keys, self.canvas.origins, self.canvas.faces
        view.width, view.height = self.canvas.window.width, self.canvas.window.height
        view.channel = self._channel
        view.colors = wp.array(colors, dtype=wp.vec3, device=state.device)
        view.focal, view.center = state.focal, state.center
        view.clearance = problem.settings.clearance_m
        view.least_cosine = self.settings.least_cosine
        return view

    def enter(self, blur_px: float) -> None:
        """Blur pictures and colours by a Gaussian of ``blur_px`` [px], for a stage."""
        if not self.active:
            return
        blurred = self._blurred
        # Squares of pixels are averaged first, which blurs, too; the Gaussian on what is left does the rest.
        shrink = 2 ** int(math.log2(max(blur_px, 1.0)))
        width, height = self._window.width // shrink, self._window.height // shrink
        blurred.shrink, blurred.width, blurred.height = shrink, width, height
        sigma = math.sqrt(max(blur_px**2 - (shrink**2 - 1) / 12.0, 0.0)) / shrink
        radius = math.ceil(BLUR_REACH * sigma) if sigma >= LEAST_SIGMA else 0
        sigma = max(sigma, LEAST_SIGMA)
        blurred.sigma = math.sqrt(blur_px**2 + SENSOR_BLUR)
        blur.shrink_pictures(self._pixels, self._window.width, shrink, width, height, small_out=blurred.values)
        blur.blur_pictures(
            blurred.values, width, height, sigma, radius, vertical=False, finish=False, blurred_out=self._half_way
        )
        blur.blur_pictures(
            self._half_way, width, height, sigma, radius, vertical=True, finish=True, blurred_out=blurred.values
        )

    def add(self, cost: wp.array) -> None:
        """Add to the equations and to ``cost`` [frame]; launches only.  A stage must have been entered."""
        if not self.active:
            return
        problem, state = self.problem, self.problem.state
        if self._redraw:
            self.canvas.draw_faces(state.screen)
        self._view.focal = state.focal
        image_fit.see_samples(
            state.vertices,
            self._samples,
            self._areas,
            self._view,
            self._pixels,
            self._blurred,
            points_out=self._points,
            normals_out=self._normals,
            seen_out=self.seen,
            pixels_out=self._pixel_counts,
            albedo_out=self._albedo,
            colors_out=self._colors,
            slopes_out=self._slopes,
        )
        fit_light(
            self._albedo,
            self._normals,
            self._colors,
            self.seen,
            self._sigma,
            gains_out=self._gains,
            offsets_out=self._offsets,
            counts_out=self._counts,
        )
        image_fit.gauge_misses(
            self.seen,
            self._albedo,
            self._colors,
            self._gains,
            self._offsets,
            self._sigma,
            sigmas_out=self.sigmas,
        )
        image_fit.accumulate_image(
            self._points,
            self.seen,
            self._pixel_counts,
            self._albedo,
            self._colors,
            self._slopes,
            self._gains,
            self._offsets,
            self._scales,
            self.sigmas,
            self._shade,
            self._samples,
            state.states[self.body.name].poses,
            state.focal,
            problem.surfaces.chains,
            problem.equations.rows,
            lanes=self._lanes,
            focal_column=problem.equations.shared.get("focal", -1),
            hessian_out=problem.equations.hessian,
            gradient_out=problem.equations.gradient,
            cost_out=cost,
        )
