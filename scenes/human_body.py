"""Makes the asset of our human body: ``python -m warpprior.scenes.human_body`` writes ``assets/body.npz`` anew.

What is in it is described in docs/body.md; :func:`warpprior.bodies.read_human_body` reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from warpprior.bodies.body_parts import LINK_NAMES, PARENTS
from warpprior.bodies.readers.human_body import both_halves
from warpprior.scenes.human_body_form import make_form
from warpprior.scenes.human_body_looks import vertex_colors
from warpprior.scenes.human_body_measures import SHAPES, Measures
from warpprior.scenes.human_body_mesh import draw_surface, settle
from warpprior.scenes.human_body_skin import (
    INFLUENCES,
    contact_zones,
    landmarks,
    level_joints,
    moved_with_joints,
    raise_arms,
    skin_weights,
)

ASSET_PATH = Path(__file__).parent / "assets" / "body.npz"
_SETTLING = 12  # rounds in which the surface of one shape is moved onto another's


def make_body() -> dict[str, np.ndarray]:
    """All arrays of the asset, for the left half and the middle: metres, root frame, links in SMPL's order."""
    return dress_surface(*draw_surface())


def dress_surface(vertices: np.ndarray, faces: np.ndarray, middle: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of the asset for a surface of the mean body.

    Args:
        vertices: of the left half, the arm lowered (vertex, 3) [m].
        faces: (face, 3).
        middle: which vertices lie in the middle of the body (vertex,) bool.
    """
    form = make_form()
    count = len(vertices)
    whole, all_faces, twin = both_halves(vertices, faces, middle)
    every = skin_weights(form, whole, all_faces, twin)
    weights = every[:count]
    links = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    chosen = np.take_along_axis(weights, links, axis=1)
    zones = contact_zones(form, whole, all_faces, every)
    points = landmarks(form, vertices)
    directions = [shape_direction(name, vertices, middle, weights) for name in SHAPES]
    joints = level_joints(form.measures)
    arrays = {
        "vertices": raise_arms(form.measures, vertices, weights) - joints[0],
        "faces": faces.astype(np.int16),
        "middle": middle,
        "joint_positions": _in_parents(joints),
        "skin_links": np.where(chosen > 0.0, links, links[:, :1]).astype(np.uint8),
        "skin_weights": chosen,
        "shape_names": np.array(list(SHAPES)),
        "shape_directions": np.stack([surface for surface, _ in directions], axis=2).astype(np.float16),
        "joint_shape_directions": np.stack([moved for _, moved in directions], axis=2),
        "colors": vertex_colors(form, vertices, dict(zip(LINK_NAMES, weights.T, strict=True))),
        "landmark_names": np.array(list(points)),
        "landmark_vertices": np.array(list(points.values()), dtype=np.int32),
        "zone_names": np.array(list(zones)),
        "zone_counts": np.array([len(zone) for zone in zones.values()], dtype=np.int32),
        "zone_vertices": np.concatenate(list(zones.values())).astype(np.int32),
    }
    return {key: value.astype(np.float32) if value.dtype == np.float64 else value for key, value in arrays.items()}


def shape_direction(
    name: str, vertices: np.ndarray, middle: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Displacement of the surface (vertex, 3) and of the joints in their parents (24, 3) per unit of a parameter [m]:

    half the difference between the bodies on both sides of the mean, arms level, from the pelvis.
    """
    mean = Measures.of()
    if name == "size":
        joints = level_joints(mean)
        return SHAPES["size"] * (raise_arms(mean, vertices, weights) - joints[0]), SHAPES["size"] * _in_parents(joints)
    step = np.eye(len(SHAPES))[list(SHAPES).index(name)]
    surfaces, places = [], []
    for shape in (step, -step):
        form = make_form(shape)
        guess = moved_with_joints(mean, form.measures, vertices, weights)
        surface = settle(form, guess, middle, _SETTLING)
        joints = level_joints(form.measures)
        surfaces.append(raise_arms(form.measures, surface, weights) - joints[0])
        places.append(_in_parents(joints))
    return 0.5 * (surfaces[0] - surfaces[1]), 0.5 * (places[0] - places[1])


def _in_parents(joints: np.ndarray) -> np.ndarray:
    """Each joint from its parent (24, 3); all frames have the axes of the root."""
    offsets = joints - joints[list(PARENTS)]
    offsets[0] = 0.0
    return offsets


if __name__ == "__main__":
    np.savez_compressed(ASSET_PATH, **cast(dict[str, Any], make_body()))
    print(f"{ASSET_PATH}: {ASSET_PATH.stat().st_size / 1024:.0f} KiB")
