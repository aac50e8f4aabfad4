"""Kernels that a run loads at its beginning are there, and are those that it launches."""

import importlib

import pytest
import warp as wp

from warpprior.refinement.run import KERNELS, KERNELS_OF_HANDS
from warpprior.support.kernel_loading import load_kernels


@pytest.mark.parametrize("name", [*KERNELS, *KERNELS_OF_HANDS])
def test_what_every_run_loads_is_there(name):
    """A file that was renamed would be loaded late, and nobody would know."""
    module = importlib.import_module(f"warpprior.kernels.{name}")
    assert wp.get_module(module.__name__).kernels


def test_what_is_not_there_is_left_out(device):
    """Terms of the user's have kernels elsewhere."""
    load_kernels(["camera", "nothing_of_the_kind"], device)


def test_loading_again_is_harmless(device):
    """In another order too."""
    load_kernels(["overlap", "camera"], device)
    load_kernels(["camera", "overlap"], device)
