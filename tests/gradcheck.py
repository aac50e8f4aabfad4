"""The one gradient checker: Warp's tape gradients against finite differences of the float64 twins.

With WARPPRIOR_GRADIENTS naming a folder every comparison also leaves its figures there, and
``python tests/gradcheck.py FOLDER`` prints them as a table, one row per kernel (``--all``: per comparison).
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

# An element counts as at least this share of the largest: what is near zero beside it is known to that precision.
FLOOR = 0.01

# What outputs hold before a call, so that an element left unwritten shows. Finite (and exact in float32), because
# Warp's floating-point checks look at what a store overwrites and stop at NaN.
POISON = -(2.0**100)


@dataclass(frozen=True)
class GradientFigures:
    """How an analytic gradient differs from the numeric one.

    Attributes:
        worst: largest relative error of an element; elements below 1 % of the largest count as that much.
        cosine: of the angle between the two.
        bias: signed, sum((analytic - numeric) * sign(numeric)) / sum(|numeric|): systematically too long is positive.
    """

    name: str
    worst: float
    cosine: float
    bias: float
    elements: int


def finite_difference(function, x, step=1e-6):
    """Gradient of a scalar function of a float64 array by fourth-order central differences, in the shape of ``x``."""
    x = np.array(x, dtype=np.float64)
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        values = []
        for k in (-2, -1, 1, 2):
            x[index] = kept + k * step
            values.append(float(function(x)))
        x[index] = kept
        gradient[index] = (values[0] - 8.0 * values[1] + 8.0 * values[2] - values[3]) / (12.0 * step)
    return gradient


def compare_gradients(analytic, numeric, *, name, worst=1e-3, cosine=0.99999, bias=1e-3):
    """Assert that two gradients agree, and return the figures.

    A numeric gradient that is zero everywhere must be met by an exact zero.

    Args:
        analytic: gradient under test, any shape.
        numeric: reference of the same shape.
        name: kernel, input and point, for the table: ``"pose_links joints at zero"``.
        worst: largest accepted ``GradientFigures.worst``.
        cosine: smallest accepted cosine.
        bias: largest accepted magnitude of the bias.
    """
    analytic, numeric = np.asarray(analytic, dtype=np.float64), np.asarray(numeric, dtype=np.float64)
    assert analytic.shape == numeric.shape, f"{name}: shapes {analytic.shape} and {numeric.shape}"
    assert np.isfinite(analytic).all(), f"{name}: gradient is not finite"
    assert np.isfinite(numeric).all(), f"{name}: reference gradient is not finite"
    largest = np.abs(numeric).max(initial=0.0)
    difference = analytic - numeric
    if largest == 0.0:
        figures = GradientFigures(name, float(np.abs(difference).max(initial=0.0)), 1.0, 0.0, analytic.size)
        _record(figures)
        assert figures.worst == 0.0, f"{name}: gradient is {figures.worst} where it must be zero"
        return figures
    figures = GradientFigures(
        name=name,
        worst=float((np.abs(difference) / np.maximum(np.abs(numeric), FLOOR * largest)).max()),
        cosine=float((analytic * numeric).sum() / max(np.linalg.norm(analytic) * np.linalg.norm(numeric), 1e-300)),
        bias=float((difference * np.sign(numeric)).sum() / np.abs(numeric).sum()),
        elements=analytic.size,
    )
    _record(figures)
    assert figures.worst <= worst, f"{figures}: worst error above {worst}"
    assert figures.cosine >= cosine, f"{figures}: cosine below {cosine}"
    assert abs(figures.bias) <= bias, f"{figures}: bias above {bias}"
    return figures


def _record(figures):
    print(f"{figures.name}: worst {figures.worst:.1e}, 1 - cosine {1.0 - figures.cosine:.1e}, bias {figures.bias:+.1e}")
    folder = os.environ.get("WARPPRIOR_GRADIENTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        stem = "".join(c if c.isalnum() else "-" for c in figures.name)
        (Path(folder) / f"{stem}.json").write_text(json.dumps(asdict(figures)))


def print_table(folder, every=False):
    """Print the figures left in a folder as a Markdown table: the worst of each kernel, or every comparison."""
    rows = [json.loads(file.read_text()) for file in sorted(Path(folder).glob("*.json"))]
    kernels = {}
    for row in rows:
        kernels.setdefault(row["name"] if every else row["name"].split()[0].rstrip(","), []).append(row)
    print("| kernel | comparisons | worst relative error | largest 1 - cosine | largest bias | worst point |")
    print("|---|---|---|---|---|---|")
    for kernel, group in sorted(kernels.items()):
        worst = max(group, key=lambda row: row["worst"])
        cosine, bias = min(row["cosine"] for row in group), max((row["bias"] for row in group), key=abs)
        point = worst["name"][len(kernel) :].strip(" ,")
        print(f"| {kernel} | {len(group)} | {worst['worst']:.1e} | {1.0 - cosine:.1e} | {bias:+.1e} | {point} |")


if __name__ == "__main__":
    print_table(sys.argv[1], every="--all" in sys.argv[2:])
