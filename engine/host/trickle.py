"""Hands a big file to the disk while it is written, a few MiB at a time. Changes no byte and promises no durability.

What is written stays in the system's memory at first. A gigabyte of that makes whoever syncs anything else wait for
seconds, and on a small box it makes every writer wait. So whoever writes a file there that is big for the box is held
back to the pace of the disk instead. One that the memory takes easily is left to the system: having it written out at
once costs every sync beside it more (1 GB on a box of 24: the slowest hundredth took 2.6 to 4.4 times as long as alone,
left to the system 1.3 to 1.7 times).
"""

from __future__ import annotations

import os
from collections.abc import Callable

WINDOW_BYTES = 8 * 1024 * 1024
"""What may wait to be written out beyond what is being written out."""

_EASILY = 20
"""A file up to this part of the memory is left to the system: half of what Linux lets wait before it begins to write
(vm.dirty_background_ratio, 10 %).
"""

_WAIT_BEFORE, _WRITE, _WAIT_AFTER = 1, 2, 4  # linux/fs.h, see sync_file_range(2)


class Trickle:
    """Of one file that grows from its beginning. Only helps where the system has sync_file_range(2).

    easily_bytes: up to this size it is left to the system; by default a part of this machine's memory.
    """

    __slots__ = ("_descriptor", "_done", "_easily_bytes", "_range")

    def __init__(self, descriptor: int, *, easily_bytes: int | None = None) -> None:
        self._descriptor = descriptor
        self._done = 0
        self._easily_bytes = _memory_bytes() // _EASILY if easily_bytes is None else easily_bytes
        self._range = _sync_file_range()

    def wrote_to(self, end: int) -> None:
        """The file is written up to `end`: have the newest part written out, and wait for the one before it."""
        begin = self._done
        if end <= self._easily_bytes or end - begin < WINDOW_BYTES or self._range is None:
            return
        self._range(self._descriptor, begin, end - begin, _WRITE)
        if begin:
            before = max(0, begin - 2 * WINDOW_BYTES)
            self._range(self._descriptor, before, begin - before, _WAIT_BEFORE | _WRITE | _WAIT_AFTER)
        self._done = end

    def wrote(self) -> None:
        """The same for a file of which nobody counted how long it is."""
        self.wrote_to(os.fstat(self._descriptor).st_size)


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 0


def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    import ctypes

    try:
        function = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    # What it returns is not looked at: an error of the disk is told to whoever syncs the file.
    return lambda descriptor, offset, size, flags: int(function(descriptor, offset, size, flags))
