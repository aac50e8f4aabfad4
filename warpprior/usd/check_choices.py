"""What else a stage can be: files it refers to, and variants that are not selected."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pxr import Usd

MOST_VARIANTS = 64  # that are looked at


def missing_files(stage: Usd.Stage) -> Iterator[tuple[str, str, str]]:
    """Layers that a stage refers to, in variants that are not selected, too, and that are not there."""
    from pxr import Ar, Sdf

    for layer in stage.GetUsedLayers():
        if layer.anonymous:
            continue
        for name in layer.GetCompositionAssetDependencies():
            if not name:
                continue
            place = Sdf.ComputeAssetPathRelativeToLayer(layer, name)
            if not Ar.GetResolver().Resolve(place):
                yield (
                    "/",
                    "references",
                    f"{os.path.basename(layer.identifier)} refers to {name[:120]}, which is not there",
                )
            elif os.path.isabs(name):
                yield "/", "references", f"{name[:120]} is no relative path: it breaks when the folder is moved"


def other_choices(stage: Usd.Stage) -> Iterator[tuple[str, Usd.Stage, Usd.Prim]]:
    """Each variant that is not selected, ``{set=name}``, a stage that has it while the loop is there, and its prim.

    That stage has the layers of the given one, which stays as it is.
    """
    from pxr import Sdf, Usd

    paths = [prim.GetPath() for prim in stage.Traverse() if prim.HasVariantSets()]
    if not paths:
        return
    session = Sdf.Layer.CreateAnonymous()
    if stage.GetSessionLayer():
        session.subLayerPaths.append(stage.GetSessionLayer().identifier)
    other = Usd.Stage.Open(stage.GetRootLayer(), session)
    other.SetEditTarget(session)
    left = MOST_VARIANTS
    for path in paths:
        sets = other.GetPrimAtPath(path).GetVariantSets()
        for name in sets.GetNames():
            chosen = sets.GetVariantSelection(name)
            for variant in sets.GetVariantSet(name).GetVariantNames():
                if variant == chosen or left == 0:
                    continue
                left -= 1
                sets.SetSelection(name, variant)
                yield f"{{{name}={variant}}}", other, other.GetPrimAtPath(path)
            sets.SetSelection(name, chosen)
