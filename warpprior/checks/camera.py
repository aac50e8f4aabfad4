"""Camera parameters of another picture: of another resolution, another focal length, another principal point."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from warpprior.checks.evidence import Evidence
from warpprior.checks.registry import check
from warpprior.checks.sizes import decision, frames_of, who_says
from warpprior.finding import Finding
from warpprior.scene import Camera, Scene

LEAST_FACTOR = 1.12  # of a focal length, which first guesses and models do not err by
LEAST_OFFSET = 0.03  # of the picture's width
CROP_PX, CROP_FOCAL = 256.0, 5000.0  # picture and focal length [px] that networks for cropped hands suppose
LEAST_CROP = 2.0  # times the depth, that no guess of the camera itself is off
CROP_WITHIN = 0.3  # of the log of the factor
AS_WIDE, AS_HIGH = 0.03, 0.06  # how near to a common size a picture must be, for a word about its resolution


@check
def camera_parameters(evidence: Evidence) -> Iterator[Finding]:
    """A camera whose bodies all are seen elsewhere, or of another size, in one and the same way."""
    found = decision(evidence)
    if found is None or found.best.body is not None:
        return
    best, camera = found.best, evidence.scene.camera
    level = "error" if found.sure else "warning"
    frames, said = frames_of(evidence, None), who_says(evidence, None)
    if best.kind in ("resolution", "focal") and abs(np.log(best.factor)) >= np.log(LEAST_FACTOR):
        other = cured_camera(camera, best.kind, best.factor, best.offset)
        if best.kind == "resolution":
            words = (
                f"the intrinsics are of a picture of another resolution: bodies are seen {best.factor:.2f} times as "
                f"large and as far from the corner as they say; so scaled they agree ({said})"
            )
            cure = f"[camera] fx, fy, cx, cy times {best.factor:.3g}: {_parameters(other)}"
        else:
            words = f"the focal length is off: bodies are seen {best.factor:.2f} times as large ({said})"
            cure = f"[camera] fx, fy times {best.factor:.3g}: {_parameters(other)}"
        evidence_numbers = {"factor": best.factor, **found.numbers}
        mend = functools.partial(_with_camera, camera=other)
        yield Finding("intrinsics_scale", level, None, frames, words, cure, evidence_numbers, mend)
    if best.kind == "middle" and np.linalg.norm(best.offset) >= LEAST_OFFSET * camera.width:
        x, y = best.offset
        other = cured_camera(camera, best.kind, 1.0, best.offset)
        words = (
            f"the principal point is off: all bodies are seen {x:+.0f}, {y:+.0f} px from where it puts them ({said})"
        )
        cure = f"[camera] cx, cy: {_parameters(other)}"
        if any(each.kind == "shift" for each in found.rivals):
            level, words = "note", f"{words}; or else the first guesses are, which one body cannot tell"
        numbers = {"offset_px": [x, y], **found.numbers}
        mend = functools.partial(_with_camera, camera=other)
        yield Finding("principal_point", level, None, frames, words, cure, numbers, mend)


@check
def depth_of_crop_camera(evidence: Evidence) -> Iterator[Finding]:
    """A first guess whose depth is that of another focal length, as networks give that look at a crop."""
    found = decision(evidence)
    if found is None or found.best.kind not in ("crop", "guess") or found.best.body is None:
        return
    best, item = found.best, evidence.scene.body(found.best.body)
    if not item.body.coordinate_count or abs(np.log(best.factor)) < np.log(LEAST_CROP):
        return
    camera = evidence.scene.camera
    usual = CROP_FOCAL / CROP_PX * max(camera.width, camera.height) / camera.fx
    alike = abs(np.log(best.factor / usual)) < CROP_WITHIN
    which = f", as for a focal length of {usual * camera.fx:.0f} px (HaMeR, WiLoR)" if alike else ""
    factor = usual if alike else best.factor
    words = (
        f"the first guess of {item.name} is {best.factor:.3g} times as far away as its size says{which}: "
        "its depth is that of another camera"
    )
    yield Finding(
        "depth_of_crop_camera",
        "error",
        item.name,
        frames_of(evidence, item.name),
        words,
        f"poses of {item.name}: z of the position times {1.0 / factor:.4g}, that is fx / {factor * camera.fx:.0f}",
        {"factor": best.factor, "factor_of_crops": usual, **found.numbers},
        functools.partial(_with_depth, name=item.name, factor=1.0 / factor),
    )


def _with_camera(scene: Scene, *, camera: Camera) -> Scene:
    return replace(scene, camera=camera)


def _with_depth(scene: Scene, *, name: str, factor: float) -> Scene:
    initial = scene.body(name).initial
    return scene.with_poses({name: replace(initial, position=initial.position * [1.0, 1.0, factor])})


def cured_camera(camera: Camera, kind: str, factor: float, offset: np.ndarray) -> Camera:
    """The camera that an explanation would have."""
    if kind == "middle":
        return replace(camera, cx=camera.cx + float(offset[0]), cy=camera.cy + float(offset[1]))
    other = replace(camera, fx=factor * camera.fx, fy=factor * camera.fy)
    return other if kind == "focal" else replace(other, cx=factor * camera.cx, cy=factor * camera.cy)


def _parameters(camera: Camera) -> str:
    return ", ".join(f"{name} = {getattr(camera, name):.1f}" for name in ("fx", "fy", "cx", "cy"))
