"""Builders of simulated scenes with known truth, and the assets we made for them."""

if __name__ == "scenes":
    raise ImportError("this folder is the package 'warpprior.scenes'; import it under that name")

from warpprior.scenes.options import SceneOptions
from warpprior.scenes.registry import SCENES, simulate

__all__ = ["SCENES", "SceneOptions", "simulate"]
