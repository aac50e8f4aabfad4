"""Checkpoints: enough to continue an interrupted run, and to refuse continuing a different one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from warpprior.io.array_files import read_arrays, write_arrays
from warpprior.io.output import CHECKPOINT_FILE
from warpprior.scene import Poses, Scene
from warpprior.support.errors import InputError

_META = "__meta__"


def fingerprint(scene: Scene, settings: Mapping | None = None) -> str:
    """Hash of everything an estimate depends on: camera, times, models, labels, initial poses and settings.

    Truth, names of folders and pictures' file names do not count; colour and depth pictures are represented by their
    presence.
    """
    digest = hashlib.blake2b(digest_size=16)

    def add(value: object) -> None:
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype}{value.shape}".encode())
            digest.update(np.ascontiguousarray(value).data)
        else:
            digest.update(json.dumps(value, sort_keys=True, default=str).encode())

    add([vars(scene.camera), scene.fps, scene.frame_count, scene.read_rgb is not None, dict(settings or {})])
    if scene.read_depth is not None:
        add("depth")
    if scene.labels is not None:
        add(scene.labels)
    if scene.timestamps is not None:
        add(scene.timestamps)
    if scene.noise:
        add(dict(scene.noise))
    for found in (scene.keypoints2d, scene.boxes):
        for name in sorted(found):
            add(name)
            add(found[name])
    for item in scene.bodies:
        add([item.name, item.label, item.known, item.symmetry, list(item.body.coordinate_names)])
        for array in (item.body.surfaces, item.body.faces, *_motion(item.initial)):
            add(array)
    return digest.hexdigest()


def _motion(poses: Poses) -> tuple[np.ndarray, ...]:
    moments = np.arange(poses.frame_count) if poses.moments is None else poses.moments
    return poses.position, poses.rotation, poses.joints, poses.shape, np.array(poses.scale), moments


def save_checkpoint(folder: str | Path, arrays: Mapping[str, np.ndarray], meta: Mapping) -> None:
    """Write the state of a run into its output folder, atomically.

    Args:
        folder: the output folder.
        arrays: parameters, moments, best so far; any names but ``__meta__``.
        meta: plain data; give ``fingerprint`` (see :func:`fingerprint`) so that another run's state is refused.

    Raises:
        RunError: the file system refused.
    """
    stored = {name: np.asarray(array) for name, array in arrays.items()}
    stored[_META] = np.array(json.dumps(dict(meta)), dtype=np.str_)
    write_arrays(Path(folder) / CHECKPOINT_FILE, stored)


def load_checkpoint(
    folder: str | Path, *, expected_fingerprint: str | None = None
) -> tuple[dict[str, np.ndarray], dict] | None:
    """State saved by :func:`save_checkpoint`: arrays and meta; None when there is no checkpoint.

    Raises:
        InputError: the file is damaged, or belongs to other inputs or settings.
    """
    path = Path(folder) / CHECKPOINT_FILE
    if not path.is_file():
        return None
    accepted = "start again with --overwrite"
    try:
        arrays = dict(read_arrays(path))
    except InputError as error:
        raise InputError(error.where, error.found, accepted) from error
    try:
        meta = json.loads(str(arrays.pop(_META, None)))
    except ValueError:
        meta = None
    if not isinstance(meta, dict):
        raise InputError(str(path), "is not a checkpoint", accepted)
    if expected_fingerprint is not None and meta.get("fingerprint") != expected_fingerprint:
        raise InputError(str(path), "belongs to a run with other inputs or settings", accepted)
    return arrays, meta


def remove_checkpoint(folder: str | Path) -> None:
    """Remove the checkpoint of a run that is complete; harmless when there is none."""
    (Path(folder) / CHECKPOINT_FILE).unlink(missing_ok=True)
