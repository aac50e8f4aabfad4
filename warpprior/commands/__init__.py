"""What each command of the command line does.  Each returns the exit code and raises the errors of what it calls."""

from warpprior.commands.estimation import demo, refine
from warpprior.commands.folders import convert_mano, export, simulate
from warpprior.commands.measurement import ablate, bench, evaluate, info
from warpprior.commands.tracking import track

__all__ = ["ablate", "bench", "convert_mano", "demo", "evaluate", "export", "info", "refine", "simulate", "track"]
