"""The ground floor: every Warp kernel and its launcher.  Imports warp and itself, nothing else of the project."""

if __name__ == "kernels":
    raise ImportError(
        "this folder is the package 'warpprior.kernels'; import it under that name "
        "(a bare 'kernels' is another project on PyPI)"
    )
