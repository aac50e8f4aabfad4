"""Scenes from USD stages: what moves in them, where the camera is, and what they say of both."""

from warpprior.usd.reading.observed import Observed
from warpprior.usd.reading.scene import StageScene, read_stage

__all__ = ["Observed", "StageScene", "read_stage"]
