"""Builders of simulated scenes with known truth, and the assets we made for them."""

if __name__ == "scenes":
    raise ImportError("this folder is the package 'warpprior.scenes'; import it under that name")

from warpprior.scenes.registry import SCENES, simulate
from warpprior.scenes.scene_options import SceneOptions

__all__ = ["SCENES", "SceneOptions", "simulate"]
