"""Meshes in any unit: what it is, is told by their size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.readers.mesh import UNITS, read_mesh, read_surface
from warpprior.support.errors import InputError

# Largest side in units of the file -> the unit: what hands hold is 3 cm to 3 m large.
_UP_TO = ((3.0, "metres"), (30.0, "centimetres"), (3000.0, "millimetres"))


def read_mesh_of_any_unit(path: Path, name: str, unit: str | None, notes: list[str]) -> Body:
    """A rigid body in metres.

    Args:
        path: a mesh file.
        name: of the body.
        unit: one of :data:`warpprior.bodies.readers.mesh.UNITS`, or None to guess it by the size.
        notes: a guess that is not metres is appended, and what was repaired.

    Raises:
        InputError: the file is damaged, or no unit makes its size one that a hand can hold.
    """
    if unit is None:
        extent = float(np.ptp(read_surface(path).vertices, axis=0).max())
        unit = next((unit for most, unit in _UP_TO if extent <= most), None)
        if unit is None:
            raise InputError(str(path), f"its largest side is {extent:.4g}", "say its unit: --mesh-unit")
        if unit != "metres":
            size = f"{1e3 * UNITS[unit] * extent:.3g} mm"
            notes.append(f"{path.name}: its largest side is {extent:.4g}; taken for {unit}, which makes it {size}")
    body = read_mesh(path, name, scale=UNITS[unit])
    notes += [f"{path.name}: {warning}" for warning in body.warnings]
    return replace(body, warnings=())
