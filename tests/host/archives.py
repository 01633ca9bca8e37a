"""Archives for tests: sound ones by the writer, and forged ones in which everything fits but what the test is about."""

from __future__ import annotations

import hashlib
import io
import random
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engine.errors import ArchiveRefused
from engine.host.archive.layout import TRAILER_BYTES, Entry, central, local_header, method_of
from engine.host.archive.reader import open_archive
from engine.host.archive.writer import ZipWriter, manifest_text
from engine.rules.backups import CONFIG, DATABASE, FORMAT, MANIFEST, RESTORE, SUMS, Member, sums
from engine.rules.durations import rfc3339

AT_MS = 1_795_488_001_123
SMALL = {CONFIG: b"instance: test\n", "templates/alert.txt": b"Disk {{ disk }} is full.\n", RESTORE: b"# Restore\n"}


class Piece(NamedTuple):
    """A member as a forger writes it: its content, and what is claimed of it where that is not the truth."""

    name: str
    data: bytes
    packed: bytes | None = None
    size: int | None = None


def a_database(directory: Path, rows: int = 200, seed: int = 1) -> bytes:
    """A real database file with content that packs about as well as messages do."""
    path = directory / "source.db"
    path.unlink(missing_ok=True)
    rng = random.Random(seed)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, body TEXT)")
    bodies = [(f"disk {rng.randbytes(40).hex()} is full",) for _ in range(rows)]
    connection.executemany("INSERT INTO messages (body) VALUES (?)", bodies)
    connection.commit()
    connection.close()
    return path.read_bytes()


def a_manifest(members: Sequence[Member], at_ms: int = AT_MS) -> dict[str, Any]:
    """As much of a manifest as the archive itself needs."""
    listed = {member.name: member.document() for member in members}
    return {"format": FORMAT, "created_at": rfc3339(at_ms), "instance": "test", "members": listed}


def sound(database: bytes, small: dict[str, bytes] | None = None, at_ms: int = AT_MS) -> bytes:
    """An archive by the writer, in one go."""
    file = io.BytesIO()
    writer = ZipWriter(file, at_ms)
    writer.begin_deflated(DATABASE)
    for at in range(0, len(database), 4096):
        writer.write(database[at : at + 4096])
    members = [writer.end(), *(writer.add_stored(name, data) for name, data in (small or SMALL).items())]
    writer.add_manifest(a_manifest(members, at_ms), members)
    writer.finish()
    return file.getvalue()


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def pieces(database: bytes) -> list[Piece]:
    """What a sound archive is made of, without manifest.json and SHA256SUMS."""
    return [Piece(DATABASE, database), *(Piece(name, data) for name, data in SMALL.items())]


def forged(found: Sequence[Piece], change: Callable[[dict[str, Any]], object] | None = None) -> bytes:
    """An archive of these pieces, in this order, with a manifest and sums that say what the pieces claim.

    change: what is done to the manifest before it is written.
    """
    members = [member_of(piece) for piece in found]
    manifest = a_manifest(members)
    if change is not None:
        change(manifest)
    return with_texts(found, manifest_text(manifest), members)


def with_texts(found: Sequence[Piece], manifest: bytes, members: Sequence[Member]) -> bytes:
    """An archive with this text as its manifest."""
    listed = sums(members, hashlib.sha256(manifest).hexdigest())
    return laid_out([*found, Piece(MANIFEST, manifest), Piece(SUMS, listed)])


def laid_out(found: Sequence[Piece]) -> bytes:
    """The pieces with headers around them."""
    data, entries = bytearray(), []
    for piece in found:
        entry, packed = _entry(piece, len(data))
        data += local_header(entry, AT_MS) + packed
        entries.append(entry)
    return bytes(data) + central(entries, AT_MS)


def member_of(piece: Piece) -> Member:
    """What an honest manifest says of a piece, but for the size, which is the claimed one."""
    packed = _packed(piece)
    size = len(piece.data) if piece.size is None else piece.size
    plain_sum, packed_sum = (hashlib.sha256(data).hexdigest() for data in (piece.data, packed))
    return Member(piece.name, size, plain_sum, len(packed), packed_sum)


def regions(whole: bytes) -> dict[str, range]:
    """Where everything lies, by another reader than ours."""
    with zipfile.ZipFile(io.BytesIO(whole)) as read:
        found, directory = read.infolist(), read.start_dir
    spans: dict[str, range] = {}
    for info in found:
        data = info.header_offset + 30 + len(info.filename) + 20
        spans[f"header of {info.filename}"] = range(info.header_offset, data)
        spans[f"data of {info.filename}"] = range(data, data + info.compress_size)
    spans["central directory"] = range(directory, len(whole) - TRAILER_BYTES)
    spans["trailer"] = range(len(whole) - TRAILER_BYTES, len(whole))
    assert sum(map(len, spans.values())) == len(whole), "every byte is in one region"
    return spans


def reason(path: Path, into: Path) -> str:
    """Why a file is refused: opened and verified, and opened and extracted, which must leave nothing behind."""
    before = sorted(into.iterdir())
    with pytest.raises(ArchiveRefused) as verifying, open_archive(path) as archive:
        archive.verify()
    with pytest.raises(ArchiveRefused) as extracting, open_archive(path) as archive:
        archive.extract(into)
    assert sorted(into.iterdir()) == before
    words = str(verifying.value)
    assert words == str(extracting.value)
    assert words.isprintable()
    assert words.startswith(f"{path}: ")
    return words.removeprefix(f"{path}: ")


def refused(directory: Path, data: bytes) -> str:
    """Why these bytes are refused."""
    path, into = directory / "hostile.zip", directory / "into"
    path.write_bytes(data)
    into.mkdir(exist_ok=True)
    return reason(path, into)


def _entry(piece: Piece, offset: int) -> tuple[Entry, bytes]:
    packed = _packed(piece)
    size = len(piece.data) if piece.size is None else piece.size
    return Entry(piece.name, size, len(packed), zlib.crc32(piece.data), method_of(piece.name), offset), packed


def _packed(piece: Piece) -> bytes:
    if piece.packed is not None:
        return piece.packed
    return deflated(piece.data) if piece.name == DATABASE else piece.data
