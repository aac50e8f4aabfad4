"""Where the scenes of an ablation come from: folders, or simulation with a seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from warpprior.formats.place import ANY, Place
from warpprior.scene import Scene
from warpprior.support.errors import InputError

MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Source:
    """One scene, before it is read or made.

    Attributes:
        name: unique among the scenes of an ablation; names its files.
        folder: the scene folder, or the file or folder of another format; None for a simulated scene.
        simulated: name of the simulated scene, or None.
        seed, object, mask_noise, images: how it is simulated.
        frame_count: how many frames, or None for all of a folder's and the usual number of a simulated scene.
        place: format, path and options as JSON, of what is no scene folder.
    """

    name: str
    folder: str | None = None
    simulated: str | None = None
    seed: int = 0
    object: str | None = None
    mask_noise: str = "M1"
    images: bool = True
    frame_count: int | None = None
    place: str | None = None

    def open(self, device: str) -> Scene:
        """Read or simulate the scene."""
        if self.folder is not None:
            from warpprior.formats import open_scene

            place = self.folder if self.place is None else Place.of_record(json.loads(self.place), self.name)
            return open_scene(place, num_frames=self.frame_count)
        from warpprior.scenes import simulate

        frames: dict[str, Any] = {} if self.frame_count is None else {"frame_count": self.frame_count}
        return simulate(
            str(self.simulated),
            seed=self.seed,
            object=self.object,
            mask_noise=self.mask_noise,
            images=self.images,
            device=device,
            **frames,
        )

    def identity(self) -> str:
        """A text that changes when the scene does: how it is made, or sizes and times of the folder's own files."""
        files = []
        if self.folder is not None:
            folder = Path(self.folder)
            paths = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else [folder]
            files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
        return json.dumps([asdict(self), files])


def collect_sources(
    folders: Sequence[Path | Place],
    simulated: str | None,
    seeds: Sequence[int],
    *,
    object_name: str | None = None,
    mask_noise: str = "M1",
    frame_count: int | None = None,
) -> list[Source]:
    """The scenes that were asked for.

    Raises:
        InputError: none at all, two of the same name, a folder that is no scene, or no such simulated scene.
    """
    sources = []
    for place in map(Place.parse, folders):
        folder = place.path
        if place.format == ANY and not (folder / "scene.toml").is_file():
            raise InputError(str(folder), "no scene.toml in it", "a scene folder, or FORMAT:PATH")
        other = None if place.format == ANY else json.dumps(place.record())
        whole = {"folder": str(folder.resolve()), "frame_count": frame_count, "place": other}
        sources.append(Source(folder.resolve().name, **whole))
    if simulated is not None:
        from warpprior.scenes.registry import SCENES

        if simulated not in SCENES:
            raise InputError("--simulate", repr(simulated), f"one of {', '.join(SCENES)}")
        words = [simulated, object_name, None if mask_noise == "M1" else mask_noise]
        stem = "-".join(word for word in words if word)
        for seed in seeds:
            sources.append(
                Source(
                    f"{stem}-{seed:04d}",
                    simulated=simulated,
                    seed=seed,
                    object=object_name,
                    mask_noise=mask_noise,
                    frame_count=frame_count,
                )
            )
    if not sources:
        raise InputError("ablate", "no scene", "scene folders, or --simulate NAME")
    names = [source.name.casefold() for source in sources]  # they name files, and some systems know no case
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError("ablate", f"two scenes called {twice[0]!r}", "scenes of different names, whatever their case")
    return sources


def collect_tracking_sources(
    names: Sequence[str], seeds: Sequence[int], *, object_name: str | None = None, frame_count: int | None = None
) -> list[Source]:
    """Simulated scenes of a human hand, without colour pictures, each with each seed.

    Raises:
        InputError: no such scene, or one that is no human hand's.
    """
    from warpprior.scenes.registry import HAND_SCENES

    for name in names:
        if name not in HAND_SCENES:
            raise InputError("ablate-tracking", repr(name), f"some of {', '.join(HAND_SCENES)}")
    sources = []
    for name in dict.fromkeys(names):
        found = collect_sources([], name, seeds, object_name=object_name, frame_count=frame_count)
        sources += [replace(source, images=False) for source in found]
    return sources


def parse_seeds(text: str) -> list[int]:
    """Seeds of a text such as ``0-9`` or ``1,4,10-12``, in that order, each once.

    Raises:
        ValueError: anything else.
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (first.isdecimal() and first.isascii() and (not dash or (last.isdecimal() and last.isascii()))):
            raise ValueError(f"{part!r} is no seed and no range such as 0-9")
        low, high = int(first), int(last) if dash else int(first)
        if high < low or high >= 2**31 or high - low >= MOST_SEEDS:
            raise ValueError(f"{part!r}: seeds go upwards, to 2147483647 at most, {MOST_SEEDS} at once")
        seeds.update(dict.fromkeys(range(low, high + 1)))
    return list(seeds)
