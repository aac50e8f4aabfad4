"""Textures become vertex colours: decoded within limits, and averaged over the faces around each vertex."""

from __future__ import annotations

import struct

import numpy as np

PIXEL_LIMIT = 64_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_FINEST = 5  # samples along the edge of a face, at most
_SPACING_PX = 3.0  # wanted distance between samples in the texture
_CHUNK = 100_000  # faces looked at together


def texture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that the header of a PNG, JPEG or BMP file claims; None for what is none of these."""
    if data.startswith(_PNG) and len(data) >= 24:
        return struct.unpack_from(">II", data, 16)
    if data.startswith(b"BM") and len(data) >= 26:
        width, height = struct.unpack_from("<ii", data, 18)
        return abs(width), abs(height)
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        if marker == 0xFF:
            at += 1
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def paint_corners(
    image: np.ndarray, vertices: np.ndarray, faces: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The colour that each vertex should have for the surface to look most like its texture.

    Every face is sampled inside, and each sample counts for its three corners by the square of its barycentric
    coordinates: fine print becomes its mean instead of one pixel's chance, and no seam bleeds into its neighbour.

    Args:
        image: the texture (height, width, 3), rows from the top; uint8, or floats in [0, 1].
        vertices: (vertex, 3).
        faces: the faces that wear it (face, 3).
        places: texture coordinates of their corners, u to the right, v upwards, repeating (face, 3, 2).

    Returns:
        Sums of weighted colours (vertex, 3) and of weights (vertex,).
    """
    total, weight = np.zeros((len(vertices), 3)), np.zeros(len(vertices))
    if len(faces) == 0:
        return total, weight
    size = np.array([image.shape[1], image.shape[0]])
    edges = np.linalg.norm((places - np.roll(places, 1, axis=1)) * size, axis=2)
    weights = _lattice(int(np.clip(np.ceil(np.median(edges) / _SPACING_PX), 2, _FINEST)))
    for first in range(0, len(faces), _CHUNK):
        some, uvs = faces[first : first + _CHUNK], places[first : first + _CHUNK]
        corners = vertices[some]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        colors = look_up(image, np.einsum("sc,fcx->fsx", weights, uvs).reshape(-1, 2)).reshape(len(some), -1, 3)
        sums = np.einsum("sc,fsx,f->fcx", weights**2, colors, area)
        np.add.at(total, some, sums)
        np.add.at(weight, some, area[:, None] * (weights**2).sum(axis=0))
    return total, weight


def look_up(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Colours (place, 3) in [0, 1] at texture coordinates (place, 2): u to the right, v upwards, repeating."""
    height, width = image.shape[:2]
    u, v = (places % 1.0).T
    rows = np.minimum(((1.0 - v) * height).astype(np.int64), height - 1)
    columns = np.minimum((u * width).astype(np.int64), width - 1)
    colors = image[rows, columns]
    return colors / 255.0 if colors.dtype == np.uint8 else colors


def _lattice(count: int) -> np.ndarray:
    """Barycentric coordinates (sample, 3) of a triangle's inside, ``count`` along each edge."""
    pairs = [(i, j) for i in range(count) for j in range(count - i)]
    steps = np.array([(i, j, count - 1 - i - j) for i, j in pairs])
    return (steps + 1.0 / 3.0) / count
