"""Colours of COLLADA materials: of vertices, of textures, or the diffuse colour of an effect."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote
from xml.etree.ElementTree import Element

import numpy as np

from warpprior.bodies.readers.mesh_files.dae_tree import DaeTree, read_floats
from warpprior.bodies.readers.mesh_files.textures import Paint, Textures, quoted
from warpprior.support.errors import InputError

MOST_SAID = 8
_SHADERS = ("phong", "lambert", "blinn", "constant")


@dataclass(frozen=True)
class Part:
    """Triangles of one material, of vertices of their own.

    Attributes:
        material: the symbol that an instance binds a material to.
        vertices: (vertex, 3).
        faces: (face, 3).
        colors: of vertices (vertex, 3) in [0, 1], or None.
        places: texture coordinates of corners, v upwards (face, 3, 2), or None.
        faults: why colours or texture coordinates could not be read.
    """

    material: str
    vertices: np.ndarray
    faces: np.ndarray
    colors: np.ndarray | None
    places: np.ndarray | None
    faults: tuple[str, ...] = ()


class DaeColors:
    """Reads the colours of one file's parts; a texture is decoded once."""

    def __init__(self, tree: DaeTree):
        self._tree = tree
        self._textures = Textures(tree.path, "its colours were left out")
        self._warnings: dict[str, None] = {}
        self._effects: dict[str, np.ndarray | str | None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be read, one sentence each."""
        return (*list(self._warnings)[:MOST_SAID], *self._textures.warnings)

    def read(self, part: Part, material: str) -> np.ndarray | None:
        """Vertex colours (vertex, 3) in [0, 1] of a part; None where the file says none, or with a warning."""
        for fault in part.faults:
            self._warnings[f"some colours cannot be read ({fault[:120]}); they were left out"] = None
        if material not in self._effects:
            self._effects[material] = self._material(material)
        found = self._effects[material]
        if isinstance(found, str) and part.places is not None:
            image = self._textures.read(found)
            if image is not None:
                paint = Paint(part.vertices)
                paint.wear(image, part.faces, part.places)
                return paint.colors()
        if part.colors is not None:
            return part.colors
        return np.tile(found, (len(part.vertices), 1)) if isinstance(found, np.ndarray) else None

    def _material(self, name: str) -> np.ndarray | str | None:
        """The diffuse colour of a material (3,), the file of its texture, or None."""
        if not name:
            return None
        try:
            instance = self._tree.named(f"#{name}").find("instance_effect")
            effect = None if instance is None else self._tree.named(instance.get("url", ""))
            profile = None if effect is None else effect.find("profile_COMMON")
            return None if profile is None else self._diffuse(profile)
        except (InputError, ValueError, IndexError) as error:
            found = error.found if isinstance(error, InputError) else str(error)
            said = f"the material {quoted(name)} cannot be read ({found[:120]}); its colours were left out"
            self._warnings[said] = None
            return None

    def _diffuse(self, profile: Element) -> np.ndarray | str | None:
        for shader in _SHADERS:
            entry = profile.find(f"technique/{shader}/{'emission' if shader == 'constant' else 'diffuse'}")
            if entry is None:
                continue
            color, texture = entry.find("color"), entry.find("texture")
            if texture is not None:
                return self._texture(profile, texture.get("texture", ""))
            if color is not None:
                values = read_floats(color)
                if len(values) < 3 or not np.isfinite(values).all():
                    raise ValueError("a colour that is not three numbers")
                return np.clip(values[:3], 0.0, 1.0)
        return None

    def _texture(self, profile: Element, name: str) -> str:
        """The file of a texture: through a sampler and its surface, or straight the image of that name."""
        parameters = {entry.get("sid", ""): entry for entry in profile.iter("newparam")}
        for inner in ("sampler2D/source", "surface/init_from"):
            found = parameters[name].find(inner) if name in parameters else None
            if found is not None:
                name = (found.text or "").strip()
        image = self._tree.named(f"#{name}").find("init_from")
        if image is None:
            raise ValueError("a texture without a file")
        reference = image.find("ref")
        text = (image.text if reference is None else reference.text) or ""
        return unquote(text.strip().removeprefix("file://"))
