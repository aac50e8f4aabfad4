"""The command line: parses, calls the function of the same name in :mod:`warpprior.commands`, and reports errors."""

from warpprior.cli.program import build_parser, main

__all__ = ["build_parser", "main"]
