"""What wrong evidence does to estimates: kinds of it, each over sequences whose truth is known.

    python -m warpprior.bench.robustness                 every row
    python -m warpprior.bench.robustness clean flipped   only these; --list names them, --json keeps what came out

A row is a file in ``rows/``.  Times are what :mod:`warpprior.bench` measures; here it is errors.
"""
