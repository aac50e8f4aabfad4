"""``warpprior convert-mano``: the arrays of a MANO file, a published pickle for instance, as an ``.npz``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpprior.cli.options import argument, option
from warpprior.cli.shared import Common

PLACE = 9
SUMMARY = "write a MANO pickle as .npz, without running it"


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Options of ``convert-mano``."""

    model: Path = argument("IN.pkl", "MANO_RIGHT.pkl or MANO_LEFT.pkl")
    output: Path = argument("OUT.npz", "file to write")
    overwrite: bool = option("replace OUT.npz if it exists", False)


def run(options: Options) -> int:
    """Read the model without running any of it, and write its arrays.

    Raises:
        InputError: the file is damaged or no MANO model, or the output cannot be used.
    """
    from warpprior.bodies.readers.mano import read_mano_model
    from warpprior.cli.running import OK, say
    from warpprior.io import prepare_file
    from warpprior.io.array_files import write_arrays
    from warpprior.support.errors import InputError

    if options.output.suffix.lower() != ".npz":
        raise InputError(str(options.output), "is no .npz", "give the output a name that ends in .npz")
    with prepare_file(options.output, overwrite=options.overwrite):
        hand = read_mano_model(options.model)
        write_arrays(options.output, hand.arrays.as_dict())
    say(options.quiet, f'a {hand.side} hand in {options.output}; name it as the path of a body of kind "mano"')
    return OK
