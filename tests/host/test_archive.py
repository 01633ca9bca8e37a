"""A backup's ZIP: written, read by our reader and by everybody else's, unpacked into private files."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from engine.errors import ArchiveRefused, NotFound, NotPossible, StorageFull
from engine.host.archive.layout import CHUNK_BYTES, DEFLATED, STORED, TRAILER_BYTES, Entry, local_header
from engine.host.archive.reader import open_archive
from engine.host.archive.writer import ZipWriter
from engine.rules.backups import CONFIG, DATABASE, MANIFEST, RESTORE, SUMS, Member
from tests.host.archives import AT_MS, SMALL, Piece, a_database, a_manifest, deflated, forged, pieces, sound
from tests.support import SKIP_NOTHING

NAMES = [DATABASE, CONFIG, "templates/alert.txt", RESTORE, MANIFEST, SUMS]


@pytest.fixture
def database(tmp_path: Path) -> bytes:
    return a_database(tmp_path)


@pytest.fixture
def path(tmp_path: Path, database: bytes) -> Path:
    path = tmp_path / "chronos-test-20261124T024001Z.zip"
    path.write_bytes(sound(database))
    return path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    directory = tmp_path / "into"
    directory.mkdir()
    return directory


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def run(*command: str, into: Path, data: bytes = b"") -> bytes:
    """What a program says that must succeed, started in `into`."""
    return subprocess.run(command, cwd=into, input=data, stdout=subprocess.PIPE, check=True, timeout=60).stdout


def test_what_was_written_is_what_is_read(path: Path, database: bytes, into: Path) -> None:
    with open_archive(path) as archive:
        assert archive.created_ms == AT_MS
        assert [member.name for member in archive.members] == NAMES[:-2]
        assert archive.size == path.stat().st_size
        assert archive.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
        assert archive.manifest["instance"] == "test"
        archive.verify()
        archive.extract(into)
        texts = {name: archive.read(name) for name in (MANIFEST, SUMS)}
    assert files(into) == {DATABASE: database, **SMALL, **texts}


def test_small_members_are_read_alone_and_the_database_is_not(path: Path) -> None:
    with open_archive(path) as archive:
        assert archive.read(CONFIG) == SMALL[CONFIG]
        assert archive.has(DATABASE)
        assert not archive.has("templates/other.txt")
        for name in (DATABASE, "templates/other.txt", "../x"):
            with pytest.raises(NotFound, match="holds no small file named"):
                archive.read(name)


def test_a_backup_without_configuration_and_templates_is_one(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(sound(b"x", {RESTORE: b""}))
    with open_archive(path) as archive:
        archive.verify()
        assert [member.name for member in archive.members] == [DATABASE, RESTORE]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
@pytest.mark.parametrize("kind", ["zeros", "noise"])
def test_databases_of_every_size_come_back(tmp_path: Path, into: Path, size: int, kind: str) -> None:
    database = bytes(size) if kind == "zeros" else os.urandom(size)
    path = tmp_path / "b.zip"
    path.write_bytes(sound(database))
    with open_archive(path) as archive:
        archive.extract(into)
    assert (into / DATABASE).read_bytes() == database


def test_the_same_content_gives_the_same_bytes(database: bytes) -> None:
    assert sound(database) == sound(database)


def test_a_second_process_goes_on_where_the_first_stopped(tmp_path: Path, path: Path, database: bytes) -> None:
    whole = path.read_bytes()
    other = tmp_path / "other.zip"
    with other.open("wb") as file:
        first = ZipWriter(file, AT_MS)
        first.begin_deflated(DATABASE)
        for at in range(0, len(database), 4096):
            first.write(database[at : at + 4096])
        members = [first.end()]
        file.write(b"what a killed attempt of the second process left" * 100)
    with other.open("r+b") as file:
        second = ZipWriter.resume(file, AT_MS, first.entries)
        members += [second.add_stored(name, data) for name, data in SMALL.items()]
        second.add_manifest(a_manifest(members), members)
        second.finish()
    assert other.read_bytes() == whole


def test_sums_are_in_the_order_of_the_file_whatever_the_order_they_are_given_in(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    with path.open("wb") as file:
        writer = ZipWriter(file, AT_MS)
        writer.begin_deflated(DATABASE)
        members = [writer.end(), writer.add_stored("templates/a", b""), writer.add_stored(RESTORE, b"")]
        writer.add_manifest(a_manifest(members), members[::-1])
        writer.finish()
    with open_archive(path) as archive:
        assert [line.split()[1].decode() for line in archive.read(SUMS).splitlines()] == [
            *[member.name for member in members],
            MANIFEST,
        ]


def test_without_isal_zlib_packs(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    code = (
        "import sys; sys.modules['isal'] = None; from pathlib import Path; from tests.host.archives import sound; "
        "Path(sys.argv[1]).write_bytes(sound(b'disk full ' * 100_000)); assert 'isal.isal_zlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=60)
    with open_archive(path) as archive:
        archive.verify()
        assert archive.members[0].packed_size < 20_000


@pytest.mark.parametrize(
    ("at_ms", "shown"),
    [
        (AT_MS, (2026, 11, 24, 2, 40, 0)),
        (0, (1980, 1, 1, 0, 0, 0)),
        (4_354_819_199_999, (2107, 12, 31, 23, 59, 58)),
        (7_258_118_400_000, (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_a_clock_beyond_what_a_zip_can_say_still_makes_a_backup(
    tmp_path: Path, at_ms: int, shown: tuple[int, ...]
) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(sound(b"x", at_ms=at_ms))
    with open_archive(path) as archive:
        assert archive.created_ms == at_ms
    with zipfile.ZipFile(path) as read:
        assert {info.date_time for info in read.infolist()} == {shown}


def test_python_reads_it(path: Path, database: bytes) -> None:
    with zipfile.ZipFile(path) as read:
        assert read.namelist() == NAMES
        assert read.testzip() is None
        assert read.read(DATABASE) == database
        assert {stat.S_IMODE(info.external_attr >> 16) for info in read.infolist()} == {0o600}
        assert {info.compress_type for info in read.infolist()[1:]} == {STORED}


@pytest.mark.skipif(not SKIP_NOTHING and shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_sha256sum_and_sqlite_are_enough_to_get_at_everything(path: Path, into: Path) -> None:
    assert b"No errors detected" in run("unzip", "-t", str(path), into=into)
    run("unzip", "-q", str(path), into=into)
    assert run("sha256sum", "--check", "--strict", SUMS, into=into).count(b": OK\n") == len(NAMES) - 1
    connection = sqlite3.connect(into / DATABASE)
    assert connection.execute("SELECT count(*) FROM messages").fetchone() == (200,)
    connection.close()


@pytest.mark.skipif(shutil.which("bsdtar") is None, reason="bsdtar is not installed")
@pytest.mark.parametrize("seekable", [True, False])
def test_bsdtar_reads_it(path: Path, into: Path, seekable: bool) -> None:
    source = str(path) if seekable else "-"
    run("bsdtar", "-xf", source, into=into, data=b"" if seekable else path.read_bytes())
    assert sorted(files(into)) == sorted(NAMES)


def test_members_beyond_4_gib_are_found_by_python_and_by_us(tmp_path: Path) -> None:
    """The data of the database is a hole of 5 GiB: nobody reads it here, everything behind it has 64 bit offsets."""
    packed_size = 5 << 30
    path = tmp_path / "sparse.zip"
    database = Member(DATABASE, 6 << 30, "0" * 64, packed_size, "0" * 64)
    entry = Entry(DATABASE, database.size, packed_size, 0, DEFLATED, 0)
    with path.open("wb") as file:
        file.write(local_header(entry, AT_MS))
        writer = ZipWriter.resume(file, AT_MS, [entry])
        members = [database, *(writer.add_stored(name, data) for name, data in SMALL.items())]
        writer.add_manifest(a_manifest(members), members)
        writer.finish()
    with zipfile.ZipFile(path) as read:
        found = read.infolist()
        assert (found[0].file_size, found[0].compress_size) == (6 << 30, packed_size)
        assert all(info.header_offset > packed_size for info in found[1:])
        assert read.read(CONFIG) == SMALL[CONFIG]
    with open_archive(path) as archive:
        assert archive.read(CONFIG) == SMALL[CONFIG]
        assert archive.members == members


def test_every_header_holds_its_sizes_in_64_bits(path: Path) -> None:
    with zipfile.ZipFile(path) as read:
        for info in read.infolist():
            assert info.extra[:4] == b"\x01\x00\x18\x00"
    assert path.read_bytes()[-TRAILER_BYTES:].startswith(b"PK\x06\x06")


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "templates/../x", "templates/a/b", "templates/", "x", "", "templates/.a", "a\nb"]
)
def test_the_writer_takes_no_name_that_the_reader_refuses(name: str) -> None:
    writer = ZipWriter(io.BytesIO(), AT_MS)
    with pytest.raises(NotPossible, match="cannot hold a file named"):
        writer.add_stored(name, b"")


def test_the_writer_keeps_the_order_and_packs_each_as_it_is_packed() -> None:
    writer = ZipWriter(io.BytesIO(), AT_MS)
    with pytest.raises(NotPossible, match="stored as it is in a backup"):
        writer.begin_deflated(RESTORE)
    with pytest.raises(NotPossible, match="deflated in a backup"):
        writer.add_stored(DATABASE, b"")
    writer.add_stored("templates/b", b"")
    for name in ("templates/b", "templates/a", CONFIG):
        with pytest.raises(NotPossible, match="comes before"):
            writer.add_stored(name, b"")


def test_the_writer_takes_no_more_than_the_reader() -> None:
    writer = ZipWriter(io.BytesIO(), AT_MS)
    with pytest.raises(NotPossible, match=r"config.yaml has 4194305 bytes; a backup takes at most 4 MiB"):
        writer.add_stored(CONFIG, bytes(4 * 1024 * 1024 + 1))
    writer.add_stored(CONFIG, bytes(4 * 1024 * 1024))
    for number in range(999):
        writer.add_stored(f"templates/{number:03}", b"")
    with pytest.raises(NotPossible, match="at most 1000 files"):
        writer.add_stored(RESTORE, b"")


def test_what_is_unpacked_is_private_whatever_the_umask(path: Path, into: Path) -> None:
    before = os.umask(0)
    try:
        with open_archive(path) as archive:
            archive.extract(into)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(found.stat().st_mode) for found in into.rglob("*") if found.is_file()}
    assert modes == {0o600}
    assert stat.S_IMODE((into / "templates").stat().st_mode) == 0o700


def test_progress_tells_every_byte_up_to_the_last(path: Path, into: Path) -> None:
    verified: list[tuple[int, int]] = []
    extracted: list[tuple[int, int]] = []
    summed: list[tuple[int, int]] = []
    with open_archive(path) as archive:
        archive.verify(lambda done, total: verified.append((done, total)))
        archive.extract(into, lambda done, total: extracted.append((done, total)))
        archive.sha256(lambda done, total: summed.append((done, total)))
    assert verified == extracted
    assert summed == [(path.stat().st_size, path.stat().st_size)]
    assert verified == sorted(verified)
    assert verified[-1][0] == verified[-1][1] == {total for _, total in verified}.pop()


def test_stopping_in_the_middle_leaves_nothing(path: Path, into: Path) -> None:
    class StoppedError(Exception):
        pass

    seen: list[list[str]] = []

    def stop(done: int, total: int) -> None:
        seen.append(sorted(files(into)))
        if done > total - 500:
            raise StoppedError

    with pytest.raises(StoppedError), open_archive(path) as archive:
        archive.extract(into, stop)
    assert DATABASE in seen[-1], "something was there to be removed"
    assert list(into.iterdir()) == []


@pytest.mark.parametrize("name", [DATABASE, "templates", SUMS])
def test_what_is_there_already_is_neither_overwritten_nor_removed(path: Path, into: Path, name: str) -> None:
    (into / name).write_text("mine")
    with open_archive(path) as archive, pytest.raises(NotPossible, match="holds files of those names already"):
        archive.extract(into)
    assert files(into) == {name: b"mine"}


@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_in_the_directory_is_not_followed(path: Path, into: Path, tmp_path: Path, dangling: bool) -> None:
    outside = tmp_path / "outside"
    if not dangling:
        outside.mkdir()
    (into / "templates").symlink_to(outside)
    with open_archive(path) as archive, pytest.raises(NotPossible):
        archive.extract(into)
    assert not outside.exists() or list(outside.iterdir()) == []


def test_a_directory_that_is_a_link_or_missing_is_refused(path: Path, into: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(into)
    for target in (link, tmp_path / "missing", path):
        with open_archive(path) as archive, pytest.raises(NotPossible, match="cannot be unpacked into"):
            archive.extract(target)
    assert list(into.iterdir()) == []


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, into: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(sound(os.urandom(3 * CHUNK_BYTES)))
    # The last byte does not fit: the system writes the others of its piece, and says so by their count alone.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_archive(path) as archive:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3 * CHUNK_BYTES - 1, before[1]))
        try:
            with pytest.raises(NotPossible, match="File too large"):
                archive.extract(into)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(into.iterdir()) == []


def test_what_does_not_fit_is_said_before_anything_is_written(tmp_path: Path, into: Path) -> None:
    """200 TiB from a hole of 200 GiB: allowed by the ratio, and on no disk."""
    packed_size = 200 << 30
    entry = Entry(DATABASE, packed_size * 1024, packed_size, 0, DEFLATED, 0)
    path = tmp_path / "sparse.zip"
    with path.open("wb") as file:
        file.write(local_header(entry, AT_MS))
        writer = ZipWriter.resume(file, AT_MS, [entry])
        members = [Member(DATABASE, entry.size, "0" * 64, packed_size, "0" * 64), writer.add_stored(RESTORE, b"")]
        writer.add_manifest(a_manifest(members), members)
        writer.finish()
    with open_archive(path) as archive, pytest.raises(StorageFull, match=r"unpacking needs 200 TiB, .* are free"):
        archive.extract(into)
    assert list(into.iterdir()) == []


def test_who_opens_it_says_how_much_may_come_out(path: Path) -> None:
    with zipfile.ZipFile(path) as read:
        size = sum(info.file_size for info in read.infolist())
    with open_archive(path, most_bytes=size) as archive:
        archive.verify()
    with pytest.raises(ArchiveRefused, match=f"unpacks to {size} bytes; at most {size - 1} are taken here"):
        open_archive(path, most_bytes=size - 1)


def test_memory_does_not_grow_with_what_is_unpacked(tmp_path: Path, into: Path) -> None:
    path = tmp_path / "b.zip"
    zeros = bytes(64 * CHUNK_BYTES)
    path.write_bytes(forged([Piece(DATABASE, zeros, deflated(zeros)), *pieces(b"")[1:]]))
    del zeros
    with open_archive(path) as archive:
        tracemalloc.start()
        try:
            archive.extract(into)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 6 * CHUNK_BYTES
    assert (into / DATABASE).stat().st_size == 64 * CHUNK_BYTES


def test_a_forger_who_changes_nothing_makes_the_same_archive_but_for_the_packing(tmp_path: Path) -> None:
    """Otherwise the hostile tests would refuse their archives for the wrong reason."""
    path = tmp_path / "b.zip"
    path.write_bytes(forged(pieces(b"database")))
    with open_archive(path) as archive:
        archive.verify()
