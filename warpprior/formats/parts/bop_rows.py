"""Rows of a results file of BOP, and its poses."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.formats.parts.text_files import numbers, read_text
from warpprior.support.errors import InputError

HEADER = "scene_id,im_id,obj_id,score,R,t,time"
MILLIMETRE = 0.001


def result_row(scene: int, image: int, item: int, matrix: np.ndarray) -> str:
    """One pose (4, 4) [m], without score and time."""
    turn = " ".join(f"{value:.12g}" for value in matrix[:3, :3].ravel())
    shift = " ".join(f"{value / MILLIMETRE:.9g}" for value in matrix[:3, 3])
    return f"{scene},{image},{item},1,{turn},{shift},-1"


def read_results(path: Path, scene: int, images: Container[int], notes: list[str]) -> dict[int, dict[int, np.ndarray]]:
    """Poses (4, 4) [m] of one scene by object and image, the one of the best score of each.

    Raises:
        InputError: it is no results file, or has nothing of that scene.
    """
    lines = read_text(path, "a results file of BOP").splitlines()
    if not lines or lines[0].strip() != HEADER:
        raise InputError(str(path), f"begins with {lines[0][:40] if lines else ''!r}", f"needs {HEADER}")
    found: dict[int, dict[int, list[tuple[float, np.ndarray]]]] = {}
    for row, line in enumerate(lines[1:], start=2):
        cells, where = line.split(","), f"{path}: line {row}"
        if not line.strip():
            continue
        if len(cells) != 7:
            raise InputError(where, f"has {len(cells)} fields", f"needs {HEADER}")
        try:
            number_of, image, item = (int(cell) for cell in cells[:3])
            score, turn, shift = float(cells[3]), *([float(word) for word in cell.split()] for cell in cells[4:6])
        except ValueError:
            raise InputError(where, "is not numbers", f"needs {HEADER}") from None
        if number_of == scene and image in images:
            found.setdefault(item, {}).setdefault(image, []).append((score, pose_of(turn, shift, where)))
    if not found:
        raise InputError(str(path), f"has nothing of scene {scene}", "results of this scene")
    for item, rows in found.items():
        dropped = sum(len(of_image) - 1 for of_image in rows.values())
        if dropped:
            notes.append(f"object {item}: {dropped} results of lower score in the same image were left out")
    return {
        item: {image: max(of_image, key=lambda one: one[0])[1] for image, of_image in rows.items()}
        for item, rows in found.items()
    }


def pose_of(turn: Any, shift: Any, where: str) -> np.ndarray:
    """A pose (4, 4) in metres; NaN where it says that there is none: all -1, or a rotation of zeros."""
    matrix = np.eye(4)
    matrix[:3, :3] = numbers(turn, (9,), f"{where}: R", finite=False).reshape(3, 3)
    matrix[:3, 3] = numbers(shift, (3,), f"{where}: t")
    none = (matrix[:3, :3] == -1.0).all() or not matrix[:3, :3].any()
    matrix[:3, 3] *= MILLIMETRE
    return np.full((4, 4), np.nan) if none else matrix
