"""Which prims of a stage are bodies: those that are named, or what looks like some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from warpprior.bodies.readers.usd_prims import is_carried, moves_itself
from warpprior.support.errors import InputError
from warpprior.usd.about import TREE
from warpprior.usd.reading.articulations import group_links, joints_of
from warpprior.usd.reading.opening import each_prim
from warpprior.usd.reading.places import StageFrames
from warpprior.usd.reading.shapes import bends, find_shapes, is_shape
from warpprior.usd.reading.skeletons import skinned_meshes

if TYPE_CHECKING:
    from pxr import Usd

FORMS = ("mesh", "vertices", "skin", "urdf")
_MOST_NAMED = 8
_STAYS = 1e-9


@dataclass(frozen=True, eq=False)
class FoundBody:
    """A prim that is a body.

    Attributes:
        prim: at which it begins.
        form: how it is read, one of :data:`FORMS`; or ``frames``, named frames alone.
        links: paths of the links of an articulation.
        why: what it was known by; empty where it was named.
    """

    prim: Usd.Prim
    form: str
    links: tuple[str, ...] = ()
    why: str = ""


def find_bodies(source: StageFrames, asked: Mapping[str, str | None] | None) -> list[FoundBody]:
    """The bodies of a stage.

    Args:
        source: the stage; what was guessed and left out is said in its notes.
        asked: forms by path, None where the form is to be found; None guesses all.

    Raises:
        InputError: no such prim, or nothing that is a body.
    """
    search = _Search(source)
    if asked is not None:
        return [search.named(path, form) for path, form in asked.items()]
    found = search.guessed()
    if not found:
        there = ", ".join(search.left[:_MOST_NAMED]) or "it has no surface"
        accepted = f"say which prims are bodies: {there}" if search.left else "a stage with meshes"
        raise InputError(source.where, "holds nothing that moves, is rigid, or is a component", accepted)
    said = "; ".join(f"{body.prim.GetPath()} as {body.form} ({body.why})" for body in found)
    source.notes.insert(0, f"taken for bodies: {said}")
    if search.left:
        more = f" and {len(search.left) - _MOST_NAMED} more" if len(search.left) > _MOST_NAMED else ""
        source.notes.append(f"left out, for nothing says that it moves: {', '.join(search.left[:_MOST_NAMED])}{more}")
    return found


class _Search:
    def __init__(self, source: StageFrames):
        self.source, self.stage = source, source.stage
        self.groups = group_links(joints_of(source.stage))
        self.left: list[str] = []
        self.used: set[str] = set()
        self.found: list[FoundBody] = []

    def named(self, path: str, form: str | None) -> FoundBody:
        """The body at a prim that was named."""
        from pxr import Sdf

        valid = Sdf.Path.IsValidPathString(path)
        good = valid[0] if isinstance(valid, tuple) else valid
        prim = self.stage.GetPrimAtPath(path) if good and path.startswith("/") else None
        if not prim:
            names = [str(shape.GetPath()) for shape in find_shapes(self.source, self.stage.GetPseudoRoot())]
            there = ", ".join(names[:_MOST_NAMED]) or "none"
            raise InputError(self.source.where, f"has no prim {path[:80]!r}", f"its surfaces are {there}")
        natural, links = self._form(prim)
        if form in ("urdf", "skin") and natural != form:
            what = {"urdf": "links that joints hold together", "skin": "skinned mesh"}[form]
            raise InputError(f"{self.source.where}: {path[:80]}", f"has no {what}", f"name it as {natural}")
        as_frames = form == "frames" and natural in ("skin", "urdf")
        return FoundBody(prim, natural if form is None or as_frames else form, links)

    def guessed(self) -> list[FoundBody]:
        """What looks like a body, from above."""
        for prim in self.stage.GetPseudoRoot().GetChildren():
            self._visit(prim)
        return self.found

    def _add(self, prim: Usd.Prim, form: str, why: str, links: tuple[str, ...] = ()) -> None:
        self.found.append(FoundBody(prim, form, links, why))

    def _visit(self, prim: Usd.Prim) -> None:
        from pxr import UsdGeom, UsdPhysics, UsdSkel

        path = str(prim.GetPath())
        if path in self.used or not prim.IsActive():
            return
        kind = _kind_of(prim)
        shapes = find_shapes(self.source, prim)
        articulated = self._links_below(prim)
        if not shapes and not articulated:
            return
        if prim.IsA(UsdSkel.Root) and skinned_meshes(prim):
            self._add(prim, "skin", "a SkelRoot")
        elif kind in ("component", "subcomponent"):
            form, links = self._form(prim)
            self._add(prim, form, f"a {kind}" + _moving(shapes), links)
        elif articulated and self._is_top(prim, articulated):
            self.used.update(articulated)
            self._add(prim, "urdf", "an articulation", articulated)
            for child in prim.GetChildren():
                if not any(link == str(child.GetPath()) or _is_below(link, child) for link in articulated):
                    self._visit(child)
        elif prim.HasAPI(UsdPhysics.RigidBodyAPI):
            form, _ = self._form(prim)
            self._add(prim, form, "a rigid body" + _moving(shapes))
        elif is_shape(prim):
            if bends(prim):
                self._add(prim, "vertices", "a mesh whose points move")
            elif self._travels(prim) or _instances_move(prim):
                self._add(prim, "mesh", "a surface that moves")
            else:
                self.left.append(path)
        elif moves_itself(prim) and self._travels(prim) and not self._has_bodies(prim):
            form, _ = self._form(prim)
            self._add(prim, form, "an Xform that moves")
        elif prim.IsA(UsdGeom.Imageable) or prim.GetChildren():
            for child in prim.GetFilteredChildren(_instanced()):
                self._visit(child)

    def _form(self, prim: Usd.Prim) -> tuple[str, tuple[str, ...]]:
        """How a prim is read, and its links."""
        if skinned_meshes(prim):
            return "skin", ()
        if prim.GetCustomDataByKey(TREE):
            return "urdf", ()
        links = self._links_below(prim)
        if links:
            return "urdf", links
        return ("vertices" if any(bends(shape) for shape in find_shapes(self.source, prim)) else "mesh"), ()

    def _links_below(self, prim: Usd.Prim) -> tuple[str, ...]:
        """Links of the largest articulation of which all are at or below a prim."""
        inside = [g for g in self.groups if all(link == str(prim.GetPath()) or _is_below(link, prim) for link in g)]
        return tuple(max(inside, key=len)) if inside else ()

    def _is_top(self, prim: Usd.Prim, links: tuple[str, ...]) -> bool:
        """No child of the prim holds all links of the only articulation below it."""
        several = sum(all(_is_below(link, prim) for link in group) for group in self.groups) > 1
        return not several and not any(self._links_below(child) == links for child in prim.GetChildren())

    def _travels(self, prim: Usd.Prim) -> bool:
        """Is a prim not in the same place at every frame? Some programs write samples of what stays."""
        if not is_carried(prim):
            return False
        (placed,) = self.source.place([prim])
        return bool(np.ptp(placed, axis=0).max() > _STAYS * max(1.0, np.abs(placed).max()))

    def _has_bodies(self, prim: Usd.Prim) -> bool:
        """Is there something below a prim that is a body by itself, so that the prim is none?"""
        from pxr import UsdPhysics, UsdSkel

        for below in each_prim(prim):
            if below == prim:
                continue
            named = below.HasAPI(UsdPhysics.RigidBodyAPI) or below.IsA(UsdSkel.Root)
            if named or _kind_of(below) in ("component", "subcomponent"):
                return True
            if moves_itself(below) and find_shapes(self.source, below) and self._travels(below):
                return True
        return False


def _kind_of(prim: Usd.Prim) -> str:
    from pxr import Usd

    return str(Usd.ModelAPI(prim).GetKind() or "")


def _is_below(path: str, prim: Usd.Prim) -> bool:
    return path.startswith("/" if prim.IsPseudoRoot() else f"{prim.GetPath()}/")


def _moving(shapes: list[Usd.Prim]) -> str:
    return "" if any(is_carried(shape) or bends(shape) for shape in shapes) else " that does not move"


def _instances_move(prim: Usd.Prim) -> bool:
    from pxr import UsdGeom

    if not prim.IsA(UsdGeom.PointInstancer):
        return False
    names = ("positions", "orientations", "orientationsf", "scales")
    found = [prim.GetAttribute(name) for name in names]
    return any(attribute and attribute.GetNumTimeSamples() > 1 for attribute in found)


def _instanced():
    from pxr import Usd

    return Usd.TraverseInstanceProxies()
