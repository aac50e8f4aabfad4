"""Colours of glTF primitives: base colour, its texture and the colours of vertices, which multiply in linear light."""

from __future__ import annotations

from typing import Any

import numpy as np

from warpprior.bodies.readers.mesh_files.glb import Glb
from warpprior.bodies.readers.mesh_files.linear_light import to_linear, to_srgb
from warpprior.bodies.readers.mesh_files.textures import Paint, Textures, look_up
from warpprior.support.errors import InputError

WHITE = (1.0, 1.0, 1.0, 1.0)


class GltfColors:
    """Reads the colours of one file's primitives; a texture is decoded once."""

    def __init__(self, glb: Glb):
        self._glb = glb
        self._textures = Textures(glb.path, "its colours were left out")
        self._warnings: list[str] = []
        self._refused: dict[int, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be read, one sentence each."""
        return (*self._warnings, *self._textures.warnings)

    def read(self, primitive: dict, points: np.ndarray, faces: np.ndarray) -> np.ndarray | None:
        """Vertex colours (vertex, 3) in [0, 1], sRGB; None for a primitive without material and colours of vertices.

        Args:
            primitive: as the file has it.
            points: its vertices (vertex, 3).
            faces: its triangles (face, 3).
        """
        try:
            return self._read(primitive, points, faces)
        except (InputError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            said = error.found if isinstance(error, InputError) else "their entries make no sense"
            text = f"some colours cannot be read ({said[:120]}); they were left out"
            if text not in self._warnings and len(self._warnings) < 8:
                self._warnings.append(text)
            return None

    def _read(self, primitive: dict, points: np.ndarray, faces: np.ndarray) -> np.ndarray | None:
        own = None
        if "COLOR_0" in primitive["attributes"]:
            own = self._glb.array(primitive["attributes"]["COLOR_0"], len(points)).astype(np.float64)[:, :3]
            if own.shape[1] != 3 or not np.isfinite(own).all():
                raise ValueError("colours that are not three numbers")
        if "material" not in primitive and own is None:
            return None
        material = self._glb.item("materials", primitive["material"]) if "material" in primitive else {}
        base, keys = material.get("pbrMetallicRoughness", {}), ("baseColorFactor", "baseColorTexture")
        glossy = material.get("extensions", {}).get("KHR_materials_pbrSpecularGlossiness")
        if glossy is not None and "pbrMetallicRoughness" not in material:
            base, keys = glossy, ("diffuseFactor", "diffuseTexture")
        factor = np.array(base.get(keys[0], WHITE), dtype=np.float64)
        if factor.shape != (4,) or not np.isfinite(factor).all():
            raise ValueError("a factor that is not four numbers")
        tint = np.broadcast_to(factor[:3], (len(points), 3)) * (1.0 if own is None else np.clip(own, 0.0, 1.0))
        texture = base.get(keys[1])
        if texture is None:
            return to_srgb(tint)
        worn = self._worn(texture, primitive, points, faces)
        return worn if worn is None or (tint == 1.0).all() else to_srgb(to_linear(worn) * tint)

    def _worn(self, texture: Any, primitive: dict, points: np.ndarray, faces: np.ndarray) -> np.ndarray | None:
        """What a texture gives the vertices (vertex, 3), or None with a warning."""
        image = self._image(texture["index"])
        if image is None:
            return None
        moved = texture.get("extensions", {}).get("KHR_texture_transform", {})
        number = moved.get("texCoord", texture.get("texCoord", 0))
        places = self._glb.array(primitive["attributes"][f"TEXCOORD_{int(number)}"], len(points))
        if places.shape[1] != 2:
            raise ValueError("texture coordinates that are not two numbers")
        places = _moved(places, moved) * [1.0, -1.0] + [0.0, 1.0]  # v of glTF runs downwards
        paint = Paint(points)
        paint.wear(image, faces, places[faces])
        colors = paint.colors()
        # Vertices whose faces have no area wear what lies at their own place.
        lone = np.ones(len(points), dtype=bool) if colors is None else np.isnan(colors[:, 0])
        result = np.zeros((len(points), 3)) if colors is None else colors
        result[lone] = look_up(image, places[lone])
        return result

    def _image(self, index: Any) -> np.ndarray | None:
        source = self._glb.item("textures", index).get("source")
        picture = self._glb.item("images", source)
        uri = picture.get("uri", "")
        outside = bool(uri) and not uri.startswith("data:")

        def data() -> bytes:
            if "bufferView" in picture:
                return self._glb.view_bytes(picture["bufferView"])
            if outside and self._glb.binary:
                raise InputError(uri, "lies in another file", "")
            return self._glb.named_bytes(uri)

        return self._textures.decode(uri if outside else f"number {source}", data)


def _moved(places: np.ndarray, moved: dict) -> np.ndarray:
    """Texture coordinates (place, 2) after ``KHR_texture_transform``."""
    offset, scale = (np.array(moved.get(key, default), dtype=np.float64).reshape(2) for key, default in _IDENTITY)
    turn = float(moved.get("rotation", 0.0))
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return places * scale @ rotation.T + offset


_IDENTITY = (("offset", (0.0, 0.0)), ("scale", (1.0, 1.0)))
