"""MANO hands of others' files: where the model files are, and their parameters in our terms."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warpprior.bodies.readers.mano import ManoModel, mano_body, read_mano_model
from warpprior.formats.parts.motion import complete, filled
from warpprior.scene import Poses, SceneBody
from warpprior.support.errors import InputError

VARIABLE = "WARPPRIOR_MANO"
_ENDINGS = (".npz", ".pkl")
_PLACES = ("", "models", "mano_v1_2/models", "mano")


@dataclass(frozen=True, eq=False)
class ManoHand:
    """A MANO model and the file it was read from.

    Attributes:
        model: its arrays and side.
        path: the file.
    """

    model: ManoModel
    path: Path

    def root(self, shape: np.ndarray) -> np.ndarray:
        """The wrist joint (3,) [m] in the file's frame, which MANO turns the hand about."""
        return self.model.arrays.root_joint(np.asarray(shape, dtype=np.float64))

    def full_pose(self, given: np.ndarray, *, pca: bool, flat_hand_mean: bool) -> np.ndarray:
        """Rotation vectors (frame, 45) of a file's, as of ``ManoModel.full_pose``.

        Raises:
            InputError: the model lacks what they are about.
        """
        try:
            return self.model.full_pose(given, pca=pca, flat_hand_mean=flat_hand_mean)
        except ValueError as error:
            raise InputError(str(self.path), str(error), "the published model of MANO") from None

    def scene_body(self, name: str, label: int, poses: Poses, *, known: bool = False) -> SceneBody:
        """The hand in a scene."""
        return SceneBody(mano_body(self.model, name), label, known, poses, source=self.path)

    def poses(
        self,
        where: object,
        name: str,
        orient: np.ndarray,
        transl: np.ndarray,
        joints: np.ndarray,
        shape: np.ndarray,
        valid: np.ndarray,
        notes: list[str],
    ) -> Poses:
        """Poses of MANO's ``global_orient`` and ``transl``, with gaps filled.

        Args:
            where: file or folder of the poses, for errors.
            name: of the body.
            orient: rotation vectors (frame, 3) [rad].
            transl: added after the turn about the wrist joint (frame, 3) [m].
            joints: rotation vectors (frame, 45), zero for the flat hand.
            shape: (10,).
            valid: (frame,) bool: what stands in other frames is never read.
            notes: a sentence is appended where there are gaps.
        """
        from scipy.spatial.transform import Rotation

        sound = valid & complete(orient)
        rotation = Rotation.from_rotvec(np.where(sound[:, None], orient, 0.0)).as_quat()
        position = np.where(valid[:, None], transl, 0.0) + self.root(shape)
        return filled(
            where, name, position, rotation, sound, notes, joints=np.where(valid[:, None], joints, 0.0), shape=shape
        )


def find_mano(
    place: Path | None, side: str, *, mirrored: bool = False, correct_left_shape: bool = False, alone: bool = False
) -> ManoHand:
    """The MANO hand of one side.

    Args:
        place: ``--mano``: the folder that holds MANO_RIGHT and MANO_LEFT (.pkl or .npz); None takes the environment
            variable WARPPRIOR_MANO.
        side: ``left`` or ``right``.
        mirrored: it is the mirror image of the other side's file.
        correct_left_shape: as of :func:`warpprior.read_mano`, for left hands.
        alone: hands are all there is, and cannot be left out.

    Raises:
        InputError: no folder is named, or the file is not there or no MANO model.
    """
    given = place or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    of = side if not mirrored else {"left": "right", "right": "left"}[side]
    file = f"MANO_{of.upper()}"
    if given is None:
        accepted = f"name the folder with {file}.pkl (mano.is.tue.mpg.de): --mano DIR, or {VARIABLE}"
        accepted += "" if alone else "; or --without-hands"
        raise InputError(f"{side} hand", "is a MANO hand, whose model needs a licence and is not here", accepted)
    for path in (given / place / f"{file}{ending}" for place in _PLACES for ending in _ENDINGS):
        if path.is_file():
            how = {"mirrored": mirrored, "correct_left_shape": correct_left_shape and side == "left"}
            return ManoHand(read_mano_model(path, side=side, **how), path)
    raise InputError(str(given), f"holds no {file}.npz or {file}.pkl", "the folder of the MANO models")


def hand_of(item: SceneBody, *, mirrored: bool = False) -> ManoHand:
    """The MANO hand that a body of a scene was read from.

    Raises:
        InputError: its file is not known.
    """
    if item.source is None or item.body.kind != "mano":
        found = f"is of kind {item.body.kind}" if item.body.kind != "mano" else "has no source file"
        raise InputError(f"body {item.name!r}", found, "needs a MANO hand and its model file")
    model = read_mano_model(item.source, side=item.body.side, mirrored=mirrored)
    if has_corrected_shape(item, model, mirrored=mirrored):
        model = read_mano_model(item.source, side=item.body.side, correct_left_shape=True)
    return ManoHand(model, item.source)


def has_corrected_shape(item: SceneBody, model: ManoModel, *, mirrored: bool) -> bool:
    """Are shapes of a left hand other than its file has them, because their directions were corrected?"""
    if item.body.side != "left" or mirrored:
        return False
    return not np.array_equal(mano_body(model).shape_directions, item.body.shape_directions)
