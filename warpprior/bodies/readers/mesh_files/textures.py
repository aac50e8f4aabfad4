"""Textures become vertex colours: found beside the mesh, decoded within limits, averaged around each vertex."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from warpprior.bodies.triangles import doubled_areas
from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes
from warpprior.support.jpeg import SCAN_LIMIT, has_many_scans
from warpprior.support.picture_headers import PIXEL_LIMIT, read_header
from warpprior.support.png import plain_png

TOTAL_PIXELS = 4 * PIXEL_LIMIT  # of all textures of one mesh
MOST_WARNINGS = 12  # of one mesh's textures
_FINEST = 5  # samples along the edge of a face, at most
_SPACING_PX = 3.0  # wanted distance between samples in the texture
_CHUNK = 100_000  # faces looked at together


def beside(path: Path, name: str) -> Path | None:
    """The file that a mesh names, if it is in the folder of the mesh or below; links do not lead out."""
    try:
        folder = path.parent.resolve()
        file = (folder / name.replace("\\", "/")).resolve()
        return file if file.is_relative_to(folder) and file.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None


def quoted(name: str) -> str:
    """A name from a file as messages show it: short."""
    return repr(name if len(name) <= 80 else name[:77] + "...")


class Textures:
    """The textures that one mesh file names, decoded within limits.

    Args:
        path: the mesh file; nothing outside its folder is read.
        instead: what is done without a texture that cannot be read, for warnings.

    Attributes:
        warnings: why textures could not be read, one sentence each.
    """

    def __init__(self, path: Path, instead: str = "its material's plain colour is used, if it has one"):
        self.warnings: list[str] = []
        self._path, self._instead = path, instead
        self._images: dict[str, np.ndarray | None] = {}
        self._pixels = 0

    def read(self, name: str) -> np.ndarray | None:
        """A texture file as RGB (height, width, 3) uint8, or None with a warning."""

        def data() -> bytes:
            file = beside(self._path, name)
            if file is None:
                raise InputError(name, "is not in its folder", "")
            return read_bytes(file, "a texture")

        return self.decode(name, data)

    def decode(self, name: str, data: Callable[[], bytes]) -> np.ndarray | None:
        """The same from the bytes of a PNG, JPEG or BMP file, which are asked for once."""
        if name not in self._images:
            try:
                self._images[name] = self._decoded(name, data())
            except InputError as error:
                self._images[name] = self._refuse(name, error.found)
        return self._images[name]

    def _decoded(self, name: str, data: bytes) -> np.ndarray | None:
        header = read_header(data)
        if header is None:
            return self._refuse(name, "is no PNG, JPEG or BMP")
        pixels = header.width * header.height
        if pixels > PIXEL_LIMIT:
            size = f"{header.width} x {header.height} px"
            return self._refuse(name, f"is {size}, more than {PIXEL_LIMIT // 1_000_000} megapixels")
        if self._pixels + pixels > TOTAL_PIXELS:
            return self._refuse(name, f"makes more than {TOTAL_PIXELS // 1_000_000} megapixels of textures")
        if header.format == "jpeg" and has_many_scans(data):
            return self._refuse(name, f"has more than {SCAN_LIMIT} scans")
        plain = plain_png(data) if header.format == "png" else data
        if plain is None:
            return self._refuse(name, "is damaged")
        self._pixels += pixels
        try:
            import cv2
        except ImportError:
            return self._refuse(name, "needs OpenCV to be read (pip install 'warpprior[cv]')")
        try:
            flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
            image = cv2.imdecode(np.frombuffer(plain, dtype=np.uint8), flags)
        except cv2.error:
            image = None
        if image is None:
            return self._refuse(name, "cannot be read")
        return image[:, :, ::-1]

    def _refuse(self, name: str, why: str) -> None:
        count = len(self.warnings)
        if count <= MOST_WARNINGS:
            text = f"the texture {quoted(name)} {why}" if count < MOST_WARNINGS else "so it is with further textures"
            self.warnings.append(f"{text}; {self._instead}")


class Paint:
    """Colours of vertices as the mean of what the faces around them wear, weighted by their areas.

    Args:
        vertices: (vertex, 3).
    """

    def __init__(self, vertices: np.ndarray):
        self._vertices = vertices
        self._total, self._weight = np.zeros((len(vertices), 3)), np.zeros(len(vertices))

    def wear(self, image: np.ndarray, faces: np.ndarray, places: np.ndarray) -> None:
        """Faces (face, 3) with a texture, its coordinates at their corners (face, 3, 2), v upwards."""
        total, weight = paint_corners(image, self._vertices, faces, places)
        self._total += total
        self._weight += weight

    def fill(self, colors: np.ndarray, faces: np.ndarray) -> None:
        """Faces (face, 3) of one colour each (face, 3), or all of one (3,), in [0, 1]."""
        area = face_areas(self._vertices, faces)
        np.add.at(self._weight, faces, area[:, None])
        np.add.at(self._total, faces, (np.broadcast_to(colors, (len(faces), 3)) * area[:, None])[:, None])

    def colors(self) -> np.ndarray | None:
        """Vertex colours in [0, 1] (vertex, 3), NaN where nothing was painted; None where nothing was at all."""
        if not self._weight.any():
            return None
        painted = self._weight[:, None] > 0.0
        with np.errstate(all="ignore"):  # of coordinates that are refused later
            return np.where(painted, self._total / np.where(painted, self._weight[:, None], 1.0), np.nan)


def face_areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Twice the area of each face (face,)."""
    corners = vertices[faces]
    with np.errstate(all="ignore"):  # of coordinates that are refused later
        return doubled_areas(corners)


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
        Sums of weighted colours (vertex, 3) and of weights (vertex,); a face weighs as much as its area.
    """
    total, weight = np.zeros((len(vertices), 3)), np.zeros(len(vertices))
    if len(faces) == 0:
        return total, weight
    size = np.array([image.shape[1], image.shape[0]])
    edges = np.linalg.norm((places - np.roll(places, 1, axis=1)) * size, axis=2)
    weights = _lattice(_density(float(np.median(edges))))
    shares = weights**2 / (weights**2).sum(axis=0)
    for first in range(0, len(faces), _CHUNK):
        some, uvs = faces[first : first + _CHUNK], places[first : first + _CHUNK]
        area = face_areas(vertices, some)
        colors = look_up(image, np.einsum("sc,fcx->fsx", weights, uvs).reshape(-1, 2)).reshape(len(some), -1, 3)
        np.add.at(total, some, np.einsum("sc,fsx,f->fcx", shares, colors, area))
        np.add.at(weight, some, area[:, None])
    return total, weight


def _density(edge_px: float) -> int:
    """Samples along the edges of faces whose edges are so long in the texture."""
    return int(np.clip(np.ceil(edge_px / _SPACING_PX), 2, _FINEST)) if np.isfinite(edge_px) else 2


def look_up(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Colours (place, 3) in [0, 1] at texture coordinates (place, 2): u to the right, v upwards, repeating."""
    height, width = image.shape[:2]
    with np.errstate(invalid="ignore"):
        u, v = np.nan_to_num(places % 1.0).T
    rows = np.minimum(((1.0 - v) * height).astype(np.int64), height - 1)
    columns = np.minimum((u * width).astype(np.int64), width - 1)
    colors = image[rows, columns]
    return colors / 255.0 if colors.dtype == np.uint8 else colors


def _lattice(count: int) -> np.ndarray:
    """Barycentric coordinates (sample, 3) of a triangle's inside, ``count`` along each edge."""
    pairs = [(i, j) for i in range(count) for j in range(count - i)]
    steps = np.array([(i, j, count - 1 - i - j) for i, j in pairs])
    return (steps + 1.0 / 3.0) / count
