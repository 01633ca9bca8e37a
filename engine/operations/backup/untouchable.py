"""What must never be opened as the file of a backup: the database in use, under whatever name, and what is no file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from engine.errors import ArchiveRefused
from engine.operations.context import Context
from engine.rules.text import safe_line

_PARTS = ("", "-wal", "-shm")


def in_use(context: Context, file: Path) -> bool:
    """Whether a path leads to the database in use, by a link of either kind.

    Who opens and closes that drops every lock that SQLite holds on it in this process (fcntl knows processes, not
    descriptors), and another process may then fold a log that is still read here.
    """
    try:
        found = file.stat()
    except OSError:
        return False
    return any(_is(found, context.database.path.with_name(context.database.path.name + part)) for part in _PARTS)


def _is(found: os.stat_result, other: Path) -> bool:
    try:
        return os.path.samestat(found, other.stat())
    except OSError:
        return False


def check(context: Context, file: Path) -> None:
    """Raise ArchiveRefused where a file must not be opened: nobody waits for a FIFO or reads a device to its end.

    Says nothing of one that is missing.
    """
    shown = safe_line(str(file), 1_000)
    if in_use(context, file):
        raise ArchiveRefused(f"{shown}: not a backup of Chronos: it is the database that is in use")
    try:
        regular = stat.S_ISREG(file.stat().st_mode)
    except OSError:
        return
    if not regular:
        raise ArchiveRefused(f"{shown}: not a backup of Chronos: it is not a regular file")
