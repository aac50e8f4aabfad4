"""The door to OpenUSD: importing it, telling its objects apart without importing it, and what to say without it."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from typing import Any

from warpprior.support.errors import InputError, MissingExtraError, WarppriorError
from warpprior.support.interrupts import postponed

ENDINGS = (".usd", ".usda", ".usdc", ".usdz")  # of files


def need_openusd(what: str) -> None:
    """Import what is used of OpenUSD; interrupts wait, for it would print them and go on without what it lacks.

    Args:
        what: is wanted of it, for the message.

    Raises:
        MissingExtraError: it is not installed.
        InputError: it is not, inside a Kit application, which brings its own and must not be given another.
    """
    try:
        with postponed():
            from pxr import Gf, Kind, Sdf, Tf, Usd, UsdGeom, UsdLux, UsdPhysics, UsdShade, Vt  # noqa: F401
    except ImportError as error:
        raise missing_openusd(what) from error


def missing_openusd(what: str) -> WarppriorError:
    """The error that says what to do where OpenUSD cannot be imported."""
    if not in_kit():
        return MissingExtraError(what, "usd")
    accepted = 'Kit\'s own OpenUSD: enable the extension omni.usd.libs ("omni.usd.libs" = {}), install no usd-core'
    return InputError(what, "this Kit application has no pxr to import", accepted)


def openusd_reason(error: Exception) -> str:
    """Why, of a Tf.ErrorException, whose text is a list of places in OpenUSD's sources, each with a reason."""
    return (re.findall(r" : '(.*)'", str(error)) or [str(error).strip()])[0]


def has_openusd() -> bool:
    """Whether pxr is there, without importing it."""
    return sys.modules.get("pxr") is not None or find_spec("pxr") is not None


def in_kit() -> bool:
    """Whether this runs inside a Kit application, such as Isaac Sim."""
    return "carb" in sys.modules or "omni.kit" in sys.modules or "omni.kit.app" in sys.modules


def is_stage(value: Any) -> bool:
    """Whether it is a Usd.Stage, without importing OpenUSD: who has a stage has it imported."""
    usd = sys.modules.get("pxr.Usd")
    return usd is not None and isinstance(value, usd.Stage)


def is_prim(value: Any) -> bool:
    """Whether it is a Usd.Prim, without importing OpenUSD."""
    usd = sys.modules.get("pxr.Usd")
    return usd is not None and isinstance(value, usd.Prim)
