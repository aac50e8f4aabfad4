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


def other_choices(stage: Usd.Stage) -> Iterator[tuple[str, Usd.Prim]]:
    """Each variant that is not selected, ``{set=name}``; its prim, on a stage that has it while the loop is there.

    That is another stage of the same layers: what is selected on the one at hand stays.
    """
    from pxr import Sdf, Usd

    session = Sdf.Layer.CreateAnonymous()
    if stage.GetSessionLayer():
        session.TransferContent(stage.GetSessionLayer())
    stage = Usd.Stage.Open(stage.GetRootLayer(), session, stage.GetPathResolverContext())
    stage.SetEditTarget(session)
    left = MOST_VARIANTS
    for prim in [one for one in stage.Traverse() if one.HasVariantSets()]:
        path, sets = prim.GetPath(), prim.GetVariantSets()
        for name in sets.GetNames():
            chosen = sets.GetVariantSelection(name)
            for other in sets.GetVariantSet(name).GetVariantNames():
                if other == chosen or left == 0:
                    continue
                left -= 1
                sets.SetSelection(name, other)
                yield f"{{{name}={other}}}", stage.GetPrimAtPath(path)
            sets.SetSelection(name, chosen)
