"""Archives built to deceive: consistent in all but one thing, refused for that one, with nothing left behind."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.host.archive.layout import TRAILER_BYTES, Entry, central, central_size, trailer
from engine.rules.backups import CONFIG, DATABASE, MANIFEST, RESTORE, SUMS
from tests.host.archives import (
    AT_MS,
    Piece,
    a_database,
    deflated,
    forged,
    laid_out,
    pieces,
    reason,
    refused,
    regions,
    sound,
)

SEED = 20_261_124
TEMPLATE = "templates/alert.txt"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound archive of a real database."""
    return sound(a_database(tmp_path_factory.mktemp("source")))


@pytest.mark.parametrize(
    "name",
    [
        "../x", "../../../../etc/cron.d/x", "/etc/passwd", "templates/../../x", "templates/..", "templates/.", "..",
        "templates/a/b", "templates//a", "templates/", "templates/.hidden", "templates\\..\\x", "C:\\x", "x", "",
        "templates/" + "a" * 101, "chronos.db-wal", "Chronos.db", "chronos.db ", "templates/a\n", "templates/\x1b[2J",
    ],
)  # fmt: skip
def test_no_name_leads_out_or_is_not_ours(tmp_path: Path, name: str) -> None:
    found = pieces(b"database")
    found[2] = Piece(name, b"x")
    words = refused(tmp_path, forged(found))
    assert words.startswith("damaged: member 3 has a name that no backup has: ")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "hostile.zip", tmp_path / "into"]


@pytest.mark.parametrize("raw", [b"templates/\0lert.txt", b"templates/\xffl\xe9rt.txt", b"templates\\alert.txt"])
def test_names_of_other_bytes_are_refused(tmp_path: Path, whole: bytes, raw: bytes) -> None:
    assert "has a name that no backup has" in refused(tmp_path, whole.replace(TEMPLATE.encode(), raw))


def test_duplicates_are_refused(tmp_path: Path) -> None:
    for index in range(4):
        found = pieces(b"database")
        found.insert(index, found[index])
        assert "which is not the order of a backup" in refused(tmp_path, forged(found))


def test_the_order_is_fixed(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    for _ in range(30):
        found = pieces(b"database")
        rng.shuffle(found)
        if found != pieces(b"database"):
            assert "which is not the order of a backup" in refused(tmp_path, forged(found))
    moved = [*pieces(b"database"), Piece(SUMS, b""), Piece(MANIFEST, b"{}")]
    assert "manifest.json comes after SHA256SUMS" in refused(tmp_path, laid_out(moved))


def test_nothing_may_be_missing(tmp_path: Path) -> None:
    everything = [*pieces(b"database"), Piece(MANIFEST, b"{}"), Piece(SUMS, b"")]
    for name in (DATABASE, RESTORE, MANIFEST, SUMS):
        found = [piece for piece in everything if piece.name != name]
        assert "is missing" in refused(tmp_path, laid_out(found))
    assert "it lists 3 members" in refused(tmp_path, laid_out(everything[-3:]))
    assert "it lists 0 members" in refused(tmp_path, laid_out([]))


@pytest.mark.parametrize("count", [1_001, 70_000])
def test_too_many_members_are_refused_unread(tmp_path: Path, count: int) -> None:
    middle = [Piece(f"templates/{number:06}", b"") for number in range(count - 4)]
    found = [Piece(DATABASE, b""), *middle, Piece(RESTORE, b""), Piece(MANIFEST, b"{}"), Piece(SUMS, b"")]
    assert f"it lists {count} members" in refused(tmp_path, laid_out(found))


@pytest.mark.parametrize(
    "numbers",
    [(7, 400, 0), (5, 400, 0), (6, 0, 0), (6, 2**62, 0), (2**64 - 1, 2**64 - 1, 2**64 - 1), (6, 2**64 - 1, 1)],
)
def test_counts_that_do_not_agree_are_refused(tmp_path: Path, whole: bytes, numbers: tuple[int, int, int]) -> None:
    count, size, offset = numbers
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 3 << 8 | 45, 45, 0, 0, count, count, size, offset)
    end += struct.pack("<4sLQL", b"PK\6\7", 0, (offset + size) % 2**64, 1)
    assert refused(tmp_path, whole[:-TRAILER_BYTES] + end + whole[-22:]).startswith("damaged: ")
    real = regions(whole)["central directory"]
    for wrong in (
        trailer(5, len(real), real.start),
        trailer(7, len(real), real.start),
        trailer(6, 1, real.start),
        trailer(6, len(real) - 1, real.start + 1),
        trailer(6, len(real) + 1, real.start - 1),
    ):
        assert refused(tmp_path, whole[:-TRAILER_BYTES] + wrong).startswith("damaged: ")


def test_a_list_of_members_is_read_only_where_its_length_can_be_true(tmp_path: Path) -> None:
    assert "is longer than the file" in refused(tmp_path, bytes(500) + trailer(6, 600, 0))
    path, into = tmp_path / "sparse.zip", tmp_path / "into"
    with path.open("wb") as file:
        file.seek(1 << 40)
        file.write(trailer(6, 1 << 40, 0))
    # A list of 1 TiB would not even fit into memory.
    assert f"it lists 6 members in {1 << 40} bytes" in reason(path, into)


def test_members_that_share_their_bytes_are_refused(tmp_path: Path, whole: bytes) -> None:
    """Fifield's bomb: many names, one kernel."""
    packed = deflated(b"kernel" * 1000)
    names = [DATABASE, *(f"templates/{number}" for number in range(9)), RESTORE, MANIFEST, SUMS]
    entries = [Entry(name, len(packed), len(packed), 0, 0, 0) for name in names]
    assert "do not fill the file" in refused(tmp_path, packed + central(entries, AT_MS))
    # The same member twice, by its place alone: the list of a sound file, one offset changed.
    at = regions(whole)["central directory"].start + central_size(DATABASE)
    place = at + central_size(CONFIG) - 8
    moved = whole[:place] + bytes(8) + whole[place + 8 :]
    assert "says about config.yaml is not as Chronos writes it" in refused(tmp_path, moved)


@pytest.mark.parametrize("extra", [b"\0", b"x" * 100, b"PK\3\4", b"#!/bin/sh\n"])
def test_data_before_after_and_between_is_refused(tmp_path: Path, whole: bytes, extra: bytes) -> None:
    spans = regions(whole)
    for at in [0, len(whole), *(span.start for span in spans.values())]:
        assert refused(tmp_path, whole[:at] + extra + whole[at:]).startswith("damaged: ")


def test_an_archive_behind_an_archive_is_refused(tmp_path: Path, whole: bytes) -> None:
    other = sound(b"another database")
    for data in (whole + whole, whole + other, other + whole):
        assert "do not fill the file" in refused(tmp_path, data)


def test_a_sound_archive_whose_offsets_count_a_prefix_in_is_refused(tmp_path: Path, whole: bytes) -> None:
    real = regions(whole)["central directory"]
    prefix = b"MZ" + bytes(998)
    made = prefix + whole[:-TRAILER_BYTES] + trailer(6, len(real), real.start + len(prefix))
    assert "do not fill the file" in refused(tmp_path, made)


@pytest.mark.parametrize(
    ("what", "local_at", "central_at", "value"),
    [
        ("encrypted", 6, 8, b"\1\0"),
        ("data descriptor", 6, 8, b"\x08\0"),
        ("UTF-8 name", 6, 8, b"\0\x08"),
        ("method deflate", 8, 10, b"\x08\0"),
        ("method bzip2", 8, 10, b"\x0c\0"),
        ("method AES", 8, 10, b"\x63\0"),
        ("another time", 10, 12, b"\0\0\0\0"),
        ("a comment", None, 32, b"\1\0"),
        ("another disk", None, 34, b"\1\0"),
        ("a text file", None, 36, b"\1\0"),
        ("a symbolic link", None, 38, struct.pack("<L", 0o120777 << 16)),
        ("a directory", None, 38, struct.pack("<L", 0o040700 << 16 | 0x10)),
        ("a device", None, 38, struct.pack("<L", 0o060600 << 16)),
        ("setuid", None, 38, struct.pack("<L", 0o104755 << 16)),
        ("readable by all", None, 38, struct.pack("<L", 0o100644 << 16)),
    ],
)
def test_a_field_of_another_value_is_refused(
    tmp_path: Path, whole: bytes, what: str, local_at: int | None, central_at: int, value: bytes
) -> None:
    del what
    spans = regions(whole)
    made = bytearray(whole)
    at = spans["central directory"].start + central_size(DATABASE) + central_at
    made[at : at + len(value)] = value
    assert "about config.yaml is not as Chronos writes it" in refused(tmp_path, bytes(made))
    if local_at is not None:
        made = bytearray(whole)
        at = spans[f"header of {CONFIG}"].start + local_at
        made[at : at + len(value)] = value
        assert "header before config.yaml is not as Chronos writes it" in refused(tmp_path, bytes(made))


def _zip_of_another(make: Callable[[zipfile.ZipFile], object], *, comment: bytes = b"", seekable: bool = True) -> bytes:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return seekable

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

    file = io.BytesIO() if seekable else Pipe()
    with zipfile.ZipFile(file, "w") as made:
        make(made)
        made.comment = comment
    return file.getvalue()


def _fill(made: zipfile.ZipFile) -> None:
    for piece in pieces(b"database"):
        made.writestr(zipfile.ZipInfo(piece.name, (2026, 11, 24, 2, 40, 0)), piece.data)


def _fill_70_000(made: zipfile.ZipFile) -> None:
    for number in range(70_000):
        made.writestr(f"templates/{number}", "")


def _link(made: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo(DATABASE)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    made.writestr(info, "/etc/passwd")


@pytest.mark.parametrize(
    "data",
    [
        _zip_of_another(_fill),
        _zip_of_another(_fill, comment=b"a comment"),
        _zip_of_another(_fill, comment=bytes(65_535)),
        _zip_of_another(_fill, seekable=False),
        _zip_of_another(_link),
        _zip_of_another(lambda made: made.mkdir("templates")),
        _zip_of_another(lambda made: made.writestr("../x", "x")),
        _zip_of_another(lambda made: made.writestr(DATABASE, b"x" * 1000, zipfile.ZIP_BZIP2)),
        _zip_of_another(_fill_70_000),
    ],
    ids=["plain", "comment", "long-comment", "descriptors", "link", "directory", "slip", "bzip2", "70000"],
)
def test_what_other_programs_write_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "it does not end as Chronos writes it" in refused(tmp_path, data)
