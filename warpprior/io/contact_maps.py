"""Files of contact maps: where bodies of a scene are to touch each other, and how near they are to be.

Keys are ``BODY/OTHER/...``, for places of ``BODY`` at the surface of ``OTHER``: ``distances`` (vertex,) or
(frame, vertex) [m], NaN for what is not known, or instead of them ``values`` in [0, 1], 1 mm over the distance and 0
for what is not known; perhaps with them ``normals`` of ``BODY`` there in the frame of ``OTHER`` (..., vertex, 3), and
``places`` on ``BODY`` at rest (place, 3) [m] where they are not its vertices.  Or points that are to touch: ``points``
on ``BODY`` and ``other_points`` on ``OTHER``, both at rest (pair, 3) [m], or ``pairs`` of vertex numbers (pair, 2); and
perhaps ``touch`` (pair,) or (frame, pair), whether they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.contact_map import ContactMap, TouchingPoints
from warpprior.io.array_files import read_arrays, write_arrays
from warpprior.support.errors import InputError

MAP_FIELDS = ("distances", "values", "normals", "places")
POINT_FIELDS = ("points", "other_points", "pairs", "touch")
BESIDE = ("faces", "links", "other_links")  # that a prediction writes, too
_ACCEPTED = "BODY/OTHER/distances, .../values, .../points with .../other_points, or .../pairs"


def load_contact_maps(
    path: str | Path, bodies: Iterable[Body], *, frame_count: int, notes: list[str]
) -> tuple[ContactMap | TouchingPoints, ...]:
    """Read maps of contact.

    Args:
        path: an ``.npz`` file.
        bodies: of the scene.
        frame_count: frames of the scene, where maps are given for each.
        notes: warnings are appended, one sentence each.

    Raises:
        InputError: naming file and key.
    """
    arrays, known = read_arrays(path, frame_count=frame_count), {body.name: body for body in bodies}
    groups: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    strangers = []
    for key in arrays:
        name, _, rest = key.partition("/")
        other, _, field = rest.partition("/")
        if field not in (*MAP_FIELDS, *POINT_FIELDS) or name not in known or other not in known:
            if field not in BESIDE:
                strangers.append(key)
            continue
        groups.setdefault((name, other), {})[field] = _numbers(f"{path}: {key}", arrays[key])
    if not groups:
        raise InputError(str(path), f"has no contact of {', '.join(known)}", f"keys are {_ACCEPTED}")
    if strangers:
        more = ", ..." if len(strangers) > 4 else ""
        notes.append(f"{Path(path).name}: holds {', '.join(strangers[:4])}{more} too; ignored")
    found = []
    for (name, other), fields in groups.items():
        place = f"{path}: {name}/{other}"
        made = _maps(place, known[name], known[other], fields)
        for wanted in made:
            wanted.check(str(path), list(known.values()), frame_count)
        found += made
    return tuple(found)


def save_contact_maps(path: str | Path, maps: Sequence[ContactMap | TouchingPoints]) -> None:
    """Write maps as :func:`load_contact_maps` reads them, atomically.

    Raises:
        InputError: two maps of one kind of the same two bodies.
        RunError: the file system refused.
    """
    arrays: dict[str, np.ndarray] = {}
    for wanted in maps:
        fields = ("distances", "normals", "places")
        if isinstance(wanted, TouchingPoints):
            fields = ("points", "other_points", "touch")
        for field in fields:
            key, values = f"{wanted.body}/{wanted.other}/{field}", getattr(wanted, field)
            if key in arrays:
                raise InputError(
                    "contact maps", f"two of {wanted.body} on {wanted.other}", "one of each kind in a file"
                )
            if values is not None:
                arrays[key] = values
    write_arrays(path, arrays)


def _numbers(place: str, stored: np.ndarray) -> np.ndarray:
    if stored.dtype.kind not in "fiub":
        raise InputError(place, f"has type {stored.dtype}", "needs numbers")
    return stored


def _maps(place: str, body: Body, other: Body, fields: Mapping[str, np.ndarray]) -> list[ContactMap | TouchingPoints]:
    """What the fields of two bodies are."""
    made: list[ContactMap | TouchingPoints] = []
    told = [field for field in ("distances", "values") if field in fields]
    pointed = [field for field in ("points", "pairs") if field in fields]
    for several in (told, pointed):
        if len(several) > 1:
            raise InputError(place, f"has both {several[0]} and {several[1]}", "one of them")
    for field, needs, given in (
        ("normals", "distances or values", told),
        ("places", "distances or values", told),
        ("other_points", "points", "points" in fields),
        ("touch", "points or pairs", pointed),
    ):
        if field in fields and not given:
            raise InputError(place, f"has {field} alone", f"{needs} with them")
    if told:
        rest = {field: fields[field].astype(np.float64) for field in ("normals", "places") if field in fields}
        given = fields[told[0]].astype(np.float64)
        if told[0] == "values":
            made.append(ContactMap.from_values(body.name, other.name, given, **rest))
        else:
            made.append(ContactMap(body.name, other.name, given, **rest))
    if pointed:
        touch = fields.get("touch")
        if touch is not None and not np.isin(touch, (0, 1)).all():
            raise InputError(f"{place}/touch", "neither 0 nor 1", "0 or 1 for each pair, whether it touches")
        touch = None if touch is None else touch.astype(bool)
        if "pairs" in fields:
            pairs = TouchingPoints.of_vertices(body, other, fields["pairs"])
            points, other_points = pairs.points, pairs.other_points
        elif "other_points" in fields:
            points, other_points = (fields[field].astype(np.float64) for field in ("points", "other_points"))
        else:
            raise InputError(place, "has points alone", "other_points with them, one for each")
        made.append(TouchingPoints(body.name, other.name, points, other_points, touch))
    return made
