"""One way for a parser of files from outside to fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from warpprior.support.errors import InputError, WarppriorError, reason_of


@contextmanager
def refuse_unreadable(where: str, accepted: str) -> Iterator[None]:
    """Turn whatever a parser raises on damaged data into an :class:`InputError`; ours pass unchanged.

    NumPy's warnings about numbers beyond all bounds are left out: such numbers are refused where they are checked.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except WarppriorError:
        raise
    except Exception as error:
        raise InputError(where, f"cannot be read ({reason_of(error)})", accepted) from error
