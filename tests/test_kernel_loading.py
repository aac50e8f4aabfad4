"""Kernels that a run loads at its beginning are there, and are those that it launches."""

import importlib

import pytest
import warp as wp

from warpprior.cli import main
from warpprior.refinement.preparing import KERNELS, KERNELS_BESIDE, KERNELS_OF_HANDS
from warpprior.support.kernel_loading import OF_GPUS, all_kernels, load_kernels
from warpprior.terms import TERMS

BESIDE = [name for names in KERNELS_BESIDE.values() for name in names]


@pytest.mark.parametrize("name", [*KERNELS, *KERNELS_OF_HANDS, *BESIDE, "frame_distance", "shared_volume"])
def test_what_every_run_loads_is_there(name):
    """A file that was renamed would be loaded late, and nobody would know."""
    module = importlib.import_module(f"warpprior.kernels.{name}")
    assert wp.get_module(module.__name__).kernels


def test_kernels_beside_are_those_of_terms():
    """Of terms that there are."""
    assert set(KERNELS_BESIDE) <= {term.name for term in TERMS}


def test_all_kernels_are_compiled_on_demand(monkeypatch, capsys):
    """``info --compile`` loads every file there is, those of a run among them; plain ``info`` loads nothing."""
    loaded = {}
    monkeypatch.setattr(
        "warpprior.support.kernel_loading.load_kernels",
        lambda names, device, _: loaded.update({device: set(names)}),
    )
    assert main(["info", "--quiet"]) == 0 and not loaded
    assert main(["info", "--compile"]) == 0
    for device, names in loaded.items():
        assert {*KERNELS, *KERNELS_OF_HANDS, *BESIDE} <= names == set(all_kernels(device))
    assert set(all_kernels("cuda:0")) - loaded["cpu"] == set(OF_GPUS)
    assert "kernel cache" in capsys.readouterr().out


def test_what_is_not_there_is_left_out(device):
    """Terms of the user's have kernels elsewhere."""
    load_kernels(["camera", "nothing_of_the_kind"], device)


def test_loading_again_is_harmless(device):
    """In another order too."""
    load_kernels(["overlap", "camera"], device)
    load_kernels(["camera", "overlap"], device)
