"""Copies off the box: a directory, a real sshd on loopback, a remote of rclone."""

from __future__ import annotations

import hashlib
import os
import random
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.errors import NotPossible
from engine.host.copying.base import Destination, destination, partial_name
from tests.host import sshd_rig
from tests.tools import needs

NAME = "chronos-box-20260101T000000Z.zip"
SIZES = (0, 1, 32 * 1024 - 1, 32 * 1024, 64 * 32 * 1024 + 1, 5_000_003)


class There(NamedTuple):
    """A destination, and the directory in which its files turn out to be."""

    destination: Destination
    folder: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd_rig.Rig]:
    with sshd_rig.running_sshd(tmp_path_factory.mktemp("sshd") / "rig") as rig:
        yield rig


def rclone_env(tmp_path: Path) -> dict[str, str]:
    config = tmp_path / "rclone.conf"
    config.write_text("[far]\ntype = local\n")
    return {**os.environ, "RCLONE_CONFIG": str(config)}


@pytest.fixture(
    params=["directory", pytest.param("sftp", marks=sshd_rig.NEEDED), pytest.param("rclone", marks=needs("rclone"))]
)
def there(request: pytest.FixtureRequest, tmp_path: Path) -> There:
    folder = tmp_path / "there with 'quotes' and [brackets]"
    folder.mkdir()
    if request.param == "directory":
        return There(destination(str(folder), {}), folder)
    if request.param == "rclone":
        return There(destination(f"rclone:far:{folder}", rclone_env(tmp_path)), folder)
    env = request.getfixturevalue("server").env
    return There(destination(f"sftp://box/{folder}", env), folder)


def made(tmp_path: Path, size: int) -> tuple[Path, str]:
    path = tmp_path / "source"
    path.write_bytes(random.Random(size).randbytes(size))
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_there_reads_back(there: There, tmp_path: Path, size: int) -> None:
    path, sha256 = made(tmp_path, size)

    words = there.destination.put(path, NAME)

    assert (there.folder / NAME).read_bytes() == path.read_bytes()
    assert [file.name for file in there.folder.iterdir()] == [NAME]
    assert words.startswith(f"{size} bytes ")
    assert there.destination.check(NAME, size, sha256)


def test_what_is_put_into_a_directory_or_by_sftp_is_private(there: There, tmp_path: Path) -> None:
    path, _ = made(tmp_path, 100)

    there.destination.put(path, NAME)

    mode = stat.S_IMODE((there.folder / NAME).stat().st_mode)
    assert mode == (0o644 if "Rclone" in type(there.destination).__name__ else 0o600)


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_copy_that_changed_or_is_missing_does_not_check(there: There, tmp_path: Path, size: int) -> None:
    path, sha256 = made(tmp_path, size)
    assert not there.destination.check(NAME, size, sha256)
    there.destination.put(path, NAME)
    copy = there.folder / NAME

    whole = path.read_bytes()
    for spoiled in (whole[:-1], whole + b"x", whole[:-1] + bytes([whole[-1] ^ 1])):
        copy.write_bytes(spoiled)
        assert not there.destination.check(NAME, size, sha256)
    copy.unlink()
    assert not there.destination.check(NAME, size, sha256)


def test_a_later_try_replaces_what_a_cut_one_left_and_touches_nothing_else(there: There, tmp_path: Path) -> None:
    path, sha256 = made(tmp_path, 70_000)
    other = there.folder / "chronos-box-20250101T000000Z.zip"
    other.write_bytes(b"an older one")
    (there.folder / partial_name(NAME)).write_bytes(bytes(100_000))
    (there.folder / NAME).write_bytes(b"damaged")

    there.destination.put(path, NAME)

    assert there.destination.check(NAME, 70_000, sha256)
    assert sorted(file.name for file in there.folder.iterdir()) == sorted([NAME, other.name])
    assert other.read_bytes() == b"an older one"


def test_progress_goes_up_to_the_whole(there: There, tmp_path: Path) -> None:
    path, sha256 = made(tmp_path, 3_000_000)
    told: list[tuple[int, int]] = []

    there.destination.put(path, NAME, lambda done, total: told.append((done, total)))

    assert told == sorted(told)
    assert told[-1] == (3_000_000, 3_000_000)
    told.clear()
    there.destination.check(NAME, 3_000_000, sha256, lambda done, total: told.append((done, total)))
    assert told[-1] == (3_000_000, 3_000_000)


class CancelledError(Exception):
    pass


def test_what_progress_raises_ends_it_before_the_name_is_given(there: There, tmp_path: Path) -> None:
    path, _ = made(tmp_path, 3_000_000)

    def progress(_done: int, _total: int) -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        there.destination.put(path, NAME, progress)

    assert not (there.folder / NAME).exists()


def test_a_folder_that_is_missing_is_named_and_not_made(there: There, tmp_path: Path) -> None:
    path, sha256 = made(tmp_path, 10)
    there.folder.rmdir()
    if "Rclone" in type(there.destination).__name__:
        assert not there.destination.check(NAME, 10, sha256)
        return  # a bucket has no folders to be missing: rclone makes what a local disk needs

    with pytest.raises(NotPossible, match=r"is no directory|no such directory") as refusal:
        there.destination.put(path, NAME)

    assert "\n" not in str(refusal.value)
    assert not there.folder.exists()


@needs("rclone")
def test_an_unknown_remote_of_rclone_is_said_in_its_words(tmp_path: Path) -> None:
    path, sha256 = made(tmp_path, 10)
    far = destination("rclone:nowhere:backups", rclone_env(tmp_path))

    with pytest.raises(NotPossible, match=r"rclone: .*nowhere"):
        far.put(path, NAME)
    with pytest.raises(NotPossible, match=r"rclone: .*nowhere"):
        far.check(NAME, 10, sha256)


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    path, _ = made(tmp_path, 10)
    for text, word in (("rclone:far:x", "rclone"), ("sftp://box/x", "ssh")):
        with pytest.raises(NotPossible, match=f"the program {word} is not installed"):
            destination(text, {"PATH": str(tmp_path)}).put(path, NAME)


def test_a_source_that_is_gone_is_said(there: There, tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match="No such file"):
        there.destination.put(tmp_path / "gone", NAME)


def test_a_link_that_somebody_laid_is_not_followed(tmp_path: Path) -> None:
    path, _ = made(tmp_path, 10)
    folder, victim = tmp_path / "there", tmp_path / "victim"
    folder.mkdir()
    victim.write_bytes(b"precious")
    (folder / partial_name(NAME)).symlink_to(victim)

    with pytest.raises(NotPossible):
        destination(str(folder), {}).put(path, NAME)

    assert victim.read_bytes() == b"precious"
