"""A file that is to be a backup: opened without following its word, read at given places, refused by name."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.errors import ArchiveRefused, NotFound, NotPossible
from engine.host.archive.layout import CHUNK_BYTES

Went = Callable[[int], None]
"""Called with the number of bytes that were read since the last call."""


class Source:
    """An opened regular file. size: in bytes, as it was when it was opened.

    ours: whether it looks like a backup of ours. It decides only the word by which it is refused: what is ours and not
    as we wrote it is damaged; anything else never was a backup.
    """

    __slots__ = ("_descriptor", "_stamp", "ours", "path", "size")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ours = False
        self._descriptor = _opened(path)
        try:
            found = os.fstat(self._descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise self.refused("it is not a regular file")
        except BaseException:
            os.close(self._descriptor)
            raise
        self.size = found.st_size
        self._stamp = _stamp(found)

    def close(self) -> None:
        os.close(self._descriptor)

    def refused(self, why: str, kind: str = "") -> ArchiveRefused:
        """Return the error that says why this file is not taken. kind: in place of the word that `ours` decides."""
        kind = kind or ("damaged" if self.ours else "not a backup of Chronos")
        return ArchiveRefused(f"{shown(str(self.path))}: {kind}: {why}")

    def at(self, offset: int, length: int) -> bytes:
        """Return `length` bytes. Raises ArchiveRefused where the file has fewer, or where the disk cannot read them."""
        parts = []
        while length:
            try:
                part = os.pread(self._descriptor, length, offset)
            except OSError as error:
                raise self.refused(f"byte {offset} cannot be read: {error.strerror}") from error
            if not part:
                raise self.refused(f"it ends at byte {offset}, before it should")
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def chunks(self, offset: int, length: int, went: Went) -> Iterator[bytes]:
        """Yield `length` bytes in pieces of at most CHUNK_BYTES."""
        end = offset + length
        while offset < end:
            chunk = self.at(offset, min(CHUNK_BYTES, end - offset))
            yield chunk
            offset += len(chunk)
            went(len(chunk))

    def sha256(self, went: Went) -> str:
        """Return the sum of the whole file, in hex."""
        digest = hashlib.sha256()
        for chunk in self.chunks(0, self.size, went):
            digest.update(chunk)
        self.check_unchanged()
        return digest.hexdigest()

    def check_unchanged(self) -> None:
        """Raise ArchiveRefused where somebody wrote to the file since it was opened.

        Nothing relies on it, for what is handed out was checked as it was read; but sums that were right a moment ago
        say nothing about the file that lies there now.
        """
        if _stamp(os.fstat(self._descriptor)) != self._stamp:
            raise self.refused("it was changed while it was read; try again when nothing writes to it")


def shown(text: str) -> str:
    """Return a name as a line of text can hold it."""
    return text if text.isprintable() else ascii(text)


def _opened(path: Path) -> int:
    try:
        # O_NONBLOCK: opening a FIFO without a writer would otherwise wait for ever.
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError as error:
        raise NotFound(f"{shown(str(path))}: there is no such file") from error
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else "its name holds a NUL"
        raise NotPossible(f"{shown(str(path))}: cannot be opened: {words}") from error


def _stamp(found: os.stat_result) -> tuple[int, int]:
    # Not st_ctime: a rename, a link and a chmod change it, and nothing in the file.
    return found.st_size, found.st_mtime_ns
