"""Where prims are in the world of a stage at every frame, in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from warpprior.bodies.readers.usd_prims import is_carried
from warpprior.support.errors import InputError
from warpprior.support.separate_process import allow_more

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom


@dataclass(eq=False)
class StageFrames:
    """A stage at the frames of a sequence.

    Attributes:
        stage: the stage.
        where: names it in messages.
        codes: time code of each frame (frame,).
        unit: metres per unit of length.
        limited: the process has limits, which grow with what was counted.
        notes: what was found, one sentence each.
    """

    stage: Usd.Stage
    where: str
    codes: np.ndarray
    unit: float
    limited: bool
    notes: list[str] = field(default_factory=list)

    def times(self) -> list[Usd.TimeCode]:
        """The frames as USD's time codes."""
        from pxr import Usd

        return [Usd.TimeCode(float(code)) for code in self.codes]

    def first(self) -> Usd.TimeCode:
        """The time of the first frame."""
        return self.times()[0]

    def place(self, prims: Sequence[Usd.Prim]) -> list[np.ndarray]:
        """world_from_prim of each prim (frame, 4, 4), or (1, 4, 4) where it does not move, from prim units to metres.

        Raises:
            InputError: a transform that is not finite.
        """
        from pxr import UsdGeom

        moving = [index for index, prim in enumerate(prims) if is_carried(prim)]
        if self.limited:
            allow_more(cpu_s=2e-5 * len(moving) * len(self.codes), memory_bytes=512 * len(moving) * len(self.codes))
        placed = [np.empty((len(self.codes) if index in set(moving) else 1, 4, 4)) for index in range(len(prims))]
        for frame, time in enumerate(self.times()):
            cache = UsdGeom.XformCache(time)
            for index in range(len(prims)) if frame == 0 else moving:
                placed[index][frame] = np.array(cache.GetLocalToWorldTransform(prims[index])).T
        for prim, matrices in zip(prims, placed, strict=True):
            matrices[:, :3] *= self.unit
            if not np.isfinite(matrices).all():
                raise InputError(self.where, f"the transform of {prim.GetPath()} is not finite", "finite numbers")
        return placed

    def imaginable(self, prim: Usd.Prim) -> bool:
        """Does a prim show at the first frame or any later one: neither hidden nor a guide or proxy?"""
        from pxr import UsdGeom

        shown = UsdGeom.Imageable(prim)
        if not shown or shown.ComputePurpose() in (UsdGeom.Tokens.guide, UsdGeom.Tokens.proxy):
            return False
        return any(shown.ComputeVisibility(time) != UsdGeom.Tokens.invisible for time in self._looked_at(prim))

    def _looked_at(self, prim: Usd.Prim) -> list[Usd.TimeCode]:
        times = self.times()
        return times if self._visibility_varies(prim) else times[:1]

    def _visibility_varies(self, prim: Usd.Prim) -> bool:
        from pxr import UsdGeom

        while prim and not prim.IsPseudoRoot():
            attribute = UsdGeom.Imageable(prim).GetVisibilityAttr() if prim.IsA(UsdGeom.Imageable) else None
            if attribute and attribute.GetNumTimeSamples() > 1:
                return True
            prim = prim.GetParent()
        return False


def carrying_attributes(prim: Usd.Prim) -> list[Usd.Attribute]:
    """The attributes that transforms of a prim and of what is above it are made of."""
    from pxr import UsdGeom

    found: list[Usd.Attribute] = []
    while prim and not prim.IsPseudoRoot():
        if prim.IsA(UsdGeom.Xformable):
            operations: list[UsdGeom.XformOp] = UsdGeom.Xformable(prim).GetOrderedXformOps()
            found += [operation.GetAttr() for operation in operations]
        prim = prim.GetParent()
    return found
