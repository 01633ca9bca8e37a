"""Hands a big file to the disk while it is written, a few MiB at a time. Changes no byte and promises no durability.

What is written stays in the system's memory at first. A gigabyte of that makes whoever syncs anything else wait for
seconds, and on a small box it makes every writer wait. So whoever writes a big file beside a busy outbox is held back
to the pace of the disk instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable

WINDOW_BYTES = 8 * 1024 * 1024
"""What may wait to be written out beyond what is being written out."""

_WAIT_BEFORE, _WRITE, _WAIT_AFTER = 1, 2, 4  # linux/fs.h, see sync_file_range(2)


class Trickle:
    """Of one file that grows from its beginning. Only helps where the system has sync_file_range(2)."""

    __slots__ = ("_descriptor", "_done", "_range")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._done = 0
        self._range = _sync_file_range()

    def wrote_to(self, end: int) -> None:
        """The file is written up to `end`: have the newest part written out, and wait for the one before it."""
        begin = self._done
        if end - begin < WINDOW_BYTES or self._range is None:
            return
        self._range(self._descriptor, begin, end - begin, _WRITE)
        if begin:
            before = max(0, begin - 2 * WINDOW_BYTES)
            self._range(self._descriptor, before, begin - before, _WAIT_BEFORE | _WRITE | _WAIT_AFTER)
        self._done = end

    def wrote(self) -> None:
        """The same for a file of which nobody counted how long it is."""
        self.wrote_to(os.fstat(self._descriptor).st_size)


def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    import ctypes

    try:
        function = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    # What it returns is not looked at: an error of the disk is told to whoever syncs the file.
    return lambda descriptor, offset, size, flags: int(function(descriptor, offset, size, flags))
