"""Poses in the conventions of MANO and SMPL files, brought into ours when a pose file is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from warpprior.support.errors import InputError

if TYPE_CHECKING:
    from warpprior.bodies.readers.model_file import ModelArrays

MOST_COMPONENTS = 45


class HandModel(Protocol):
    """A hand's model file that knows the conventions of its joints."""

    def full_pose(self, stored: np.ndarray, *, pca: bool, flat_hand_mean: bool) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Convention:
    """What the numbers of one body in the scene's pose files mean; ``scene.toml`` says so.

    Attributes:
        arrays: of the model file.
        hand: the MANO model, or None for SMPL.
        pca: ``joints`` are so many coefficients of the file's principal directions; None: rotation vectors.
        flat_hand_mean: zero joints are the flat hand; otherwise the mean of the file's training poses.
        translation: ``root``: ``position`` is where the root joint is; ``transl``: it is the models' own translation,
            added after the turn about the root joint.
    """

    arrays: ModelArrays
    hand: HandModel | None = None
    pca: int | None = None
    flat_hand_mean: bool = True
    translation: str = "root"

    def joints(self, stored: np.ndarray, names: np.ndarray | None, where: str) -> np.ndarray:
        """Joint coordinates (frame, coordinate) as rotation vectors, zero for the file's template.

        Args:
            stored: (frame, n) as in the pose file.
            names: the pose file's joint names, or None.
            where: file and field, for messages.

        Raises:
            InputError: another number of columns than ``pca``, or the model file has not what is needed.
        """
        if self.hand is None or (self.pca is None and self.flat_hand_mean):
            return stored
        if names is not None:
            found = "comes with joint_names, so it is in our convention"
            raise InputError(where, found, "leave out pca and flat_hand_mean in scene.toml, or joint_names here")
        wanted = MOST_COMPONENTS if self.pca is None else self.pca
        if stored.shape[1] != wanted:
            accepted = f"needs {wanted}" + ("" if self.pca is None else f", for scene.toml says pca = {self.pca}")
            raise InputError(where, f"has {stored.shape[1]} coordinates", accepted)
        try:
            return self.hand.full_pose(stored, pca=self.pca is not None, flat_hand_mean=self.flat_hand_mean)
        except ValueError as error:
            accepted = "use the published file, or poses in full rotation vectors of a flat hand"
            raise InputError(where, str(error), accepted) from None

    def position(self, position: np.ndarray, shape: np.ndarray, scale: float) -> np.ndarray:
        """Where the root joint is (frame, 3) [m], from positions as stored."""
        if self.translation == "root":
            return position
        return position + scale * self.arrays.root_joint(shape)
