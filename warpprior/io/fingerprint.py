"""What an estimate was made from, part by part, so that a run can be told from another and the difference named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict

import numpy as np

from warpprior.scene import Poses, Scene
from warpprior.support.stored import forget

_HASH = "blake2b:"
_LONGEST_VALUE, _LONGEST_TEXT = 24, 150  # characters


def fingerprint(scene: Scene, settings: Mapping | None = None) -> dict[str, str]:
    """Everything an estimate depends on, by name: numbers as text, arrays as hashes.

    Parts are the camera, frames, labels, detections, noise, bodies, their initial poses, and ``setting KEY`` for every
    setting.  Truth, names of folders and pictures' file names do not count; colour and depth pictures are represented
    by their presence.

    Args:
        scene: what the estimate is made from.
        settings: plain data, nested as it may be.
    """
    parts: dict[str, object] = {
        f"setting {key}": "none" if value is None else value for key, value in flat_settings(settings or {})
    }
    parts |= {f"camera {key}": value for key, value in asdict(scene.camera).items()}
    parts |= {"frames per second": scene.fps, "number of frames": scene.frame_count}
    parts |= {"colour images": scene.read_rgb is not None, "depth images": scene.read_depth is not None}
    parts |= {"labels": scene.labels, "timestamps": scene.timestamps}
    parts |= {f"noise of {name}": value for name, value in (scene.noise or {}).items()}
    for kind, found in (("keypoints", scene.keypoints2d), ("boxes", scene.boxes)):
        parts |= {f"{kind} of {name}": values for name, values in found.items()}
    for number, wanted in enumerate(scene.contact_maps):
        values = [value for value in vars(wanted).values() if isinstance(value, np.ndarray)]
        parts |= {f"contact map {number} of {wanted.body} and {wanted.other}": values}
    if scene.world is not None and scene.world.moves and scene.world.camera is not None:
        camera = scene.world.camera
        parts |= {"poses of the camera": [camera.position, camera.rotation], "noise of the camera": scene.world.noise}
    for item in scene.bodies:
        name = item.name
        parts |= {f"label of {name}": item.label, f"known {name}": item.known, f"symmetry of {name}": item.symmetry}
        parts |= {} if item.size is None else {f"size of {name}": [item.size.sigma, *item.size.range]}
        shape = [item.body.surfaces, item.body.faces, np.array(item.body.coordinate_names, dtype=np.str_)]
        parts |= {f"body {name}": shape, f"initial poses of {name}": _motion(item.initial)}
    return {name: _text(value) for name, value in parts.items() if value is not None}


def flat_settings(settings: Mapping, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Nested settings by their dotted keys."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat_settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The parts that differ, with both values where they are short, as one text; empty when none does."""
    said = []
    for name in [*then, *(name for name in now if name not in then)]:
        old, new = then.get(name, "none"), now.get(name, "none")
        if old == new:
            continue
        shown = not (old.startswith(_HASH) or new.startswith(_HASH))
        said.append(f"{name} (then {_short(old)}, now {_short(new)})" if shown else name)
    named = said[:1]
    while len(named) < len(said) and len(", ".join(said[: len(named) + 1])) <= _LONGEST_TEXT:
        named.append(said[len(named)])
    more = len(said) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _motion(poses: Poses) -> list[np.ndarray]:
    moments = np.arange(poses.frame_count) if poses.moments is None else poses.moments
    return [poses.position, poses.rotation, poses.joints, poses.shape, np.array(poses.scale), moments]


def _text(value: object) -> str:
    """A hash of arrays, or the value as JSON."""
    arrays = [value] if isinstance(value, np.ndarray) else value
    if not (isinstance(arrays, list) and arrays and all(isinstance(one, np.ndarray) for one in arrays)):
        return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
        forget(array)
    return _HASH + digest.hexdigest()


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
