"""warpprior: physically consistent motion of hands and objects from noisy per-frame estimates.

Data falls one way: files -> :class:`Scene` -> device arrays -> priors -> estimator -> :class:`Result` -> files.
Importing this package imports neither pxr, cv2, torch nor matplotlib.
"""

from pathlib import Path as _Path

# A checkout has kernels/ and scenes/ beside this folder; a wheel has them inside it.
_root = _Path(__file__).resolve().parent.parent
if not (_Path(__file__).resolve().parent / "kernels").is_dir() and (_root / "kernels" / "__init__.py").is_file():
    __path__.append(str(_root))
del _Path, _root

__version__ = "0.1.0"
