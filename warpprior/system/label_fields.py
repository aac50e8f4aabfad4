"""Distance pictures of label images: how far a contour is from where the labels let it be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from warpprior.scene import IGNORE_LABEL
from warpprior.support.stored import forget, stored_copy


def distance_to(mask: np.ndarray) -> np.ndarray:
    """Euclidean distance [px] of each pixel of ``mask`` (height, width) to its nearest True one; large without any."""
    if not mask.any():
        return np.full(mask.shape, float(sum(mask.shape)), dtype=np.float32)
    try:
        import cv2
    except ImportError:
        from scipy.ndimage import distance_transform_edt

        return np.asarray(distance_transform_edt(~mask), dtype=np.float32)
    distances = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV's last bit depends on where in memory it works; squares of these distances are whole numbers.
    return np.sqrt(np.rint(distances * distances))


def contour_fields(labels: np.ndarray, label: int, bias: float = 0.0) -> np.ndarray:
    """Signed distances of a body's contour to its place in label images.

    Inside the body's label both pictures are minus the distance to the label's border: the contour lies farther out.
    Outside, the first is the distance to the nearest pixel where the body is or may hide behind another body, zero
    on other bodies' labels and on don't-care pixels.  The second is the distance to the body's own label: for places
    where other bodies are known to be behind this one.  Borders lie half-way between pixel centres.

    Args:
        labels: (frame, height, width) uint8.
        label: the body's label.
        bias: how far label borders with the background lie outside the true ones [px].

    Returns:
        (frame, 2, height, width) float32 [px].
    """
    fields = np.empty((len(labels), 2, *labels.shape[1:]), dtype=np.float32)

    def fill(frame: int) -> None:
        image = labels[frame]
        own = image == label
        background = image == 0
        unknown = image == IGNORE_LABEL
        hiding = ~(own | background)
        to_own = distance_to(own) - 0.5 + bias
        to_hiding = distance_to(hiding) - 0.5
        inside = -np.minimum(distance_to(background) - 0.5 - bias, to_hiding)
        fields[frame, 0] = np.where(own, inside, np.where(hiding, 0.0, np.minimum(to_own, to_hiding)))
        fields[frame, 1] = np.where(own, inside, np.where(unknown, 0.0, to_own))

    if len(labels) == 1:
        fill(0)  # sooner done than handed over
        return fields
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(fill, range(len(labels))))
    return fields


def unbias_labels(labels: np.ndarray, label: int, bias: float) -> np.ndarray:
    """Label images with one label's border against the background moved in by ``bias`` [px], to whole pixels."""
    moved = stored_copy(labels)
    for frame, image in enumerate(labels):
        own, background = image == label, image == 0
        if bias > 0.0:
            moved[frame][own & (distance_to(background) - 0.5 < bias)] = 0
        elif bias < 0.0:
            moved[frame][background & (distance_to(own) - 0.5 < -bias)] = label
        forget(moved[frame])
        forget(image)
    return moved


def label_boxes(labels: np.ndarray, label: int) -> np.ndarray:
    """Bounding boxes of a label (frame, 4): left, top, right, bottom [px]; NaN where it does not occur."""
    boxes = np.full((len(labels), 4), np.nan)
    for frame, image in enumerate(labels):
        own = image == label
        rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
        if len(rows):
            boxes[frame] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        forget(image)
    return boxes
