"""Writing a backup's ZIP, member by member. Neither opens, syncs nor renames the file: whoever calls does that."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple, Protocol

from engine.errors import NotPossible
from engine.host.archive.layout import Entry, central, local_header, method_of, rank
from engine.rules.backups import DATABASE, MANIFEST, MOST_MEMBERS, MOST_SMALL_BYTES, SUMS, Member, allowed, sums


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class ZipWriter:
    """Writes members in the order of layout.rank into a seekable file that is empty, or ends where `entries` end.

    at_ms: the archive's time, which is the manifest's created_at. entries: what another process wrote already; the
    file is positioned behind them. Only what the checked reader takes is written: NotPossible for everything else.
    A file that is full or broken raises OSError, and is of no use from then on.
    """

    def __init__(self, file: BinaryIO, at_ms: int, entries: Sequence[Entry] = ()) -> None:
        self._file = file
        self._at_ms = at_ms
        self._entries = list(entries)
        self._open: _Deflating | None = None
        file.seek(self._end)

    @classmethod
    def resume(cls, file: BinaryIO, at_ms: int, entries: Sequence[Entry]) -> ZipWriter:
        """Go on where another writer stopped."""
        return cls(file, at_ms, entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is written so far."""
        return tuple(self._entries)

    def add_stored(self, name: str, data: bytes) -> Member:
        """Write a small member as it is."""
        self._accept(name)
        if name == DATABASE:
            raise NotPossible(f"{DATABASE} is deflated in a backup; it cannot be stored as it is")
        if len(data) > MOST_SMALL_BYTES:
            most = MOST_SMALL_BYTES // 1024 // 1024
            raise NotPossible(f"{name} has {len(data)} bytes; a backup takes at most {most} MiB of such a file")
        entry = Entry(name, len(data), len(data), zlib.crc32(data), method_of(name), self._end)
        self._file.write(local_header(entry, self._at_ms))
        self._file.write(data)
        self._entries.append(entry)
        digest = hashlib.sha256(data).hexdigest()
        return Member(name, len(data), digest, len(data), digest)

    def begin_deflated(self, name: str) -> None:
        """Start the database. Nothing else can be written before end()."""
        self._accept(name)
        if name != DATABASE:
            raise NotPossible(f"{name} is stored as it is in a backup; only {DATABASE} is deflated")
        entry = Entry(name, 0, 0, 0, method_of(name), self._end)
        # Sizes and CRC are known at the end: end() writes this header again. A data descriptor would say them twice.
        self._file.write(local_header(entry, self._at_ms))
        self._open = _Deflating(self._file, entry)

    def write(self, chunk: bytes) -> None:
        """Go on with the database. A chunk of CHUNK_BYTES keeps memory small and the calls few."""
        assert self._open is not None, "begin_deflated comes first"
        self._open.write(chunk)

    def end(self) -> Member:
        """Complete the database."""
        assert self._open is not None, "begin_deflated comes first"
        entry, member = self._open.end()
        self._open = None
        self._entries.append(entry)
        self._file.seek(entry.offset)
        self._file.write(local_header(entry, self._at_ms))
        self._file.seek(entry.end)
        return member

    def add_manifest(self, manifest: Mapping[str, Any], members: Sequence[Member]) -> None:
        """Write manifest.json and SHA256SUMS, which come last. members: all others, as the manifest lists them."""
        text = manifest_text(manifest)
        self.add_stored(MANIFEST, text)
        ordered = sorted(members, key=lambda member: rank(member.name))
        self.add_stored(SUMS, sums(ordered, hashlib.sha256(text).hexdigest()))

    def finish(self) -> None:
        """Write what follows the last member, and hand everything to the system."""
        assert self._open is None, "end() comes first"
        self._file.write(central(self._entries, self._at_ms))
        # What another attempt left in the file behind this place would be a suffix, which the reader refuses.
        self._file.truncate()
        self._file.flush()

    @property
    def _end(self) -> int:
        return self._entries[-1].end if self._entries else 0

    def _accept(self, name: str) -> None:
        assert self._open is None, "end() comes first"
        if not allowed(name):
            raise NotPossible(f"a backup cannot hold a file named {ascii(name)[:120]}")
        if self._entries and rank(self._entries[-1].name) >= rank(name):
            raise NotPossible(f"in a backup {name} comes before {self._entries[-1].name}")
        if len(self._entries) >= MOST_MEMBERS:
            raise NotPossible(f"a backup holds at most {MOST_MEMBERS} files; there are more templates than that")


class _Packed(NamedTuple):
    entry: Entry
    member: Member


class _Deflating:
    """A member whose sums are taken while it goes by: of what comes in, and of what lies in the file."""

    def __init__(self, file: BinaryIO, entry: Entry) -> None:
        self._file = file
        self._entry = entry
        self._compressor = _compressor()
        self._plain, self._packed = hashlib.sha256(), hashlib.sha256()
        self._size = self._packed_size = self._crc = 0

    def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        self._crc = zlib.crc32(chunk, self._crc)
        self._plain.update(chunk)
        self._put(self._compressor.compress(chunk))

    def end(self) -> _Packed:
        self._put(self._compressor.flush())
        entry = self._entry._replace(size=self._size, packed_size=self._packed_size, crc=self._crc)
        sizes_and_sums = (self._size, self._plain.hexdigest(), self._packed_size, self._packed.hexdigest())
        return _Packed(entry, Member(entry.name, *sizes_and_sums))

    def _put(self, packed: bytes) -> None:
        self._packed_size += len(packed)
        self._packed.update(packed)
        self._file.write(packed)


def manifest_text(manifest: Mapping[str, Any]) -> bytes:
    """Return manifest.json: the one text that the checked reader takes for this manifest."""
    return (json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False) + "\n").encode("ascii")


def _compressor() -> _Compressor:
    """Deflate without a zlib header, fast: ISA-L at 407 MB/s where it is, else zlib at 76 MB/s (both at level 1)."""
    make: Callable[[int, int, int], _Compressor]
    try:
        from isal.isal_zlib import compressobj as make
    except ImportError:
        from zlib import compressobj as make
    return make(1, zlib.DEFLATED, -zlib.MAX_WBITS)
