"""A recording of HOT3D written back: its tables of objects and of UmeTrack hands, with poses changed and no more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.formats.parts.hot3d_files import POSE, SIDES, frame_stamps
from warpprior.support.errors import InputError

OBJECTS, HANDS = "dynamic_objects.csv", "umetrack_hand_pose_trajectory.jsonl"


def write_tables(
    source: Path,
    target: Path,
    stream: str | None,
    objects: Mapping[str, np.ndarray],
    hands: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> list[str]:
    """Write what has changed; rows of other things and times stay as they are.

    Args:
        source: folder of the recording; target: of the new files.
        stream: camera whose times the frames have.
        objects: poses (frame, 7) in the world, xyzw, by number; NaN where the row stays.
        hands: the same by side, and joint angles (frame, n), the first of the file's.

    Returns:
        names of the files.
    """
    rows = {stamp: row for row, stamp in enumerate(frame_stamps(source, stream))}
    written = []
    if objects:
        lines = (source / OBJECTS).read_text(encoding="utf-8").splitlines(keepends=True)
        names = [cell.strip() for cell in lines[0].split(",")]
        places = [names.index(name) for name in POSE]
        who, when = names.index("object_uid"), names.index("timestamp[ns]")
        for number, line in enumerate(lines[1:], start=1):
            body = line.rstrip("\r\n")
            cells = body.split(",")
            if len(cells) != len(names) or '"' in line:
                raise InputError(
                    f"{source / OBJECTS}: line {number + 1}", "is quoted or has other cells", "plain numbers"
                )
            row, poses = rows.get(int(cells[when])), objects.get(cells[who].strip())
            if row is None or poses is None or not np.isfinite(poses[row]).all():
                continue
            for place, value in zip(places, poses[row][[0, 1, 2, 6, 3, 4, 5]], strict=True):
                cells[place] = repr(float(value))
            lines[number] = ",".join(cells) + line[len(body) :]
        (target / OBJECTS).write_bytes("".join(lines).encode())
        written.append(OBJECTS)
    if hands:
        index_of = {side: index for index, side in SIDES.items()}
        lines = (source / HANDS).read_text(encoding="utf-8").splitlines(keepends=True)
        for number, line in enumerate(lines):
            body = line.rstrip("\r\n")
            tree: dict[str, Any] = json.loads(body) if body.strip() else {}
            row = rows.get(tree.get("timestamp_ns", -1))
            changed = False
            for side, (poses, joints) in hands.items():
                hand = tree.get("hand_poses", {}).get(index_of[side])
                if row is None or hand is None or not np.isfinite(poses[row]).all():
                    continue
                hand["wrist_xform"]["t_xyz"] = poses[row][:3].tolist()
                hand["wrist_xform"]["q_wxyz"] = poses[row][[6, 3, 4, 5]].tolist()
                hand["joint_angles"][: joints.shape[1]] = joints[row].tolist()
                changed = True
            if changed:
                lines[number] = json.dumps(tree) + line[len(body) :]
        (target / HANDS).write_bytes("".join(lines).encode())
        written.append(HANDS)
    return written
