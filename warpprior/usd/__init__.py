"""OpenUSD: export of motions, writing into stages that are open, and checks.

pxr is imported inside the functions that need it.
"""

from warpprior.usd.check import Finding, check_stage
from warpprior.usd.export import export_takes, export_usd
from warpprior.usd.live import LiveStage
from warpprior.usd.names import prim_name
from warpprior.usd.options import StageOptions
from warpprior.usd.take import Take
from warpprior.usd.write import Written, write

__all__ = [
    "Finding",
    "LiveStage",
    "StageOptions",
    "Take",
    "Written",
    "check_stage",
    "export_takes",
    "export_usd",
    "prim_name",
    "write",
]
