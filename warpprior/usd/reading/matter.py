"""What bodies are made of, as physics engines read it: mass, density and friction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pxr import Usd


def read_matter(stage: Usd.Stage, prims: Iterable[Usd.Prim], unit: float) -> dict[str, float]:
    """Mass [kg], density [kg/m^3] and friction of what these prims are, as far as the stage says so.

    Masses add up; density and friction are said of the whole where all that say them agree.
    """
    from pxr import UsdPhysics, UsdShade

    heavy = UsdPhysics.GetStageKilogramsPerUnit(stage)
    masses, densities, rubbing = [], set(), set()
    for prim in prims:
        if prim.HasAPI(UsdPhysics.MassAPI):
            api = UsdPhysics.MassAPI(prim)
            mass, density = (_positive(attribute) for attribute in (api.GetMassAttr(), api.GetDensityAttr()))
            masses += [heavy * mass] if mass else []
            densities |= {heavy * density / unit**3} if density and not mass else set()
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
        if material and material.GetPrim().HasAPI(UsdPhysics.MaterialAPI):
            attribute = UsdPhysics.MaterialAPI(material.GetPrim()).GetStaticFrictionAttr()
            value = attribute.Get() if attribute.HasAuthoredValue() else None
            rubbing |= {float(value)} if value is not None and np.isfinite(value) and value >= 0.0 else set()
    found = {}
    if masses:
        found["mass"] = float(sum(masses))
    elif len(densities) == 1:
        found["density"] = densities.pop()
    if len(rubbing) == 1:
        found["friction"] = rubbing.pop()
    return found


def _positive(attribute: Usd.Attribute) -> float:
    """A value above zero that somebody wrote, or zero."""
    value = attribute.Get() if attribute and attribute.HasAuthoredValue() else None
    return float(value) if value is not None and np.isfinite(value) and value > 0.0 else 0.0
