"""Distances to label borders by kernels: those of OpenCV, whatever is in the picture."""

import numpy as np
import pytest

from warpprior.kernels.contour import Borders
from warpprior.render.parts import equal_parts, one_part
from warpprior.system import device_distances
from warpprior.system.border_distances import BorderDistances
from warpprior.system.device_distances import measure_there
from warpprior.system.label_fields import contour_fields

SIZE = 40, 56  # height, width


def label_images(count=7, seed=0):
    """Blobs of labels 1 and 2, don't-care pixels; one image without the first label, one of nothing but it."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    images = np.zeros((count, *SIZE), dtype=np.uint8)
    for image in images:
        for label in (1, 2, 255, 1):
            middle, radii = random.uniform(0, SIZE), random.uniform(2, 16, 2)
            image[((rows - middle[0]) / radii[0]) ** 2 + ((columns - middle[1]) / radii[1]) ** 2 < 1.0] = label
    images[2][images[2] == 1] = 0
    images[3] = 1
    return images


def crops_of(count, seed=1):
    """Parts of the images, of all sizes from 2 pixels on."""
    random = np.random.default_rng(seed)
    places = [[random.integers(0, side - 1) for side in SIZE[::-1]] for _ in range(count)]
    sides = [
        [random.integers(2, side - at + 1) for at, side in zip(place, SIZE[::-1], strict=True)] for place in places
    ]
    crops = np.array([[*place, *side] for place, side in zip(places, sides, strict=True)], dtype=np.int32)
    crops[0] = 0, 0, SIZE[1], SIZE[0]
    return crops


@pytest.mark.parametrize("bias", [0.0, 0.7, -1.2])
def test_kernels_measure_what_opencv_does(device, bias, monkeypatch):
    """In half floats, as they are kept, the same up to the last bit; in one go or a few frames at a time."""
    images, crops = label_images(), crops_of(7)
    expected = []
    for image, (column, row, width, height) in zip(images, crops, strict=True):
        pair = contour_fields(image[None, row : row + height, column : column + width], 1, bias)[0]
        expected.append(pair.reshape(2, -1).T.ravel())
    expected = np.concatenate(expected).astype(np.float16)
    found = measure_there(images, 1, crops, bias, device).numpy()
    np.testing.assert_allclose(found.astype(float), expected.astype(float), rtol=2.0**-10, atol=1e-3)
    assert (found == expected).mean() > 0.999
    monkeypatch.setattr(device_distances, "AT_ONCE", 3000)
    np.testing.assert_array_equal(measure_there(images, 1, crops, bias, device).numpy(), found)


@pytest.mark.parametrize("there", [False, True])
def test_terms_look_them_up_where_they_were_measured(device, there, monkeypatch):
    """Of all frames and of some, whoever measured them."""
    images, crops = label_images(), crops_of(7)
    monkeypatch.setattr("warpprior.system.border_distances.measures_there", lambda device: there)
    distances = BorderDistances(images, 1, crops, 0.3, device)
    for part in (*one_part(7), *equal_parts(7, 3)):
        borders = Borders()
        distances.look(borders, part)
        for frame in range(part.start, part.stop):
            column, row, width, height = crops[frame]
            pair = contour_fields(images[frame : frame + 1, row : row + height, column : column + width], 1, 0.3)[0]
            start = 2 * int(borders.starts.numpy()[frame - part.start])
            found = borders.pictures.numpy()[start : start + pair.size].reshape(-1, 2).T.reshape(pair.shape)
            np.testing.assert_allclose(found.astype(float), pair, rtol=2.0**-10, atol=1e-3)
