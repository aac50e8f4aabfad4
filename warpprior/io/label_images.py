"""Label images of a scene folder: one byte per pixel, whatever the file stores, or a complaint naming the frame."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from warpprior.io.images import decode_image, decode_indices, import_cv2, read_image_file
from warpprior.io.mask_values import mask_table, what_to_write
from warpprior.io.numbering import note_numbering
from warpprior.io.scene_file import SCENE_FILE, SceneFile
from warpprior.scene import IGNORE_LABEL, Camera, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.picture_headers import PictureHeader
from warpprior.support.stored import each_frame, forget, stored_zeros
from warpprior.support.wording import frame_list

_THREADS = 4


def read_labels(
    scene_file: SceneFile, frame_count: int, rectify: Callable[[np.ndarray], np.ndarray] | None, notes: list[str]
) -> np.ndarray | None:
    """Label images of the first ``frame_count`` frames.

    Grey values and palette indices are labels as they stand.  Values that are neither 0, a body's label nor 255 say
    nothing about our bodies (another object may be in front), so they become 255, don't-care, with a warning; so does
    every pixel of a frame whose file is missing.  Masks of a single body, 0 and 255 or a probability in between, are
    taken as such, with a warning (:mod:`warpprior.io.mask_values`).

    Args:
        scene_file: the checked ``scene.toml``.
        frame_count: how many frames to read.
        rectify: removes lens distortion from one label image, or None.
        notes: warnings are appended, one sentence each.

    Returns:
        labels (frame, height, width) uint8, or None when the scene has none.

    Raises:
        InputError: a file is damaged, of another size, or not a label image; masks that are no labels where there are
            several bodies; or no body is visible anywhere.
    """
    template = scene_file.labels
    if template is None:
        return None
    camera = scene_file.camera
    cv2 = import_cv2()
    check_label_memory(f"{scene_file.folder / SCENE_FILE}: [frames], count", frame_count, camera)
    labels = stored_zeros((frame_count, camera.height, camera.width), np.uint8)
    places = [_find_frame(scene_file, template, frame) for frame in range(frame_count)]
    present = [frame for frame in range(frame_count) if places[frame] is not None]
    if not present:
        first = template.format(0)
        raise InputError(str(scene_file.folder / first), "no label image was found", "frames are numbered from 0")

    def count_values(image: np.ndarray) -> np.ndarray:
        return cv2.calcHist([image], [0], None, [256], [0, 256]).ravel()

    def read_frame(frame: int) -> tuple[np.ndarray, str | None]:
        labels[frame], remark = _read_frame(scene_file, template, frame)
        counted = count_values(labels[frame])
        forget(labels[frame])
        return counted, remark

    counts = np.zeros((frame_count, 256), dtype=np.int64)
    remarks: dict[str, list[int]] = {}
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for frame, (histogram, remark) in zip(present, pool.map(read_frame, present), strict=True):
            counts[frame] = histogram
            if remark is not None:
                remarks.setdefault(remark, []).append(frame)
        notes.extend(f"labels: {frame_list(frames)} {remark}" for remark, frames in remarks.items())
        shown = [body for body in scene_file.bodies if body.labelled]
        table = mask_table(counts.sum(0), shown, str(scene_file.folder / template), notes)

        def finish_frame(frame: int) -> np.ndarray:
            image = labels[frame] if table is None else table[labels[frame]]
            labels[frame] = image if rectify is None else rectify(image)
            counted = count_values(labels[frame])
            forget(labels[frame])
            return counted

        if table is not None or rectify is not None:
            counts[present] = list(pool.map(finish_frame, present))
    note_numbering(scene_file, "labels", template, present, notes)
    if len(present) < frame_count:
        missing = sorted(set(range(frame_count)) - set(present))
        for frame in missing:
            labels[frame] = IGNORE_LABEL
        notes.append(f"labels: {frame_list(missing)} missing; nothing is known about their pixels")
    _mute_unknown(scene_file, labels, counts, notes)
    _check_visibility(scene_file, labels, counts, present, notes)
    return labels


def check_label_memory(where: str, frame_count: int, camera: Camera) -> None:
    """InputError for label images that hardly fit: all are held at once, and rendered ones as large beside them."""
    needed = frame_count * camera.height * camera.width
    if hasattr(os, "sysconf") and 2 * needed > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        found = f"{frame_count} label images need {needed / 2**30:.1f} GiB, more than half of the memory"
        raise InputError(where, found, "use fewer frames (--num-frames)")


def hide_under(item: SceneBody, camera: Camera, fps: float, labels: np.ndarray) -> None:
    """Make don't-care, in place, what a body that label images do not show would cover of the background."""
    from warpprior.render.images import each_labels

    part = Scene("part", camera, fps, (item,))
    for cut, drawn in each_labels(part, {item.name: item.initial}):
        for image, covering in zip(each_frame(labels[cut]), drawn, strict=True):
            image[(covering > 0) & (image == 0)] = IGNORE_LABEL


def _find_frame(scene_file: SceneFile, template: str, frame: int) -> Path | None:
    path = scene_file.frame_path(template, frame)
    return path if path.exists() else None


def _read_frame(scene_file: SceneFile, template: str, frame: int) -> tuple[np.ndarray, str | None]:
    """Label image (height, width) uint8 and what had to be done to it."""
    where = f"{scene_file.folder / template.format(frame)} (frame {frame})"
    header, data = read_image_file(scene_file.frame_path(template, frame), where, scene_file.camera)
    if header.palette or (header.bits < 8 and header.channels == 1):
        return decode_indices(header, data, where), None
    image = decode_image(header, data, where)
    if header.format == "jpeg":
        return _threshold_jpeg(image, scene_file, where)
    return _one_byte(image, header, where)


def _one_byte(image: np.ndarray, header: PictureHeader, where: str) -> tuple[np.ndarray, str | None]:
    accepted = "labels need one byte per pixel: 0 background, a body's label, or 255 for don't-care"
    remark = None
    if image.ndim == 3:
        if np.any(image[..., 0] != image[..., 1]) or np.any(image[..., 0] != image[..., 2]):
            raise InputError(where, "is a colour picture", accepted)
        image, remark = image[..., 0], "stored with equal colour channels; the grey value is the label"
    if header.bits == 16:
        if image.max() > IGNORE_LABEL:
            found = f"is a 16-bit picture with values up to {image.max()}"
            raise InputError(where, found, f"{accepted}; of a mask, (mask > 0) * label")
        image, remark = image.astype(np.uint8), "stored with 16 bits; all values fit one byte"
    return image, remark


def _threshold_jpeg(image: np.ndarray, scene_file: SceneFile, where: str) -> tuple[np.ndarray, str]:
    grey = image if image.ndim == 2 else image[..., 1]
    if len(scene_file.bodies) != 1 or grey.max() < 128:
        raise InputError(where, "is a JPEG file, whose compression changes labels", "save label images as PNG")
    label = np.uint8(scene_file.bodies[0].label)
    return np.where(grey > 127, label, np.uint8(0)), "stored as JPEG; values above 127 were taken as the body"


def _mute_unknown(scene_file: SceneFile, labels: np.ndarray, counts: np.ndarray, notes: list[str]) -> None:
    """Turn values that belong to no body into don't-care, in place."""
    known = {0, IGNORE_LABEL, *(body.label for body in scene_file.bodies)}
    unknown = [value for value in np.flatnonzero(counts.sum(0)) if value not in known]
    if not unknown:
        return
    table = np.arange(256, dtype=np.uint8)
    table[unknown] = IGNORE_LABEL
    frames = np.flatnonzero(counts[:, unknown].any(1))
    for frame in frames:
        labels[frame] = table[labels[frame]]
    values = ", ".join(str(value) for value in unknown[:8]) + (", ..." if len(unknown) > 8 else "")
    pixels = counts[:, unknown].sum()
    notes.append(
        f"labels: {frame_list(frames)} hold values of no body ({values}; {pixels} pixels); they are taken as don't-care"
    )


def _check_visibility(
    scene_file: SceneFile, labels: np.ndarray, counts: np.ndarray, present: list[int], notes: list[str]
) -> None:
    """InputError when an estimated body is nowhere to be seen; notes on frames that say little."""
    place = str(scene_file.folder / (scene_file.labels or ""))
    height, width = labels.shape[1:]
    for body in scene_file.bodies:
        visible = counts[:, body.label] > 0
        if not visible.any() and not body.known:
            found = f"label {body.label} of body {body.name!r} is in none of {len(present)} images"
            values = ", ".join(str(value) for value in np.flatnonzero(counts.sum(0))[:10])
            shown = [item for item in scene_file.bodies if item.labelled]
            accepted = f"the values there are {values}; 255 means don't-care; {what_to_write(shown)}"
            raise InputError(place, found, accepted)
        hidden = [frame for frame in present if not visible[frame]]
        if hidden and visible.any():
            notes.append(f"labels: {body.name} is not visible in {frame_list(hidden)}; the mask says nothing there")
        full = np.flatnonzero(counts[:, body.label] == height * width)
        if len(full):
            notes.append(f"labels: {body.name} fills the whole image in {frame_list(full)}")
        border = [labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]]
        cut = np.logical_or.reduce([(edge == body.label).any(1) for edge in border])
        cut[full] = False
        if cut.any():
            notes.append(f"labels: {body.name} touches the image border in {frame_list(np.flatnonzero(cut))}")
