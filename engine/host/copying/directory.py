"""Copies into a directory: a mounted disk, a share. Makes no directory and deletes nothing."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from engine.errors import NotPossible, StorageFull
from engine.host.copying.base import BLOCK_BYTES, Progress, partial_name
from engine.host.files import NO_SPACE, sync_dir

_FADVISABLE = hasattr(os, "posix_fadvise")


class Directory:
    """See base.Destination. The directory is never made: where a disk is not mounted, its mount point must not fill up.

    Order: temporary name, fsync, rename, fsync of the directory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, path: Path, name: str, progress: Progress | None = None) -> str:
        partial = self._folder / partial_name(name)
        try:
            with path.open("rb") as source, _written(partial) as out:
                total, done = os.fstat(source.fileno()).st_size, 0
                while block := source.read(BLOCK_BYTES):
                    out.write(block)
                    done += len(block)
                    if progress is not None:
                        progress(done, total)
                out.flush()
                os.fsync(out.fileno())
            partial.replace(self._folder / name)
            sync_dir(self._folder)
        except OSError as error:
            raise self._translated(error) from error
        return f"{done} bytes written to {self._folder}"

    def check(self, name: str, size: int, sha256: str, progress: Progress | None = None) -> bool:
        """See base.Destination. Reads the disk, not what the system remembers of it, where that can be asked."""
        digest, done = hashlib.sha256(), 0
        try:
            with (self._folder / name).open("rb") as file:
                if os.fstat(file.fileno()).st_size != size:
                    return False
                if _FADVISABLE:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                while block := file.read(BLOCK_BYTES):
                    digest.update(block)
                    done += len(block)
                    if progress is not None:
                        progress(done, size)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and self._folder.is_dir():
                return False
            raise self._translated(error) from error
        return digest.hexdigest() == sha256

    def _translated(self, error: OSError) -> NotPossible | StorageFull:
        if error.errno in NO_SPACE:
            return StorageFull(f"{self._folder} is full; free some space there")
        if error.errno in {errno.ENOENT, errno.ENOTDIR} and not self._folder.is_dir():
            return NotPossible(f"{self._folder} is no directory; mount it, or make it")
        return NotPossible(f"{error.filename or self._folder}: {error.strerror}")


def _written(partial: Path) -> BinaryIO:
    """Open what is not whole yet, empty; what an earlier try left is written over. Links are not followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(os.open(partial, flags, 0o600), "wb")  # noqa: PTH123 - a descriptor, not a path
