"""The kinds of bodies that a scene folder can hold: one class each, in one table.

A kind says which keys of ``scene.toml`` are its own, and how a body of it is read from a scene folder and written into
one.  It stands in the file of its reader, and is found through :data:`KINDS`; kinds from elsewhere are entered with
:func:`register_kind`.
"""

from __future__ import annotations

import importlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.readers.conventions import Convention
from warpprior.bodies.size_prior import SizePrior
from warpprior.support.errors import InputError
from warpprior.support.progress import Progress

MIN_EXTENT, MAX_EXTENT = 1e-3, 5.0  # of a body's longest side [m]


@dataclass(frozen=True)
class NoKeys:
    """A kind without keys of its own."""


@dataclass(frozen=True)
class BodySource:
    """What a scene folder says about one body.

    Attributes:
        name: of the body.
        path: its file, inside the folder; None for kinds without one.
        folder: the scene folder.
        frame_count: of the whole sequence.
        fps: frames per second.
        keys: the kind's own keys, an instance of its ``Keys``.
        progress: is told how far reading has come, where it takes long; None is told nothing.
    """

    name: str
    path: Path | None
    folder: Path
    frame_count: int
    fps: float
    keys: Any
    progress: Progress | None = None

    @property
    def file(self) -> Path:
        """``path``, of a kind that has one."""
        if self.path is None:
            raise InputError(f"body {self.name!r}", "has no file", "give the path of its model")
        return self.path


@dataclass(frozen=True)
class BodyTarget:
    """Where a body is written, and where it came from.

    Attributes:
        folder: the new scene folder.
        stem: for names of files in it; no other body has it.
        source: the body's own file, if it is known.
        origin: the scene folder the body was read from, if it was.
        moments: which rows of ``Body.animation`` the frames show; None: all, in their order.
    """

    folder: Path
    stem: str
    source: Path | None = None
    origin: Path | None = None
    moments: np.ndarray | None = None

    def source_file(self, body: Body, *, which: str = "") -> Path:
        """The body's own file; InputError when it is not known or not there any more.

        ``which`` says of what bodies of the kind a file is needed, if not of all.
        """
        if self.source is None or not self.source.is_file():
            found = "has no source file" if self.source is None else f"its file {self.source} is not there any more"
            accepted = f"bodies of kind {body.kind}{which} are copied from the file they came from"
            if self.source is None:
                accepted += "; of what was read from a USD stage, take the stage in place of a scene folder"
            raise InputError(f"body {body.name!r}", found, accepted)
        return self.source.resolve()


class BodyKind:
    """One kind of body; what differs from this is overridden.

    Attributes:
        name: the word in ``scene.toml``, and ``Body.kind``.
        Keys: a frozen dataclass of the keys of ``scene.toml`` that only this kind has: annotated ``bool``, ``int`` and
            ``float`` (with a range), ``str`` or ``Literal``; those whose default is None may be left out.
        has_file: ``path`` names a file of the scene folder.
        given: its motion is given with it: it is always known, and needs no label.
        fixed_joint_order: everybody stores its joints in the order of the model file.
    """

    name: ClassVar[str]
    Keys: ClassVar[type] = NoKeys
    has_file: ClassVar[bool] = True
    given: ClassVar[bool] = False
    fixed_joint_order: ClassVar[bool] = False

    def read(self, source: BodySource) -> tuple[Body, Convention | None]:
        """The body, and what the numbers in its pose files mean where that is not ours.

        Raises:
            InputError: the file is damaged, or does not fit the keys.
        """
        raise NotImplementedError

    def size(self, keys: Any) -> SizePrior | None:
        """What is likely of a body's size, where its keys say that it is to be estimated; of rigid bodies."""
        return None

    def write(self, body: Body, target: BodyTarget) -> dict[str, Any]:
        """Write the body's files below ``target.folder``; the keys of ``scene.toml`` that say so, ``path`` first.

        Unless overridden, the body's own file is copied.

        Raises:
            InputError: its file is not known or not there.
        """
        source = target.source_file(body)
        copy = target.folder / f"{target.stem}{source.suffix.lower()}"
        shutil.copyfile(source, copy)
        return {"path": copy.name}


# Kind -> the module that has it as KIND, imported when it is first needed; or the kind itself.
KINDS: dict[str, str | BodyKind] = {
    "mesh": "warpprior.bodies.readers.mesh",
    "urdf": "warpprior.bodies.readers.urdf",
    "hand": "warpprior.bodies.readers.hand",
    "body": "warpprior.bodies.readers.human_body",
    "mano": "warpprior.bodies.readers.mano",
    "smpl": "warpprior.bodies.readers.smpl",
    "skin": "warpprior.bodies.readers.skin",
    "umetrack": "warpprior.bodies.readers.umetrack",
    "vertices": "warpprior.bodies.readers.animated",
}


def find_kind(name: str) -> BodyKind | None:
    """The kind of this name, or None."""
    entry = KINDS.get(name)
    return importlib.import_module(entry).KIND if isinstance(entry, str) else entry


def register_kind(kind: BodyKind) -> None:
    """Enter a kind of one's own: scene folders may hold it from now on.

    Raises:
        InputError: no instance of a kind, no name, or one that another kind has.
    """
    if not isinstance(kind, BodyKind):
        found = f"the class {kind.__name__}" if isinstance(kind, type) else f"a {type(kind).__name__}"
        raise InputError("kind", found, "an instance of a warpprior.bodies.BodyKind, as register_kind(BallKind())")
    if not getattr(kind, "name", ""):
        raise InputError(f"kind {type(kind).__name__}", "no name", "a class attribute like 'ball'")
    if find_kind(kind.name) not in (None, kind):
        raise InputError(f"kind {kind.name!r}", "there is one of that name", "choose another name")
    KINDS[kind.name] = kind
