"""Results of sequences of HO-3D as its scorer takes them: one ``pred.json`` in the order of its list of frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from warpprior.bodies.posing import posed_keypoints, posed_vertices
from warpprior.bodies.readers.mano import LAYOUT
from warpprior.formats.parts.ho3d_predictions import FILE, Key, Predictions, read_order, write_predictions
from warpprior.formats.parts.pictures import numbered
from warpprior.formats.parts.timeline import Timeline
from warpprior.formats.recording import Recording
from warpprior.support.errors import InputError

HAND = "hand_right"  # the only one that is scored
FRAMES = "frames.txt"


def write_results(
    recordings: Sequence[Recording], folder: Path, order: Path | None, fill: Path | None
) -> tuple[str, ...]:
    """Write ``pred.json``, and ``frames.txt`` with the order of its entries.

    Args:
        recordings: read from sequences of HO-3D.
        folder: where to.
        order: list of frames; None takes the data set's for this split, where all of it is there.
        fill: predictions in that order, of which the frames that were not estimated are taken.

    Raises:
        InputError: a recording has no right hand, two are of one sequence, or a list does not name their frames, or
            names others and there is nothing to fill them with.
    """
    found: dict[Key, tuple[np.ndarray, np.ndarray]] = {}
    for recording in recordings:
        for key, points in zip(_keys(recording), _hands(recording), strict=True):
            if key in found:
                raise InputError(f"{key[0]}/{key[1]:04d}", "is in two recordings", "each sequence once")
            found[key] = points
    first = recordings[0].origin
    assert first is not None
    listed = list_of(first.path, order)
    if listed is None and fill is not None:
        raise InputError("--fill", f"{fill} without the list of its frames", "--order evaluation.txt")
    wanted = list(found) if listed is None else read_order(listed)
    named = set(wanted)
    left_out = sum(key not in named for key in found)
    if left_out == len(found):
        raise InputError(str(listed), f"names no frame of {sorted({key[0] for key in found})}", "the list of its split")
    missing = sum(key not in found for key in wanted)
    said = [f"{FILE}: {len(named & set(found))} frames of {len(recordings)} sequences"]
    if missing and fill is None:
        if order is not None:
            accepted = "results of all its sequences, or --fill pred.json with predictions for the others"
            raise InputError(str(order), f"names {missing} frames that were not estimated", accepted)
        wanted = [key for key in wanted if key in found]
        said.append(f"{listed} names {missing} more, which the scorer needs: give all sequences, or --fill pred.json")
    others = None if fill is None else Predictions(fill, wanted)
    if missing and others is not None:
        said.append(f"{missing} frames as {fill} has them")
    if left_out:
        said.append(f"{left_out} estimated frames are not in {listed}; they were left out")
    sizes = {len(found[key][1]) for key in wanted if key in found}
    if sizes != {LAYOUT.vertices}:
        said.append(f"hands have {sorted(sizes)} vertices, not MANO's {LAYOUT.vertices}: meshes are not scored")
    write_predictions(folder / FILE, wanted, found, others)
    (folder / FRAMES).write_text("".join(f"{name}/{number:04d}\n" for name, number in wanted), newline="\n")
    return tuple(said)


def list_of(sequence: Path, order: Path | None) -> Path | None:
    """The list of frames that is named, or the data set's: ``evaluation.txt`` beside ``evaluation``; None: neither."""
    if order is not None:
        return order
    split = sequence.parent
    path = split.with_name(f"{split.name}.txt")
    return path if path.is_file() else None


def _keys(recording: Recording) -> list[Key]:
    assert recording.origin is not None
    source = recording.origin.path
    timeline = Timeline.of(numbered(source / "meta", (".pkl",), root=source), str(source / "meta"), [])
    recording.check_frames(timeline.count, source)
    return [(source.name, number) for number in timeline.numbers]


def _hands(recording: Recording) -> list[tuple[np.ndarray, np.ndarray]]:
    """21 keypoints and vertices of the right hand in each frame."""
    item = next((item for item in recording.scene.bodies if item.name == HAND), None)
    if item is None:
        raise InputError(f"scene {recording.scene.name!r}", f"has no {HAND}", "hands to start from: --predictions FILE")
    vertices = posed_vertices(item.body, item.initial)
    if item.body.kind == "mano":
        vertices = vertices[:, : LAYOUT.vertices]
    return list(zip(posed_keypoints(item.body, item.initial), vertices, strict=True))
