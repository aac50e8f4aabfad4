"""What each command of the command line does.  Each returns the exit code and raises the errors of what it calls."""

from warpprior.commands.estimation import demo, refine
from warpprior.commands.folders import convert_mano, export, simulate
from warpprior.commands.measurement import ablate, ablate_tracking, bench, evaluate, info
from warpprior.commands.tracking import track

__all__ = [
    "ablate",
    "ablate_tracking",
    "bench",
    "convert_mano",
    "demo",
    "evaluate",
    "export",
    "info",
    "refine",
    "simulate",
    "track",
]
