"""What pixels see, in float64 and one face at a time: the twin of the scattered key buffer."""

import numpy as np


def visible(screen, faces, two_sided, width, height):
    """Nearest face and inverse depth at the pixel centres.

    Args:
        screen: (vertex, 3) u, v [px], depth [m].
        faces: (face, 3).
        two_sided: (face,) bool, seen from behind too.

    Returns:
        face (height, width), -1 where there is none; inverse depth; and how clear the case is: the least distance of
        a face's edge [px] and the lead of the nearest face in inverse depth.
    """
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    best = np.full((height, width), -1)
    inverse = np.zeros((height, width))
    lead = np.full((height, width), np.inf)
    margin = np.full((height, width), np.inf)
    for index, face in enumerate(faces):
        corners = screen[face].astype(np.float64)
        if (corners[:, 2] <= 0.05).any():
            continue
        (ax, ay, _), (bx, by, _), (cx, cy, _) = corners
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0.0 or (area > 0.0 and not two_sided[index]):
            continue
        shares = []
        for (px, py, _), (qx, qy, _) in ((corners[1], corners[2]), (corners[2], corners[0]), (corners[0], corners[1])):
            shares.append(((qx - px) * (rows - py) - (qy - py) * (columns - px)) / area)
            length = max(np.hypot(qx - px, qy - py), 1e-12)
            margin = np.minimum(margin, np.abs(shares[-1] * area) / length)
        inside = np.min(shares, axis=0) >= 0.0
        found = sum(share / corner[2] for share, corner in zip(shares, corners, strict=True))
        nearer = inside & (found > inverse)
        lead = np.where(inside, np.minimum(lead, np.abs(found - inverse)), lead)
        best, inverse = np.where(nearer, index, best), np.where(nearer, found, inverse)
    return best, inverse, margin, lead
