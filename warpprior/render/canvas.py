"""Canvas: the visibility and silhouette buffers of one layer of bodies, for all frames at once, or part by part."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import warp as wp

from warpprior.bodies.assembly import Assembly
from warpprior.kernels import silhouette, visibility
from warpprior.kernels.slabs import chosen_runs
from warpprior.render.parts import Part, Parts, cut, one_part
from warpprior.render.window import Window, drawn_boxes
from warpprior.support.device import warp_device
from warpprior.support.errors import InputError

EPOCH_LIMIT = 65535  # claims carry the epoch in 16 bits
CHANNEL_LIMIT = 15  # keys carry the channel in 4 bits, and one of them is for no body
FACE_SLICES = 8  # on a GPU tall faces are shared by this many threads


def can_follow(device: wp.Device) -> bool:
    """Whether crops can follow what is drawn: where a look at its vertices waits for nothing."""
    return device.is_cpu


class Canvas:
    """Key buffer, silhouette edges and pixel-pair owners of one layer.

    Args:
        assembly: topology of the whole scene; its vertices index ``screen``.
        channels: channel of each body of the assembly, None for bodies that are not on this layer.
        outlined: bodies whose silhouette edges carry coverage and gradients.
        window: crop of the image.
        device: Warp device.
        backdrop: key buffer [frame, pixel] of what does not move; it is drawn over, never changed.
        parts: frames that are drawn together, in buffers that are as long as the longest; None for all at once.
        keys: key buffer [frame, pixel] to draw into; None for one of its own.
        follows: where that can be, its crops are no larger than what is drawn needs, and follow it within those given;
            buffers take memory where crops are only.

    Attributes:
        parts: as given.
        part: what is drawn now; arrays are of its frames, and a backdrop must be.

    Raises:
        InputError: more bodies than keys can distinguish.
    """

    def __init__(
        self,
        assembly: Assembly,
        channels: Sequence[int | None],
        outlined: Sequence[bool],
        window: Window,
        device,
        *,
        backdrop: wp.array | None = None,
        parts: Parts | None = None,
        keys: wp.array | None = None,
        follows: bool = False,
    ):
        device = warp_device(device)
        table = np.array([-1 if channel is None else channel for channel in channels], dtype=np.int32)
        if table.max() >= CHANNEL_LIMIT:
            raise InputError("bodies drawn together", f"{table.max() + 1}", f"at most {CHANNEL_LIMIT}")
        drawn = table[assembly.face_bodies] >= 0
        outlines = np.asarray(outlined, dtype=bool) & (table >= 0)
        edges, edge_bodies = np.zeros((0, 4), dtype=np.int32), np.zeros(0, dtype=np.int32)
        if outlines.any():
            lined = outlines[assembly.edge_bodies]
            edges, edge_bodies = assembly.edges[lined], assembly.edge_bodies[lined]
        self.device = device
        self._follows = follows and can_follow(device)
        corners = assembly.faces[drawn]
        self._vertices = slice(int(corners.min()), int(corners.max()) + 1) if len(corners) else slice(0, 0)
        self.channel_count = int(table.max()) + 1
        self.backdrop = backdrop
        self.faces = wp.array(assembly.faces[drawn], dtype=wp.vec3i, device=device)
        self.face_channels = wp.array(table[assembly.face_bodies[drawn]], dtype=wp.int32, device=device)
        self.face_two_sided = wp.array(assembly.face_two_sided[drawn], dtype=wp.int32, device=device)
        self.edges = wp.array(edges, dtype=wp.vec4i, device=device)
        self.edge_channels = wp.array(table[edge_bodies], dtype=wp.int32, device=device)
        edge_count = len(self.edges)
        # A few per cent of the edges are silhouette at a time; threads stride over the list.
        self.stride = max(1, min(edge_count, 64 if device.is_cpu else max(256, edge_count // 8)))
        self.slices = 1 if device.is_cpu else FACE_SLICES
        self.take_buffers(window, parts, keys)

    def take_buffers(self, window: Window, parts: Parts | None = None, keys: wp.array | None = None) -> None:
        """Everything whose size is that of the frames and the window, anew."""
        device, edge_count = self.device, len(self.edges)
        self.parts = one_part(len(window.origins)) if parts is None else tuple(parts)
        frame_count = max(part.count for part in self.parts)
        pixel_count = window.width * window.height
        self.window = self._within = window
        self.crop = window.crop(self.channel_count)
        self._origins = window.device_origins(device)
        # One memory on a CPU: sooner written than a copy is asked for.
        self._host_origins = self._origins.numpy() if device.is_cpu else None
        self._sizes = window.device_sizes(device)
        self._host_sizes = self._sizes.numpy() if device.is_cpu and self._sizes is not None else None
        shape = (frame_count, pixel_count)
        self._keys = untouched(shape, device) if keys is None else keys
        # Without outlines nobody owns a pixel pair, and two thirds of the memory are not needed.
        owner_count = 2 * pixel_count if edge_count else 0
        self._owners = untouched((frame_count, owner_count), device)
        self._claimed = self._owners.size if not self._follows else 0  # so many of them may hold claims
        self._counts = wp.zeros(frame_count, dtype=wp.int32, device=device)
        self._entries = wp.zeros((frame_count, max(edge_count, 1)), dtype=wp.int32, device=device)
        self.epoch = wp.zeros(1, dtype=wp.int32, device=device)
        self._rounds = 0
        self._views: dict[Part, tuple[wp.array, ...]] = {}
        self._outlines: dict[Part, Any] = {}
        self.turn_to(self.parts[0])

    def turn_to(self, part: Part) -> None:
        """Draw these frames from now on, one of :attr:`parts`; what was drawn of others is lost."""
        self.part = part
        if part not in self._views:
            pixel_count = self.window.width * self.window.height
            short = part.count < len(self._keys)
            pixels: Any = [
                _first(buffer, part.count, each * pixel_count if buffer.shape[1] else 0)
                for buffer, each in ((self._keys, 1), (self._owners, 2))
            ]
            views: Any = [cut(buffer, 0, part.count) if short else buffer for buffer in (self._counts, self._entries)]
            sizes: Any = None if self._sizes is None else part.of(self._sizes)
            self._views[part] = (part.of(self._origins), sizes, *pixels, *views)
        self.origins, self.sizes, self.keys, self.owners, self.counts, self.entries = self._views[part]
        self._claimed = max(self._claimed, self.owners.size)

    def again(self, window: Window) -> Canvas:
        """Another canvas of the same bodies without a backdrop, for this window, with buffers of its own."""
        other = copy(self)
        other.take_buffers(window)
        return other

    def look_at(self, window: Window) -> None:
        """Draw another part of the image from now on, of no more pixels than the one it was made for.

        Only for a canvas of one frame without a backdrop.
        """
        pixel_count = window.width * window.height
        self.window, self.crop = window, window.crop(self.channel_count)
        self.origins.assign(window.origins)
        self.keys = _first(self._keys, 1, pixel_count)
        self._outlines.clear()

    def shift(self, origins: np.ndarray) -> None:
        """Draw another part of the image of the same size from now on (frame, 2); recordings of drawing stay right."""
        self.window = Window(origins, self.window.width, self.window.height)
        if self._host_origins is not None:
            self._host_origins[...] = origins
        else:
            self.origins.assign(origins)

    def draw(self, screen: wp.array) -> bool:
        """Draw ``screen`` [frame, vertex] and settle which crossing owns which pixel pair.  Not recorded on a tape.

        Like all that take it, it takes the screen of all frames, whichever are drawn.

        A captured graph may replay this EPOCH_LIMIT times; claims are not renewed within it, but by
        :meth:`renew_claims`.

        Returns:
            True when epochs start anew: whoever keeps their marks must clear them.
        """
        renewed = self.renew_claims(EPOCH_LIMIT)
        self.draw_faces(screen)
        silhouette.advance_epoch(epoch_out=self.epoch, counts_out=self.counts)
        silhouette.list_silhouette_edges(
            self.part.of(screen), self.edges, counts_out=self.counts, entries_out=self.entries
        )
        # Who claims first does not matter; one thread goes from edge to edge, where memory is near.
        stride = 1 if self.device.is_cpu else self.stride
        silhouette.claim_pairs(self.outline(screen), self.edge_channels, stride=stride, owners_out=self.owners)
        return renewed

    def renew_claims(self, limit: int = EPOCH_LIMIT - 1) -> bool:
        """Another round begins; if there have been ``limit``, their claims are forgotten.

        To be called before each replay of a recorded :meth:`draw`, whose own count stands still.
        """
        renewed = self._rounds >= limit
        if renewed:
            self.renew()
        self._rounds += 1
        return renewed

    def renew(self) -> None:
        """Let epochs start anew: all claims are void."""
        self.epoch.zero_()
        _first(self._owners, 1, self._claimed).zero_()
        self._claimed = self.owners.size
        self._rounds = 0

    def draw_faces(self, screen: wp.array) -> None:
        """Draw the key buffer alone."""
        if self._follows:
            self._follow(self.part.of(screen))
        for first, count in chosen_runs(len(self.keys), self.device):
            keys = cut(self.keys, first, first + count) if count < len(self.keys) else self.keys
            if self.backdrop is None:
                keys.zero_()
            else:
                wp.copy(keys, cut(self.backdrop, first, first + count))
        visibility.scatter_faces(
            self.part.of(screen),
            self.faces,
            self.face_channels,
            self.face_two_sided,
            self.origins,
            self.crop.width,
            self.crop.height,
            sizes=self.sizes,
            slices=self.slices,
            keys_out=self.keys,
        )

    def _follow(self, screen: wp.array) -> None:
        """Have crops hold all that there is to be drawn, and not much else."""
        frames = np.concatenate(
            [np.arange(first, first + count) for first, count in chosen_runs(len(self.keys), self.device)]
        )
        boxes = drawn_boxes(screen.numpy()[frames, self._vertices])
        before, window = self.window, self._within.around(*boxes, self.window, self.part.start + frames)
        if window is before:
            return
        assert self._host_origins is not None, "it can follow"
        self._host_origins[...] = window.origins
        if self._host_sizes is not None:
            self._host_sizes[...] = window.sizes
        self.window, self.crop = window, window.crop(self.channel_count)
        if (window.width, window.height) != (before.width, before.height):
            self._views.clear()
            self._outlines.clear()
            self.turn_to(self.part)
            self.keys.zero_()  # of frames that are not drawn, too: theirs were elsewhere

    def outline(self, screen: wp.array) -> Any:
        """The :class:`warpprior.kernels.silhouette.Outline` drawn last, of ``screen`` [frame, vertex]."""
        outline, screen = self._outlines.get(self.part), self.part.of(screen)
        if outline is None or outline.screen is not screen:
            outline = self._outlines[self.part] = silhouette.Outline()
            outline.screen, outline.edges, outline.origins, outline.crop = screen, self.edges, self.origins, self.crop
            outline.counts, outline.entries, outline.sizes = self.counts, self.entries, self.sizes
            outline.keys, outline.owners, outline.epoch = self.keys, self.owners, self.epoch
        return outline

    def read_coverage(self, screen: wp.array) -> np.ndarray:
        """Antialiased masks of the channels (frame, channel, height, width) float32, 1 where a channel fills the pixel.

        Values leave [0, 1] a little where several contours meet in a pixel.
        """
        self.draw(screen)
        frame_count, crop = len(self.keys), self.crop
        coverage = wp.zeros((frame_count, crop.channel_count, self.keys.shape[1]), dtype=wp.float32, device=self.device)
        silhouette.cover_pixels(self.outline(screen), stride=self.stride, coverage_out=coverage)
        labels = wp.empty(self.keys.shape, dtype=wp.uint8, device=self.device)
        names = wp.array(np.arange(16, dtype=np.uint8), dtype=wp.uint8, device=self.device)
        visibility.read_channels(self.keys, names, channels_out=labels)
        drawn = labels.numpy()[:, None] == np.arange(crop.channel_count)[:, None]
        return (coverage.numpy() + drawn).reshape(frame_count, crop.channel_count, crop.height, crop.width)


def untouched(shape: tuple[int, ...], device) -> wp.array:
    """Zeros of uint64, which on a CPU take memory only where they have been touched."""
    if not warp_device(device).is_cpu:
        return wp.zeros(shape, dtype=wp.uint64, device=device)
    return wp.array(np.zeros(shape, dtype=np.uint64), dtype=wp.uint64, device=device, copy=False)


def _first(buffer: Any, frame_count: int, size: int) -> Any:
    """The beginning of a buffer [frame, ...] as an array [frame, number]; itself, if that is what it is."""
    if buffer.shape == (frame_count, size):
        return buffer
    if not size:
        return wp.zeros((frame_count, 0), dtype=buffer.dtype, device=buffer.device)
    return buffer.flatten()[: frame_count * size].reshape((frame_count, size))
