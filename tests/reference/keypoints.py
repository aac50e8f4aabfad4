"""Float64 twins of what detected keypoints and boxes cost, as functions of all frames' unknowns."""

import numpy as np

NEAR = 0.05  # [m]


def trust(square, reach):
    """Geman-McClure: how far a residual of this square is believed."""
    return 1.0 / (1.0 + square / reach**2)


class Detected:
    """What projected points miss.

    Args:
        bodies: the motion (:class:`tests.reference.surface_motion.MovingBodies`).
        name: of the body.
        focal, center: of the camera.
        scale: weight and reach [px].
        focal_column: of the logarithm of the focal length, or -1.
    """

    def __init__(self, bodies, name, focal, center, scale, focal_column=-1):
        self.bodies, self.name, self.scale = bodies, name, scale
        self.focal, self.center, self.focal_column = np.asarray(focal), np.asarray(center), focal_column

    def project(self, points, steps):
        """u, v [px] of points (n, 3), the focal length being changed by its own column of the first frame."""
        focal = self.focal if self.focal_column < 0 else self.focal * np.exp(steps[0, self.focal_column])
        return points[:, :2] / points[:, 2:] * focal + self.center

    def cost(self, steps):
        """Robust sum of squares."""
        total = 0.0
        for missed, weights in self.misses(steps):
            square = np.sum(missed**2, axis=1)
            total += (weights * square * trust(square, self.scale[1])).sum()
        return self.scale[0] * total

    def residuals(self, steps):
        """Residuals whose squares, weighted as at the start, Gauss-Newton takes for the cost."""
        found = []
        for (missed, weights), (first, _) in zip(self.misses(steps), self.misses(0.0 * steps), strict=True):
            believed = trust(np.sum(first**2, axis=1), self.scale[1])
            found.append((np.sqrt(self.scale[0] * weights)[:, None] * believed[:, None] * missed).ravel())
        return np.concatenate(found)


class Keypoints(Detected):
    """Keypoints, each a pair of residuals; ``detected`` (frame, keypoint, 3) u, v, confidence."""

    def __init__(self, detected, *args, **options):
        super().__init__(*args, **options)
        self.detected = detected

    def misses(self, steps):
        """For each frame residuals (keypoint, 2) and the squares of confidences, of what is seen."""
        for frame, seen in enumerate(self.detected):
            points = self.bodies.keypoints(self.name, frame, steps[frame])
            usable = (seen[:, 2] > 0.0) & (points[:, 2] > NEAR)
            yield self.project(points[usable], steps) - seen[usable, :2], seen[usable, 2] ** 2


class Boxes(Detected):
    """Sides of boxes, each touched by the vertex that is outermost at the start; ``boxes`` (frame, 4), NaN for none."""

    def __init__(self, boxes, *args, **options):
        super().__init__(*args, **options)
        self.boxes = boxes
        self.touching = []
        for frame in range(len(boxes)):
            points = self.bodies.vertices(self.name, frame, np.zeros(2**10))
            screen = self.project(points, np.zeros((1, 2**10)))
            screen[points[:, 2] <= NEAR] = np.nan
            if np.isnan(screen).all():
                self.touching.append(None)
                continue
            low, high = np.nanargmin(screen, axis=0), np.nanargmax(screen, axis=0)
            self.touching.append(np.concatenate([low, high]))

    def misses(self, steps):
        """For each frame residuals (side, 1) and weights of the sides that are known."""
        for frame, (box, vertices) in enumerate(zip(self.boxes, self.touching, strict=True)):
            if vertices is None:
                continue
            points = self.bodies.vertices(self.name, frame, steps[frame])[vertices]
            places = self.project(points, steps)[np.arange(4), [0, 1, 0, 1]]
            known = np.isfinite(box)
            yield (places - box)[known, None], np.ones(known.sum())
