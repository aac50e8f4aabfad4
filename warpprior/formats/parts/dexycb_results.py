"""Results on DexYCB as its scorers take them: joints of hands (HPE) and poses of objects (BOP) of a split's samples.

A sample is a frame of a camera of a sequence; its number, and the numbers of its scene and image, follow from the
sequences of the split in order, their cameras and their frames (dex_ycb_toolkit/dex_ycb.py, hpe_eval.py, bop_eval.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from warpprior.bodies.posing import posed_keypoints
from warpprior.formats.parts.bop_rows import HEADER, MILLIMETRE, result_row
from warpprior.formats.parts.motion import transforms_of
from warpprior.formats.parts.text_files import entry, numbers, read_text, read_yaml
from warpprior.formats.recording import Recording
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.support.errors import InputError

_LIMIT = 512 << 20
SETUPS = ("s0", "s1", "s2", "s3")
SPLITS = ("test", "val", "train")
_EVERY, _HELD_OUT = range(100), 4  # sequences of a subject; every fifth is held out in s0
_SUBJECTS, _CAMERAS = range(10), range(8)
_KEYFRAMES = 4  # of which the first is scored by BOP's measures
_SERIALS = (
    *("836212060125", "839512060362", "840412060917", "841412060263"),
    *("932122060857", "932122060861", "932122061900", "932122062010"),
)


@dataclass(frozen=True)
class Split:
    """What one split of a setup is made of, as indices: subjects, cameras, and sequences of each subject."""

    subjects: tuple[int, ...]
    cameras: tuple[int, ...]
    sequences: tuple[int, ...]

    @staticmethod
    def of(setup: str, split: str) -> Split:
        """The split, as dex_ycb.py defines it."""
        rank = ("train", "val", "test").index(split)
        subjects, cameras, sequences = tuple(_SUBJECTS), tuple(_CAMERAS), tuple(_EVERY)
        if setup == "s0":  # held-out sequences
            subjects = (subjects, subjects[:2], subjects[2:])[rank]
            sequences = tuple(row for row in _EVERY if (row % 5 == _HELD_OUT) == (split != "train"))
        elif setup == "s1":  # held-out subjects
            subjects = ((0, 1, 2, 3, 4, 5, 9), (6,), (7, 8))[rank]
        elif setup == "s2":  # held-out cameras
            cameras = ((0, 1, 2, 3, 4, 5), (6,), (7,))[rank]
        else:  # held-out objects, of five sequences each
            held = {"val": (3, 19), "test": (7, 11, 15)}
            kept = held.get(split, tuple(row for row in range(20) if row not in (3, 7, 11, 15, 19)))
            sequences = tuple(row for row in _EVERY if row // 5 in kept)
        return Split(subjects, cameras, sequences)


def splits_of_sequence(sequence: Path, serial: str) -> tuple[str, ...]:
    """Splits that a sequence belongs to, as ``s0_test``; of s2 where a camera is named.

    Those of s0 and s3 go by the place of a sequence among the hundred of its subject: without all of them, they are not
    known.
    """
    subject = re.search(r"subject-(\d\d)$", sequence.parent.name)
    names = sorted(path.name for path in sequence.parent.iterdir() if path.is_dir())
    row = names.index(sequence.name) if len(names) == len(_EVERY) else None
    found = []
    for setup in SETUPS if subject else ():
        known = {"s0": row is not None, "s1": True, "s2": serial in _SERIALS, "s3": row is not None}[setup]
        for split in reversed(SPLITS) if known else ():
            one = Split.of(setup, split)
            whole = setup in ("s1", "s2") or row in one.sequences
            seen = setup != "s2" or _SERIALS.index(serial) in one.cameras
            if subject is not None and int(subject[1]) - 1 in one.subjects and whole and seen:
                found.append(f"{setup}_{split}")
    return tuple(found)


@dataclass(frozen=True)
class Numbered:
    """Where the samples of one camera of a sequence stand in a split.

    Attributes:
        first: number of the sample of its frame 0.
        scene: number of its scene in BOP's files.
        frame_count: so many follow each other.
    """

    first: int
    scene: int
    frame_count: int


def number_samples(root: Path, setup: str, split: str) -> tuple[dict[tuple[str, str, str], Numbered], int]:
    """Numbers by subject, sequence and camera, and how many samples the split has.

    Raises:
        InputError: the data set is not whole: numbers depend on all of the split's sequences.
    """
    chosen = Split.of(setup, split)
    names = sorted(path.name for path in root.iterdir() if re.fullmatch(r"\d{8}-subject-\d\d", path.name))
    if len(names) != len(_SUBJECTS):
        accepted = f"the whole data set, {len(_SUBJECTS)}, by which samples are numbered"
        raise InputError(str(root), f"has {len(names)} subjects", accepted)
    found, first, sequence_count = {}, 0, 0
    for subject in (names[row] for row in chosen.subjects):
        sequences = sorted(path.name for path in (root / subject).iterdir())
        if len(sequences) != len(_EVERY):
            found_there = f"has {len(sequences)} sequences"
            raise InputError(str(root / subject), found_there, f"all {len(_EVERY)}, by which samples are numbered")
        for name in (sequences[row] for row in chosen.sequences):
            file = root / subject / name / "meta.yml"
            count = entry(read_yaml(file, "meta.yml of DexYCB"), "num_frames", str(file))
            if type(count) is not int or not 1 <= count <= FRAME_LIMIT:
                raise InputError(f"{file}: num_frames", f"is {str(count)[:20]}", f"1 to {FRAME_LIMIT}")
            for place, camera in enumerate(chosen.cameras):
                scene = sequence_count * len(chosen.cameras) + place
                found[subject, name, _SERIALS[camera]] = Numbered(first, scene, count)
                first += count
            sequence_count += 1
    return found, first


def samples_of(
    numbered: Mapping[tuple[str, str, str], Numbered], sequence: Path, serial: str, setup: str, split: str
) -> Numbered:
    """Those of one camera of a sequence.

    Raises:
        InputError: it is not of the split.
    """
    key = sequence.parent.name, sequence.name, serial
    if key not in numbered:
        accepted = f"--setup {', '.join(SETUPS)}, --split {', '.join(SPLITS)}"
        raise InputError("/".join(key), f"is not in {setup} {split}", accepted)
    return numbered[key]


def read_joints(path: Path, samples: Numbered) -> np.ndarray:
    """Joints (frame, 21, 3) [m] of a camera's samples in a file of HPE results, NaN where there is none.

    Raises:
        InputError: a line of it is not a number of a sample and 63 of millimetres.
    """
    found = np.full((samples.frame_count, 21, 3), np.nan)
    for number, line in enumerate(read_text(path, "joints of DexYCB's samples", limit=_LIMIT).splitlines(), start=1):
        cells, where = line.split(","), f"{path}: line {number}"
        if len(cells) != 64 or not (cells[0].strip().isascii() and cells[0].strip().isdigit() and len(cells[0]) < 12):
            raise InputError(
                where, f"has {len(cells)} fields", "needs 64: the number of a sample, and 63 of joints [mm]"
            )
        frame = int(cells[0]) - samples.first
        if 0 <= frame < samples.frame_count:
            try:
                values = [float(cell) for cell in cells[1:]]
            except ValueError:
                raise InputError(where, "is not numbers", "needs 64") from None
            found[frame] = numbers(values, (63,), where).reshape(21, 3) * MILLIMETRE
    return found


def write_results(
    recordings: Sequence[Recording],
    places: Sequence[tuple[Path, str]],
    ids: Sequence[dict[str, int]],
    folder: Path,
    setup: str,
    split: str,
) -> tuple[str, ...]:
    """Write ``hpe_SETUP_SPLIT.txt`` and ``bop_SETUP_SPLIT.csv``.

    Args:
        recordings: read from cameras of sequences of one copy of the data set.
        places: folder of the sequence and serial number of the camera of each.
        ids: numbers of the objects of each by the names of bodies.
        folder: where to.
        setup, split: of the data set's evaluation.

    Raises:
        InputError: a recording is of no sample of the split, two are of one, or the data set is not whole.
    """
    numbered, total = number_samples(places[0][0].parents[1], setup, split)
    joints: dict[int, str] = {}
    poses: dict[tuple[int, int, int], str] = {}
    done, seen = 0, set()
    for recording, (sequence, serial), named in zip(recordings, places, ids, strict=True):
        place = samples_of(numbered, sequence, serial, setup, split)
        recording.check_frames(place.frame_count, sequence)
        if place in seen:
            raise InputError(f"{sequence}/{serial}", "is in two recordings", "each camera of a sequence once")
        seen.add(place)
        done += place.frame_count
        for item in recording.scene.bodies:
            if item.body.side is not None and item.body.keypoints is not None:
                for frame, points in enumerate(posed_keypoints(item.body, item.initial) / MILLIMETRE):
                    written = ",".join(f"{value:.4f}" for value in points.ravel())
                    joints[place.first + frame] = f"{place.first + frame},{written}"
            if item.name in named:
                matrices = transforms_of(item.initial.position, item.initial.rotation)
                for frame in range(0, place.frame_count, _KEYFRAMES):
                    row = (place.scene, frame, named[item.name])
                    poses[row] = result_row(*row, matrices[frame])
    lines = [poses[row] for row in sorted(poses)]
    hands, objects = f"hpe_{setup}_{split}.txt", f"bop_{setup}_{split}.csv"
    (folder / hands).write_text("".join(joints[row] + "\n" for row in sorted(joints)), newline="\n")
    (folder / objects).write_text("\n".join([HEADER, *lines, ""]), newline="\n")
    said = [f"{hands}: {len(joints)} hands; {objects}: {len(lines)} poses in keyframes"]
    if done < total:
        said.append(f"{done} of {total} samples of {setup} {split}: the scorers need all of them")
    return tuple(said)
