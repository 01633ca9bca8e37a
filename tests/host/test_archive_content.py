"""Archives whose structure is sound and whose content deceives: bombs, other sums, other manifests. All are refused."""

from __future__ import annotations

import io
import json
import random
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.host.archive.layout import CHUNK_BYTES
from engine.host.archive.writer import manifest_text
from engine.rules.backups import CONFIG, DATABASE, MANIFEST, SUMS, Member
from tests.host.archives import (
    AT_MS,
    SMALL,
    Piece,
    a_manifest,
    deflated,
    forged,
    laid_out,
    member_of,
    pieces,
    refused,
    with_texts,
)

SEED = 20_261_124
TEMPLATE = "templates/alert.txt"


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
        b"", b"{", b"[]", b"[]\n", b"null\n", b'"x"\n', b"1\n",
        b"{}", b"{}\n\n", b"\xff", "{\"ä\": 1}\n".encode(), b"\xef\xbb\xbf{}\n",
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
