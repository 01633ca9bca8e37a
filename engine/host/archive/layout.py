"""The bytes around a backup's members: ZIP headers with one legal value in every field. Reads and writes no file.

A ZIP says most things twice and leaves much to choice, and what two readers understand differently is where attacks
live. So nothing is chosen here: every header follows from a member's name, sizes and CRC and the archive's time, the
writer writes that, and the reader builds it again and compares. Layout (PKWARE APPNOTE 6.3.10):

    for each member, in the order of `rank`: local header with ZIP64 field, data
    for each member: central header with ZIP64 field
    ZIP64 end record, ZIP64 locator, end record

There is no comment, data descriptor, encryption, prefix, gap or suffix. ZIP64 is used whether sizes need it or not, so
that the length of every header depends on the name alone.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from typing import NamedTuple

from engine.rules.backups import CONFIG, DATABASE, MANIFEST, RESTORE, SUMS, TEMPLATES

STORED, DEFLATED = 0, 8
CHUNK_BYTES = 1024 * 1024
"""What writer and reader hold of a member at a time."""

_VERSION = 45
"""4.5: ZIP64."""
_MADE_BY = 3 << 8 | _VERSION
"""3: UNIX, so that the attributes hold a mode."""
_MODE = 0o100600 << 16
"""A regular file that only its owner reads."""
_IN_ZIP64_16, _IN_ZIP64_32 = 0xFFFF, 0xFFFFFFFF
"""Look into the ZIP64 field or record instead."""

_ZIP64_FIELD = 0x0001
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_EXTRA = struct.Struct("<2H2Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_CENTRAL_EXTRA = struct.Struct("<2H3Q")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")

TRAILER_BYTES = _END64.size + _LOCATOR.size + _END.size
"""Of the three records at the end: always the same."""
LONGEST_CENTRAL_BYTES = _CENTRAL.size + len(TEMPLATES) + 100 + _CENTRAL_EXTRA.size
"""Of one central header: of all names, a template's can be the longest, with 100 characters behind its folder."""

_FIRST_RANKS = {DATABASE: 0, CONFIG: 1, RESTORE: 3, MANIFEST: 4, SUMS: 5}
_TEMPLATE_RANK = 2


class Entry(NamedTuple):
    """One member as the ZIP sees it. size: of its content, packed_size: as it lies in the file, offset: of its local
    header from the start of the file; all in bytes. crc: CRC-32 of the content.
    """

    name: str
    size: int
    packed_size: int
    crc: int
    method: int
    offset: int

    @property
    def data_offset(self) -> int:
        """Where its data begins."""
        return self.offset + local_size(self.name)

    @property
    def end(self) -> int:
        """Where the next local header begins, or the central directory."""
        return self.data_offset + self.packed_size


class Listed(NamedTuple):
    """What a central header says of its member that cannot be known otherwise."""

    name: bytes
    size: int
    packed_size: int
    crc: int


def rank(name: str) -> tuple[int, str]:
    """Return what members are ordered by: the database, the configuration, templates, and the words about them."""
    return _FIRST_RANKS.get(name, _TEMPLATE_RANK), name


def method_of(name: str) -> int:
    """Return how a member is packed: the database is deflated, everything else can be read with any tool."""
    return DEFLATED if name == DATABASE else STORED


def local_size(name: str) -> int:
    """Return the length of a local header, in bytes."""
    return _LOCAL.size + len(name) + _LOCAL_EXTRA.size


def central_size(name: str) -> int:
    """Return the length of a central header, in bytes."""
    return _CENTRAL.size + len(name) + _CENTRAL_EXTRA.size


def local_header(entry: Entry, at_ms: int) -> bytes:
    """Return what stands before a member's data. at_ms: the archive's time."""
    day, clock = _dos_time(at_ms)
    fixed = _LOCAL.pack(
        b"PK\3\4", _VERSION, 0, entry.method, clock, day, entry.crc,
        _IN_ZIP64_32, _IN_ZIP64_32, len(entry.name), _LOCAL_EXTRA.size,
    )  # fmt: skip
    extra = _LOCAL_EXTRA.pack(_ZIP64_FIELD, _LOCAL_EXTRA.size - 4, entry.size, entry.packed_size)
    return fixed + entry.name.encode("ascii") + extra


def central(entries: Sequence[Entry], at_ms: int) -> bytes:
    """Return everything that follows the last member's data."""
    offset = entries[-1].end if entries else 0
    headers = b"".join(central_header(entry, at_ms) for entry in entries)
    return headers + trailer(len(entries), len(headers), offset)


def central_header(entry: Entry, at_ms: int) -> bytes:
    """Return a member's line in the central directory."""
    day, clock = _dos_time(at_ms)
    fixed = _CENTRAL.pack(
        b"PK\1\2", _MADE_BY, _VERSION, 0, entry.method, clock, day, entry.crc, _IN_ZIP64_32, _IN_ZIP64_32,
        len(entry.name), _CENTRAL_EXTRA.size, 0, 0, 0, _MODE, _IN_ZIP64_32,
    )  # fmt: skip
    sizes = (entry.size, entry.packed_size, entry.offset)
    return fixed + entry.name.encode("ascii") + _CENTRAL_EXTRA.pack(_ZIP64_FIELD, _CENTRAL_EXTRA.size - 4, *sizes)


def trailer(count: int, size: int, offset: int) -> bytes:
    """Return the end of the file. count: members. size, offset: of the central directory, in bytes."""
    end64 = _END64.pack(b"PK\6\6", _END64.size - 12, _MADE_BY, _VERSION, 0, 0, count, count, size, offset)
    locator = _LOCATOR.pack(b"PK\6\7", 0, offset + size, 1)
    end = _END.pack(b"PK\5\6", 0, 0, _IN_ZIP64_16, _IN_ZIP64_16, _IN_ZIP64_32, _IN_ZIP64_32, 0)
    return end64 + locator + end


def read_trailer(data: bytes) -> tuple[int, int] | None:
    """Return the count of members and the size of the central directory; None where the end is not as we write it.

    data: the last TRAILER_BYTES of the file.
    """
    if len(data) != TRAILER_BYTES:
        return None
    *_, count, size, offset = _END64.unpack_from(data)
    # Anybody can write 2^64 - 1 here, and struct refuses what lies beyond it.
    return (count, size) if offset + size < 1 << 63 and trailer(count, size, offset) == data else None


def read_central(data: bytes, at: int) -> Listed | None:
    """Return what the central header at `at` says of its member; None where it is cut.

    Only looks: whoever calls builds the header again from it and compares.
    """
    if at + _CENTRAL.size > len(data):
        return None
    fields = _CENTRAL.unpack_from(data, at)
    crc, name_length = fields[7], fields[10]
    extra_at = at + _CENTRAL.size + name_length
    if extra_at + _CENTRAL_EXTRA.size > len(data):
        return None
    _, _, size, packed_size, _ = _CENTRAL_EXTRA.unpack_from(data, extra_at)
    return Listed(data[at + _CENTRAL.size : extra_at], size, packed_size, crc)


def _dos_time(at_ms: int) -> tuple[int, int]:
    """Return date and time as MS-DOS kept them, in UTC: two seconds are the smallest step, 1980 to 2107 the range."""
    t = time.gmtime(min(max(at_ms // 1000, _FIRST_S), _LAST_S))
    return (t.tm_year - 1980) << 9 | t.tm_mon << 5 | t.tm_mday, t.tm_hour << 11 | t.tm_min << 5 | t.tm_sec // 2


_FIRST_S, _LAST_S = 315_532_800, 4_354_819_199
"""1980-01-01T00:00:00Z, 2107-12-31T23:59:59Z: a clock that stands elsewhere must not keep a backup from being made."""
