"""Image (Eq. 1): a body's own colours lie where the pictures show them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from warpprior.support.errors import InputError
from warpprior.support.limits import number, positive, share, weight
from warpprior.terms.term import GAUSS_NEWTON, BoundTerm, DrawnTerm, Term

if TYPE_CHECKING:
    import warp as wp

    from warpprior.bodies.body import Body
    from warpprior.kernels.image import Blurred, Samples, Trust, View
    from warpprior.kernels.rows import System
    from warpprior.render.parts import Part
    from warpprior.scene import SceneBody
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage

SENSOR_BLUR = 0.5  # what lenses, pixels and interpolation between them blur a picture anyway [px^2]
BLUR_REACH = 2.5  # sigmas after which a Gaussian ends
LEAST_SIGMA = 0.5  # of a Gaussian, in its own pixels: a smaller one is none


@dataclass(frozen=True)
class Image(Term):
    """Differences of colour, wherever a rigid body is seen and its label says that it is there.

    Attributes:
        sigma_grey: difference in hue that counts as one sigma [grey levels of 0 to 1], where frames do not differ more
            from the model all over; beyond two sigmas differences count less and less.
        sigma_shade: share of its brightness by which shadows and highlights change a colour; added to the above along
            the direction in which a colour only gets brighter.
        correlation_px: what light and blur do wrong they do alike over about this length [px].
        sample_count: places on the surface.
        margin_px: pixels this near to the border of the body's label are not compared [px].
        least_cosine: faces seen more obliquely than this are not compared.
        clearance_m: deeper than this behind what is seen is hidden [m].
    """

    name: ClassVar[str] = "image"
    observes: ClassVar[bool] = True
    draws: ClassVar[bool] = True
    in_parts: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("read_rgb", "labels")

    sigma_grey: float = positive(0.02)
    sigma_shade: float = weight(0.3)
    correlation_px: float = positive(10.0)
    sample_count: int = number(1024, 1, 1_000_000)
    margin_px: int = number(2, 0, 10_000)
    least_cosine: float = share(0.3)
    clearance_m: float = positive(0.004)
    solvers: tuple[str, ...] = (GAUSS_NEWTON,)

    def __post_init__(self):
        super().__post_init__()
        if self.least_cosine >= 1.0:
            raise InputError("settings: image.least_cosine", f"{self.least_cosine!r}", "less than 1")

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated rigid body whose model and pictures have colours."""
        from warpprior.system.colors import why_no_colors

        for body in problem.motion.estimated:
            if not body.body.is_rigid or why_no_colors(body, problem.motion):
                continue
            if problem.observed.shows(body).any():
                yield BoundImage(self, body, problem)


class BoundImage(DrawnTerm):
    """The colours of one body.

    Samples are spread over the surface.  Their colours are blurred among those around them on the screen, as the
    picture is.  The light of a frame, an offset and a gain that is affine in the normal, is fitted when frozen.  Pixels
    outside of the label leave no trace in the blurred pictures.

    Attributes:
        seen: -1 for samples that were not seen when last frozen [frame, sample] int32.
        sigmas: of hue, taken then: at least the settings', more where colours differ [frame].
    """

    term: Image

    def __init__(self, term: Image, body: SceneBody, problem: Problem, clips: Sequence[BoundImage] = ()):
        import warp as wp

        super().__init__(term, body, problem)
        device = problem.motion.device
        self._clips = tuple(clips)
        if clips:
            self._join_pictures()
        else:
            self._load_pictures()
        self._spread_samples()
        self._view = self._look()
        shares = term.weight * problem.observed.shows(body) / term.correlation_px**2
        self.sigmas = wp.full(problem.motion.frame_count, term.sigma_grey, dtype=wp.float32, device=device)
        self._trust = self._believe(shares)
        self._sigma = wp.full(1, term.sigma_grey, dtype=wp.float32, device=device)
        self._lanes = 1 if device.is_cpu else 32
        self._blur_px, self._active = 0.0, False
        self._parts: dict[Part, tuple[Samples, Blurred, Trust]] = {}

    def _load_pictures(self) -> None:
        """Crops around the body's label, in which what is of the body is marked."""
        import warp as wp
        from scipy.ndimage import binary_erosion

        from warpprior.kernels.image import Blurred
        from warpprior.support.stored import forget, stored_zeros

        motion, observed = self.problem.motion, self.problem.observed
        read_rgb = motion.scene.read_rgb
        assert read_rgb is not None and observed.labels is not None, "the scene has pictures and labels"
        window, shown = observed.crop_around(self.body), observed.shows(self.body)
        pixels = stored_zeros((motion.frame_count, window.height, window.width, 4), np.uint8)
        for frame in map(int, np.flatnonzero(shown)):
            image = read_rgb(frame)
            if image is None:
                continue
            mask = observed.mask_around(self.body, frame)
            if self.term.margin_px:
                mask = binary_erosion(mask, iterations=int(self.term.margin_px), border_value=1)
            column, row = window.origins[frame]
            pixels[frame, ..., :3] = image[row : row + window.height, column : column + window.width]
            pixels[frame, ..., 3] = np.where(mask, 255, 0)
            forget(pixels[frame])
            forget(observed.labels[frame])
        self._window = window
        shape = (motion.frame_count, window.height * window.width)
        self._pixels = wp.array(pixels.reshape(*shape, 4), dtype=wp.uint8, device=motion.device, copy=False)
        self._blurred = Blurred()
        self._blurred.values = wp.zeros((len(pixels), 1), dtype=wp.vec4, device=motion.device)
        self._blurred.origins = window.device_origins(motion.device)

    def _join_pictures(self) -> None:
        """The crops of several clips; each of these blurs its own, which become a part of all."""
        import warp as wp

        from warpprior.kernels.image import Blurred
        from warpprior.render.window import Window
        from warpprior.support.stored import stored_zeros

        motion = self.problem.motion
        window = self._window = Window.joined([clip._window for clip in self._clips])
        frames, count = motion.frame_count, window.width * window.height
        pixels = stored_zeros((frames, count, 4), np.uint8)
        for clip, (part, _) in zip(self._clips, motion.clips, strict=True):
            pixels[part.frames, : clip._pixels.shape[1]] = clip._pixels.numpy()
        values = stored_zeros((frames, count, 4), np.float32)
        self._pixels = wp.array(pixels, dtype=wp.uint8, device=motion.device, copy=False)
        self._blurred = Blurred()
        self._blurred.values = wp.array(values, dtype=wp.vec4, device=motion.device, copy=False)
        self._blurred.origins = window.device_origins(motion.device)
        for clip, (part, _) in zip(self._clips, motion.clips, strict=True):
            clip._pixels, clip._blurred.values = part.of(self._pixels), part.of(self._blurred.values)

    def across(self, joined: Problem, clips: Sequence[BoundTerm]) -> BoundTerm:
        own = [clip for clip in clips if isinstance(clip, BoundImage)]
        return BoundImage(self.term, joined.motion.scene.body(self.body.name), joined, own)

    def _spread_samples(self) -> None:
        """Places on the surface, and arrays for what they see."""
        import warp as wp

        from warpprior.geometry.sampling import sample_surface
        from warpprior.kernels.image import Samples

        motion, body, device = self.problem.motion, self.body.body, self.problem.motion.device
        count = int(self.term.sample_count)
        faces, barycentrics, shares = sample_surface(body, count)
        samples = self._samples = Samples()
        samples.body.start = self.problem.equations.starts[body.name]
        corners = body.faces[faces] + motion.first_vertex(body.name)
        samples.body.corners = wp.array(corners.astype(np.int32), dtype=wp.vec3i, device=device)
        samples.body.barycentrics = wp.array(barycentrics, dtype=wp.vec3, device=device)
        areas = shares * surface_area(body) * self.body.initial.scale**2
        self._areas = self._given_areas = wp.array(areas.astype(np.float32), dtype=wp.float32, device=device)
        if self.body.size is not None:
            self._areas = wp.clone(self._given_areas)

        def zeros(*inner: int, dtype: type = wp.vec3) -> wp.array:
            return wp.zeros((motion.frame_count, *inner), dtype=dtype, device=device)

        samples.points, self._normals, samples.colors, samples.albedo = (zeros(count) for _ in range(4))
        samples.slopes = zeros(count, 2)
        self.seen = samples.seen = wp.full((motion.frame_count, count), -1, dtype=wp.int32, device=device)
        samples.pixels = zeros(count, dtype=wp.float32)
        samples.gains, samples.offsets = zeros(count, 3, dtype=wp.float32), zeros(3, dtype=wp.float32)
        self._counts = zeros(dtype=wp.float32)

    def _look(self) -> View:
        """The camera, what it sees, and the body's colours."""
        import warp as wp

        from warpprior.kernels.image import View

        motion = self.problem.motion
        colors = np.zeros((motion.assembly.vertex_count, 3), dtype=np.float32)
        first = motion.first_vertex(self.body.name)
        colors[first : first + self.body.body.vertex_count] = self.body.body.colors
        view = View()
        view.channel = 0
        view.colors = wp.array(colors, dtype=wp.vec3, device=motion.device)
        view.center, view.clearance = motion.center, self.term.clearance_m
        view.least_cosine = self.term.least_cosine
        return view

    def _believe(self, shares: np.ndarray) -> Trust:
        """How well colours must agree; ``shares`` (frame,) is the weight of a pixel."""
        import warp as wp

        from warpprior.kernels.image import Trust

        trust = Trust()
        trust.shares = wp.array(shares.astype(np.float32), dtype=wp.float32, device=self.problem.motion.device)
        trust.sigmas, trust.shade = self.sigmas, self.term.sigma_shade
        return trust

    def enter(self, stage: Stage) -> None:
        self._active = stage.image_blur_px > 0.0
        if self._active and stage.image_blur_px != self._blur_px:
            self._blur_px = stage.image_blur_px
            self._parts.clear()
            sizes = self._shrink(stage.image_blur_px)
            if not self._clips:
                self._blur(**sizes)

    def _shrink(self, blur_px: float) -> dict[str, Any]:
        """Say how large pictures are that a Gaussian of ``blur_px`` [px] leaves; returns what is left to be done."""
        blurred = self._blurred
        # Squares of pixels are averaged first, which blurs, too; the Gaussian on what is left does the rest.
        shrink = 2 ** int(math.log2(max(blur_px, 1.0)))
        width, height = self._window.width // shrink, self._window.height // shrink
        blurred.shrink, blurred.width, blurred.height = shrink, self._window.width, self._window.height
        sigma = math.sqrt(max(blur_px**2 - (shrink**2 - 1) / 12.0, 0.0)) / shrink
        radius = math.ceil(BLUR_REACH * sigma) if sigma >= LEAST_SIGMA else 0
        sigma = max(sigma, LEAST_SIGMA)
        blurred.sigma = math.sqrt(blur_px**2 + SENSOR_BLUR)
        if self._window.sizes is not None:
            blurred.sizes = self._window.device_sizes(self.problem.motion.device)
        return {"width": width, "height": height, "sigma": sigma, "radius": radius}

    def _blur(self, width: int, height: int, sigma: float, radius: int) -> None:
        """Blur the pictures."""
        import warp as wp

        from warpprior.kernels import blur
        from warpprior.support.stored import forget, stored_zeros

        blurred, device = self._blurred, self.problem.motion.device
        if width * height > blurred.values.shape[1]:
            values = stored_zeros((len(blurred.values), width * height, 4), np.float32)
            blurred.values = wp.array(values, dtype=wp.vec4, device=device, copy=False)
        parts = self.problem.drawings.parts
        longest = (max(part.count for part in parts), width * height)
        half_way = wp.zeros(longest, dtype=wp.vec4, device=device)
        for part in parts:
            pixels, values, between = part.of(self._pixels), part.of(blurred.values), half_way[: part.count]
            blur.shrink_pictures(pixels, self._window.width, blurred.shrink, width, height, small_out=values)
            size = {"width": width, "height": height, "sigma": sigma, "radius": radius}
            blur.blur_pictures(values, **size, vertical=False, finish=False, blurred_out=between)
            blur.blur_pictures(between, **size, vertical=True, finish=True, blurred_out=values)
            forget(pixels)
            forget(values)

    def _of(self, part: Part) -> tuple[Samples, Blurred, Trust]:
        """What concerns a part of the frames."""
        from warpprior.kernels.image import SAMPLES_OF_FRAMES, Blurred, Samples, Trust
        from warpprior.kernels.slabs import frames_of

        if part not in self._parts:
            self._parts[part] = (
                frames_of(Samples, self._samples, SAMPLES_OF_FRAMES, part.of),
                frames_of(Blurred, self._blurred, ("values", "origins", "sizes"), part.of),
                frames_of(Trust, self._trust, ("shares", "sigmas"), part.of),
            )
        return self._parts[part]

    def freeze_part(self, part: Part) -> None:
        from warpprior.kernels import image
        from warpprior.kernels.light import fit_light
        from warpprior.kernels.size_motion import scale_areas
        from warpprior.support.stored import forget

        if not self._active:
            return
        motion, view, canvas = self.problem.motion, self._view, self.problem.drawings.alone[self.body.name]
        samples, blurred, _ = self._of(part)
        if self.body.size is not None:
            scale_areas(self._given_areas, motion.factors[self.body.name], areas_out=self._areas)
        view.focal = motion.focal
        view.keys, view.origins, view.faces = canvas.keys, canvas.origins, canvas.faces
        view.width, view.height, view.sizes = canvas.window.width, canvas.window.height, canvas.sizes
        normals = part.of(self._normals)
        image.see_samples(
            part.of(motion.vertices),
            samples.body,
            self._areas,
            view,
            part.of(self._pixels),
            blurred,
            points_out=samples.points,
            normals_out=normals,
            seen_out=samples.seen,
            pixels_out=samples.pixels,
            albedo_out=samples.albedo,
            colors_out=samples.colors,
            slopes_out=samples.slopes,
        )
        fit_light(
            samples.albedo,
            normals,
            samples.colors,
            samples.seen,
            self._sigma,
            gains_out=samples.gains,
            offsets_out=samples.offsets,
            counts_out=part.of(self._counts),
        )
        if not part.whole:
            forget(part.of(self._pixels))
            forget(blurred.values)
        image.gauge_misses(samples, self.term.sigma_grey, sigmas_out=part.of(self.sigmas))

    def add_part(self, system: System, part: Part) -> None:
        from warpprior.kernels.image import add_image

        if not self._active:
            return
        motion = self.problem.motion
        samples, _, trust = self._of(part)
        poses = part.of(motion.states[self.body.name].poses)
        costs = part.of(self.costs)
        add_image(samples, trust, poses, motion.focal, system, lanes=self._lanes, cost_out=costs)


def surface_area(body: Body) -> float:
    """Of a body at rest [m^2]."""
    corners = body.vertices[body.faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return 0.5 * float(np.linalg.norm(normals, axis=1).sum())
