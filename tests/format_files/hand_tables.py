"""Tables of hands: results of MediaPipe's landmarker, and hand tracking of Aria's services."""

import csv
import json

import numpy as np
from scipy.spatial.transform import Rotation

from tests.format_files.samples import FRAMES, hand_item, simulated
from warpprior.bodies import posed_keypoints

ARIA = {"thumb": (None, 6, 7, 0), "index": (8, 9, 10, 1), "middle": (11, 12, 13, 2), "ring": (14, 15, 16, 3),
        "pinky": (17, 18, 19, 4)}  # fmt: skip


def keypoints():
    """Of the simulated right hand (frame, 21, 3) [m], camera."""
    item = hand_item(simulated())
    return posed_keypoints(item.body, item.initial).astype(np.float64)


def write_mediapipe(path, *, script=False, missing=(), mirrored=False):
    """Results by frame, a second, less sure hand of the same side in the first frame."""
    camera, frames = simulated().camera, []
    word = "Left" if mirrored else "Right"
    for number, places in enumerate(keypoints()):
        u = (places[:, 0] / places[:, 2] * camera.fx + camera.cx) / camera.width
        v = (places[:, 1] / places[:, 2] * camera.fy + camera.cy) / camera.height
        flat = [{"x": x, "y": y, "z": 0.0} for x, y in zip(u.tolist(), v.tolist(), strict=True)]
        deep = [dict(zip("xyz", row, strict=True)) for row in (places - places.mean(axis=0)).tolist()]
        said = [{"index": 0, "score": 0.9, "category_name": word, "display_name": word}]
        if script:
            said = [{"score": 0.9, "categoryName": word}]
        hands = ([said], [flat], [deep])
        if number == 0:
            other = [{**said[0], "score": 0.3}]
            hands = ([other, said], [[{"x": 0.1, "y": 0.1, "z": 0.0}] * 21, flat], [deep, deep])
        if number in missing:
            hands = ([], [], [])
        names = ("handednesses", "landmarks", "worldLandmarks") if script else (
            "handedness", "hand_landmarks", "hand_world_landmarks")  # fmt: skip
        frames.append(dict(zip(names, hands, strict=True)))
    path.write_text(json.dumps(frames))


def write_aria(folder, *, missing=()):
    """Rows of both hands in the device frame, the left one never seen; and the device's trajectory."""
    (folder / "hand_tracking").mkdir(parents=True)
    (folder / "slam").mkdir()
    rows, poses = [], []
    for number, places in enumerate(keypoints()):
        stamp = 1_000_000 + 33_333 * number
        gone = number in missing
        row = {"tracking_timestamp_us": stamp, "left_tracking_confidence": -1}
        row |= {f"t{axis}_left_landmark_{n}_device": 0.0 for n in range(21) for axis in "xyz"}
        row["right_tracking_confidence"] = -1 if gone else 0.9
        marks = np.full((21, 3), 99.0)
        marks[5], marks[20] = places[0], places.mean(axis=0)
        for finger, (_, landmarks) in enumerate(ARIA.items()):
            for part, landmark in enumerate(landmarks):
                if landmark is not None:
                    marks[landmark] = places[1 + 4 * finger + part]
        marks = np.zeros_like(marks) if gone else marks
        row |= {f"t{axis}_right_landmark_{n}_device": marks[n, i] for n in range(21) for i, axis in enumerate("xyz")}
        rows.append(row)
        turn = Rotation.from_rotvec([0.01 * number, 0.2, 0.0]).as_quat()
        pose = {"tracking_timestamp_us": stamp + 400}
        pose |= {f"t{a}_world_device": value for a, value in zip("xyz", (0.02 * number, 1.0, 0.0), strict=True)}
        pose |= {f"q{a}_world_device": value for a, value in zip("xyzw", turn.tolist(), strict=True)}
        pose |= {"gravity_x_world": 0.0, "gravity_y_world": 0.0, "gravity_z_world": -9.81}
        poses.append(pose)
    for file, table in (("hand_tracking/hand_tracking_results.csv", rows), ("slam/closed_loop_trajectory.csv", poses)):
        with open(folder / file, "w", newline="") as stream:
            writer = csv.DictWriter(stream, list(table[0]))
            writer.writeheader()
            writer.writerows(table)


def write_aria_beside(folder):
    """The same with all landmarks 60 cm nearer, some behind the device."""
    write_aria(folder)
    path = folder / "hand_tracking/hand_tracking_results.csv"
    rows = list(csv.DictReader(path.open()))
    for row in rows:
        for n in range(21):
            row[f"tz_right_landmark_{n}_device"] = float(row[f"tz_right_landmark_{n}_device"]) - 0.6
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


__all__ = ["FRAMES", "keypoints", "write_aria", "write_mediapipe"]
