"""The benchmark: cases, the harness that times them, and the committed baseline.  Run it with ``warpprior bench``.

Not part of the installed package; a checkout imports it as ``warpprior.bench``.
"""

if __name__ == "bench":
    raise ImportError("this folder is the package 'warpprior.bench'; run it with: python -m warpprior bench")
