"""A member's content, checked while it streams by, and the private files it goes into. Knows no ZIP header."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from engine.errors import NotPossible, StorageFull
from engine.host.archive.layout import CHUNK_BYTES, STORED, Entry
from engine.host.archive.source import Source, Went
from engine.host.files import NO_SPACE
from engine.rules.backups import Member
from engine.rules.durations import format_size

_SPARE_BYTES = 16 * 1024 * 1024
"""What is left free beside what is unpacked."""


class _Inflater(Protocol):
    eof: bool
    unused_data: bytes
    unconsumed_tail: bytes

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


Inflating = tuple[_Inflater, type[Exception]]
"""What inflates, and what it raises for data that it cannot make sense of."""


def proven_inflater() -> Inflating:
    """Return zlib's."""
    return zlib.decompressobj(-zlib.MAX_WBITS), zlib.error  # type: ignore[return-value]


def fast_inflater() -> Inflating:
    """Return ISA-L's where there is one, at twice the speed."""
    try:
        from isal import isal_zlib
    except ImportError:
        return proven_inflater()
    return isal_zlib.decompressobj(-zlib.MAX_WBITS), isal_zlib.error  # type: ignore[return-value]


def contents(
    source: Source, entry: Entry, member: Member, went: Went, inflater: Callable[[], Inflating]
) -> Iterator[bytes]:
    """Yield a member's content in pieces of at most CHUNK_BYTES, never more than entry.size in all.

    Sums are complete at the end only: raises ArchiveRefused there, and whoever wrote the pieces down has to remove
    them. went: how many of the file's bytes were read.
    """
    packed_sum, plain_sum, crc = hashlib.sha256(), hashlib.sha256(), 0
    chunks = _summed(source.chunks(entry.data_offset, entry.packed_size, went), packed_sum)
    for piece in chunks if entry.method == STORED else _inflated(source, entry, chunks, inflater()):
        plain_sum.update(piece)
        crc = zlib.crc32(piece, crc)
        yield piece
    # Of the packed bytes too: bits of deflate that mean nothing could be changed without changing the content.
    if packed_sum.hexdigest() != member.packed_sha256 or plain_sum.hexdigest() != member.sha256:
        raise source.refused(f"{entry.name} is not what was backed up: its SHA-256 is another")
    if crc != entry.crc:
        raise source.refused(f"{entry.name} does not have its checksum")


def _summed(chunks: Iterator[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _inflated(source: Source, entry: Entry, chunks: Iterator[bytes], inflating: Inflating) -> Iterator[bytes]:
    inflater, damaged = inflating
    left = entry.size
    for chunk in chunks:
        rest = chunk
        while True:
            try:
                # The limit is what bounds memory: 1 MiB of deflate can hold 1 GiB.
                piece = inflater.decompress(rest, CHUNK_BYTES)
            except damaged as error:
                raise source.refused(f"{entry.name} cannot be unpacked: {error}") from error
            rest = inflater.unconsumed_tail
            left -= len(piece)
            if left < 0:
                raise source.refused(f"{entry.name} unpacks to more than the {entry.size} bytes it claims")
            if piece:
                yield piece
            # A full piece may have more behind it that is not in `rest`: it waits inside the inflater.
            if inflater.eof or (not rest and len(piece) < CHUNK_BYTES):
                break
        if inflater.unused_data:
            raise source.refused(f"{entry.name} has bytes behind its end")
    if left or not inflater.eof:
        raise source.refused(f"{entry.name} ends before the {entry.size} bytes it claims")


class Placing:
    """Files that are made in a directory of ours; left by an error, every one of them is removed again.

    Raises NotPossible where one is there already or cannot be made, StorageFull where there is no room. Nothing is
    synced: what is unpacked can be unpacked again.
    """

    __slots__ = ("_made", "_root", "into")

    def __init__(self, into: Path) -> None:
        self.into = into
        self._made: list[tuple[str, bool]] = []
        try:
            # Everything goes through this descriptor: a directory that is swapped for a link meanwhile changes nothing.
            self._root = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise self._translated(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        try:
            if kind is not None:
                self._remove()
        finally:
            os.close(self._root)

    def check_room(self, needed_bytes: int) -> None:
        """Raise StorageFull where the content will not fit."""
        found = os.fstatvfs(self._root)
        free_bytes = found.f_bavail * found.f_frsize
        if free_bytes < needed_bytes + _SPARE_BYTES:
            raise StorageFull(
                f"{self.into}: unpacking needs {format_size(needed_bytes + _SPARE_BYTES)}, "
                f"{format_size(free_bytes)} are free; free some space and try again"
            )

    def folder(self, name: str) -> None:
        """Make a directory that only we enter."""
        try:
            os.mkdir(name, 0o700, dir_fd=self._root)
        except OSError as error:
            raise self._translated(error) from error
        self._made.append((name, True))

    def write(self, name: str, pieces: Iterator[bytes]) -> None:
        """Make a file that only we read. name: relative, one that rules.backups allows."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(name, flags, 0o600, dir_fd=self._root)
        except OSError as error:
            raise self._translated(error) from error
        self._made.append((name, False))
        try:
            for piece in pieces:
                self._put(descriptor, piece)
        finally:
            os.close(descriptor)

    def _put(self, descriptor: int, piece: bytes) -> None:
        view = memoryview(piece)
        try:
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError as error:
            raise self._translated(error) from error

    def _remove(self) -> None:
        for name, is_folder in reversed(self._made):
            with contextlib.suppress(OSError):
                (os.rmdir if is_folder else os.unlink)(name, dir_fd=self._root)

    def _translated(self, error: OSError) -> StorageFull | NotPossible:
        if error.errno in NO_SPACE:
            return StorageFull(f"{self.into}: the disk is full; free some space and try again")
        if error.errno == errno.EEXIST:
            return NotPossible(f"{self.into}: holds files of those names already; unpack into an empty directory")
        return NotPossible(f"{self.into}: cannot be unpacked into: {error.strerror}")
