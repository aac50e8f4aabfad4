"""Pictures of episodes as LeRobot has them: one after the other in one video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from warpprior.formats.recording import Recording

IMAGE_KEY = "observation.images.camera"
_SAMPLES = 20  # pictures of an episode that statistics are of


def write_video(recordings: Sequence[Recording], folder: Path, template: str, said: list[str]) -> list[float] | None:
    """Write all pictures into one video.

    Args:
        recordings: in their order.
        folder: of the data set; template: of the path in it.
        said: a sentence is appended where there is none.

    Returns:
        when each episode ends in it [s], or None where no video was written.
    """
    scenes = [recording.scene for recording in recordings]
    sizes = {(scene.camera.width, scene.camera.height) for scene in scenes}
    if any(scene.read_rgb is None for scene in scenes) or len(sizes) > 1:
        said.append("no video: not all recordings have pictures" if len(sizes) == 1 else "no video: sizes differ")
        return None
    import cv2

    target = folder / template.format(video_key=IMAGE_KEY, chunk_index=0, file_index=0)
    target.parent.mkdir(parents=True, exist_ok=True)
    size = next(iter(sizes))
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*"mp4v"), scenes[0].fps, size)
    if not writer.isOpened():
        said.append("no video: OpenCV has no encoder for MPEG-4 here")
        return None
    ends, written, blank = [], 0, 0
    try:
        for scene in scenes:
            for frame in range(scene.frame_count):
                picture = None if scene.read_rgb is None else scene.read_rgb(frame)
                if picture is None:
                    picture, blank = np.zeros((size[1], size[0], 3), np.uint8), blank + 1
                writer.write(np.ascontiguousarray(np.asarray(picture)[..., ::-1]))
                written += 1
            ends.append(written / scene.fps)
    finally:
        writer.release()
    if blank:
        said.append(f"{blank} frames have no picture; they are black in the video")
    return ends


def image_stats(recordings: Sequence[Recording], quantiles: Mapping[str, float]) -> dict[str, list]:
    """Statistics of colours, from 0 to 1, of some pictures of each recording: lists of shape (3, 1, 1)."""
    found = []
    for recording in recordings:
        scene = recording.scene
        for frame in np.unique(np.linspace(0, scene.frame_count - 1, _SAMPLES).astype(int)):
            picture = None if scene.read_rgb is None else scene.read_rgb(int(frame))
            if picture is not None:
                found.append(np.asarray(picture)[::4, ::4].reshape(-1, 3))
    values = np.concatenate(found).astype(np.float64) / 255.0 if found else np.zeros((1, 3))
    parts = {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": values.mean(axis=0),
        "std": values.std(axis=0),
    }
    parts |= {name: np.quantile(values, share, axis=0) for name, share in quantiles.items()}
    shaped: dict[str, list] = {name: value.reshape(3, 1, 1).tolist() for name, value in parts.items()}
    return {**shaped, "count": [max(len(found), 1)]}
