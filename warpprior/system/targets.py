"""What label images say about masks: the channel each pixel should show, and how long the contours are."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from warpprior.kernels.contour_mask import UNKNOWN
from warpprior.kernels.silhouette import BACKGROUND, IGNORE
from warpprior.render.window import Window
from warpprior.scene import Camera
from warpprior.system.label_fields import distance_to

TARGET_BACKGROUND, TARGET_IGNORE = int(BACKGROUND), int(IGNORE)
DISTANCE_UNKNOWN = float(UNKNOWN)
LEAST_SHARE = 0.25  # frames with less of the usual contour than this are not scaled up to it


def channel_targets(labels: np.ndarray, channels: Mapping[int, int], window: Window, camera: Camera) -> np.ndarray:
    """Target channels of label images.

    Args:
        labels: label images within the window (frame, height, width) uint8.
        channels: channel of each label that says something; TARGET_BACKGROUND for labels that count as background.
            Label 0 is background, all other labels are ignored.
        window: the crop that ``labels`` were cut from.
        camera: size of the full pictures; their outermost pixels are ignored, for masks are unreliable there.

    Returns:
        (frame, height, width) uint8.
    """
    table = np.full(256, TARGET_IGNORE, dtype=np.uint8)
    table[0] = TARGET_BACKGROUND
    for label, channel in channels.items():
        table[label] = channel
    targets = table[labels]
    rows = window.origins[:, 1, None] + np.arange(window.height)
    columns = window.origins[:, 0, None] + np.arange(window.width)
    border_rows = (rows == 0) | (rows == camera.height - 1)
    border_columns = (columns == 0) | (columns == camera.width - 1)
    targets[border_rows[:, :, None] | border_columns[:, None, :]] = TARGET_IGNORE
    return targets


def contour_lengths(targets: np.ndarray, channel_count: int) -> np.ndarray:
    """Length of the border of each channel's region against what is not ignored (frame, channel) [px]."""
    lengths = np.zeros((len(targets), channel_count))
    known = targets != TARGET_IGNORE
    pairs_known = known[:, 1:] & known[:, :-1], known[:, :, 1:] & known[:, :, :-1]
    for channel in range(channel_count):
        own = targets == channel
        if not own.any():
            continue
        steps = ((own[:, 1:] != own[:, :-1]) & pairs_known[0]).sum(axis=(1, 2))
        steps += ((own[:, :, 1:] != own[:, :, :-1]) & pairs_known[1]).sum(axis=(1, 2))
        lengths[:, channel] = steps * (np.pi / 4)  # Crofton: pixel steps overstate lengths by this, on average
    return lengths


def channel_scales(targets: np.ndarray, channel_count: int, normalise: bool) -> np.ndarray:
    """Loss per pixel of squared error (frame, channel) float32: one over the length of all contours of the frame.

    Channels without contour in a frame, hidden there or missed, have weight 0.  Frames that see much less contour than
    usual count less, not as much as the others.  Without ``normalise`` all that is seen has weight 1.
    """
    lengths = contour_lengths(targets, channel_count)
    total = lengths.sum(axis=1, keepdims=True)
    if not normalise or not total.any():
        return (lengths > 0).astype(np.float32)
    total = np.maximum(total, LEAST_SHARE * np.median(total[total > 0]))
    return np.where(lengths > 0, 1.0 / total, 0.0).astype(np.float32)


def contour_distances(targets: np.ndarray) -> np.ndarray:
    """Signed distance of each pixel to the border of channel 0, plus inside (frame, height, width) float32 [px].

    Borders lie half-way between pixel centres.  DISTANCE_UNKNOWN where the target is ignored, and where an ignored
    pixel is nearer than the border: the true border may be nearer still.
    """
    distances = np.empty(targets.shape, dtype=np.float32)

    def fill(frame: int) -> None:
        own, ground = targets[frame] == 0, targets[frame] == TARGET_BACKGROUND
        unknown = distance_to(~(own | ground))
        border = np.where(own, distance_to(ground), distance_to(own))
        signed = np.where(own, border - 0.5, 0.5 - border)
        distances[frame] = np.where(unknown < border, DISTANCE_UNKNOWN, signed)

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(fill, range(len(targets))))
    return distances
