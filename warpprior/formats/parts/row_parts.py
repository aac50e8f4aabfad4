"""The parts of video_to_data's objects as bodies of a scene, and back: on a hinge, or each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from warpprior.bodies.body import Body
from warpprior.formats.parts.hinged import joined_body
from warpprior.formats.parts.part_joint import Hinge, are_still, fit_hinge
from warpprior.scene import SceneBody
from warpprior.support.errors import InputError

PARTS = ("auto", "hinge", "free", "known")
_SAME_ORIGIN_M = 1e-4


@dataclass(frozen=True, eq=False)
class RowParts:
    """Objects of a file.

    Attributes:
        pieces: each part as a rigid body, as the file has it.
        items: bodies of the scene: the parts, or one that holds two of them.
        hinge: what those two turn about, or None.
    """

    pieces: list[SceneBody]
    items: list[SceneBody]
    hinge: Hinge | None = None

    def among(self, bodies: Sequence[SceneBody]) -> list[SceneBody]:
        """The bodies of these names, in our order; those that are not there as the file has them."""
        there = {item.name: item for item in bodies}
        return [there.get(item.name, item) for item in self.items]

    def moved(self, items: Sequence[SceneBody]) -> list[SceneBody]:
        """The parts where bodies of the scene, as :meth:`among` gives them, have them."""
        if self.hinge is None:
            return list(items)
        (item,) = items
        from scipy.spatial.transform import Rotation

        poses, hinge, size = item.initial, self.hinge, item.initial.scale
        turns = Rotation.from_quat(poses.rotation)
        swung = turns * Rotation.from_rotvec(poses.joints[:, :1] * hinge.axis)
        place = poses.position + size * (turns.apply(hinge.pivot) + swung.apply(hinge.position - hinge.pivot))
        first, second = self.pieces
        rigid = {"joints": np.zeros((len(place), 0)), "scale": size}
        lead = replace(first.initial, position=poses.position, rotation=poses.rotation, **rigid)
        turned = (swung * Rotation.from_quat(hinge.rotation)).as_quat()
        follows = replace(second.initial, position=place, rotation=turned, **rigid)
        return [replace(first, initial=lead), replace(second, initial=follows)]

    def angles(self, items: Sequence[SceneBody]) -> np.ndarray | None:
        """Angles (frame,) [rad] that the file states, in new poses; None where it does not state those of the parts."""
        if self.hinge is None or not self.hinge.stated:
            return None
        return items[0].initial.joints[:, 0]


def put_together(
    where: str, name: str, pieces: list[SceneBody], stated: np.ndarray | None, how: str, notes: list[str]
) -> RowParts:
    """Parts as bodies of a scene.

    Two parts that turn about one axis are one articulated body.  Parts that move otherwise are objects of their own.
    Parts of one origin that do not move against each other are known: their joint cannot be told.

    Args:
        where: names the file.
        name: of the whole object.
        pieces: its parts.
        stated: angles of the joint (frame,) [rad], or None.
        how: one of PARTS.
        notes: what was taken how is appended.

    Raises:
        InputError: a hinge was asked for, and the parts do not turn about one.
    """
    if len(pieces) == 1 and how != "known":
        return RowParts(pieces, pieces)
    poses = [piece.initial for piece in pieces]
    if how == "hinge" and len(pieces) != 2:
        raise InputError(where, f"has {len(pieces)} parts", "--parts hinge of two; or free, known")
    hinge = fit_hinge(poses[0], poses[1], stated) if len(pieces) == 2 and how in ("auto", "hinge") else None
    if how == "hinge" and hinge is None:
        raise InputError(where, "its two parts do not turn about one axis by 5 degrees", "--parts free or known")
    words = f"{', '.join(piece.name for piece in pieces)}"
    if hinge is not None:
        return RowParts(pieces, [_hinged(name, pieces, hinge, notes)], hinge)
    one_origin = all(np.abs(one.position - poses[0].position).max() < _SAME_ORIGIN_M for one in poses[1:])
    unsure = one_origin and all(are_still(poses[0], one) for one in poses[1:])
    if how == "known" or (how == "auto" and unsure):
        why = "as asked" if how == "known" else "they do not move against each other, and nothing tells their joint"
        notes.append(f"{words} are known: {why}; --parts decides")
        pieces = [replace(piece, known=True) for piece in pieces]
    elif len(pieces) > 1:
        notes.append(f"{words} are estimated each by itself, for no hinge joins them; --parts decides")
    return RowParts(pieces, pieces)


def _hinged(name: str, pieces: list[SceneBody], hinge: Hinge, notes: list[str]) -> SceneBody:
    """Two parts on a hinge as one body."""
    first, second = (piece.body for piece in pieces)
    names = (first.name, second.name)
    body = joined_body(name, [first, _moved(second, hinge)], hinge.axis, hinge.pivot, names)
    turned = f"about one axis by {np.degrees(np.ptp(hinge.angles)):.3g} degrees"
    off = f"to {np.degrees(hinge.off_rad):.2g} degrees and {1000 * hinge.off_m:.2g} mm"
    angle = "the stated angle" if hinge.stated else "an angle that the file does not state (object_articulation stays)"
    notes.append(f"{name}: {names[1]} turns against {names[0]} {turned}, {off}: one body with a joint, by {angle}")
    start = pieces[0].initial
    lost = [piece.initial.imputed for piece in pieces if piece.initial.imputed is not None]
    imputed = np.any(lost, axis=0) if lost else None
    poses = replace(start, joints=hinge.angles[:, None].astype(np.float64), imputed=imputed)
    return SceneBody(body, pieces[0].label, False, poses)


def _moved(body: Body, hinge: Hinge) -> Body:
    """The second part in the frame of the first, at an angle of zero."""
    from scipy.spatial.transform import Rotation

    placed = Rotation.from_quat(hinge.rotation).apply(body.vertices.astype(np.float64)) + hinge.position
    return replace(body, vertices=placed.astype(np.float32))
