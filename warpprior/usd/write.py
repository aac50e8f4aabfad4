"""Write a take into a stage that is somebody else's: one layer changes, as a whole or not at all."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warpprior.result import Result
from warpprior.support.errors import InputError, RunError
from warpprior.support.openusd import is_stage, need_openusd, openusd_reason
from warpprior.support.progress import Progress
from warpprior.usd.author import author
from warpprior.usd.files import LAYERS, check_ending, write_file
from warpprior.usd.layers import MARK, LayerPlace, add_sublayer, find_place, new_layer, put
from warpprior.usd.names import prim_name
from warpprior.usd.options import StageOptions
from warpprior.usd.take import Take
from warpprior.usd.units import Conversion, convert

if TYPE_CHECKING:
    from pxr import Sdf, Usd

_USUAL = StageOptions()


@dataclass(frozen=True, eq=False)
class Written:
    """What was written into a stage.

    Attributes:
        path: of the prim that holds it all.
        layer: that it was written to; saving it is the caller's, unless it was asked for by the path of a file.
        first_code, last_code: time codes of the first and last frame, in the stage.
        up_axis: of the stage.
        place: where in the layer it is.
        conversion: from metres and frames to the stage's units and time codes.
        notes: what had to be guessed, and what does not fit the stage, one sentence each.
    """

    path: str
    layer: Sdf.Layer
    first_code: float
    last_code: float
    up_axis: str
    place: LayerPlace
    conversion: Conversion
    notes: tuple[str, ...]


def write(
    stage: Usd.Stage,
    what: Take | Result,
    *,
    prim: str | None = None,
    take: str | None = None,
    layer: Sdf.Layer | str | os.PathLike | None = None,
    sublayer: bool = False,
    start: float | None = None,
    replace: bool = False,
    options: StageOptions = _USUAL,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Written:
    """Write a motion into a stage, below one prim of its own.

    The stage stays as it is but for that prim: it keeps its metadata, default prim and other layers.  Motion is turned
    to the stage's up axis and converted to its units of length and mass and to its time codes.  Gravity and light are
    the stage's own; see :func:`warpprior.usd.export_usd` for what is written.  Everything is written elsewhere first
    and then put into the layer at once: if something fails, nothing has changed.

    Args:
        stage: any stage; how it was opened does not matter.
        what: a result, or a :class:`warpprior.usd.Take`.
        prim: path of the prim to write; None: named as the scene, below the default prim where there is one.  Prims
            above it that do not exist are made.
        take: write it as this variant of the variant set ``take`` of that prim, beside others; the first one is chosen.
        layer: to write to; None: the stage's edit target.  Or the path of a file, a layer that must not exist yet; it
            is saved.  A layer that is not one of the stage's is none afterwards.
        sublayer: make the layer the strongest of the root layer's sublayers.
        start: time code of the first frame; None: where the stage's time range begins, or 0 where it has none.
        replace: a prim, or variant, that was written by this function may be replaced.
        options: what there is to choose.
        device: Warp device that poses the surfaces.
        progress: as for :func:`warpprior.usd.export_usd`.

    Returns:
        Where it is, and what there is to know about it.

    Raises:
        InputError: no stage; a prim that is there already, or cannot be written there; a layer that cannot be changed.
        MissingExtraError: OpenUSD is not installed.
        RunError: the file of the layer could not be written.
    """
    need_openusd("writing into a stage")
    from pxr import Sdf, Tf, UsdGeom

    if not is_stage(stage):
        raise InputError("stage", f"a {type(stage).__name__}", "a Usd.Stage; export_usd takes the path of a file, too")
    given = Take.of(what) if isinstance(what, Result) else what
    root = _usual_path(stage, given) if prim is None else str(prim)
    variant = None if take is None else prim_name(take)
    path = Path(layer) if isinstance(layer, (str, os.PathLike)) else None
    if path is not None:
        _check_file(path)
        layer = new_layer(stage, path.suffix, root)
    place = find_place(stage, root, variant, layer, replace=replace)
    conversion, notes = _conversion(stage, given, start)
    content = _contents(stage, given, place, conversion, options, device, progress)
    try:
        put(content.GetRootLayer(), place)
    except Tf.ErrorException as error:
        raise RunError(f"layer {place.layer.identifier}: cannot write to it: {openusd_reason(error)}") from error
    written = place.layer
    if path is not None:
        write_file(written, path)
        written = Sdf.Layer.FindOrOpen(str(path))
        place = dataclasses.replace(place, layer=written)
    if sublayer:
        add_sublayer(stage, written)
    if (place.inside or sublayer) and not stage.GetPrimAtPath(place.path):
        notes += (f"{place.path} is not in the stage as it is composed now: a variant or layer hides it",)
    last = conversion.code(given.scene.frame_count - 1)
    up_axis = UsdGeom.GetStageUpAxis(stage)
    return Written(str(place.path), written, conversion.start, last, up_axis, place, conversion, notes)


def _usual_path(stage: Usd.Stage, take: Take) -> str:
    default = stage.GetDefaultPrim()
    return f"{default.GetPath() if default else ''}/{prim_name(take.scene.name)}"


def _check_file(path: Path) -> None:
    check_ending(path, LAYERS)
    if path.exists():
        raise InputError(str(path), "exists already", "another file, or the layer itself: Sdf.Layer.FindOrOpen(path)")


def _conversion(stage: Usd.Stage, take: Take, given: float | None) -> tuple[Conversion, tuple[str, ...]]:
    """From our units and frames to the stage's, and what there is to say of it."""
    from pxr import UsdGeom, UsdPhysics

    up, unit = UsdGeom.GetStageUpAxis(stage), UsdGeom.GetStageMetersPerUnit(stage)
    rate = stage.GetTimeCodesPerSecond()
    said = {
        f"upAxis {up}": stage.HasAuthoredMetadata("upAxis"),
        f"metersPerUnit {unit:g}": stage.HasAuthoredMetadata("metersPerUnit"),
        f"timeCodesPerSecond {rate:g}": any(map(stage.HasAuthoredMetadata, ("timeCodesPerSecond", "framesPerSecond"))),
    }
    notes = []
    if guessed := [name for name, authored in said.items() if not authored]:
        notes.append(f"the stage leaves open what USD then takes for it, as was done here: {', '.join(guessed)}")
    ranged = stage.HasAuthoredTimeCodeRange()
    start = (stage.GetStartTimeCode() if ranged else 0.0) if given is None else float(given)
    kilograms = UsdPhysics.GetStageKilogramsPerUnit(stage)
    conversion = Conversion(1.0 / unit, 1.0 / kilograms, start, rate / take.scene.fps)
    last = conversion.code(take.scene.frame_count - 1)
    span = f"the frames are at time codes {start:g} to {last:g}"
    if not ranged:
        notes.append(f"the stage has no time range; {span}")
    elif start < stage.GetStartTimeCode() or last > stage.GetEndTimeCode():
        notes.append(f"{span}, beyond the stage's {stage.GetStartTimeCode():g} to {stage.GetEndTimeCode():g}")
    return conversion, tuple(notes)


def _contents(
    stage: Usd.Stage,
    take: Take,
    place: LayerPlace,
    conversion: Conversion,
    options: StageOptions,
    device: str,
    progress: Progress | None,
) -> Usd.Stage:
    """The take on a stage of its own, in the units of the stage and the time codes of the layer it goes to."""
    from pxr import Usd, UsdGeom

    apart, root = Usd.Stage.CreateInMemory(), str(place.path)
    take = take.turned(UsdGeom.GetStageUpAxis(stage))
    author(apart, take, root, options=options, device=device, progress=progress)
    apart.GetPrimAtPath(root).SetCustomDataByKey(MARK, take.about)
    in_layer = dataclasses.replace(
        conversion, start=place.code(conversion.start), per_frame=place.scale * conversion.per_frame
    )
    convert(apart.GetRootLayer(), in_layer)
    return apart
