"""Float64 twins of colours: linear solves for where rays meet faces, least squares for the light."""

import numpy as np


def ray_colors(rays, corners, colors):
    """Colours (n, 3) where rays (n, 2) of x/z, y/z meet triangles (n, 3, 3) with corner colours (n, 3, 3).

    The point on the ray is a sum of the corners; its weights, scaled to one, are the barycentrics.
    """
    directions = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)
    weights = np.linalg.solve(np.swapaxes(corners, 1, 2), directions[:, :, None])[:, :, 0]
    return np.einsum("nk,nkc->nc", weights / weights.sum(axis=1, keepdims=True), colors)


def fit_light(shade, normal, seen, sigma, ridge=1e-4, shade_ridge=1e-3, passes=3):
    """Gain of each sample and offset of one channel: reweighted least squares, the gain drawn to one everywhere."""
    columns = np.column_stack([shade, shade[:, None] * normal, np.ones(len(shade))])
    light = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    for fit in range(passes):
        residual = (columns @ light - seen) / sigma
        weight = 1.0 / np.sqrt(1.0 + residual**2) if fit else np.ones(len(shade))
        pulls = np.sqrt(weight.sum() * np.array([ridge, shade_ridge, shade_ridge, shade_ridge, 0.0]))
        rows = np.concatenate([np.sqrt(weight)[:, None] * columns, np.diag(pulls)])
        light = np.linalg.lstsq(rows, np.concatenate([np.sqrt(weight) * seen, pulls * [1, 0, 0, 0, 0]]), rcond=None)[0]
    return np.clip(light[0] + normal @ light[1:4], 0.1, 10.0), light[4]


def literal_cost(vertices, faces, colors, rays, seen):
    """Sum of squared differences where a face is seen."""
    return ((ray_colors(rays, vertices[faces], colors[faces]) - seen) ** 2).sum()
