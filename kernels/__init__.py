"""The ground floor: every Warp kernel and its launcher.  Imports warp and itself, nothing else of the project.

Whoever comes here before Warp was started, and before anybody changed what it prints, finds it silent from then on:
its banner and a line for each module are of no use to those who never see a kernel.
"""

import warnings

import warp as wp

if __name__ == "kernels":
    raise ImportError(
        "this folder is the package 'warpprior.kernels'; import it under that name "
        "(a bare 'kernels' is another project on PyPI)"
    )


def silence_warp() -> None:
    """Have Warp print warnings and errors only, for the whole process."""
    if hasattr(wp, "LOG_WARNING"):
        wp.config.log_level = wp.LOG_WARNING
    else:  # older Warp
        wp.config.quiet = True
    # It would come with every program on Python 3.10, whose users know.
    warnings.filterwarnings("ignore", r"Support for Python 3\.\d+ is deprecated", FutureWarning)


def has_started() -> bool:
    """Whether somebody has started Warp, which then has said what it says."""
    return getattr(wp, "_src").context.runtime is not None  # noqa: B009 - types do not know of it


def _is_untouched() -> bool:
    """Whether Warp was not started yet, and prints what it does by itself."""
    level = getattr(wp.config, "log_level", None)
    plain = not (wp.config.quiet or wp.config.verbose) if level is None else level == wp.LOG_INFO
    return plain and not has_started()


if _is_untouched():
    silence_warp()
