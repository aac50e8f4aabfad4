"""OpenUSD: export of motions and checks of what was exported.  pxr is imported inside the functions that need it."""

from warpprior.usd.check import Finding, check_stage
from warpprior.usd.export import export_usd
from warpprior.usd.names import prim_name
from warpprior.usd.options import StageOptions

__all__ = ["Finding", "StageOptions", "check_stage", "export_usd", "prim_name"]
