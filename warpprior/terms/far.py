"""Far: bodies whose drawing hardly meets their label are pulled towards it, until the mask can take over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import warp as wp

from warpprior.kernels import far
from warpprior.support.errors import InputError
from warpprior.system.overlap import Overlap
from warpprior.system.targets import TARGET_IGNORE, channel_targets
from warpprior.terms.prior import check_positive, single

if TYPE_CHECKING:
    from warpprior.render.window import Window
    from warpprior.scene import SceneBody
    from warpprior.system.motion import MotionState

SURFACE_SPREAD = 4.0 / 3.0  # mean square radius of a sphere's surface on the screen, over that of its disc
FEWEST_PIXELS = 50  # drawings smaller than this say nothing about a body's shape
MOST_HIDDEN = 0.1  # share of the label's border that may touch what hides it; beyond, its size says nothing


@dataclass(frozen=True)
class FarSettings:
    """When the pull acts, and how strongly.

    Attributes:
        sigma_px: distance between centres that counts as one sigma [px]; costs grow linearly beyond.
        overlap_begin, overlap_end: overlap (IoU) below which the pull is full, and from which it is off.
    """

    sigma_px: float = 1.0
    overlap_begin: float = 0.3
    overlap_end: float = 0.5

    def __post_init__(self):
        check_positive("far", self, zero_allowed=("overlap_begin",))
        if self.overlap_begin >= self.overlap_end:
            raise InputError("far: overlap_begin", f"{self.overlap_begin!r}", f"less than {self.overlap_end!r}")


class FarPrior:
    """Distance between the centre and size of one moving body on the screen and those of its label.

    The body's are moments of its surface points, so that it may be anywhere, outside the picture too.  They stand in
    for the silhouette's and are not quite the same, which is why the pull ends where the masks begin to overlap.

    Args:
        body: the body; it must be moving.
        state: the motion of the scene.
        labels: label images within the window (frame, height, width) uint8.
        window: the crop of each frame.
        settings: sigma and where the pull ends.

    Attributes:
        sigma: ``settings.sigma_px`` on the device [1] float32; may be changed between iterations.
        gates: share of the pull that acts, as last frozen [frame] float32.
    """

    unit = "sigma"

    def __init__(
        self,
        body: SceneBody,
        state: MotionState,
        labels: np.ndarray,
        window: Window,
        settings: FarSettings | None = None,
    ):
        settings = FarSettings() if settings is None else settings
        device, frame_count = state.device, state.frame_count
        self.name, self.body = f"far {body.name}", body.name
        self.sigma = single(settings.sigma_px, device)
        limits = np.array([settings.overlap_begin, settings.overlap_end], dtype=np.float32)
        self._limits = wp.array(limits, dtype=wp.float32, device=device)
        self._overlap = Overlap(body, state, labels, window)
        self._moments = wp.zeros(frame_count, dtype=wp.vec3, device=device, requires_grad=True)
        self.gates = wp.zeros(frame_count, dtype=wp.float32, device=device)
        targets = channel_targets(labels, {body.label: 0}, window, state.scene.camera)
        goals = label_moments(targets, window) - [state.center[0], state.center[1], 0.0, 0.0]
        goals[:, 2] *= self._surface_ratio(state)
        self._targets = wp.array(goals.astype(np.float32), dtype=wp.vec4, device=device)

    def _surface_ratio(self, state: MotionState) -> float:
        """Root mean square radius of the surface points on the screen, over that of the silhouette, at present."""
        canvas = self._overlap.canvas
        window = canvas.window
        self._overlap.draw()
        masks = (canvas.keys.numpy() != 0).reshape(-1, window.height, window.width)
        edge = masks[:, [0, -1]].any(axis=(1, 2)) | masks[:, :, [0, -1]].any(axis=(1, 2))
        whole = ~edge & (masks.sum(axis=(1, 2)) >= FEWEST_PIXELS)
        self._gather(state)
        means = self._moments.numpy()[whole].astype(np.float64)
        spreads = means[:, 2] - means[:, 0] ** 2 - means[:, 1] ** 2
        radii = label_moments(np.where(masks, 0, TARGET_IGNORE), window)[whole, 2]
        return float(np.median(np.sqrt(np.maximum(spreads, 0.0)) / radii)) if whole.any() else SURFACE_SPREAD**0.5

    def _gather(self, state: MotionState) -> None:
        self._moments.zero_()
        far.gather_moments(
            state.points[self.body], state.point_areas[self.body], state.focal, moments_out=self._moments
        )

    def freeze(self, state: MotionState) -> None:
        """Find which frames overlap enough to be left to the masks."""
        overlap = self._overlap
        overlap.draw()
        far.close_gates(
            overlap.drawn_on_device,
            overlap.labelled_on_device,
            overlap.shared_on_device,
            self._limits,
            gates_out=self.gates,
        )

    def evaluate(self, state: MotionState, rows: wp.array, row: int) -> None:
        """Add each frame's distance to ``rows[row]``; gradients to the body's points."""
        self._gather(state)
        far.compare_moments(self._moments, self._targets, self.gates, self.sigma, row, rows_out=rows)


def label_moments(targets: np.ndarray, window: Window) -> np.ndarray:
    """Centre u, v [px], root mean square radius [px] of channel 0, and 1 where that radius is to be trusted (frame, 4).

    It is not where much of the region's border touches ignored pixels: more of the body may be there.
    """
    moments = np.zeros((len(targets), 4))
    for frame, image in enumerate(targets):
        own = image == 0
        rows, columns = np.nonzero(own)
        if len(rows) == 0:
            continue
        places = np.column_stack([columns, rows]) + 0.5
        spread = places.var(axis=0).sum() + 1.0 / 6.0  # pixels are squares, not points
        moments[frame, :2] = places.mean(axis=0) + window.origins[frame]
        borders = [own[1:] != own[:-1], own[:, 1:] != own[:, :-1]]
        ignored = image == TARGET_IGNORE
        hidden = [ignored[1:] | ignored[:-1], ignored[:, 1:] | ignored[:, :-1]]
        length = sum(border.sum() for border in borders)
        touching = sum((border & hide).sum() for border, hide in zip(borders, hidden, strict=True))
        moments[frame, 2:] = np.sqrt(spread), touching <= MOST_HIDDEN * length
    return moments
