"""Names of the parts of a hand that models share: keypoints in OpenPose order, and zones that touch things."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.triangles import vertex_normals

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
KEYPOINT_NAMES = ("wrist", *(f"{finger}{part}" for finger in FINGERS for part in ("1", "2", "3", "_tip")))
PALMAR = 0.3  # least cosine between a vertex normal and the direction in which the palm looks


def palm_directions(
    wrist: np.ndarray, index: np.ndarray, middle: np.ndarray, pinky: np.ndarray, side: str
) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (3,) out of the palm of a flat hand, and along the way its thumb's pad looks.

    A thumb is turned: its pad looks half the way the palm does, and half across, towards the little finger.

    Args:
        wrist, index, middle, pinky: the wrist and the knuckles of three fingers (3,).
        side: ``left`` or ``right``.
    """
    across = pinky - index
    outwards = (1.0 if side == "right" else -1.0) * np.cross(-across, middle - wrist)
    outwards = outwards / np.linalg.norm(outwards)
    thumb = outwards + across / np.linalg.norm(across)
    return outwards, thumb / np.linalg.norm(thumb)


def find_zones(
    vertices: np.ndarray,
    faces: np.ndarray,
    followed: np.ndarray,
    pads: dict[str, int],
    palm: tuple[int, ...],
    looks: tuple[np.ndarray, np.ndarray],
) -> dict[str, np.ndarray]:
    """Vertices of the finger pads and of the palm: what mostly follows their links and looks the right way.

    Args:
        vertices: rest surface of a flat hand (vertex, 3) [m].
        faces: triangles; vertices of none (of a wrist's lid, for instance) belong to no zone.
        followed: the link each vertex mostly follows (vertex,).
        pads: last link of each finger, by finger.
        palm: links of the palm.
        looks: see :func:`palm_directions`.
    """
    normals = vertex_normals(vertices, faces)
    outwards, thumb = (normals @ direction > PALMAR for direction in looks)
    zones = {
        f"{finger}_pad": np.flatnonzero((followed == link) & (thumb if finger == "thumb" else outwards))
        for finger, link in pads.items()
    }
    zones["palm"] = np.flatnonzero(np.isin(followed, palm) & outwards)
    return {name: values.astype(np.int32) for name, values in zones.items()}
