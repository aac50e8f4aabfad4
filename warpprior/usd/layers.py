"""Where in which layer a take goes, and how it gets there: everything at once, or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warpprior.support.errors import InputError
from warpprior.support.interrupts import postponed

if TYPE_CHECKING:
    from pxr import Sdf, Usd

MARK = "warpprior"  # key of the customData of prims that hold takes: what is said about them
TAKES = "takes"  # in there, of a prim whose takes are variants
TAKE_SET = "take"  # the variant set


@dataclass(frozen=True, eq=False)
class LayerPlace:
    """A place for a prim in a layer.

    Attributes:
        layer: to write to.
        path: of the prim in the stage.
        spec_path: of the prim in the layer, without the variant.
        take: name of the variant that holds what is written; None: the prim itself does.
        scale, offset: from time codes of the stage to those of the layer.
        inside: the layer is one of the stage's.
        grouped: the prims above are models, or are made so: the prim may be one.
        missing: prims above it that the stage has not.
    """

    layer: Sdf.Layer
    path: Sdf.Path
    spec_path: Sdf.Path
    take: str | None
    scale: float
    offset: float
    inside: bool
    grouped: bool
    missing: frozenset[str]

    @property
    def content_path(self) -> Sdf.Path:
        """Of what holds the content in the layer."""
        return self.spec_path if self.take is None else self.spec_path.AppendVariantSelection(TAKE_SET, self.take)

    def code(self, stage_code: float) -> float:
        """A time code of the stage, in the layer."""
        return self.scale * stage_code + self.offset


def find_place(stage: Usd.Stage, prim: str, take: str | None, layer: Sdf.Layer | None, *, replace: bool) -> LayerPlace:
    """The place of a prim in a layer of the stage, in another layer, or at the stage's edit target (None).

    Raises:
        InputError: no path of a prim; what is there already is not ours, or shall not be replaced; nothing can be
            written there.
    """
    from pxr import Sdf, Usd

    valid = Sdf.Path.IsValidPathString(prim)
    path = Sdf.Path(prim) if (valid[0] if isinstance(valid, tuple) else valid) else Sdf.Path()
    if not (path.IsAbsolutePath() and path.IsPrimPath()):
        raise InputError("prim", repr(prim), 'the path of a prim, such as "/World/warpprior"')
    inside = layer is None or layer in stage.GetLayerStack()
    if layer is None:
        target = stage.GetEditTarget()
    else:
        target = stage.GetEditTargetForLocalLayer(layer) if inside else Usd.EditTarget(layer)
    layer, spec_path = target.GetLayer(), target.MapToSpecPath(path)
    if not layer or spec_path.isEmpty:
        raise InputError(f"stage: {prim}", "is outside what its edit target edits", "another prim or edit target")
    if not layer.permissionToEdit or stage.IsLayerMuted(layer.identifier):
        found = "is muted" if stage.IsLayerMuted(layer.identifier) else "must not be edited"
        raise InputError(f"layer {layer.identifier}", found, "a layer that can be written to")
    if inside:
        back = target.GetMapFunction().timeOffset.GetInverse()
        scale, offset = back.scale, back.offset
    else:  # as it will be where it becomes a sublayer
        scale, offset = layer.timeCodesPerSecond / stage.GetTimeCodesPerSecond(), 0.0
    missing = _check_above(stage, path)
    _check_free(stage, path, take, layer, spec_path, inside=inside, replace=replace)
    above = [stage.GetPrimAtPath(one) for one in path.GetParentPath().GetPrefixes()]
    grouped = all(not one or Usd.ModelAPI(one).IsGroup() for one in above)
    return LayerPlace(layer, path, spec_path, take, scale, offset, inside, grouped, missing)


def put(content: Sdf.Layer, place: LayerPlace) -> None:
    """Copy the prim ``place.path`` of a layer to its place; after an error the place is as it was."""
    from pxr import Sdf

    with postponed(), _undone_on_error(place):
        with Sdf.ChangeBlock():
            for path in place.content_path.GetPrefixes()[:-1]:
                _make_above(path, place)
            if place.take is not None:
                _make_take(place)
            if not Sdf.CopySpec(content, place.path, place.layer, place.content_path):
                raise InputError(f"layer {place.layer.identifier}", "takes no prim there", "another prim or layer")
            if not place.grouped:
                _clear_kinds(place)


def new_layer(stage: Usd.Stage, suffix: str, root: str) -> Sdf.Layer:
    """An anonymous layer in the units of a stage, to be read alone or beside it."""
    from pxr import Sdf, Usd, UsdGeom, UsdPhysics

    layer = Sdf.Layer.CreateAnonymous(suffix)
    alone = Usd.Stage.Open(layer)
    UsdGeom.SetStageUpAxis(alone, UsdGeom.GetStageUpAxis(stage))
    UsdGeom.SetStageMetersPerUnit(alone, UsdGeom.GetStageMetersPerUnit(stage))
    UsdPhysics.SetStageKilogramsPerUnit(alone, UsdPhysics.GetStageKilogramsPerUnit(stage))
    alone.SetTimeCodesPerSecond(stage.GetTimeCodesPerSecond())
    alone.SetFramesPerSecond(stage.GetFramesPerSecond())
    layer.defaultPrim = Sdf.Path(root).GetPrefixes()[0].name
    return layer


def add_sublayer(stage: Usd.Stage, layer: Sdf.Layer) -> None:
    """Make a layer the strongest sublayer of the root layer, by a relative path where both are files."""
    root = stage.GetRootLayer()
    name = layer.identifier
    if root.realPath and layer.realPath and Path(root.realPath).anchor == Path(layer.realPath).anchor:
        name = Path(os.path.relpath(layer.realPath, Path(root.realPath).parent)).as_posix()
        name = name if name.startswith("../") else f"./{name}"
    if layer not in stage.GetLayerStack():
        root.subLayerPaths.insert(0, name)


def is_ours(spec: Sdf.PrimSpec | Usd.Prim) -> bool:
    """Whether a prim, or a spec of one, was written by :func:`warpprior.usd.write`."""
    told = spec.customData if hasattr(spec, "customData") else spec.GetCustomData()
    return MARK in told


def _check_above(stage: Usd.Stage, path: Sdf.Path) -> frozenset[str]:
    """Prims above a path that are not there; InputError where nothing can be added below one of them."""
    missing = set()
    for above in path.GetParentPath().GetPrefixes():
        prim = stage.GetPrimAtPath(above)
        if not prim:
            missing.add(str(above))
        elif prim.IsInstance() or prim.IsInstanceProxy() or prim.IsInPrototype():
            raise InputError(f"stage: {path}", f"{above} is an instance, which has no prims of its own", "another prim")
        elif not prim.IsActive():
            raise InputError(f"stage: {path}", f"{above} is not active", "activate it, or give another prim")
    return frozenset(missing)


def _check_free(
    stage: Usd.Stage,
    path: Sdf.Path,
    take: str | None,
    layer: Sdf.Layer,
    spec_path: Sdf.Path,
    *,
    inside: bool,
    replace: bool,
) -> None:
    """Nothing of others may be at a place, and what is ours goes only when it is said."""
    spec, prim = layer.GetPrimAtPath(spec_path), stage.GetPrimAtPath(path) if inside else None
    accepted = 'another prim="/..."'
    for found in filter(None, (spec, prim)):
        if not is_ours(found):
            raise InputError(f"stage: {path}", "is there already, and was not written by this", accepted)
        told = found.customData if found is spec else found.GetCustomData()
        if (TAKES in told[MARK]) != (take is not None):
            kinds = ("holds one take", "holds takes as variants")
            raise InputError(f"stage: {path}", kinds[TAKES in told[MARK]], f"{accepted}, or take=... as it has them")
    if take is None and prim and not spec:
        layers = [one.layer.identifier for one in prim.GetPrimStack()]
        raise InputError(f"stage: {path}", f"is there already, in {', '.join(layers)}", f"{accepted}, or that layer")
    there = layer.GetObjectAtPath(spec_path.AppendVariantSelection(TAKE_SET, take)) if take is not None else spec
    if there and not replace:
        what = f"take {take} is there already" if take is not None else "holds a take already"
        raise InputError(f"stage: {path}", what, f"{accepted}, or replace=True to replace it")


def _make_above(path: Sdf.Path, place: LayerPlace) -> None:
    """A prim above the content, or that which holds takes, where the layer has none."""
    from pxr import Sdf

    if place.layer.GetObjectAtPath(path):
        return
    spec = Sdf.CreatePrimInLayer(place.layer, path)
    if path.IsPrimVariantSelectionPath():
        return
    holds_takes = path == place.spec_path
    if str(path) in place.missing or holds_takes:
        spec.specifier, spec.typeName = Sdf.SpecifierDef, "Xform"
        if place.grouped:
            spec.kind = "assembly" if holds_takes else "group"
    elif not place.inside:
        spec.specifier = Sdf.SpecifierDef  # so that the layer can be opened alone
    if holds_takes:
        spec.customData = {MARK: {TAKES: True}}


def _make_take(place: LayerPlace) -> None:
    """The variant that holds the content, chosen where none is."""
    from pxr import Sdf

    Sdf.CreatePrimInLayer(place.layer, place.content_path)
    chosen = place.layer.GetPrimAtPath(place.spec_path).variantSelections
    if TAKE_SET not in chosen:
        chosen[TAKE_SET] = place.take


def _clear_kinds(place: LayerPlace) -> None:
    """Below what is no model nothing is one."""

    def visit(path: Sdf.Path) -> None:
        spec = None if path.IsPropertyPath() else place.layer.GetPrimAtPath(path)
        if spec is not None and spec.HasInfo("kind"):
            spec.ClearInfo("kind")

    place.layer.Traverse(place.content_path, visit)


@contextmanager
def _undone_on_error(place: LayerPlace) -> Iterator[None]:
    """Put back what was at a place where the block raises."""
    from pxr import Sdf

    layer, kept = place.layer, Sdf.Layer.CreateAnonymous()
    if layer.GetPrimAtPath(place.spec_path):
        Sdf.CreatePrimInLayer(kept, "/kept")
        Sdf.CopySpec(layer, place.spec_path, kept, "/kept")
    first = next((path for path in place.spec_path.GetPrefixes() if not layer.GetObjectAtPath(path)), None)
    try:
        yield
    except BaseException:
        with Sdf.ChangeBlock():
            if first is None:  # emptied first, for what is there keeps its order
                spec = layer.GetPrimAtPath(place.spec_path)
                for children in (spec.nameChildren, spec.variantSets):
                    for name in list(children.keys()):
                        del children[name]
                Sdf.CopySpec(kept, "/kept", layer, place.spec_path)
            elif layer.GetObjectAtPath(first):
                edit = Sdf.BatchNamespaceEdit()
                edit.Add(first, Sdf.Path.emptyPath)
                layer.Apply(edit)
        raise
