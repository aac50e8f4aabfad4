"""Objects of two parts that turn about an axis: of one mesh and which part each of its vertices is of, or of two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from warpprior.bodies.body import Body, JointType
from warpprior.bodies.readers.mesh import check_size, read_surface
from warpprior.bodies.repair import Surface, repair_surface
from warpprior.support.errors import InputError

LINKS = ("bottom", "top")
JOINT = "articulation"


def hinged_body(path: Path, name: str, top: np.ndarray, axis: Sequence[float], unit: float) -> Body:
    """A body whose vertices ``top`` turn about an axis through the origin of its frame.

    Faces that join both parts, whose shape would change, are left out, with a warning.

    Args:
        path: of the mesh.
        name: of the body.
        top: which vertices of the file turn (vertex,) bool.
        axis: of the turn, a unit vector.
        unit: metres per unit of the file.

    Raises:
        InputError: the file is damaged, has another number of vertices, or one part has no face.
    """
    whole = read_surface(path)
    if len(top) != len(whole.vertices):
        raise InputError(str(path), f"has {len(whole.vertices)} vertices", f"{len(top)}, as parts are stated")
    pieces, warnings = [], []
    for turning in (False, True):
        faces = whole.faces[(top[whole.faces] == turning).all(axis=1)]
        if not len(faces):
            raise InputError(str(path), f"has no face of its {LINKS[turning]}", "needs two parts")
        piece = repair_surface(f"{path}: {LINKS[turning]}", Surface(unit * whole.vertices, faces, whole.colors))
        pieces.append(piece)
        warnings += [f"{LINKS[turning]}: {warning}" for warning in piece.warnings]
    across = len(whole.faces) - sum(int((top[whole.faces] == turning).all(axis=1).sum()) for turning in (False, True))
    if across:
        warnings.append(f"{across} faces that join both parts were left out")
    warnings += check_size(str(path), np.concatenate([piece.vertices for piece in pieces]), "millimetres are expected")
    return joined_body(name, pieces, axis, warnings=tuple(warnings))


def joined_body(
    name: str,
    pieces: Sequence[Surface | Body],
    axis: Sequence[float] | np.ndarray,
    pivot: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0),
    links: tuple[str, ...] = LINKS,
    warnings: tuple[str, ...] = (),
) -> Body:
    """A body of two surfaces, of which the second turns about an axis.

    Args:
        name: of the body.
        pieces: two surfaces in the first one's frame, at a turn of zero [m].
        axis: a unit vector, pivot: a place on it [m], in that frame.
        links: names of the parts.
        warnings: of the body.
    """
    first, count = len(pieces[0].vertices), sum(len(piece.vertices) for piece in pieces)
    colors = [piece.colors for piece in pieces if piece.colors is not None]
    offsets = np.tile(np.array([0, 0, 0, 0, 0, 0, 1], dtype=np.float32), (2, 1))
    offsets[1, :3] = pivot
    return Body(
        name=name,
        kind="urdf",
        vertices=np.concatenate([piece.vertices for piece in pieces]).astype(np.float32),
        faces=np.concatenate([pieces[0].faces, pieces[1].faces + first]).astype(np.int32),
        link_names=links,
        parents=np.array([-1, 0], dtype=np.int32),
        joint_types=np.array([JointType.FREE, JointType.HINGE], dtype=np.int32),
        joint_offsets=offsets,
        joint_axes=np.array([[0.0, 0.0, 0.0], axis], dtype=np.float32),
        coordinate_starts=np.array([-1, 0], dtype=np.int32),
        coordinate_gains=np.ones(2, dtype=np.float32),
        coordinate_biases=np.zeros(2, dtype=np.float32),
        coordinate_names=(JOINT,),
        lower=np.array([-np.inf], dtype=np.float32),
        upper=np.array([np.inf], dtype=np.float32),
        skin_links=(np.arange(count)[:, None] >= first).astype(np.int32),
        skin_weights=np.ones((count, 1), dtype=np.float32),
        shape_directions=np.zeros((count, 3, 0), dtype=np.float32),
        joint_shape_directions=np.zeros((2, 3, 0), dtype=np.float32),
        pose_directions=np.zeros((count, 3, 0), dtype=np.float32),
        colors=np.concatenate(colors).astype(np.float32) if len(colors) == len(pieces) else None,
        closed=all(piece.closed for piece in pieces),
        warnings=warnings,
    )
