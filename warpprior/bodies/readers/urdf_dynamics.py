"""Masses of links and forces in joints, as URDF files state them.

They matter to physics engines alone, so nothing here is refused: what cannot be used is left out, with a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np

from warpprior.bodies.dynamics import Dynamics, JointForces
from warpprior.bodies.mass import MassProperties, Solid, along_axes, solid_of, together
from warpprior.bodies.readers.urdf_geometry import read_numbers, read_origin
from warpprior.bodies.repair import Surface
from warpprior.support.errors import InputError

_BALL = 0.4 * 0.01**2  # moment over mass of a ball of 1 cm, for links without a surface [m^2]
_MOST_KG = 1e6
_TRIANGLE = 1.001  # the largest moment of inertia may exceed the sum of the others by rounding
_MOST_NAMED = 6


def read_dynamics(
    links: dict[str, ElementTree.Element],
    joints: Sequence[ElementTree.Element | None],
    surfaces: dict[str, list[Surface]],
    warnings: list[str],
) -> Dynamics | None:
    """What a URDF file says of masses and forces; None where it says nothing.

    A mass without a usable inertia gets that of the link's shapes, or of a ball of 1 cm without any.  Limits of effort
    and velocity of 0 say nothing, for exporters write them where nothing is known.

    Args:
        links: by name.
        joints: the one that leads to each link; None to the root.
        surfaces: of each link in its own frame [m].
        warnings: sentences are appended, one for each kind of fault.
    """
    faults: dict[str, list[str]] = {}
    masses = tuple(_read_inertial(name, link, surfaces[name], faults) for name, link in links.items())
    table = np.full((4, len(masses)), np.nan)
    columns = (("limit", "effort"), ("limit", "velocity"), ("dynamics", "damping"), ("dynamics", "friction"))
    for number, joint in enumerate(joints):
        if joint is None or joint.get("type") == "fixed":
            continue
        for row, (tag, word) in enumerate(columns):
            table[row, number] = _read_force(joint, tag, word, faults)
    warnings += [f"{what}: {_named(names)}" for what, names in faults.items()]
    if all(mass is None for mass in masses) and np.isnan(table).all():
        return None
    return Dynamics(masses, JointForces(*table))


def _read_inertial(
    name: str, link: ElementTree.Element, surfaces: list[Surface], faults: dict[str, list[str]]
) -> MassProperties | None:
    element = link.find("inertial")
    mass = None if element is None else element.find("mass")
    if element is None or mass is None:
        return None
    try:
        kilograms = float(read_numbers("", mass, "value", 1)[0])
        place = read_origin("", element)
        tensor = _read_tensor(element.find("inertia"))
    except InputError:
        faults.setdefault("masses that are no numbers are left out, of links", []).append(name)
        return None
    if not 0.0 < kilograms <= _MOST_KG:
        if kilograms != 0.0:
            faults.setdefault("masses that no link can have are left out, of links", []).append(name)
        return None
    moments = np.linalg.eigvalsh(tensor)
    if moments[0] <= 0.0:
        faults.setdefault("an inertia that is not positive is replaced by that of the shape, of links", []).append(name)
        return _of_shape(kilograms, place[:3, 3], surfaces)
    if moments[2] > _TRIANGLE * (moments[0] + moments[1]):
        what = "an inertia that no body can have is kept (physics engines may change it), of links"
        faults.setdefault(what, []).append(name)
    return along_axes(kilograms, place[:3, 3], place[:3, :3] @ tensor @ place[:3, :3].T)


def _read_tensor(element: ElementTree.Element | None) -> np.ndarray:
    """Inertia (3, 3) [kg m^2]; zeros without one."""
    values = np.zeros((3, 3))
    if element is not None:
        for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)):
            values[i, j] = values[j, i] = read_numbers("", element, f"i{'xyz'[i]}{'xyz'[j]}", 1, default=(0.0,))[0]
    return values


def _of_shape(mass: float, center: np.ndarray, surfaces: list[Surface]) -> MassProperties:
    """A mass with the moments of what the surfaces enclose."""
    if not surfaces:
        return MassProperties(mass, center, np.full(3, _BALL * mass), np.array([0.0, 0.0, 0.0, 1.0]))
    solids: list[Solid] = [solid_of(one.vertices, one.faces, closed=one.closed) for one in surfaces]
    whole = together(solids)
    found = whole.weighed(mass / whole.volume)
    return MassProperties(mass, center, found.moments, found.axes)


def _read_force(joint: ElementTree.Element, tag: str, word: str, faults: dict[str, list[str]]) -> float:
    """A number that is not negative, NaN where there is none."""
    element = joint.find(tag)
    if element is None or element.get(word) is None:
        return np.nan
    try:
        value = float(read_numbers("", element, word, 1)[0])
    except InputError:
        value = -1.0
    if value < 0.0:
        faults.setdefault(f"{tag} {word} that is no number above zero is left out, of joints", []).append(
            joint.get("name", "")
        )
        return np.nan
    return np.nan if tag == "limit" and value == 0.0 else value


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(repr(name[:60]) for name in names[:_MOST_NAMED]) + more
