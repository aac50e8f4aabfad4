"""The clips: short simulated ones, and ten that are bad, each in its own way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from warpprior.io import save_scene
from warpprior.scene import Camera
from warpprior.scenes import simulate

FRAMES, WIDTH, HEIGHT = 4, 160, 120
THINGS = ("bottle", "box", "mug")


def _without_label(folder: Path) -> None:
    _edit(folder, lambda text: text.replace("label = 2\n", ""))


def _not_toml(folder: Path) -> None:
    _edit(folder, lambda text: text.replace("[camera]", "[camera", 1))


def _without_mesh(folder: Path) -> None:
    next(folder.glob("*.obj")).unlink()


def _not_numbers(folder: Path) -> None:
    _change_poses(folder, lambda arrays: {key: _nan(value) for key, value in arrays.items()})


def _short(folder: Path) -> None:
    _change_poses(folder, lambda arrays: {key: value[:1] for key, value in arrays.items()})


def _pickled(folder: Path) -> None:
    _change_poses(folder, lambda arrays: {key: np.array([value, None], dtype=object) for key, value in arrays.items()})


def _torn_poses(folder: Path) -> None:
    path = folder / "initial.npz"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])


def _torn_label(folder: Path) -> None:
    path = next((folder / "labels").glob("*.png"))
    path.unlink()
    path.write_bytes(b"\x89PNG\r\n\x1a\nand no more")


def _as_it_is(_folder: Path) -> None:
    """The name is what makes it bad: see traps.py."""


# name: what is done to it, and a word that must be in what is said of it.
BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "not_toml": (_not_toml, "TOML"),
    "without_label": (_without_label, "label"),
    "without_mesh": (_without_mesh, "does not exist"),
    "not_numbers": (_not_numbers, "initial.npz"),
    "too_short": (_short, "initial.npz"),
    "pickled": (_pickled, "initial.npz"),
    "torn_poses": (_torn_poses, "initial.npz"),
    "torn_label": (_torn_label, "png"),
    "kills_its_process": (_as_it_is, "SIGKILL"),
    "hangs": (_as_it_is, "took longer"),
}


def make_clips(folder: Path, count: int) -> list[str]:
    """Write so many good clips and the bad ones, in no order; names of the good ones.

    Few are simulated; the others are their copies, of the same files.
    """
    focal = 615.0 / 640.0 * WIDTH
    camera = Camera(WIDTH, HEIGHT, focal, focal, WIDTH / 2, HEIGHT / 2)
    models = []
    for seed, thing in enumerate(THINGS):
        scene = simulate(
            "grasp_lift", object=thing, seed=seed, frame_count=FRAMES, camera=camera, images=False, device="cpu"
        )
        models.append(folder / "models" / thing)
        save_scene(scene, models[-1], overwrite=True)
    clips, good = folder / "clips", []
    shutil.rmtree(clips, ignore_errors=True)
    every = max(count // len(BAD), 1)
    bad = list(BAD)
    for number in range(count):
        good.append(f"{number:04d}_{THINGS[number % len(models)]}")
        shutil.copytree(models[number % len(models)], clips / good[-1], copy_function=os.link)
        if number % every == every // 2 and bad:  # bad ones lie among the good ones
            _make_bad(models[0], clips / f"{number:04d}_bad" / bad[0], BAD[bad.pop(0)][0])
    for name in bad:
        _make_bad(models[0], clips / "bad" / name, BAD[name][0])
    return good


def _make_bad(model: Path, folder: Path, change: Callable[[Path], None]) -> None:
    shutil.copytree(model, folder)
    change(folder)


def _edit(folder: Path, change: Callable[[str], str]) -> None:
    path = folder / "scene.toml"
    before = path.read_text(encoding="utf-8")
    after = change(before)
    if after == before:
        raise AssertionError(f"{path}: nothing to change")
    path.write_text(after, encoding="utf-8")


def _change_poses(folder: Path, change: Callable[[dict], dict]) -> None:
    path = folder / "initial.npz"
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    np.savez(path, **change(arrays))


def _nan(value: np.ndarray) -> np.ndarray:
    return np.full_like(value, np.nan) if value.dtype.kind == "f" else value
