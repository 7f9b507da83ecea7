"""Memory for the values of all steps, which is used again from call to call.

A loop reads and writes megabytes. Fresh memory of this size comes from the operating
system page by page, each filled with zeros when it is first touched: for a train step
of an LSTM, that took as long as a quarter of the loops. And NumPy's large arrays start
16 bytes behind a cache line, so that every vector of AVX-512 lies in two of them.

An array is used again once no variable holds it, or a view of it. So a result that a
user keeps is left alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

LINE = 64
"""The bytes of a cache line, and of the largest vector."""

SMALLEST = 1 << 16
"""The bytes from which memory is used again."""

KEPT = 1 << 27
"""The bytes that are kept at most while nothing uses them."""


class Buffers:
    """Blocks of memory that arrays are made of.

    One thread at a time may ask for arrays; calls of a Program are locked.

    >>> buffers = Buffers()
    >>> first = buffers.empty((300, 100), "float64")
    >>> address = first.ctypes.data
    >>> del first
    >>> buffers.empty((100, 300), "float64").ctypes.data == address
    True
    """

    def __init__(self):
        self._blocks: list[np.ndarray] = []  # the one used last comes last

    def empty(self, shape: Sequence[int], dtype: object) -> np.ndarray:
        """An array of any values, which starts at a cache line."""
        dtype = np.dtype(dtype)
        count = dtype.itemsize
        for size in shape:
            count *= int(size)
        if count < SMALLEST:
            return np.empty(shape, dtype)
        block = self._free_block(count)
        if block is None:
            block = np.empty(count + LINE, np.uint8)
        self._keep(block)
        start = -block.ctypes.data % LINE
        return block[start : start + count].view(dtype).reshape(shape)

    def _free_block(self, count: int) -> np.ndarray | None:
        """Take out a block for ``count`` bytes that nothing uses; None without one."""
        # From the last one used, which is the likeliest to be in the cache.
        for place in reversed(range(len(self._blocks))):
            block = self._blocks[place]
            if block.size == count + LINE and _is_free(block):
                return self._blocks.pop(place)
        return None

    def _keep(self, block: np.ndarray) -> None:
        self._blocks.append(block)
        held = sum(block.size for block in self._blocks)
        # What is dropped here lives on as long as an array is made of it.
        while held > KEPT:
            held -= self._blocks.pop(0).size


def _is_free(block: np.ndarray) -> bool:
    """True if no array is made of a block of ``Buffers``."""
    # The list, the variable of the caller, this argument and that of getrefcount.
    return sys.getrefcount(block) == 4


BUFFERS = Buffers()
"""The memory of all loops."""
