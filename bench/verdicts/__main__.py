"""How well verdicts tell right from wrong: area under the curve, what is found, false alarms; and their weights.

python -m warpprior.bench.verdicts                          # the table, over 200 sequences
python -m warpprior.bench.verdicts --keep FILE --calibrate  # and weights for warpprior/verdicts/doubt.py
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np

from warpprior.bench.verdicts.calibrate import area_under_curve, fit_weights
from warpprior.bench.verdicts.sequences import sequences, wrong_frames
from warpprior.kernels import silence_warp
from warpprior.refinement.run import refine
from warpprior.support.errors import InputError
from warpprior.verdicts.doubt import SUSPECT, doubt_of
from warpprior.verdicts.judge import signs_of

Row = dict[str, object]


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing of the sequences, print the table, and weights where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=2000, help="of the first (default: 2000)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="go on from this file, and write it")
    parser.add_argument("--calibrate", action="store_true", help="print weights that tell right from wrong best")
    options = parser.parse_args(arguments)
    silence_warp()
    warnings.simplefilter("ignore")
    rows: list[Row] = []
    if options.keep is not None and options.keep.exists():
        rows = json.loads(options.keep.read_text(encoding="utf-8"))
    for number, sequence in enumerate(sequences(options.sequences, options.seed)):
        if number < len(rows):
            continue
        rows.append(_run(sequence))
        if options.keep is not None:
            options.keep.write_text(json.dumps(rows) + "\n", encoding="utf-8")
    _print(rows)
    if options.calibrate:
        print(json.dumps(fit_weights(_signs(rows), _wrong(rows), _groups(rows)), indent=1))
    return 0


def _run(sequence) -> Row:
    row: Row = {"name": sequence.name, "fault": sequence.fault, "bodies": {}}
    try:
        result = refine(sequence.scene, device="cpu")
    except InputError as error:
        return row | {"refused": str(error)}
    wrong = wrong_frames(sequence, result)
    signs = signs_of(result)
    bodies = {}
    for name, values in wrong.items():
        if name in signs:
            found = {key: np.asarray(each).tolist() for key, each in signs[name].items()}
            bodies[name] = {"wrong": np.asarray(values).astype(int).tolist(), "signs": found}
    return row | {"bodies": bodies, "errors": sorted({f.code for f in result.findings if f.level == "error"})}


def _each(rows: list[Row]):
    for number, row in enumerate(rows):
        for body in row["bodies"].values():  # type: ignore[attr-defined]
            yield number, row, body


def _wrong(rows: list[Row]) -> np.ndarray:
    return np.concatenate([np.array(body["wrong"], dtype=bool) for _, _, body in _each(rows)])


def _groups(rows: list[Row]) -> np.ndarray:
    return np.concatenate([np.full(len(body["wrong"]), number) for number, _, body in _each(rows)])


def _signs(rows: list[Row]) -> dict[str, np.ndarray]:
    bodies = [body["signs"] for _, _, body in _each(rows)]
    return {name: np.concatenate([np.array(signs[name], dtype=float) for signs in bodies]) for name in bodies[0]}


def _print(rows: list[Row]) -> None:
    doubt, wrong = doubt_of(_signs(rows)), _wrong(rows)
    refused = sum("refused" in row for row in rows)
    print(f"{len(rows)} sequences, {refused} refused; {len(wrong)} frames of bodies, {wrong.sum()} of them wrong")
    print(f"area under the curve {area_under_curve(doubt, wrong):.3f}")
    print(f"found {np.mean(doubt[wrong] >= SUSPECT):.1%}, false alarms {np.mean(doubt[~wrong] >= SUSPECT):.1%}")
    print(f"{'fault':44} {'wrong':>6} {'found':>7} {'good':>6} {'alarms':>7}")
    for fault in sorted({str(row["fault"]) for row in rows}):
        some = [row for row in rows if row["fault"] == fault and row["bodies"]]
        if not some:
            print(f"{fault or 'none':44} refused")
            continue
        doubt, wrong = doubt_of(_signs(some)), _wrong(some)
        found = f"{np.mean(doubt[wrong] >= SUSPECT):.0%}" if wrong.any() else "-"
        alarms = f"{np.mean(doubt[~wrong] >= SUSPECT):.1%}" if not wrong.all() else "-"
        print(f"{fault or 'none':44} {wrong.sum():6d} {found:>7} {(~wrong).sum():6d} {alarms:>7}")


if __name__ == "__main__":
    sys.exit(main())
