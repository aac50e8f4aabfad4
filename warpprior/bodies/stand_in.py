"""Bodies with fewer faces that stand in for those with very many, where a stated error allows it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from warpprior.bodies.body import Body, Original
from warpprior.bodies.repair import Surface, is_closed
from warpprior.bodies.simplify import moved, simplified

MANY_FACES = 5_000  # below, drawing costs less than what else is done with a body
WORTH = 0.7  # share of the faces: with more of them left, nothing is gained
ONE_LINK = 0.999  # weight of a vertex that follows one link alone
STEPS = 2  # errors that are asked for, per octave: scenes much alike find in the cache what another left there


def in_steps(error: float, least: float) -> float:
    """The next smaller of the errors that are asked for, ``least`` being one of them."""
    return least * 2.0 ** (math.floor(STEPS * math.log2(error / least)) / STEPS)


def lighter(body: Body, error: float, *, colors: bool = True) -> Body:
    """A body that looks the same with fewer faces.

    Its vertices are some of the body's, moved a little so that neither surface lies inside the other; its frame, links
    and coordinates are the body's, and ``stands_for`` is the body and how far off it is.  Surfaces are simplified link
    by link, at rest; what is found is kept beside the kernel cache.

    Args:
        body: rigid, or one of whose faces each follows a single link, as robots' do.
        error: the most that a point of either surface may be from the other [m].
        colors: colours are to stay, at most 0.1 off.

    Returns:
        the body itself where it has few faces, bends, stands in already, or cannot do with clearly fewer.
    """
    if body.face_count < MANY_FACES or body.stands_for is not None:
        return body
    links = _links_of_faces(body)
    if links is None:
        return body
    shades = body.colors if colors else None
    whole = body.vertices if shades is None else np.concatenate([body.vertices, shades], axis=1)
    _, first, ids = np.unique(whole, axis=0, return_index=True, return_inverse=True)
    welded = first[ids.reshape(-1)][body.faces]
    kept, places, faces, worst, count = [], [], [], 0.0, 0
    for link in np.unique(links):
        own = welded[(links == link) & (welded != np.roll(welded, 1, axis=1)).all(axis=1)]
        used, corners = np.unique(own, return_inverse=True)
        corners = corners.reshape(-1, 3).astype(np.int64)
        painted = None if shades is None else shades[used].astype(np.float64)
        surface = Surface(body.vertices[used].astype(np.float64), corners, painted, is_closed(corners))
        found = simplified(surface, error, balanced=True)
        kept.append(used[found.kept])
        places.append(moved(surface, found))
        faces.append(found.faces + count)
        worst, count = max(worst, found.error), count + len(found.kept)
    chosen, corners = np.concatenate(kept), np.concatenate(faces).astype(np.int32)
    if len(corners) > WORTH * body.face_count:
        return body
    vertices = np.concatenate(places).astype(np.float32)
    return replace(between(body, chosen, corners), vertices=vertices, stands_for=Original(body, worst))


def _links_of_faces(body: Body) -> np.ndarray | None:
    """The link that each face follows (face,), None where some follow several, or vertices have names."""
    named = bool(body.contact_zones) or (body.keypoints is not None and (body.keypoints.vertices >= 0).any())
    if named or body.animation is not None or body.shape_count or body.pose_directions.size:
        return None
    if (body.skin_weights.max(axis=1) < ONE_LINK).any():
        return None
    owners = np.take_along_axis(body.skin_links, body.skin_weights.argmax(axis=1)[:, None], axis=1)[:, 0][body.faces]
    return owners[:, 0] if (owners == owners[:, :1]).all() else None


def between(body: Body, chosen: np.ndarray, faces: np.ndarray) -> Body:
    """The body with faces (face, 3) between some of its vertices (chosen,)."""
    return replace(
        body,
        vertices=body.vertices[chosen],
        faces=faces,
        skin_links=np.ascontiguousarray(body.skin_links[chosen]),
        skin_weights=np.ascontiguousarray(body.skin_weights[chosen]),
        shape_directions=np.ascontiguousarray(body.shape_directions[chosen]),
        pose_directions=np.ascontiguousarray(body.pose_directions[chosen]),
        colors=None if body.colors is None else np.ascontiguousarray(body.colors[chosen]),
        texture_coordinates=None,
    )
