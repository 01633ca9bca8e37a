"""Private directories for work in progress, gone when it ends, swept when its process was killed. Fills none."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine.errors import NotPossible, StorageFull
from engine.host.files import NO_SPACE

_TRIES = 8


@contextlib.contextmanager
def scratch(folder: Path, prefix: str) -> Iterator[Path]:
    """Give a fresh 0700 directory `folder/prefix-<random>`; it is removed with everything in it at the end.

    Its owner is who holds the lock on it (flock), which the kernel frees when that process dies: what a killed one
    left is swept here, and nobody else's.

    Raises StorageFull, NotPossible where it cannot be made.
    """
    sweep(folder, prefix)
    try:
        path, descriptor = _made(folder, prefix)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise StorageFull(f"cannot make a directory in {folder}: the disk is full; free some space") from error
        raise NotPossible(f"cannot make a directory in {folder}: {error.strerror}") from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def sweep(folder: Path, prefix: str) -> int:
    """Remove what processes that are dead left; return how many directories that were."""
    swept = 0
    for path in folder.glob(f"{prefix}-*"):
        try:
            descriptor = _opened(path)
        except OSError:
            continue  # gone meanwhile, or no directory of ours
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
            swept += 1
        except OSError:
            continue  # somebody works in it
        finally:
            os.close(descriptor)
    return swept


def _made(folder: Path, prefix: str) -> tuple[Path, int]:
    """Return a new directory and the descriptor that holds its lock."""
    for _try in range(_TRIES):
        path = folder / f"{prefix}-{os.urandom(6).hex()}"
        path.mkdir(mode=0o700)
        try:
            descriptor = _opened(path)
        except FileNotFoundError:
            continue  # swept between the two calls
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)  # somebody sweeps it at this moment
            continue
        if path.exists():
            return path, descriptor
        os.close(descriptor)
    raise OSError(0, "others remove it again and again")


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
