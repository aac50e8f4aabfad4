"""What is refused of foreign USD files before anything of them is read: they run in a process with limits."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from warpprior.support.errors import InputError
from warpprior.support.openusd import ENDINGS

if TYPE_CHECKING:
    from pxr import Sdf, Usd

ACCEPTED = f"give a complete {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]} file"
STANDS_ALONE = "give a file that stands alone; `usdcat --flatten IN -o OUT.usdc` makes one"
MOST_PRIMS = 200_000
MOST_LEVELS = 256  # of prims within prims


def look_through(layer: Sdf.Layer, where: str) -> int:
    """Prims of a layer; InputError where values are in other files, or prims too deep."""
    clips: list[str] = []
    prims, deepest = 0, 0

    def look(place: Sdf.Path) -> None:
        nonlocal prims, deepest
        spec = layer.GetPrimAtPath(place) if place.IsPrimPath() or place.IsPrimVariantSelectionPath() else None
        if spec is not None:
            prims, deepest = prims + 1, max(deepest, place.pathElementCount)
            if any(spec.HasInfo(key) for key in ("clips", "clipSets")):
                clips.append(str(place))

    layer.Traverse("/", look)
    if clips:
        raise InputError(where, f"{clips[0]} has its values in clips, which are other files", STANDS_ALONE)
    if deepest > MOST_LEVELS:
        raise InputError(where, f"its prims are nested {deepest} deep", f"at most {MOST_LEVELS} levels are read")
    return prims


def check_prims(stage: Usd.Stage, where: str) -> None:
    """InputError for a stage of too many prims, or prims too deep: instances of instances grow fast."""
    from pxr import Usd

    shown = Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies())
    count = 0
    for prim in islice(shown, MOST_PRIMS + 1):
        count += 1
        if prim.GetPath().pathElementCount > MOST_LEVELS:
            raise InputError(where, f"its prims are nested beyond {MOST_LEVELS} levels", "fewer levels")
    if count > MOST_PRIMS:
        raise InputError(
            where, f"holds more than {MOST_PRIMS} prims in its instances", f"at most {MOST_PRIMS} are read"
        )
