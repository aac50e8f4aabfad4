"""Pictures: the parts of a window that single labels need."""

from types import SimpleNamespace

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
    return ObservedPicture(None, window, labels, 0.0, labels)


@pytest.mark.parametrize("label", [1, 2])
def test_a_crop_holds_all_of_its_label_and_little_else(picture, label):
    """Every pixel of the label is in the crop, where the crop says it is; crops are of one size, and small."""
    body = SimpleNamespace(label=label)
    window, own = picture.crop_around(body), [picture.mask_around(body, frame) for frame in range(2)]
    assert all(mask.shape == (window.height, window.width) and mask.dtype == bool for mask in own)
    np.testing.assert_array_equal(picture.shows(body), [mask.any() for mask in own])
    assert window.height < picture.window.height and window.width < picture.window.width
    for frame in range(2):
        rows, columns = np.nonzero(own[frame])
        found = {*zip(columns + window.origins[frame, 0], rows + window.origins[frame, 1], strict=True)}
        rows, columns = np.nonzero(picture.labels[frame] == label)
        origin = picture.window.origins[frame]
        assert found == {*zip(columns + origin[0], rows + origin[1], strict=True)}
