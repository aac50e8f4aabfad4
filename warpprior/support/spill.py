"""Numbers that do not fit in memory: kept in a temporary file, read back piece by piece."""

from __future__ import annotations

import tempfile

import numpy as np

from warpprior.support.errors import RunError


class Spill:
    """An array that grows at its end, in a file that nobody sees and that goes with it.

    The file lies in the folder for temporary files (``TMPDIR``).

    Args:
        dtype: of the numbers.
    """

    def __init__(self, dtype: np.dtype | type):
        self._dtype = np.dtype(dtype)
        try:
            self._file = tempfile.TemporaryFile(prefix="warpprior-", buffering=0)
        except OSError as error:
            raise _refused(error) from error

    def append(self, values: np.ndarray) -> None:
        """Write numbers behind all others.

        Raises:
            RunError: there is no room for them.
        """
        rest = memoryview(np.ascontiguousarray(values, dtype=self._dtype).data).cast("B")
        try:
            self._file.seek(0, 2)
            while len(rest):
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise _refused(error) from error

    def read(self, start: int, out: np.ndarray) -> None:
        """Fill ``out`` (number,), contiguous, with those from ``start`` on."""
        rest = memoryview(out.data).cast("B")
        try:
            self._file.seek(start * self._dtype.itemsize)
            while len(rest):
                count = self._file.readinto(rest)
                assert count, "it was written before"
                rest = rest[count:]
        except OSError as error:
            raise _refused(error) from error


def _refused(error: OSError) -> RunError:
    reason = error.strerror or str(error)
    return RunError(
        f"temporary files in {tempfile.gettempdir()}: {reason}; make room there, set TMPDIR, or give more --memory"
    )
