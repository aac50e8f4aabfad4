"""Surfaces that are not quite the true ones: of hands, which are somebody else's, and of all that bends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpprior.bodies.body import Body
from warpprior.scene import Camera, SceneBody


@dataclass(frozen=True)
class Likeness:
    """What the labels of known bodies show whose surfaces only resemble the true ones.

    Attributes:
        names: of the bodies.
        pixels: how far labels reach beyond the surfaces, on average [px].
        length_px: how long the longest of them is, as the camera sees it [px]; misfits are shares of it.
    """

    names: str
    pixels: float
    length_px: float


def misfit_name(body: SceneBody) -> str:
    """Name of the unknown that says how far a body's true surface lies outside its model."""
    return f"{body.name} misfit"


def is_likeness(body: Body) -> bool:
    """Whether a surface only resembles the true one: it is skinned, has a shape to be guessed, or was made by others.

    Rigid things and links of robots are measured or designed.
    """
    return body.animation is not None or body.shape_count > 0 or body.skin_links.shape[1] > 1


def body_length(body: SceneBody) -> float:
    """Longest side of the bounding box of the surface at rest [m]."""
    return float(np.ptp(body.body.vertices, axis=0).max() * np.max(body.initial.scale))


def length_px(body: SceneBody, camera: Camera) -> float:
    """The same as a camera sees it, at the body's usual distance [px]."""
    return body_length(body) * camera.fx / max(float(np.median(body.initial.position[:, 2])), 1e-3)
