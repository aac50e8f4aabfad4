"""What a body's file says of its links' masses and of forces in its joints."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from warpprior.bodies.mass import DENSITY, MassProperties, Matter, Solid

OF_FILE = "the body's file"
OF_DEFAULT = f"default density, {DENSITY:g} kg/m^3"


@dataclass(frozen=True, eq=False)
class JointForces:
    """Of each link the joint that leads to it; NaN where nothing is said (link,) float64.

    Attributes:
        effort: the most that drives it [N m, of slides N].
        velocity: the fastest it may move [rad/s, of slides m/s].
        damping: force per velocity against any motion [N m s/rad, of slides N s/m].
        friction: force against any motion, however slow [N m, of slides N].
    """

    effort: np.ndarray
    velocity: np.ndarray
    damping: np.ndarray
    friction: np.ndarray


@dataclass(frozen=True, eq=False)
class Dynamics:
    """What a file says beyond geometry.

    Attributes:
        masses: of each link in its own frame, None where nothing is said.
        forces: of the joints.
    """

    masses: tuple[MassProperties | None, ...]
    forces: JointForces = field(repr=False)


def weigh_links(
    dynamics: Dynamics | None, solids: list[Solid | None], matter: Matter, scale: float
) -> list[tuple[MassProperties, str] | None]:
    """Mass properties of each link and where they are from; None of links without surface and mass.

    A mass or density of the scene goes before what the file says, and is shared by volume; of links that the file says
    nothing of, the default density is taken.

    Args:
        dynamics: of the body.
        solids: what the surface of each link encloses, drawn ``scale`` times as large; None without a surface.
        matter: what the scene says.
        scale: of the body.
    """
    volume = sum(solid.volume for solid in solids if solid is not None)
    density, stated = matter.density_of(volume or 1.0), origin_of(matter)
    masses = (None,) * len(solids) if dynamics is None or stated != OF_DEFAULT else dynamics.masses
    found: list[tuple[MassProperties, str] | None] = []
    for given, solid in zip(masses, solids, strict=True):
        if given is not None:
            found.append((given.scaled(scale), OF_FILE))
        else:
            found.append(None if solid is None else (solid.weighed(density), stated))
    return found


def origin_of(matter: Matter) -> str:
    """Where the mass of a body is from of which no file says anything."""
    if matter.mass is not None:
        return "mass of the scene"
    return OF_DEFAULT if matter.density is None else "density of the scene"
