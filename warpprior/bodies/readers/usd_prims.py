"""What is asked of prims and attributes of any stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from warpprior.support.errors import InputError

if TYPE_CHECKING:
    from pxr import Usd


def only_value(attribute: Usd.Attribute):
    """The one value of an attribute, be it a default or the first sample; nothing where there is none."""
    from pxr import Usd

    times = attribute.GetTimeSamples()
    value = attribute.Get(Usd.TimeCode(times[0]) if times else Usd.TimeCode.Default())
    return () if value is None else value


def metres_per_unit(stage: Usd.Stage, where: str) -> float:
    """Metres per unit of length.

    Raises:
        InputError: no finite number above zero.
    """
    from pxr import UsdGeom

    unit = UsdGeom.GetStageMetersPerUnit(stage)
    if not 0.0 < unit < np.inf:
        raise InputError(where, f"{unit:g} metres per unit", "a finite number above zero")
    return float(unit)


def moves_itself(prim: Usd.Prim) -> bool:
    """Does the prim's own transform vary?"""
    from pxr import UsdGeom

    return bool(prim.IsA(UsdGeom.Xformable)) and UsdGeom.Xformable(prim).TransformMightBeTimeVarying()


def is_carried(prim: Usd.Prim) -> bool:
    """Does the transform of the prim or of something above it vary?"""
    while prim and not prim.IsPseudoRoot():
        if moves_itself(prim):
            return True
        prim = prim.GetParent()
    return False
