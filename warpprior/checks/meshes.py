"""Meshes of another size than the body that is seen: in another unit, or of none."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from warpprior.checks.evidence import Evidence
from warpprior.checks.registry import check
from warpprior.checks.sizes import frames_of, verdict, who_says
from warpprior.finding import Finding
from warpprior.scene import Scene

LEAST_FACTOR = 1.12
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
    found = verdict(evidence)
    if found is None or found.best.kind not in ("mesh", "guess") or found.best.body is None:
        return
    name = found.best.body
    others = [each for each in (found.best, *found.rivals) if each.body == name and each.kind == "mesh"]
    if not others:
        return
    best, item = others[0], evidence.scene.body(name)
    if item.body.coordinate_count or abs(np.log(best.factor)) < np.log(LEAST_FACTOR):
        return
    sure = found.best.kind == "mesh" and found.sure
    if not sure and abs(np.log(best.factor)) < np.log(UNDECIDED):
        return
    size, factor = evidence.views[name].extent, 1.0 / best.factor
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
