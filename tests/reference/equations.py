"""Float64 twin of how normal equations are assembled: one dense matrix of all unknowns; derivatives of twins."""

import numpy as np


def assemble(blocks, gradient=None):
    """The symmetric matrix (unknown, unknown), and with ``gradient`` its vector, of what kernels have added up.

    Args:
        blocks: [frame, 4, column, column]; the lower triangles of those of a frame with itself count.
        gradient: [frame, 2, column].
    """
    count, _, width, _ = blocks.shape
    matrix = np.zeros((count, width, count, width))
    vector = np.zeros((count, width))
    for frame in range(count):
        own = np.tril(blocks[frame, 0])
        if gradient is not None:
            vector[frame] += gradient[frame, 0]
        if frame + 1 < count:
            own = own + np.tril(blocks[frame + 1, 3])
            if gradient is not None:
                vector[frame] += gradient[frame + 1, 1]
        matrix[frame, :, frame, :] = own + np.tril(own, -1).T
        for back in (1, 2):
            if frame >= back:
                matrix[frame, :, frame - back, :] = blocks[frame, back]
                matrix[frame - back, :, frame, :] = blocks[frame, back].T
    matrix = matrix.reshape(count * width, count * width)
    return matrix if gradient is None else (matrix, vector)


def differentiate(residuals, shape, step=1e-5):
    """Jacobian of a residual vector by fourth-order central differences (residual, unknown)."""
    columns = []
    for index in np.ndindex(*shape):
        unit = np.zeros(shape)
        unit[index] = step
        near, far = residuals(unit) - residuals(-unit), residuals(2 * unit) - residuals(-2 * unit)
        columns.append((8.0 * near - far) / (12.0 * step))
    return np.stack(columns, axis=1)
