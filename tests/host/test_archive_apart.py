"""Reading a backup in a child: the same answers as in this process, by either inflater."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import ArchiveRefused, NotFound
from engine.host.archive import apart, unpacking
from engine.host.archive.reader import open_archive
from engine.rules.backups import DATABASE
from tests.host.archives import a_database, sound

SEED = 7


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    return sound(a_database(tmp_path, rows=60_000))  # several pieces of a mebibyte


def _placed(tmp_path: Path, data: bytes) -> tuple[Path, Path]:
    file, into = tmp_path / "a.zip", tmp_path / "into"
    file.write_bytes(data)
    into.mkdir(mode=0o700)
    return file, into


@pytest.mark.parametrize("ours", [False, True], ids=["zlib", "isal"])
def test_what_is_unpacked_is_what_was_packed(tmp_path: Path, whole: bytes, *, ours: bool) -> None:
    file, into = _placed(tmp_path, whole)
    went: list[tuple[int, int]] = []
    found = apart.read(file, into, ours=ours, progress=lambda done, total: went.append((done, total)))
    with open_archive(file) as here:
        assert found == (here.manifest, len(here.members))
        member = next(one for one in here.members if one.name == DATABASE)
    assert (into / DATABASE).stat().st_size == member.size > 1 << 20
    assert (into / DATABASE).stat().st_mode & 0o777 == 0o600
    assert went[-1][0] == went[-1][1] > 0
    assert apart.read(file, None, ours=ours) == found


@pytest.mark.parametrize("ours", [False, True], ids=["zlib", "isal"])
def test_a_damaged_one_is_refused_in_the_same_words_and_leaves_nothing(
    tmp_path: Path, whole: bytes, *, ours: bool
) -> None:
    rng = random.Random(SEED)
    file, into = _placed(tmp_path, whole)
    for _ in range(4):
        at = rng.randrange(200, len(whole) // 2)  # in the database
        file.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])
        with pytest.raises(ArchiveRefused, match=r"a\.zip: damaged: chronos\.db"):
            apart.read(file, into, ours=ours)
        assert list(into.iterdir()) == []


@pytest.mark.parametrize("make", [unpacking.proven_inflater, unpacking.fast_inflater], ids=["zlib", "isal"])
def test_noise_raises_what_the_inflater_says_it_raises(make: Callable[[], unpacking.Inflating]) -> None:
    inflater, damaged = make()
    with pytest.raises(damaged):
        inflater.decompress(b"\xff" * 1000, 1000)


def test_the_fast_one_is_another_one() -> None:
    pytest.importorskip("isal")
    assert type(unpacking.fast_inflater()[0]) is not type(unpacking.proven_inflater()[0])


def test_no_file_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        apart.read(tmp_path / "none.zip", None)


def test_what_progress_raises_ends_it(tmp_path: Path, whole: bytes) -> None:
    file, into = _placed(tmp_path, whole)

    def told(_done: int, _total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        apart.read(file, into, progress=told)
