"""Archives built to deceive: consistent in all but one thing, refused for that one, with nothing left behind."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.host.archive.layout import CHUNK_BYTES, TRAILER_BYTES, Entry, central, central_size, trailer
from engine.host.archive.writer import manifest_text
from engine.rules.backups import CONFIG, DATABASE, MANIFEST, RESTORE, SUMS, Member
from tests.host.archives import (
    AT_MS,
    SMALL,
    Piece,
    a_database,
    a_manifest,
    deflated,
    forged,
    laid_out,
    member_of,
    pieces,
    refused,
    regions,
    sound,
    with_texts,
)

SEED = 20_261_124
TEMPLATE = "templates/alert.txt"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound archive of a real database."""
    return sound(a_database(tmp_path_factory.mktemp("source")))


# Names and their order: consistent forgeries, with a manifest and sums that list what is there.


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
    for wrong in (trailer(5, len(real), real.start), trailer(7, len(real), real.start), trailer(6, 1, real.start)):
        assert refused(tmp_path, whole[:-TRAILER_BYTES] + wrong).startswith("damaged: ")


# Places: overlaps, gaps, data where none belongs.


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


# Fields: one that differs from what we write, in otherwise sound headers.


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


# Bombs.


def test_a_small_file_that_declares_10_gb_is_refused_unread(tmp_path: Path) -> None:
    found = pieces(b"")
    found[0] = Piece(DATABASE, b"", deflated(bytes(50_000_000)), size=10**10)
    data = forged(found)
    assert len(data) < 60_000
    assert "bytes cannot unpack to the 10000000000 that chronos.db claims" in refused(tmp_path, data)


def test_deflate_that_goes_on_beyond_what_is_declared_is_stopped_there(tmp_path: Path) -> None:
    bomb = deflated(bytes(256 * CHUNK_BYTES))
    for size in (0, 1000, CHUNK_BYTES, 5 * CHUNK_BYTES + 7):
        found = pieces(b"")
        found[0] = Piece(DATABASE, bytes(size), bomb, size)
        assert f"chronos.db unpacks to more than the {size} bytes it claims" in refused(tmp_path, forged(found))


def test_deflate_that_ends_early_or_goes_on_behind_its_end_is_refused(tmp_path: Path) -> None:
    data = random.Random(SEED).randbytes(5000)
    packed = deflated(data)
    for wrong, size, words in (
        (packed, 5001, "ends before the 5001 bytes"),
        (packed[:-1], 5000, "ends before the 5000 bytes"),
        (packed[:2000], 5000, "ends before the 5000 bytes"),
        (b"", 0, "ends before the 0 bytes"),
        (packed + b"\0", 5000, "has bytes behind its end"),
        (packed + packed, 5000, "has bytes behind its end"),
        (packed + bytes(2 * CHUNK_BYTES), 5000, "has bytes behind its end"),
        (b"\x07" + packed, 5000, "cannot be unpacked: Error -3"),
        (zlib.compress(data), 5000, "cannot be unpacked: Error -3"),
    ):
        found = pieces(data)
        found[0] = Piece(DATABASE, data, wrong, size)
        assert words in refused(tmp_path, forged(found))


def test_bits_of_deflate_that_mean_nothing_are_bits_all_the_same(tmp_path: Path) -> None:
    """The last byte has room behind the end of the stream: unpacked, both files are alike."""
    data = b"disk full " * 100
    honest = deflated(data)
    other = next(
        wrong
        for wrong in (honest[:-1] + bytes([honest[-1] ^ 1 << bit]) for bit in range(7, -1, -1))
        if zlib.decompress(wrong, -15) == data
    )
    found = pieces(data)
    listed = member_of(found[0]).document()
    found[0] = Piece(DATABASE, data, other)
    made = forged(found, lambda manifest: manifest["members"].update({DATABASE: listed}))
    assert "chronos.db is not what was backed up: its SHA-256 is another" in refused(tmp_path, made)


@pytest.mark.parametrize("size", [4 * 1024 * 1024 + 1, 2**33])
def test_small_members_are_small(tmp_path: Path, size: int) -> None:
    found = pieces(b"database")
    found[1] = Piece(CONFIG, bytes(4 * 1024 * 1024 + 1), size=size)
    assert f"config.yaml has {size} bytes, stored as 4194305: no backup's has" in refused(tmp_path, forged(found))


def test_a_stored_member_has_the_size_it_takes(tmp_path: Path) -> None:
    for size in (0, len(SMALL[CONFIG]) - 1, len(SMALL[CONFIG]) + 1):
        found = pieces(b"database")
        found[1] = found[1]._replace(size=size)
        assert "no backup's has" in refused(tmp_path, forged(found))


# The manifest.


def _put(*keys: str, value: Any) -> Callable[[dict[str, Any]], object]:
    def change(manifest: dict[str, Any]) -> None:
        inner = manifest
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_put("format", value="chronos-backup/2"), "made by another Chronos: its format is 'chronos-backup/2'"),
        (_put("format", value=["\x1b" * 99]), "made by another Chronos: its format is"),
        (_put("format", value=None), "made by another Chronos: its format is None"),
        (_put("created_at", value="2026-11-24T02:40:01.123+00:00"), "no time at which it was made"),
        (_put("created_at", value="2026-11-24T02:40:01Z"), "no time at which it was made"),
        (_put("created_at", value="1969-12-31T23:59:59.999Z"), "no time at which it was made"),
        (_put("created_at", value="now"), "no time at which it was made"),
        (_put("created_at", value=AT_MS), "no time at which it was made"),
        (_put("created_at", value="2026-11-24T02:40:09.123Z"), "what the list of its members says about chronos.db"),
        (_put("members", value=[]), "does not list its members as Chronos writes them"),
        (_put("members", value={}), "lists other members, or other sizes"),
        (_put("members", CONFIG, value=[]), "does not list its members as Chronos writes them"),
        (_put("members", CONFIG, "more", value=1), "does not list its members as Chronos writes them"),
        (_put("members", CONFIG, "name", value=DATABASE), "does not list its members as Chronos writes them"),
        (_put("members", CONFIG, "sha256", value="A" * 64), "a name, size or sum that no backup has"),
        (_put("members", CONFIG, "sha256", value="0" * 64), "has two different sums for config.yaml"),
        (_put("members", CONFIG, "size", value=True), "a name, size or sum that no backup has"),
        (_put("members", CONFIG, "size", value=-1), "a name, size or sum that no backup has"),
        (_put("members", CONFIG, "size", value=15.0), "a name, size or sum that no backup has"),
        (_put("members", CONFIG, "size", value=1), "lists other members, or other sizes"),
        (_put("members", DATABASE, "size", value=2**47), "lists other members, or other sizes"),
        (_put("members", DATABASE, "sha256", value="0" * 64), "SHA256SUMS does not list the sums"),
        (_put("members", "templates/x", value=member_of(Piece("", b"")).document()), "lists other members"),
        (_put("members", "../x", value=member_of(Piece("", b"")).document()), "a name, size or sum that no backup has"),
        (_put("rows", value=2**53), "manifest.json cannot be read"),
        (_put("rows", value=10**5000), "manifest.json cannot be read"),
        (_put("instance", value="\ud800"), "manifest.json cannot be read"),
    ],
)  # fmt: skip
def test_a_manifest_that_says_other_things_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    try:
        data = forged(pieces(b"database"), change)
    except ValueError:
        # Python itself writes no integer of 5 000 digits.
        data = with_texts(pieces(b"database"), b'{"rows": 1' + b"0" * 5000 + b"}", [])
    assert words in refused(tmp_path, data)


@pytest.mark.parametrize("wrong", ["sha256", "packed_sha256"])
@pytest.mark.parametrize("name", [DATABASE, TEMPLATE])
def test_content_that_has_another_sum_is_refused(tmp_path: Path, name: str, wrong: str) -> None:
    found = pieces(b"database")
    both = ["sha256", "packed_sha256"] if name == TEMPLATE else [wrong]
    members = [member_of(piece) for piece in found]
    at = [piece.name for piece in found].index(name)
    members[at] = Member(**{**members[at]._asdict(), **dict.fromkeys(both, "0" * 64)})
    words = refused(tmp_path, with_texts(found, manifest_text(a_manifest(members)), members))
    assert words == f"damaged: {name} is not what was backed up: its SHA-256 is another"


def test_content_that_has_another_crc_is_refused(tmp_path: Path) -> None:
    """Ordinary unzip looks at nothing else."""
    found = pieces(b"database")
    members = [member_of(piece) for piece in found]
    found[0] = Piece(DATABASE, b"another", deflated(b"database"), len(b"database"))
    words = refused(tmp_path, with_texts(found, manifest_text(a_manifest(members)), members))
    assert words == "damaged: chronos.db does not have its checksum"


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"{}", b"{}\n\n", b"\xff", "{\"ä\": 1}\n".encode(), b"\xef\xbb\xbf{}\n",
        b"[" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b'{\n "a": NaN\n}\n', b'{\n "a": 1e999\n}\n',
        b'{\n "a": 1,\n "a": 1\n}\n', b'{"a": 1}\n', b'{\n "b": 1,\n "a": 1\n}\n', b'{\n "a": 1.50\n}\n',
    ],
)  # fmt: skip
def test_a_manifest_of_other_text_is_refused(tmp_path: Path, text: bytes) -> None:
    words = refused(tmp_path, with_texts(pieces(b"database"), text, []))
    assert "manifest.json" in words


def test_a_manifest_written_otherwise_is_refused_though_it_says_the_same(tmp_path: Path) -> None:
    found = pieces(b"database")
    members = [member_of(piece) for piece in found]
    kept: list[dict[str, Any]] = []
    forged(found, kept.append)
    good = manifest_text(kept[0])
    for text in (json.dumps(kept[0]).encode(), good[:-1], good + b"\n", b" " + good, good.replace(b": ", b":  ", 1)):
        assert "manifest.json is not written as Chronos" in refused(tmp_path, with_texts(found, text, members))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"",
        lambda text: text + b"\n",
        lambda text: text.replace(b"  ", b" *"),
        lambda text: b"".join(reversed(text.splitlines(keepends=True))),
        lambda text: text.replace(b"0", b"1"),
    ],
)
def test_sums_that_say_other_things_are_refused(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(forged(pieces(b"database")))) as read:
        texts = {name: read.read(name) for name in (MANIFEST, SUMS)}
    found = [*pieces(b"database"), Piece(MANIFEST, texts[MANIFEST]), Piece(SUMS, change(texts[SUMS]))]
    assert "SHA256SUMS does not list the sums that manifest.json has" in refused(tmp_path, laid_out(found))
