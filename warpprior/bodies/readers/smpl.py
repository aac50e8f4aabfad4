"""SMPL: the body model of Loper and others (2015), from its own files, which need a licence (smpl.is.tue.mpg.de)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from warpprior.bodies.blend_body import blend_body
from warpprior.bodies.body import Body
from warpprior.bodies.body_parts import LINK_NAMES, PARENTS
from warpprior.bodies.closing import is_closed
from warpprior.bodies.readers.conventions import Convention
from warpprior.bodies.readers.kinds import BodyKind, BodySource
from warpprior.bodies.readers.model_file import Layout, ModelArrays, read_model_arrays

LAYOUT = Layout("SMPL", 6890, 24, 10, PARENTS)
LIMIT = 2.8  # [rad], of each entry of a rotation vector


def read_smpl(path: Path | str, name: str = "person") -> Body:
    """A person from a SMPL file (``.pkl``, read without running any of it, or ``.npz`` of the same arrays).

    Root frame: the file's axes, its origin at the pelvis joint of each shape.  69 joint coordinates, the file's
    ``pose`` without its first three entries; the first 10 shape parameters.

    Raises:
        InputError: damaged, or no SMPL model.
    """
    return smpl_body(read_model_arrays(path, LAYOUT), name)


def smpl_body(arrays: ModelArrays, name: str = "person") -> Body:
    """The body of kind ``smpl`` that the arrays of a file of :data:`LAYOUT` describe; see :func:`read_smpl`."""
    body = blend_body(arrays, name, "smpl", LINK_NAMES)
    return replace(body, lower=body.lower.clip(-LIMIT), upper=body.upper.clip(max=LIMIT), closed=is_closed(body.faces))


@dataclass(frozen=True)
class SmplKeys:
    """Keys of a person in ``scene.toml``; see :class:`~warpprior.bodies.readers.conventions.Convention`."""

    translation: Literal["root", "transl"] = "root"


class SmplKind(BodyKind):
    """A person; the file is copied."""

    name = "smpl"
    Keys = SmplKeys
    fixed_joint_order = True

    def read(self, source: BodySource) -> tuple[Body, Convention]:
        """The person, and what the positions in pose files mean."""
        arrays = read_model_arrays(source.file, LAYOUT)
        return smpl_body(arrays, source.name), Convention(arrays, translation=source.keys.translation)


KIND = SmplKind()
