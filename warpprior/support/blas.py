"""Linear algebra on one thread: small matrices gain little from more, and lose much where others use the cores."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import scipy.linalg  # noqa: F401 - libraries that are loaded later would not be found
from threadpoolctl import ThreadpoolController

_LIBRARIES = ThreadpoolController().select(user_api="blas")


def one_thread() -> AbstractContextManager:
    """Within it, NumPy's and SciPy's linear algebra keeps to the calling thread."""
    if all(library.get_num_threads() == 1 for library in _LIBRARIES.lib_controllers):
        return nullcontext()
    return _LIBRARIES.limit(limits=1)
