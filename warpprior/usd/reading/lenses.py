"""The camera of a stage: its intrinsics for pictures of a size, and where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from warpprior.support.errors import InputError
from warpprior.usd.reading.places import StageFrames

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom

_LENS = "omni:lensdistortion"
_OPENCV = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
_FISHEYE = ("k1", "k2", "k3", "k4")
_THIN = ("s1", "s2", "s3", "s4")
_WIDTH = 1280  # of pictures that nobody says the size of [px]
_SQUARE = 5e-3  # by how much apertures may say that pixels are not square before it is said
_LONGEST = 16384


def find_camera(stage: Usd.Stage, where: str, camera: str | None) -> Usd.Prim | None:
    """The camera that is named, the only one, or None where there is none.

    Raises:
        InputError: there is none of that name, or several and none is named.
    """
    from pxr import Usd, UsdGeom

    walk = Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies())
    cameras = [prim for prim in walk if prim.IsA(UsdGeom.Camera)]
    names = ", ".join(str(prim.GetPath()) for prim in cameras[:8])
    if camera is not None:
        chosen = [prim for prim in cameras if str(prim.GetPath()) == camera]
        if not chosen:
            raise InputError(where, f"has no camera {camera[:80]!r}", f"its cameras are {names or 'none'}")
        return chosen[0]
    if len(cameras) > 1:
        raise InputError(where, f"holds {len(cameras)} cameras", f"say which with camera: one of {names}")
    return cameras[0] if cameras else None


def read_camera(source: StageFrames, prim: Usd.Prim, size: tuple[int, int] | None) -> dict[str, Any]:
    """Width, height, fx, fy, cx, cy [px], and ``lens``: kind and numbers of OpenCV's distortion, or None.

    The lens schema of Omniverse goes before apertures: its intrinsics are those of pictures of its own size, and are
    scaled to ``size``.  By apertures pixels are square, as renderers make them, unless the aspect of the apertures is
    that of the picture; offsets move the principal point as ``Gf.Camera`` has it.

    Args:
        source: the stage.
        prim: of the camera.
        size: of the pictures, width and height; None: of the lens, of the stage's own render settings, or 1280 wide.

    Raises:
        InputError: no pinhole camera, or numbers that make none.
    """
    from pxr import UsdGeom

    camera = UsdGeom.Camera(prim)
    where = f"{source.where}: {prim.GetPath()}"
    if camera.GetProjectionAttr().Get() == UsdGeom.Tokens.orthographic:
        raise InputError(where, "is an orthographic camera", "a perspective one")
    old = prim.GetAttribute("cameraProjectionType")
    if old and old.Get() not in (None, "pinhole"):
        raise InputError(where, f"projects as {str(old.Get())[:40]!r}", "a pinhole camera; rectify its pictures")
    found = _by_lens(prim, where, size) or _by_apertures(source, camera, where, size)
    values = [found[key] for key in ("width", "height", "fx", "fy", "cx", "cy")]
    listed = ", ".join(f"{value:g}" for value in values)
    sane = np.isfinite(values).all() and min(found["fx"], found["fy"]) > 1e-6 and max(map(abs, values)) < 1e6
    if not sane or not 2 <= min(values[:2]) <= max(values[:2]) <= _LONGEST:
        raise InputError(where, f"has intrinsics that make no camera: {listed}", "a camera")
    return found


def _by_lens(prim: Usd.Prim, where: str, size: tuple[int, int] | None) -> dict[str, Any] | None:
    """By the lens schema; None where the prim has none."""
    attribute = prim.GetAttribute(f"{_LENS}:model")
    model = attribute.Get() if attribute else None
    if model in (None, "", "pinhole"):
        return None
    if model not in ("opencvPinhole", "opencvFisheye"):
        raise InputError(where, f"has a lens of model {str(model)[:40]!r}", "opencvPinhole or opencvFisheye; rectify")

    def value(name: str, usual: Any = 0.0) -> Any:
        found = prim.GetAttribute(f"{_LENS}:{model}:{name}")
        said = found.Get() if found else None
        return usual if said is None else said

    own = tuple(int(length) for length in value("imageSize", (0, 0)))
    if len(own) != 2 or min(own) < 2:
        if size is None:
            raise InputError(where, "has a lens whose imageSize is not said", "give the size of pictures")
        own = size
    width, height = own if size is None else size
    wide, high = width / own[0], height / own[1]
    if any(value(name) for name in _THIN):
        raise InputError(where, "has thin-prism terms (s1 to s4) in its lens", "rectify its pictures")
    names = _OPENCV if model == "opencvPinhole" else _FISHEYE
    numbers = [float(value(name)) for name in names]
    bent = any(numbers) or model == "opencvFisheye"
    return {
        "width": width,
        "height": height,
        **{key: scale * float(value(key)) for key, scale in (("fx", wide), ("fy", high), ("cx", wide), ("cy", high))},
        "lens": ["opencv" if model == "opencvPinhole" else "fisheye", numbers] if bent else None,
    }


def _by_apertures(
    source: StageFrames, camera: UsdGeom.Camera, where: str, size: tuple[int, int] | None
) -> dict[str, Any]:
    time = source.first()
    names = ("FocalLength", "HorizontalAperture", "VerticalAperture")
    offsets = ("HorizontalApertureOffset", "VerticalApertureOffset")
    attributes = {name: getattr(camera, f"Get{name}Attr")() for name in (*names, *offsets)}
    for name, attribute in attributes.items():
        values = {attribute.Get(code) for code in source.times()} if attribute.GetNumTimeSamples() > 1 else set()
        if len(values) > 1:
            raise InputError(where, f"its {name[0].lower()}{name[1:]} changes over time", "a camera that does not zoom")
    focal, across, down, right, up = (float(attributes[name].Get(time)) for name in (*names, *offsets))
    if not (focal > 0.0 and across > 0.0 and down > 0.0):
        raise InputError(where, f"focal length {focal:g}, apertures {across:g} and {down:g}", "numbers above zero")
    if size is None:
        size = _rendered_size(source.stage)
        if size is None:
            size = (_WIDTH, max(2, round(_WIDTH * down / across)))
            source.notes.append(f"the size of pictures is not said; {size[0]} x {size[1]} px are taken")
    width, height = size
    fx, fy = focal / across * width, focal / down * height
    own = camera.GetPrim().GetCustomDataByKey("warpprior:width")
    if abs(fy / fx - 1.0) > _SQUARE and own is None:
        source.notes.append(
            f"its apertures are {across / down:.4g} wide to high and its pictures {width / height:.4g}: the horizontal "
            "one is taken, and pixels are square"
        )
        fy, down = fx, across * height / width
    return {
        "width": width,
        "height": height,
        "fx": fx,
        "fy": fy,
        "cx": width / 2 - right / across * width,
        "cy": height / 2 + up / down * height,
        "lens": None,
    }


def _rendered_size(stage: Usd.Stage) -> tuple[int, int] | None:
    """The one resolution of the stage's render products and settings."""
    found = set()
    for prim in stage.Traverse():
        if prim.GetTypeName() in ("RenderProduct", "RenderSettings"):
            attribute = prim.GetAttribute("resolution")
            if attribute and attribute.HasAuthoredValue():
                found.add(tuple(int(length) for length in attribute.Get()))
    size = found.pop() if len(found) == 1 else None
    return (size[0], size[1]) if size is not None and min(size) >= 2 else None


def gravity_of(stage: Usd.Stage) -> list[float]:
    """The direction in which things fall, in the stage: of its physics scene, or against its up axis."""
    from pxr import UsdGeom, UsdPhysics

    for prim in stage.Traverse():
        if prim.IsA(UsdPhysics.Scene):
            attribute = UsdPhysics.Scene(prim).GetGravityDirectionAttr()
            value = np.asarray(attribute.Get(), dtype=np.float64) if attribute.HasAuthoredValue() else np.zeros(3)
            length = np.linalg.norm(value)
            if np.isfinite(length) and length > 1e-6:
                return (value / length).tolist()
    up = UsdGeom.GetStageUpAxis(stage)
    return [0.0, -1.0, 0.0] if up == UsdGeom.Tokens.y else [0.0, 0.0, -1.0]
