"""Contact as pictures: of each body what a map wants, what there was and what there is, from the side that touches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from warpprior.bodies import Body, posed_vertices
from warpprior.bodies.contact_map import ContactMap
from warpprior.bodies.triangles import vertex_normals
from warpprior.contacts.predict import predict_contact
from warpprior.io.atomic import atomic_write
from warpprior.report.overlay import encoded
from warpprior.report.picture import INK, PAPER, require_cv2, write_text
from warpprior.result import Result
from warpprior.scene import Camera, Poses
from warpprior.usd.heat import warm_colors

SIDE = 300  # of a panel [px]
MOST = 6  # maps of a sheet
AROUND_M = 0.004  # places colour the vertices around them [m]
COOL, UNTOLD = (0.78, 0.80, 0.84), (0.45, 0.48, 0.54)  # of what touches nothing, and of what is not known
_LENS = 3.0  # focal length in widths of a panel: far away, so that little is foreshortened
_LINE = 26  # height of a line of text [px]


def write_contact_sheet(result: Result, path: Path, *, device: str = "cpu") -> None:
    """Write a picture of the maps of a result's scene: wanted, before, after; in the frame where most is to touch.

    Vertices are coloured by their contact value, red at 1 and yellow at 0.5; grey where a map says nothing.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """
    require_cv2()
    maps = [wanted for wanted in result.scene.contact_maps if isinstance(wanted, ContactMap)][:MOST]
    pairs = list(dict.fromkeys((wanted.body, wanted.other) for wanted in maps))
    start = {body.name: body.initial for body in result.scene.bodies}
    turns = {}
    for title, poses in (("before", start), ("after", result.poses)):
        predicted = predict_contact(result.scene, poses, pairs=pairs, device=device)
        turns[title] = {(found.body, found.other): found for found in predicted}
    rows = []
    for wanted in maps:
        every = wanted.in_frames(result.scene.frame_count)
        frame = int(np.argmax(np.nansum(every.values, axis=1)))
        body = result.scene.body(wanted.body).body
        values = {"wanted": _of_vertices(body, wanted, every.values[frame])}
        for title, found in turns.items():
            values[title] = np.nan_to_num(found[wanted.body, wanted.other].values[frame])
        poses = result.poses[wanted.body].frames(np.array([frame]))
        panels = _panels(body, poses, list(values.values()), device)
        words = [f"{wanted.body} on {wanted.other}, frame {frame}: wanted", "before", "after"]
        rows.append(np.concatenate([_titled(panel, text) for panel, text in zip(panels, words, strict=True)], axis=1))
    with atomic_write(path) as file:
        file.write(encoded(np.concatenate(rows), path.suffix))


def _of_vertices(body: Body, wanted: ContactMap, values: np.ndarray) -> np.ndarray:
    """Values (vertex,) of a map of places, NaN where there is no place nearby."""
    if wanted.places is None:
        return values
    away, nearest = KDTree(wanted.places).query(body.vertices)
    return np.where(away < AROUND_M, values[nearest], np.nan)


def _panels(body: Body, poses: Poses, values: list[np.ndarray], device: str) -> list[np.ndarray]:
    """The body in its pose, coloured by values (vertex,), from where most of them is seen (side, side, 3) uint8."""
    from warpprior import render

    surface = posed_vertices(body, poses, device)[0].astype(np.float64)
    normals = vertex_normals(surface, body.faces)
    towards = np.nansum(normals * np.nan_to_num(values[0])[:, None] ** 2, axis=0)
    towards = normals[np.argmax(np.nan_to_num(values[0]))] if np.linalg.norm(towards) < 1e-6 else towards
    turn = Rotation.align_vectors([[0.0, 0.0, -1.0]], [towards])[0]
    places = turn.apply(surface - 0.5 * (surface.min(axis=0) + surface.max(axis=0)))
    size = float(np.abs(places[:, :2]).max()) * 2.2
    places[:, 2] += _LENS * size
    camera = Camera(SIDE, SIDE, _LENS * SIDE, _LENS * SIDE, SIDE / 2.0, SIDE / 2.0)
    drawn = []
    for field in values:
        shown = replace(_as_mesh(body, places), colors=_colors(field))
        lit = {shown.name: Poses.identity(1)}
        paint = render.colors([shown], lit, camera=camera, device=device).numpy()[0]
        facing = -render.normals([shown], lit, camera=camera, device=device).numpy()[0][..., 2]
        covered = paint.sum(axis=2, keepdims=True) > 0.0
        light = (0.35 + 0.65 * np.clip(facing, 0.0, 1.0))[..., None]
        image = np.where(covered, 255.0 * paint * light, np.asarray(INK, dtype=np.float64))
        drawn.append(np.clip(image, 0, 255).astype(np.uint8))
    return drawn


def _as_mesh(body: Body, places: np.ndarray) -> Body:
    """The posed surface as a body that does not move."""
    from warpprior.bodies import rigid_body

    return rigid_body(body.name, places.astype(np.float32), body.faces)


def _colors(values: np.ndarray) -> np.ndarray:
    """Colour of each vertex (vertex, 3) in [0, 1]."""
    found = warm_colors(np.nan_to_num(values), np.asarray(COOL))
    return np.where(np.isfinite(values)[:, None], found, np.asarray(UNTOLD))


def _titled(panel: np.ndarray, text: str) -> np.ndarray:
    bar = np.full((_LINE, panel.shape[1], 3), INK, np.uint8)
    write_text(bar, text, (8, 18), PAPER)
    return np.concatenate([bar, panel])
