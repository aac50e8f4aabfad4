"""Pictures: the parts of a window that single labels need."""

import numpy as np
import pytest

from warpprior.render.window import Window
from warpprior.system.observed import ObservedPicture


@pytest.fixture
def picture():
    """A window of two frames at different places, with two labels; the second is in the first frame only."""
    labels = np.zeros((2, 40, 60), dtype=np.uint8)
    labels[0, 5:12, 8:20] = 1
    labels[1, 20:24, 40:50] = 1
    labels[0, 30:32, 2:5] = 2
    window = Window(np.array([[100, 200], [110, 190]], dtype=np.int32), 60, 40)
    return ObservedPicture(window, labels, None, 0.0, labels)


@pytest.mark.parametrize("label", [1, 2])
def test_a_crop_holds_all_of_its_label_and_little_else(picture, label):
    """Every pixel of the label is in the crop, where the crop says it is; crops are of one size, and small."""
    window, own = picture.crop_around(label)
    assert own.shape == (2, window.height, window.width) and own.dtype == bool
    assert window.height < picture.window.height and window.width < picture.window.width
    for frame in range(2):
        rows, columns = np.nonzero(own[frame])
        found = {*zip(columns + window.origins[frame, 0], rows + window.origins[frame, 1], strict=True)}
        rows, columns = np.nonzero(picture.labels[frame] == label)
        origin = picture.window.origins[frame]
        assert found == {*zip(columns + origin[0], rows + origin[1], strict=True)}
