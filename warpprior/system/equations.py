"""The normal equations of a whole sequence: which unknown is where."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import warp as wp

from warpprior.render.parts import Part
from warpprior.scene import SceneBody
from warpprior.support.device import warp_device

BLOCKS = 4  # see warpprior.kernels.rows


class Equations:
    """Unknowns and normal equations of all estimated bodies.

    The unknowns of a frame are columns: for each body six for its root and then its joint coordinates, and six for a
    camera whose poses are estimated.  Behind them come unknowns that all frames of a segment share.  Frames are coupled
    with the two before them, so the matrix is banded with a border; :mod:`warpprior.system.solver` solves it.

    Args:
        bodies: the estimated bodies.
        shared: names of unknowns shared by all frames.
        frame_count: number of frames.
        lanes: threads of one frame that gather rows at a time.
        device: Warp device.
        segments: first frame of each clip, ascending; nothing couples a clip with the one before.
        camera: the camera's poses are unknowns.

    Attributes:
        starts: column of each body's root, by name.
        camera: column of the camera's unknowns, -1 where it has none.
        shared: column of each shared unknown, by name.
        width: columns of a frame, without the shared ones.
        total: columns with the shared ones.
        lanes, segments, device: as given.
        hessian: blocks [frame, 4, column, column] float64; of blocks of a frame with itself the lower triangle counts.
        gradient: of a frame, and what it adds to the frame before [frame, 2, column] float64.
        row_values, row_marks, row_active: workspace of the kernels [frame, lane, column].

    Arrays are made when first asked for: an energy that is differentiated needs none of them.
    """

    def __init__(
        self,
        bodies: Sequence[SceneBody],
        shared: Sequence[str],
        frame_count: int,
        lanes: int,
        device,
        *,
        segments: Sequence[int] = (0,),
        camera: bool = False,
    ):
        counts = [6 + body.body.coordinate_count for body in bodies]
        ends = np.cumsum(counts)
        self.starts = {body.name: int(end - count) for body, end, count in zip(bodies, ends, counts, strict=True)}
        self.counts = {body.name: count for body, count in zip(bodies, counts, strict=True)}
        self.camera = int(ends[-1]) if camera else -1
        self.width = int(ends[-1]) + 6 * camera
        self.shared = {name: self.width + index for index, name in enumerate(shared)}
        self.frame_count = frame_count
        self.total, self.lanes = self.width + len(shared), lanes
        self.segments = np.array(segments, dtype=np.int32)
        self.device = warp_device(device)

    @cached_property
    def hessian(self) -> wp.array:
        return self._zeros(wp.float64, BLOCKS, self.total, self.total)

    @cached_property
    def gradient(self) -> wp.array:
        return self._zeros(wp.float64, 2, self.total)

    @cached_property
    def row_values(self) -> wp.array:
        return self._zeros(wp.float32, self.lanes, self.total)

    @cached_property
    def row_marks(self) -> wp.array:
        return self._zeros(wp.int32, self.lanes, self.total)

    @cached_property
    def row_active(self) -> wp.array:
        return self._zeros(wp.int32, self.lanes, self.total)

    def _zeros(self, dtype: type, *inner: int) -> wp.array:
        return wp.zeros((self.frame_count, *inner), dtype=dtype, device=self.device)

    def take_part(self, whole: Equations, part: Part) -> None:
        """Be some frames of the equations of a longer sequence, whose arrays hold them from now on."""
        for name in ("hessian", "gradient", "row_values", "row_marks", "row_active"):
            self.__dict__[name] = part.of(getattr(whole, name))

    def clear(self) -> None:
        """Begin a new linearisation."""
        self.hessian.zero_()
        self.gradient.zero_()
