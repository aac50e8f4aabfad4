"""Arrays of MANO and SMPL model files: the published pickles, and ``.npz`` files of the same arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.readers.pickled_arrays import PickledArrays
from warpprior.bodies.readers.safe_pickle import MOST_BYTES, read_pickle
from warpprior.support.errors import InputError
from warpprior.support.npz import read_npz

MOST_UNPACKED = 1 << 30
MOST_COORDINATE = 10.0  # [m]
MOST_VALUE = 1e3  # of all arrays but those of indices; products of a few stay well within single precision
WEIGHT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Layout:
    """How large the arrays of one family of models are.

    Attributes:
        what: for messages.
        vertices, links, shapes: counts; files may have more shape parameters than that, which are left out.
        parents: parent of each link, -1 for the root.
    """

    what: str
    vertices: int
    links: int
    shapes: int
    parents: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ModelArrays:
    """One model as its file has it, float64, in the file's own frame [m].

    Attributes:
        v_template: rest surface (vertex, 3).
        f: triangles (face, 3) int64.
        shapedirs: displacement per shape parameter (vertex, 3, shape).
        posedirs: displacement per entry of (R - I) of the non-root joints, row-major (vertex, 3, 9 * (link - 1)).
        weights: skinning weights (vertex, link).
        J_regressor: joints from vertices (link, vertex).
        kintree_table: parent and number of each link (2, link) int64.
        hands_mean: mean joint coordinates (coordinate,), or None.
        hands_components: principal directions of the joint coordinates (component, coordinate), or None.
        hands_coeffs: training poses along those directions (pose, component), or None.
    """

    v_template: np.ndarray
    f: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray
    weights: np.ndarray
    J_regressor: np.ndarray
    kintree_table: np.ndarray
    hands_mean: np.ndarray | None = None
    hands_components: np.ndarray | None = None
    hands_coeffs: np.ndarray | None = None

    def root_joint(self, shape: np.ndarray) -> np.ndarray:
        """The root joint (3,) [m] in the file's frame, for shape parameters (shape,) or none."""
        surface = self.v_template
        if len(shape):
            surface = surface + self.shapedirs @ np.asarray(shape, dtype=np.float64)
        return self.J_regressor[0] @ surface

    def as_dict(self) -> dict[str, np.ndarray]:
        """Arrays by their names in files, without those that are missing."""
        return {name: value for name, value in vars(self).items() if value is not None}


def read_model_arrays(path: Path | str, layout: Layout) -> ModelArrays:
    """Arrays of a model file, checked.

    Args:
        path: a published ``.pkl`` (read without running any of it), or an ``.npz`` of plain arrays.
        layout: what the model must be like.

    Raises:
        InputError: damaged, not of this layout, or with values that no such model has.
    """
    path = Path(path)
    what = f"a {layout.what} model file (.pkl or .npz)"
    suffix = path.suffix.lower()
    if suffix not in (".pkl", ".npz"):
        raise InputError(str(path), f"{path.suffix!r} files are not read", f"give {what}")
    if suffix == ".npz":
        accepted = f"give {what}; `warpprior convert-mano` makes the .npz"
        keys = ModelArrays.__dataclass_fields__
        arrays = read_npz(path, what, accepted, keys, limit=MOST_BYTES, unpacked=MOST_UNPACKED)
    else:
        source = PickledArrays(str(path), read_pickle(path, what))
        arrays = {key: source.array(key) for key in ModelArrays.__dataclass_fields__ if key in source}
    return _checked(str(path), layout, arrays)


def _checked(where: str, layout: Layout, arrays: dict[str, np.ndarray]) -> ModelArrays:
    """The arrays in the types and shapes of :class:`ModelArrays`; InputError for what no such model has."""
    vertices, links, coordinates = layout.vertices, layout.links, 3 * (layout.links - 1)
    shapes = {
        "v_template": (vertices, 3),
        "shapedirs": (vertices, 3, None),
        "posedirs": (vertices, 3, 9 * (links - 1)),
        "weights": (vertices, links),
        "J_regressor": (links, vertices),
        "f": (None, 3),
        "kintree_table": (2, links),
        "hands_mean": (coordinates,),
        "hands_components": (None, coordinates),
        "hands_coeffs": (None, None),
    }
    accepted = f"needs a {layout.what} model: {vertices} vertices, {links} joints, {layout.shapes} shape parameters"
    for name, wanted in shapes.items():
        if name not in arrays:
            if name.startswith("hands_"):
                continue
            raise InputError(where, f"has no array {name!r}", accepted)
        found = arrays[name]
        fits = found.ndim == len(wanted) and all(n in (None, m) for n, m in zip(wanted, found.shape, strict=True))
        if not fits or found.dtype.kind not in "biuf":
            raise InputError(f"{where}: {name}", f"has shape {found.shape} and type {found.dtype}", accepted)
        if not np.isfinite(found).all():
            raise InputError(f"{where}: {name}", "is not finite", accepted)
        reach = float(np.abs(found.astype(np.float64)).max(initial=0.0))
        if reach > MOST_VALUE and name not in ("f", "kintree_table"):  # which are held against counts below
            raise InputError(
                f"{where}: {name}", f"has a value of {reach:.3g}", f"no model has one above {MOST_VALUE:g}"
            )
    read: dict[str, Any] = {name: np.asarray(value, dtype=np.float64) for name, value in arrays.items()}
    read["f"], read["kintree_table"] = (arrays[name].astype(np.int64) for name in ("f", "kintree_table"))
    _check_values(where, layout, read, accepted)
    read["shapedirs"] = read["shapedirs"][:, :, : layout.shapes]
    return ModelArrays(**read)


def _check_values(where: str, layout: Layout, arrays: dict[str, np.ndarray], accepted: str) -> None:
    parents = arrays["kintree_table"][0].copy()
    parents[0] = -1  # stored as 2^32 - 1
    if tuple(parents) != layout.parents:
        raise InputError(f"{where}: kintree_table", "is not the tree of these joints", accepted)
    faces = arrays["f"]
    if len(faces) == 0 or len(faces) > 3 * layout.vertices or faces.min() < 0 or faces.max() >= layout.vertices:
        raise InputError(f"{where}: f", "has no faces, too many, or names vertices there are not", accepted)
    if arrays["shapedirs"].shape[2] < layout.shapes:
        raise InputError(f"{where}: shapedirs", f"has {arrays['shapedirs'].shape[2]} parameters", accepted)
    if "hands_coeffs" in arrays and "hands_components" in arrays:
        if arrays["hands_coeffs"].shape[1] != len(arrays["hands_components"]):
            raise InputError(f"{where}: hands_coeffs", "does not belong to hands_components", accepted)
    extent = np.abs(arrays["v_template"]).max()
    if not 1e-3 < extent < MOST_COORDINATE:
        raise InputError(f"{where}: v_template", f"reaches {extent:.3g} m", "needs metres")
    weights = arrays["weights"]
    if weights.min() < -WEIGHT_TOLERANCE or np.abs(weights.sum(axis=1) - 1.0).max() > WEIGHT_TOLERANCE:
        raise InputError(f"{where}: weights", "are negative or do not sum to one", accepted)
