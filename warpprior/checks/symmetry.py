"""What no observation can tell: how a body is turned that looks the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.checks.evidence import Evidence
from warpprior.checks.registry import thorough_check
from warpprior.finding import Finding
from warpprior.scene import SceneBody

SAMPLES = 400  # vertices that are turned
SAME_SIZES = 0.015  # of the extent: how far a turned surface may lie from itself (95 of 100 points)
ANGLES = np.radians([37.0, 101.0, 163.0, 233.0])
SAME_COLOR = 0.06  # of a channel, in [0, 1], as far as colours of a turned surface may differ


@thorough_check
def object_symmetries(evidence: Evidence) -> Iterator[Finding]:
    """Bodies of revolution that are not said to be, and what looks the same half turned."""
    for item in evidence.scene.bodies:
        if item.known or not item.body.is_rigid or item.symmetry != "none":
            continue
        axes, halves = _symmetries(item)
        if not axes and not halves:
            continue
        sphere = len(axes) == 3
        seen = "" if item.body.colors is None or evidence.scene.read_rgb is None else " nor its colours"
        if axes:
            about = "any axis" if sphere else f"its {axes[0]} axis"
            words = f"how {item.name} is turned about {about} its shape does not tell{seen}: an estimate is a guess"
            cure = f'body {item.name!r}: symmetry = "{"sphere" if sphere else axes[0]}"'
        else:
            words = f"{item.name} looks the same half turned about {' or '.join(halves)}: its labels do not tell which"
            cure = ""
        yield Finding("object_symmetry", "note", item.name, (), words, cure, {"axes": axes, "half_turns": halves})


def _symmetries(item: SceneBody) -> tuple[list[str], list[str]]:
    """Axes of the body about which it looks the same however it is turned, and about which half turned."""
    from scipy.spatial import KDTree

    body = item.body
    points, colors = body.vertices.astype(float), body.colors
    extent = float(np.ptp(points, axis=0).max())
    if len(points) < 8 or extent <= 0.0:
        return [], []
    dense, shades = _spread(points, body.faces, colors)
    tree = KDTree(dense)
    picked = np.linspace(0, len(dense) - 1, min(SAMPLES, len(dense))).astype(int)
    middle = 0.5 * (points.min(axis=0) + points.max(axis=0))

    def same(angle: float, axis: np.ndarray, about: np.ndarray) -> bool:
        turned = Rotation.from_rotvec(angle * axis).apply(dense[picked] - about) + about
        apart, there = tree.query(turned)
        if np.percentile(apart, 95) > SAME_SIZES * extent + _grain(dense, extent):
            return False
        return shades is None or float(np.mean(np.abs(shades[picked] - shades[there]))) < SAME_COLOR

    axes, halves = [], []
    for number, name in enumerate("xyz"):
        axis = np.eye(3)[number]
        if all(same(angle, axis, np.zeros(3)) for angle in ANGLES):
            axes.append(name)
        elif same(np.pi, axis, middle):
            halves.append(name)
    return axes, halves


def _grain(points: np.ndarray, extent: float) -> float:
    """How far apart points of the surface lie on average [m]."""
    return extent / np.sqrt(len(points))


def _spread(points: np.ndarray, faces: np.ndarray, colors: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Points spread evenly over the surface (point, 3), and their colours."""
    random = np.random.default_rng(0)
    corners = points[faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = random.choice(len(faces), size=4000, p=areas / areas.sum())
    weights = random.dirichlet(np.ones(3), size=len(chosen))
    mix = lambda values: np.einsum("nc,ncd->nd", weights, values[faces[chosen]])  # noqa: E731
    return mix(points), None if colors is None else mix(np.asarray(colors, dtype=float))
