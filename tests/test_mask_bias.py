"""Mask bias: borders of labels compared with those of bodies drawn where they are known to be."""

import numpy as np
import pytest

from warpprior.scene import IGNORE_LABEL
from warpprior.system.mask_bias import FEWEST, measure_mask_bias


def discs(radius, frames=4, size=120, label=1, center=(60.3, 58.7)):
    """A disc of a label in each frame."""
    y, x = np.mgrid[:size, :size] + 0.5
    disc = (x - center[0]) ** 2 + (y - center[1]) ** 2 < radius**2
    return np.tile(np.where(disc, label, 0).astype(np.uint8), (frames, 1, 1))


@pytest.mark.parametrize("bias", [-2.0, -1.0, -0.4, 0.0, 0.5, 1.0, 3.0])
def test_bias_of_discs(bias):
    """Discs drawn too large or too small are told to a third of a pixel."""
    found = measure_mask_bias(discs(30.0 + bias), discs(30.0))
    assert found.pixels == pytest.approx(bias, abs=0.3)
    assert found.count >= FEWEST


def test_ragged_borders_average_out():
    """Borders that are a pixel off at random, both ways, have no bias."""
    random = np.random.default_rng(0)
    labels = np.concatenate([discs(30.0 + off, frames=1) for off in random.choice([-1.0, 1.0], 24)])
    found = measure_mask_bias(labels, discs(30.0, frames=24))
    assert abs(found.pixels) < 0.5


def test_borders_near_other_bodies_do_not_count():
    """A label that ends where another body begins tells nothing about the background's border."""
    labels, drawn = discs(30.0), discs(30.0)
    labels[:, :, 70:] = 2
    found = measure_mask_bias(labels, drawn)
    assert found.pixels == pytest.approx(0.0, abs=0.3)
    assert found.count < measure_mask_bias(discs(30.0), drawn).count


def test_labels_that_lie_elsewhere_do_not_count():
    """A body whose label is somewhere else altogether gives no estimate rather than a wrong one."""
    assert measure_mask_bias(discs(12.0, center=(20.0, 20.0)), discs(20.0, center=(90.0, 90.0))) is None


@pytest.mark.parametrize(
    "drawn",
    [np.zeros((4, 120, 120), dtype=np.uint8), discs(3.0)],
    ids=["nothing", "too little"],
)
def test_too_little_border_is_none(drawn):
    """Without enough border in sight there is no estimate."""
    assert measure_mask_bias(discs(3.0), drawn) is None


def test_the_picture_s_edge_is_no_border():
    """Bodies that leave the picture are compared where they are inside it."""
    center = (2.0, 60.0)
    found = measure_mask_bias(discs(41.0, center=center), discs(40.0, center=center))
    assert found.pixels == pytest.approx(1.0, abs=0.3)


def test_unknown_pixels_are_like_other_bodies():
    """Borders beside don't-care are left out."""
    labels = discs(31.0)
    labels[:, :50] = IGNORE_LABEL
    found = measure_mask_bias(labels, discs(30.0))
    assert found.pixels == pytest.approx(1.0, abs=0.3)
