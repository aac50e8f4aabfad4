"""Float64 twins of the colour term: blurred pictures, what samples see, and what they cost as functions of steps."""

import numpy as np
from scipy.ndimage import convolve1d

NEAR, LEAST_TRUST, BELIEVED, LEAST_COLOR = 0.05, 0.5, 2.0, 0.02


def blur(picture, own, shrink, sigma, radius):
    """Picture (height, width, 3) uint8 averaged over squares, blurred, of what is ``own`` alone.

    Returns:
        Colours and the share of each pixel that is own (small height, small width, 4).
    """
    height, width = np.array(own.shape) // shrink
    weighted = np.concatenate([picture / 255.0, np.ones((*own.shape, 1))], axis=2) * own[..., None]
    cut = weighted[: height * shrink, : width * shrink].reshape(height, shrink, width, shrink, 4).mean(axis=(1, 3))
    shifts = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (shifts / sigma) ** 2)
    for axis in (0, 1):
        cut = convolve1d(cut, weights / weights.sum(), axis=axis, mode="constant")
    share = cut[..., 3:]
    colors = np.where(share > 1e-3, cut[..., :3] / np.maximum(share, 1e-300), 0.0)
    return np.concatenate([colors, np.where(share > 1e-3, share, 0.0)], axis=2)


def bilinear(values, places):
    """Values (height, width, k) at places (n, 2) [px from the corner]: pixel centres are at halves."""
    places = places - 0.5
    low = np.floor(places).astype(int)
    s, t = (places - low).T[:, :, None]
    x, y = low.T
    top = values[y, x] * (1.0 - s) + values[y, x + 1] * s
    bottom = values[y + 1, x] * (1.0 - s) + values[y + 1, x + 1] * s
    return top * (1.0 - t) + bottom * t


def color_axes(colors):
    """For each colour (n, 3) an orthonormal frame (n, 3, 3), whose first row is its direction."""
    bright = np.maximum(colors, LEAST_COLOR)
    bright = bright / np.linalg.norm(bright, axis=1, keepdims=True)
    across = np.cross(bright, [1.0, -1.0, 0.0])
    across = across / np.linalg.norm(across, axis=1, keepdims=True)
    return np.stack([bright, across, np.cross(bright, across)], axis=1)


class Colors:
    """What the colours of one body's samples miss, as a function of all frames' unknowns.

    Which samples are seen, how many pixels each stands for, and the light are held.

    Args:
        bodies: the motion (:class:`tests.reference.surface_motion.MovingBodies`).
        name: of the body.
        corners: vertices of each sample's face (sample, 3), the body's own numbers.
        shares: barycentrics (sample, 3).
        focal, center: of the camera.
        pictures: blurred (frame, height, width, 4), and the corner of their crops (frame, 2) [px].
        origins, shrink: of the pictures: corners of the crops (frame, 2) [px], and picture pixels to one of theirs.
        seen: (frame, sample) bool.
        pixels: (frame, sample).
        expected: colours in the light of the frame (frame, sample, 3).
        scales: weight of a pixel (frame,).
        sigmas: of colours [grey levels], and of brightness as a share of it.
        focal_column: of the logarithm of the focal length, or -1.
    """

    def __init__(self, bodies, name, corners, shares, focal, center, pictures, origins, shrink, seen, pixels, expected,
                 scales, sigmas, focal_column=-1):  # fmt: skip
        self.bodies, self.name, self.corners, self.shares = bodies, name, corners, shares
        self.focal, self.center, self.focal_column = np.asarray(focal), np.asarray(center), focal_column
        self.pictures, self.origins, self.shrink = pictures, origins, shrink
        self.seen, self.pixels, self.expected = seen, pixels, expected
        self.scales, self.sigmas = scales, sigmas

    def places(self, frame, steps):
        """u, v [px] of all samples (sample, 2), and their points (sample, 3)."""
        focal = self.focal if self.focal_column < 0 else self.focal * np.exp(steps[0, self.focal_column])
        surface = self.bodies.vertices(self.name, frame, steps[frame])
        points = np.einsum("sk,skx->sx", self.shares, surface[self.corners])
        return points[:, :2] / points[:, 2:] * focal + self.center, points

    def misses(self, steps):
        """For each frame differences along the colours' axes, their sigmas and their weights (3 seen,)."""
        for frame, seen in enumerate(self.seen):
            places = (self.places(frame, steps)[0][seen] - self.origins[frame]) / self.shrink
            colors = bilinear(self.pictures[frame], places)[:, :3] if seen.any() else np.zeros((0, 3))
            expected = self.expected[frame][seen]
            missed = np.einsum("nkc,nc->nk", color_axes(expected), expected - colors)
            sigmas = np.full(missed.shape, self.sigmas[0])
            sigmas[:, 0] += self.sigmas[1] * np.linalg.norm(expected, axis=1)
            weights = self.scales[frame] * self.pixels[frame][seen][:, None] / (3.0 * sigmas**2)
            yield missed.ravel(), sigmas.ravel(), weights.ravel()

    def cost(self, steps):
        """Robust sum of squares (Cauchy)."""
        total = 0.0
        for missed, sigmas, weights in self.misses(steps):
            width = BELIEVED * sigmas
            total += (weights * width**2 * np.log1p((missed / width) ** 2)).sum()
        return total

    def residuals(self, steps):
        """Residuals whose squares, weighted as at the start, Gauss-Newton takes for the cost."""
        found = []
        for (missed, sigmas, weights), (first, _, _) in zip(self.misses(steps), self.misses(0.0 * steps), strict=True):
            found.append(np.sqrt(weights / (1.0 + (first / (BELIEVED * sigmas)) ** 2)) * missed)
        return np.concatenate(found)
