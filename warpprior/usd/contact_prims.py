"""Where bodies touch, as points of the stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from warpprior.result import ContactPoints
from warpprior.usd.heat import quantised
from warpprior.usd.names import prim_name
from warpprior.usd.prims import set_palette, set_samples
from warpprior.usd.samples import in_world, turned

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom

CONTACTS = "Contacts"  # below the root
_WIDTH = 0.003  # of a point as it is drawn [m]
_FAINT = 0.02  # points that never have more weight are left out
_DECIMALS = 6  # of normals, depth [m] and slip [m/s]
MOST_POINTS = 64  # of a pair of bodies


def write_contacts(
    stage: Usd.Stage, root: str, contacts: Sequence[ContactPoints], world_from_camera: np.ndarray
) -> None:
    """Write a ``Points`` prim per pair of bodies: at most 64 of those that touch at some time.

    At each frame ``primvars:contact`` is how much each touches, in [0, 1]; where they were measured,
    ``primvars:normals`` is the unit normal of the other body, ``primvars:depth`` how far inside it the point is [m],
    negative outside, and ``primvars:slip`` its speed along that body's surface [m/s].

    They are guides, for the heat shows the same.

    Args:
        stage: the stage.
        root: path of the prim that they go below.
        contacts: in the camera frame.
        world_from_camera: position [m] then quaternion xyzw (7,), or (frame, 7) where the camera moves.
    """
    from pxr import Sdf, UsdGeom, Vt

    if not contacts:
        return
    UsdGeom.Scope.Define(stage, f"{root}/{CONTACTS}")
    for contact in contacts:
        touches = np.flatnonzero(contact.weight.max(axis=0) > _FAINT)
        kept = touches[np.linspace(0, len(touches) - 1, min(len(touches), MOST_POINTS)).astype(int)]
        if len(kept) == 0:
            continue
        places = in_world(world_from_camera, contact.points[:, kept])
        margin = np.float32(0.5 * _WIDTH)
        boxes = np.stack([places.min(axis=1) - margin, places.max(axis=1) + margin], axis=1)
        prim = UsdGeom.Points.Define(stage, f"{root}/{CONTACTS}/{prim_name(f'{contact.body}_on_{contact.other}')}")
        prim.GetPrim().SetCustomDataByKey("warpprior:body", contact.body)
        prim.GetPrim().SetCustomDataByKey("warpprior:other", contact.other)
        prim.CreatePurposeAttr(UsdGeom.Tokens.guide)
        prim.CreateWidthsAttr(Vt.FloatArray(len(kept), _WIDTH))  # OpenUSD finds no extent for one width
        prim.SetWidthsInterpolation(UsdGeom.Tokens.vertex)
        set_samples(prim.CreatePointsAttr(), [Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(one)) for one in places])
        set_samples(prim.CreateExtentAttr(), [Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(one)) for one in boxes])
        weight, which = np.unique(quantised(contact.weight[:, kept]), return_inverse=True)
        primvars = UsdGeom.PrimvarsAPI(prim)
        primvar = primvars.CreatePrimvar("contact", Sdf.ValueTypeNames.FloatArray, UsdGeom.Tokens.vertex)
        set_palette(primvar, weight, which.reshape(-1, len(kept)).astype(np.int32))
        _write_measures(primvars, contact, kept, world_from_camera)


def _write_measures(
    primvars: UsdGeom.PrimvarsAPI, contact: ContactPoints, kept: np.ndarray, world_from_camera: np.ndarray
) -> None:
    """Normals, depth and slip of the points ``kept``, as far as they were measured."""
    from pxr import Sdf, UsdGeom

    normals = None if contact.normals is None else turned(world_from_camera, contact.normals[:, kept])
    scalars = {name: getattr(contact, name) for name in ("depth", "slip")}
    measured = {"normals": normals, **{name: None if one is None else one[:, kept] for name, one in scalars.items()}}
    for name, values in measured.items():
        if values is None:
            continue
        kind = Sdf.ValueTypeNames.Normal3fArray if name == "normals" else Sdf.ValueTypeNames.FloatArray
        primvar = primvars.CreatePrimvar(name, kind, UsdGeom.Tokens.vertex)
        # Many are the same, and validators want those to be indexed: of points of one face, or that do not slip.
        rounded = np.round(values.astype(np.float64), _DECIMALS).astype(np.float32) + np.float32(0.0)  # no -0
        palette, which = np.unique(rounded.reshape(-1, *values.shape[2:]), axis=0, return_inverse=True)
        set_palette(primvar, palette, which.reshape(-1, len(kept)).astype(np.int32))
