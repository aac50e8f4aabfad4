"""Pictures as lenses show them, by OpenCV's own projection and its inverse, and by plain loops."""

import cv2
import numpy as np

from tests.format_files.samples import write_png

LENSES = {
    "opencv of 4": ("opencv", (-0.2, 0.05, 0.001, -0.0007)),
    "opencv of 5": ("opencv", (-0.2, 0.05, 0.001, -0.0007, -0.01)),
    "opencv of 8": ("opencv", (0.4, 0.06, 0.001, -0.0005, 0.002, 0.65, 0.12, 0.004)),
    "fisheye": ("fisheye", (0.03, -0.02, 0.01, -0.002)),
    "FISHEYE624": ("fisheye", (0.04, -0.04, 0.016, -0.01, 0.003, -0.0005, 1e-3, -5e-4, 2e-4, 1e-5, -1e-4, 2e-5)),
}
"""By name: the kind, and its numbers."""


def shown_by(kind, given, rays):
    """Where a lens shows rays (..., 2), in focal lengths from the middle."""
    points = np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], axis=-1).reshape(-1, 1, 3)
    nothing = np.zeros(3)
    if len(given) == 12:
        return np.array([_fisheye624(ray, given) for ray in rays.reshape(-1, 2)]).reshape(rays.shape)
    if kind == "fisheye":
        shown = cv2.fisheye.projectPoints(points, nothing, nothing, np.eye(3), np.array(given))[0]
    else:
        shown = cv2.projectPoints(points, nothing, nothing, np.eye(3), np.array(given))[0]
    return shown.reshape(rays.shape)


def _fisheye624(ray, given):
    """One point, as the header of projectaria_tools words it."""
    *k, p0, p1, s0, s1, s2, s3 = given
    r = np.hypot(*ray)
    angle = np.arctan(r)
    bent = angle + sum(value * angle ** (2 * i + 3) for i, value in enumerate(k))
    a, b = (bent / r if r > 0.0 else 1.0) * np.asarray(ray)
    q = a * a + b * b
    u = a + 2.0 * a * (a * p0 + b * p1) + q * p0 + s0 * q + s1 * q * q
    v = b + 2.0 * b * (a * p0 + b * p1) + q * p1 + s2 * q + s3 * q * q
    return u, v


def bent_pictures(folder, camera, kind, given):
    """Change the PNG files of a folder, which a pinhole camera took, to those of the lens, to the nearest pixel.

    Each pixel of the lens's picture takes what is nearest among the places where pixels of a pinhole camera with four
    times the resolution are shown.
    """
    fine = 4
    y, x = (np.mgrid[0 : fine * camera.height, 0 : fine * camera.width] + 0.5) / fine
    rays = np.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy], axis=-1)
    pixels = shown_by(kind, given, rays) * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    away = np.abs(pixels - np.floor(pixels) - 0.5).max(axis=-1)
    order = np.argsort(-away.ravel())  # the nearest to the middle of a pixel comes last, and stays
    u, v = (np.floor(pixels[..., axis]).astype(int).ravel()[order] for axis in range(2))
    there = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    source = (np.floor(y).astype(int) * camera.width + np.floor(x).astype(int)).ravel()[order]
    taken = np.full(camera.width * camera.height, -1)
    taken[(v * camera.width + u)[there]] = source[there]
    taken = taken.reshape(camera.height, camera.width)
    for path in sorted(folder.glob("*.png")):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        bent = image.reshape(-1, *image.shape[2:])[np.maximum(taken, 0)]
        bent[taken < 0] = 0
        write_png(path, bent)
