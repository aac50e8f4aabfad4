"""Meshes of another size than the body that is seen: in another unit, or of none."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from warpprior.checks.evidence import Evidence, View
from warpprior.checks.poses import pose_conventions
from warpprior.checks.registry import check
from warpprior.checks.sizes import Decision, decision, frames_of, measured_size, who_says
from warpprior.finding import Finding
from warpprior.scene import Scene, SceneBody

LEAST_FACTOR = 1.12
LEAST_MEASURED, MEASURED_SIGMAS = 1.14, 1.3  # by what is measured, the first guess left aside
LEAST_LOST, BRIEF_LOST = 0.03, 0.06  # of the overlap, where measured sizes differ, however the mesh is turned
UNDECIDED = 1.9  # times the depth, from which a first guess and a mesh of two sizes are worth a word
SURELY = 3.0  # times, that no first guess is off
OF_UNIT = 1.6  # how near a factor must be to that of a unit
UNIT_SIZE = (0.9, 2.1)  # largest side of meshes that have no unit
UNITS = {0.001: "metres for millimetres", 0.01: "metres for centimetres", 0.0254: "metres for inches"}
UNITS |= {1.0 / factor: words.replace(" for ", " taken as ") for factor, words in UNITS.items()}
HELD = (0.02, 0.6)  # [m] largest side of what hands hold


@check
def mesh_sizes(evidence: Evidence) -> Iterator[Finding]:
    """A mesh that all witnesses want smaller or larger."""
    found = decision(evidence)
    if found is not None and found.best.body is None:
        return  # something is wrong for all bodies alike
    clear = () if found is None else tuple(_clear(found, evidence))
    yield from clear
    spoken_of = {finding.body for finding in (*clear, *evidence.once(pose_conventions))}
    for item in evidence.scene.bodies:
        if not item.known and item.size is None and item.body.is_rigid and item.name not in spoken_of:
            yield from _by_what_is_measured(item, evidence)


def _by_what_is_measured(item: SceneBody, evidence: Evidence) -> Iterator[Finding]:
    """A mesh that its first guess may agree with, for that is rough, and what is measured does not."""
    size = measured_size(evidence, item.name)
    if size is None or abs(size.log) < max(np.log(LEAST_MEASURED), MEASURED_SIGMAS * size.sigma):
        return
    view = evidence.views[item.name]
    factor, extent = float(np.exp(size.log)), view.extent
    lost = _lost_as_given(view, factor)
    if lost < _least_lost(evidence):
        return
    words = (
        f"the mesh of {item.name} is {1.0 / factor:.3g} times as large as it is seen: its largest side is "
        f"{_length(extent)}, and {_length(extent * factor)} would agree with {', '.join(size.sources)}"
    )
    yield Finding(
        "mesh_scale",
        "warning",
        item.name,
        frames_of(evidence, item.name),
        words,
        f"body {item.name!r}: mesh_scale times {factor:.3g}",
        {"factor": 1.0 / factor, "agreeing_scale": factor, "largest_side_m": extent, "overlap_lost_as_given": lost},
        functools.partial(_with_size, name=item.name, factor=factor),
    )


def _least_lost(evidence: Evidence) -> float:
    """How much overlap must be lost: more in the few frames of a brief check, by chance."""
    return BRIEF_LOST if evidence.brief else LEAST_LOST


def _lost_as_given(view: View, factor: float) -> float:
    """How much less a body overlaps its label where it would have to be as large as it is said to be.

    What is turned toward the camera looks as small as what is farther away.
    """
    return float(np.median((view.fitted.share[0] - view.fitted_at(factor))[view.usable]))


def _clear(found: Decision, evidence: Evidence) -> Iterator[Finding]:
    """A mesh of another size that explains what is seen clearly better than anything else."""
    if found.best.kind not in ("mesh", "guess"):
        return
    name = found.best.body
    assert name is not None
    others = [each for each in (found.best, *found.rivals) if each.body == name and each.kind == "mesh"]
    if not others:
        return
    best, item = others[0], evidence.scene.body(name)
    if item.size is not None or item.body.coordinate_count or abs(np.log(best.factor)) < np.log(LEAST_FACTOR):
        return
    sure = found.best.kind == "mesh" and found.sure
    if not sure and abs(np.log(best.factor)) < np.log(UNDECIDED):
        return
    view = evidence.views[name]
    size, factor = view.extent, 1.0 / best.factor
    if abs(np.log(factor)) < np.log(UNDECIDED) and _lost_as_given(view, factor) < _least_lost(evidence):
        return
    unit = min(UNITS, key=lambda each: abs(np.log(each / factor)))
    other_unit = abs(np.log(unit / factor)) < np.log(OF_UNIT)
    words = (
        f"the mesh of {name} is {best.factor:.3g} times as large as it is seen: its largest side is {_length(size)}, "
        f"and {_length(size * factor)} would agree with its {who_says(evidence, name)}"
    )
    cure = f"body {name!r}: mesh_scale times {factor:.3g}"
    if other_unit:
        words += f"; a factor of {unit:.4g} ({UNITS[unit]}) makes it {_length(size * unit)}"
        cure = f"body {name!r}: mesh_scale times {unit:.4g}"
    elif UNIT_SIZE[0] < size < UNIT_SIZE[1]:
        words += "; meshes of that size mostly have no unit"
    if not sure:
        words += (
            "; or else its first guess is as much too far away"
            if best.factor < 1
            else "; or else its first guess is as much too near"
        )
    yield Finding(
        "mesh_units" if other_unit else "mesh_scale",
        "error" if sure or abs(np.log(best.factor)) > np.log(SURELY) else "warning",
        name,
        frames_of(evidence, name),
        words,
        cure,
        {"factor": best.factor, "agreeing_scale": factor, "largest_side_m": size, **found.numbers},
        functools.partial(_with_size, name=name, factor=unit if other_unit else factor),
    )


def _with_size(scene: Scene, *, name: str, factor: float) -> Scene:
    item = scene.body(name)
    body = replace(item.body, vertices=(item.body.vertices * factor).astype(np.float32))
    return replace(scene, bodies=tuple(replace(item, body=body) if each is item else each for each in scene.bodies))


def _length(metres: float) -> str:
    return f"{1e3 * metres:.3g} mm" if 1e-3 <= metres < 0.9995 else f"{metres:.3g} m"
