"""What a backup's file says it holds, believed only where rebuilding it gives the same bytes. Reads no member's data
but those of manifest.json and SHA256SUMS.

The order is what makes it safe: a trailer of fixed length at the very end, a directory of bounded length right before
it, names and sizes from that, places of members by adding up (never from the file), the manifest; and then every header
is made anew from these and compared. No other ZIP structure is ever looked for.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from datetime import UTC
from typing import Any, NamedTuple

from engine.errors import ArchiveRefused, BadInput
from engine.host.archive.layout import (
    LONGEST_CENTRAL_BYTES,
    TRAILER_BYTES,
    Entry,
    central,
    central_header,
    central_size,
    local_header,
    method_of,
    rank,
    read_central,
    read_trailer,
)
from engine.host.archive.source import Source
from engine.host.archive.writer import manifest_text
from engine.rules.backups import (
    DATABASE,
    FORMAT,
    MANIFEST,
    MOST_MEMBERS,
    MOST_SMALL_BYTES,
    RESTORE,
    SUMS,
    Member,
    allowed,
    members_of,
    sums,
)
from engine.rules.canonical import canonical_json
from engine.rules.durations import parse_time_ms, rfc3339

_MOST_RATIO = 1032
"""What one byte of deflate can say at most: 258 bytes in two bits. More is a lie that need not be unpacked."""


class Directory(NamedTuple):
    """A backup's members. files: each entry with the member that it must turn out to be, all of them, in their order.

    members: those that the manifest lists. texts: manifest.json and SHA256SUMS, already checked.
    """

    manifest: dict[str, Any]
    created_ms: int
    members: list[Member]
    files: list[tuple[Entry, Member]]
    texts: dict[str, bytes]


def read_directory(source: Source, most_bytes: int | None) -> Directory:
    """Return what the file holds. Raises ArchiveRefused where one byte of what lies around its members' data is not as
    we write it. most_bytes: what all members together may have unpacked; None: as much as the manifest says.
    """
    tail, count = _tail(source)
    entries = _entries(source, tail, count)
    _check_sizes(source, entries, most_bytes)
    manifest, text = _manifest(source, entries[-2])
    created_ms = _created_ms(source, manifest)
    _check_central(source, entries, created_ms, tail)
    for entry in entries:
        header = local_header(entry, created_ms)
        if source.at(entry.offset, len(header)) != header:
            raise source.refused(f"the header before {entry.name} is not as Chronos writes it")
    members = _members(source, manifest, entries[:-2])
    listed = _checked_text(source, entries[-1])
    own = [_member(MANIFEST, text), _member(SUMS, listed)]
    if listed != sums(members, own[0].sha256):
        raise source.refused(f"{SUMS} does not list the sums that {MANIFEST} has")
    files = list(zip(entries, [*members, *own], strict=True))
    return Directory(manifest, created_ms, members, files, {MANIFEST: text, SUMS: listed})


def _tail(source: Source) -> tuple[bytes, int]:
    """Return the central directory with the trailer behind it, and the number of members."""
    head = source.at(0, min(64, source.size))
    if head.startswith((b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")):
        raise source.refused("it is encrypted with age; decrypt it first")
    source.ours = head[30:].startswith(DATABASE.encode())
    if source.size < TRAILER_BYTES:
        raise source.refused(f"it has {source.size} bytes, which is too short")
    found = read_trailer(source.at(source.size - TRAILER_BYTES, TRAILER_BYTES))
    if found is None:
        raise source.refused("it does not end as Chronos writes it; it was cut short, added to or changed")
    count, size = found
    if not 4 <= count <= MOST_MEMBERS or size > count * LONGEST_CENTRAL_BYTES:
        raise source.refused(f"it lists {count} members in {size} bytes; a backup has 4 to {MOST_MEMBERS}")
    if size + TRAILER_BYTES > source.size:
        raise source.refused("the list of its members is longer than the file")
    return source.at(source.size - size - TRAILER_BYTES, size + TRAILER_BYTES), count


def _entries(source: Source, tail: bytes, count: int) -> list[Entry]:
    entries: list[Entry] = []
    at = offset = 0
    for _ in range(count):
        found = read_central(tail[:-TRAILER_BYTES], at)
        name = "" if found is None else found.name.decode("latin-1")
        source.ours = source.ours or (at == 0 and name == DATABASE)
        if found is None or not allowed(name):
            raise source.refused(f"member {len(entries) + 1} has a name that no backup has: {name[:60]!a}")
        if entries and rank(entries[-1].name) >= rank(name):
            raise source.refused(f"{name} comes after {entries[-1].name}, which is not the order of a backup")
        entries.append(Entry(name, found.size, found.packed_size, found.crc, method_of(name), offset))
        offset = entries[-1].end
        at += central_size(name)
    names = [entry.name for entry in entries]
    if names[0] != DATABASE or names[-3:] != [RESTORE, MANIFEST, SUMS]:
        raise source.refused(f"one of {DATABASE}, {RESTORE}, {MANIFEST} and {SUMS} is missing")
    # What adds up to the file's size without a gap cannot overlap.
    if offset + len(tail) != source.size:
        raise source.refused("its members, put one behind the other, do not fill the file")
    return entries


def _check_sizes(source: Source, entries: Sequence[Entry], most_bytes: int | None) -> None:
    for entry in entries[1:]:
        if entry.size != entry.packed_size or entry.size > MOST_SMALL_BYTES:
            raise source.refused(f"{entry.name} has {entry.size} bytes, stored as {entry.packed_size}: no backup's has")
    database = entries[0]
    if database.size > (database.packed_size + 1) * _MOST_RATIO:
        raise source.refused(
            f"{database.packed_size} bytes cannot unpack to the {database.size} that {DATABASE} claims"
        )
    whole = sum(entry.size for entry in entries)
    if most_bytes is not None and whole > most_bytes:
        raise source.refused(f"it unpacks to {whole} bytes; at most {most_bytes} are taken here")


def _manifest(source: Source, entry: Entry) -> tuple[dict[str, Any], bytes]:
    """Return the manifest and its text, which is the only one for it: of two equal keys, who counts is a choice."""
    text = _checked_text(source, entry)
    try:
        manifest = json.loads(text.decode("ascii"))
        if not isinstance(manifest, dict) or manifest_text(manifest) != text:
            raise source.refused(f"{MANIFEST} is not written as Chronos writes it")
        # What has no canonical form can have no signature, and must not reach whoever judges it.
        canonical_json(manifest)
    except (ValueError, RecursionError, BadInput) as error:
        raise source.refused(f"{MANIFEST} cannot be read") from error
    return manifest, text


def _checked_text(source: Source, entry: Entry) -> bytes:
    text = source.at(entry.data_offset, entry.size)
    if zlib.crc32(text) != entry.crc:
        raise source.refused(f"{entry.name} does not have its checksum")
    return text


def _created_ms(source: Source, manifest: dict[str, Any]) -> int:
    text = manifest.get("created_at")
    try:
        created_ms = parse_time_ms(text, 0, UTC) if isinstance(text, str) else -1
        if created_ms >= 0 and rfc3339(created_ms) == text:
            return created_ms
    except BadInput as error:
        raise source.refused(f"{MANIFEST} names no time at which it was made") from error
    raise source.refused(f"{MANIFEST} names no time at which it was made")


def _check_central(source: Source, entries: Sequence[Entry], created_ms: int, tail: bytes) -> None:
    if central(entries, created_ms) == tail:
        return
    at = 0
    for entry in entries:
        header = central_header(entry, created_ms)
        if not tail.startswith(header, at):
            raise source.refused(f"what the list of its members says about {entry.name} is not as Chronos writes it")
        at += len(header)
    raise source.refused("the list of its members does not end where it should")


def _members(source: Source, manifest: dict[str, Any], entries: Sequence[Entry]) -> list[Member]:
    """Return the members that the manifest lists, which must be those that are there."""
    if (found := manifest.get("format")) != FORMAT:
        raise source.refused(f"its format is {ascii(found)[:60]}, this one reads {FORMAT}", "made by another Chronos")
    try:
        members = sorted(members_of(manifest), key=lambda member: rank(member.name))
    except ArchiveRefused as error:
        raise source.refused(str(error)) from error
    in_manifest = [(member.name, member.size, member.packed_size) for member in members]
    if in_manifest != [(entry.name, entry.size, entry.packed_size) for entry in entries]:
        raise source.refused(f"{MANIFEST} lists other members, or other sizes, than the file holds")
    for member in members[1:]:
        if member.sha256 != member.packed_sha256:
            raise source.refused(f"{MANIFEST} has two different sums for {member.name}, which is stored as it is")
    return members


def _member(name: str, text: bytes) -> Member:
    digest = hashlib.sha256(text).hexdigest()
    return Member(name, len(text), digest, len(text), digest)
