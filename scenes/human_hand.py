"""Makes the asset of our human hand: ``python -m warpprior.scenes.human_hand`` writes ``assets/hand.npz`` anew.

What is in it is described in docs/hand.md; :func:`warpprior.bodies.read_hand` reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np

from warpprior.scenes.human_hand_form import DIGITS, FINGERS, SHAPES, Form, make_form
from warpprior.scenes.human_hand_looks import texture_coordinates, vertex_colors
from warpprior.scenes.human_hand_mesh import make_net, shape_vertices
from warpprior.scenes.human_hand_skin import contact_zones, link_names, skin_weights

ASSET_PATH = Path(__file__).parent / "assets" / "hand.npz"
MILLIMETRE = 1e-3


def make_hand() -> dict[str, np.ndarray]:
    """All arrays of the asset, for a right hand: metres, root frame, links in MANO's order."""
    directions = [shape_direction(parameter) for parameter in range(len(SHAPES))]
    return {
        **mean_hand(),
        "shape_names": np.array(list(SHAPES)),
        "shape_directions": np.stack([surface for surface, _ in directions], axis=2),
        "joint_shape_directions": np.stack([joints for _, joints in directions], axis=2),
    }


def shape_direction(parameter: int) -> tuple[np.ndarray, np.ndarray]:
    """Displacement of the surface (vertex, 3) and of the joints in their parents (16, 3) per unit of a parameter [m]:

    half the difference between the hands on both sides of the mean.
    """
    net, step = make_net(), np.eye(len(SHAPES))[parameter]
    more, less = make_form(step), make_form(-step)
    surface = 0.5 * MILLIMETRE * (shape_vertices(net, more) - shape_vertices(net, less))
    joints = 0.5 * MILLIMETRE * (joint_offsets(more)[0] - joint_offsets(less)[0])
    return surface.astype(np.float32), joints.astype(np.float32)


def mean_hand() -> dict[str, np.ndarray]:
    """The arrays of the asset that do not depend on shape."""
    net, form = make_net(), make_form()
    vertices = shape_vertices(net, form)
    positions, rotations = joint_offsets(form)
    links, weights = skin_weights(net, form, vertices)
    zones = contact_zones(net)
    names = ["wrist"]
    for digit in ("thumb", *FINGERS):
        names += [f"{digit}{number}" for number in (1, 2, 3)] + [f"{digit}_tip"]
    order = {name: number for number, name in enumerate(link_names())}
    arrays = {
        "vertices": MILLIMETRE * vertices,
        "faces": net.faces,
        "link_names": np.array(link_names()),
        "joint_positions": MILLIMETRE * positions,
        "joint_rotations": rotations,
        "skin_links": links.astype(np.uint8),
        "skin_weights": weights,
        "texture_coordinates": texture_coordinates(net, form, vertices),
        "colors": vertex_colors(net),
        "keypoint_names": np.array(names),
        "keypoint_links": np.array([order[name.replace("_tip", "3")] for name in names], dtype=np.int32),
        "keypoint_vertices": np.array(
            [net.tips.get(n[:-4], -1) if n.endswith("_tip") else -1 for n in names], np.int32
        ),
        "zone_names": np.array(list(zones)),
        "zone_counts": np.array([len(zone) for zone in zones.values()], dtype=np.int32),
        "zone_vertices": np.concatenate(list(zones.values())).astype(np.int32),
    }
    return {key: value.astype(np.float32) if value.dtype == np.float64 else value for key, value in arrays.items()}


def joint_offsets(form: Form) -> tuple[np.ndarray, np.ndarray]:
    """Each joint in its parent's frame at rest: position (16, 3) [mm] and quaternion xyzw (16, 4)."""
    from scipy.spatial.transform import Rotation

    positions, rotations = np.zeros((16, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (16, 1))
    for name in DIGITS:
        digit, first = form.digits[name], 1 + 3 * DIGITS.index(name)
        place, frame = np.zeros(3), np.eye(3)
        for joint in range(3):
            positions[first + joint] = frame.T @ (digit.joints[joint] - place)
            rotations[first + joint] = Rotation.from_matrix(frame.T @ digit.frames[joint]).as_quat()
            place, frame = digit.joints[joint], digit.frames[joint]
    return positions, rotations


if __name__ == "__main__":
    np.savez_compressed(ASSET_PATH, **cast(dict[str, Any], make_hand()))
    print(f"{ASSET_PATH}: {ASSET_PATH.stat().st_size / 1024:.0f} KiB")
