"""What a caller says that prims of a stage are: how they are read, or a model of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from warpprior.bodies.body import Body
from warpprior.support.errors import InputError
from warpprior.usd.reading.find import FORMS

_SIDES = ("left", "right")
_FILES = ("mano", "smpl", "skin", "umetrack", "urdf", "mesh")
ACCEPTED = f"{', '.join(FORMS)}, hand:left, hand:right, or {', '.join(f'{kind}:FILE' for kind in _FILES)}"


@dataclass(frozen=True, eq=False)
class NamedBody:
    """What a prim is.

    Attributes:
        form: how its prims are read; None: as is found.
        model: its model, where that was named.
        source: the model's file.
    """

    form: str | None = None
    model: Body | None = None
    source: Path | None = None


def name_bodies(bodies: Mapping[str, str | Body | None] | None) -> dict[str, NamedBody] | None:
    """What prims are, by path; None where nothing was said.

    Raises:
        InputError: a kind that there is not, or a model that cannot be read.
    """
    if bodies is None:
        return None
    if not bodies:
        raise InputError("bodies", "names none", "prims by path, or None to have them guessed")
    return {str(path): _named(str(path), said) for path, said in bodies.items()}


def _named(path: str, said: str | Body | None) -> NamedBody:
    if said is None:
        return NamedBody()
    if isinstance(said, Body):
        return NamedBody("frames", said)
    kind, colon, rest = said.partition(":")
    kind = "urdf" if kind == "robot" else kind
    if not colon and kind in FORMS:
        return NamedBody(kind)
    where = f"bodies: {path}"
    if kind == "hand" and rest in _SIDES:
        from warpprior.bodies.readers.hand import read_hand

        return NamedBody("frames", read_hand(rest))
    if kind in _FILES and rest:
        return NamedBody("frames", _read_model(kind, Path(rest)), Path(rest))
    raise InputError(where, repr(said), ACCEPTED)


def _read_model(kind: str, path: Path) -> Body:
    import warpprior.bodies as readers

    if kind == "umetrack":
        from warpprior.bodies.readers.umetrack import read_umetrack

        return read_umetrack(path, name=kind)
    return getattr(readers, f"read_{kind}")(path, name=kind)
