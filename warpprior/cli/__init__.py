"""The command line: a module of :mod:`warpprior.cli.commands` is a command; this package parses and reports errors."""

from warpprior.cli.program import build_parser, main

__all__ = ["build_parser", "main"]
