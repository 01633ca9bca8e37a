"""Big temporary files beside their target: private, held by who writes them, swept when that process died. Fills none.

The owner of one is who holds the lock on it (flock), which the kernel frees when that process dies; a number in the
name would be another process's one day.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from engine.errors import ChronosError, NotPossible, StorageFull
from engine.host.files import NO_SPACE, sync_dir

_NAME = re.compile(r"\.chronos-.+\.[0-9]{1,10}(\.[a-z]{1,8})?\.tmp")
_TRIES = 8
_COMPANIONS = ("-journal", "-wal", "-shm")
"""What SQLite lays beside a database."""


@contextlib.contextmanager
def temporary(folder: Path, name: str, what: str = "") -> Iterator[Path]:
    """Give a new, empty 0600 file `.<name>.<pid>[.<what>].tmp` in `folder`; whatever is there at the end goes.

    name: begins with "chronos-". Raises StorageFull, NotPossible where it cannot be made.
    """
    path = folder / f".{name}.{os.getpid()}{'.' + what if what else ''}.tmp"
    try:
        descriptor = _made(path)
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield path
    finally:
        _remove(path)
        os.close(descriptor)


def _made(path: Path) -> int:
    """Return the descriptor that holds the lock on a new file."""
    for _try in range(_TRIES):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        # Somebody who sweeps may take the lock between the two calls; then the file is gone, or about to be.
        if _free(descriptor) and path.exists():
            return descriptor
        os.close(descriptor)
        _remove(path)
    raise OSError(errno.EBUSY, "others remove it again and again")


def _free(descriptor: int) -> bool:
    """Take the lock on a file, unless somebody has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sweep(folder: Path) -> int:
    """Remove the temporary files whose process is dead; return how many."""
    swept = 0
    for path in list(folder.iterdir()) if folder.is_dir() else ():
        if _NAME.fullmatch(path.name) is None:
            continue
        try:
            if path.lstat().st_nlink != 1:
                continue  # a name for something else, which must not be opened: it may be the database in use
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # gone meanwhile, or no file of ours
        try:
            if _free(descriptor):
                _remove(path)
                swept += 1
        finally:
            os.close(descriptor)
    return swept


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Take the lock on a file, making it where it is missing; False while another process has it. Never waits."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        yield _free(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(path: Path, target: Path) -> None:
    """Give a temporary file its name, so that it survives a power cut: sync, rename, sync of the directory.

    Raises StorageFull, NotPossible; where the name is taken too.
    """
    try:
        with path.open("rb") as file:
            os.fsync(file.fileno())
        if os.path.lexists(target):
            raise NotPossible(f"{target}: is there already")
        path.rename(target)
        sync_dir(target.parent)
    except OSError as error:
        raise cannot_write(target, error) from error


def cannot_write(path: Path, error: OSError) -> ChronosError:
    """Return our error for the system's."""
    if error.errno in NO_SPACE:
        return StorageFull(f"cannot write {path}: the disk is full; free some space")
    return NotPossible(f"cannot write {path}: {error.strerror or error}")


def _remove(path: Path) -> None:
    for one in (path, *(path.with_name(path.name + companion) for companion in _COMPANIONS)):
        with contextlib.suppress(OSError):
            one.unlink()
