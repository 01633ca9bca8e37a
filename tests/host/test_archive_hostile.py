"""Archives that are damaged or cut, or never were any: each is refused with a reason, and nothing is left behind."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ArchiveRefused, NotFound, NotPossible
from engine.host.archive.layout import CHUNK_BYTES, TRAILER_BYTES, read_central, read_trailer
from engine.host.archive.reader import open_archive
from engine.host.archive.source import Source
from tests.host.archives import a_database, reason, refused, regions, sound

SEED = 20_261_124
FLIPS = 5_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound archive of a real database."""
    return sound(a_database(tmp_path_factory.mktemp("source")))


def places(whole: bytes, count: int) -> list[tuple[str, int, int]]:
    """As many different (region, byte, bit): small regions wholly, the rest alike from the large ones."""
    rng = random.Random(SEED)
    bits = [[(name, at, bit) for at in span for bit in range(8)] for name, span in regions(whole).items()]
    chosen: list[tuple[str, int, int]] = []
    for index, region in enumerate(sorted(bits, key=len)):
        share = (count - len(chosen)) // (len(bits) - index)
        chosen += rng.sample(region, min(share, len(region)))
    return chosen


def test_every_flipped_bit_is_found(tmp_path: Path, whole: bytes) -> None:
    path, into = tmp_path / "backup.zip", tmp_path / "into"
    path.write_bytes(whole)
    into.mkdir()
    chosen = places(whole, FLIPS)
    assert len(set(chosen)) == FLIPS
    with path.open("r+b", buffering=0) as file:
        for region, at, bit in chosen:
            os.pwrite(file.fileno(), bytes([whole[at] ^ 1 << bit]), at)
            words = reason(path, into)
            assert words.startswith("damaged: "), (SEED, region, at, bit, words)
            os.pwrite(file.fileno(), whole[at : at + 1], at)
    with open_archive(path) as archive:
        archive.verify()


def test_every_truncation_is_found(tmp_path: Path, whole: bytes) -> None:
    lengths = {0, 1, TRAILER_BYTES - 1, TRAILER_BYTES, len(whole) - 1}
    rng = random.Random(SEED)
    while len(lengths) < 500:
        lengths.add(rng.randrange(len(whole)))
    for length in sorted(lengths):
        words = refused(tmp_path, whole[:length])
        assert words.startswith("damaged: " if length >= 40 else "not a backup of Chronos: "), (length, words)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_other_bytes_pass(tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject) -> None:
    """Pieces cut out, doubled, moved, overwritten: only the file that the writer made is taken."""
    place = st.integers(0, len(whole))
    start, end, to = sorted((data.draw(place), data.draw(place))), data.draw(place), data.draw(st.binary(max_size=40))
    piece = whole[start[0] : start[1]]
    made = data.draw(
        st.sampled_from([whole[:end] + piece + whole[end:], whole[: start[0]] + to + whole[start[1] :], piece, to])
    )
    directory = tmp_path_factory.mktemp("fuzz")
    if made != whole:
        refused(directory, made)


@given(st.binary(min_size=TRAILER_BYTES, max_size=TRAILER_BYTES), st.integers(0, 200))
def test_headers_of_any_bytes_are_read_or_refused(data: bytes, at: int) -> None:
    assert read_trailer(data) is None
    found = read_central(data, at)
    assert found is None or len(found.name) < len(data)


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"not a zip at all\n" * 100, bytes(10_000), b"\x89PNG\r\n\x1a\n" + bytes(5000), b"SQLite format 3\0"],
)
def test_what_is_no_zip_is_no_backup(tmp_path: Path, data: bytes) -> None:
    assert refused(tmp_path, data).startswith("not a backup of Chronos: it ")


def test_an_encrypted_one_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    for head in (b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----\n"):
        assert "encrypted with age; decrypt it first" in refused(tmp_path, head + bytes(500))


def test_a_pipe_and_a_directory_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe, directory, device = tmp_path / "pipe.zip", tmp_path / "directory.zip", tmp_path / "device.zip"
    os.mkfifo(pipe)
    directory.mkdir()
    device.symlink_to("/dev/zero")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (pipe, directory, device):
        with pytest.raises(ArchiveRefused, match="not a backup of Chronos: it is not a regular file"):
            open_archive(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_what_is_missing_or_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no such file"):
        open_archive(tmp_path / "missing.zip")
    with pytest.raises(NotPossible, match="cannot be opened: File name too long"):
        open_archive(tmp_path / ("x" * 300))
    with pytest.raises(NotPossible, match="holds a NUL"):
        open_archive(tmp_path / "x\0")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(NotPossible, match="Too many levels of symbolic links"):
        open_archive(tmp_path / "loop")


def test_a_name_with_escapes_stays_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a\n\x1b[2J.zip"
    path.write_bytes(b"x")
    with pytest.raises(ArchiveRefused) as caught:
        open_archive(path)
    assert str(caught.value).isprintable()


def test_a_disk_that_cannot_read_is_a_reason() -> None:
    """The memory of this process at 0 is a regular file that answers EIO."""
    source = Source(Path("/proc/self/mem"))
    try:
        with pytest.raises(ArchiveRefused, match="byte 0 cannot be read: Input/output error"):
            source.at(0, 1)
    finally:
        source.close()


def test_nothing_stays_open_after_a_refusal(tmp_path: Path, whole: bytes) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    refused(tmp_path, whole[:-1])
    refused(tmp_path, whole[:200] + b"\0" + whole[201:])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def _noise(directory: Path) -> tuple[Path, Path]:
    path, into = directory / "backup.zip", directory / "into"
    path.write_bytes(sound(random.Random(SEED).randbytes(3 * CHUNK_BYTES)))
    # Long ago, so that a change shows in the time whatever the file system's step is.
    os.utime(path, ns=(1, 1))
    into.mkdir()
    return path, into


@pytest.mark.parametrize("act", ["verify", "extract"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: os.truncate(file, 2 * CHUNK_BYTES), "it ends at byte 2097152, before it should"),
        (lambda file: os.pwrite(file, b"\0" * 64, 2 * CHUNK_BYTES), "chronos.db is not what was backed up"),
        (lambda file: os.pwrite(file, b"\0" * 64, 1000), "it was changed while it was read"),
        (lambda file: os.pwrite(file, b"\0", os.fstat(file).st_size), "it was changed while it was read"),
    ],
    ids=["cut", "changed-ahead", "changed-behind", "appended"],
)
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, act: str, change: Callable[[int], object], words: str
) -> None:
    path, into = _noise(tmp_path)
    with path.open("r+b") as file, open_archive(path) as archive:
        changed: list[int] = []

        def progress(done: int, _total: int) -> None:
            if not changed:
                changed.append(done)
                change(file.fileno())

        with pytest.raises(ArchiveRefused, match=words):
            archive.verify(progress) if act == "verify" else archive.extract(into, progress)
    assert list(into.iterdir()) == []


def test_a_sum_of_a_file_that_changes_is_refused(tmp_path: Path) -> None:
    path, _into = _noise(tmp_path)

    def progress(_done: int, _total: int) -> None:
        with path.open("r+b") as file:
            file.write(b"\0")

    with open_archive(path) as archive, pytest.raises(ArchiveRefused, match="changed while it was read"):
        archive.sha256(progress)
