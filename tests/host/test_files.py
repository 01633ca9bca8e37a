"""Private directories and whole-file replacement on a real file system."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import ConfigError, NotPossible, StorageFull
from engine.host.files import ensure_private_dir, private_umask, read_small, write_atomic


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_new_directory_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ensure_private_dir(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a" / "b") == 0o700


def test_an_empty_directory_that_others_read_is_closed(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir(mode=0o755)
    ensure_private_dir(directory)
    assert mode(directory) == 0o700


def test_a_directory_in_use_keeps_its_mode(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    directory.chmod(0o755)
    (directory / "x").write_text("")
    ensure_private_dir(directory)
    assert mode(directory) == 0o755


@pytest.mark.parametrize("bits", [0o777, 0o770, 0o702])
def test_a_directory_that_others_can_write_is_refused_with_the_command(tmp_path: Path, bits: int) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    directory.chmod(bits)
    with pytest.raises(ConfigError, match=f"chmod 700 {directory}"):
        ensure_private_dir(directory)
    assert mode(directory) == bits


def test_nobody_is_told_to_close_a_directory_that_everybody_shares(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(ConfigError, match="a directory of your own in it") as found:
        ensure_private_dir(tmp_path)
    assert "chmod" not in str(found.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir(mode=0o700)
    os.chown(directory, 4711, 4711)
    with pytest.raises(ConfigError, match="belongs to user 4711"):
        ensure_private_dir(directory)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(NotPossible, match="cannot make the directory"):
        ensure_private_dir(tmp_path / "f" / "d")
    with pytest.raises((ConfigError, NotPossible), match=r"not a directory|cannot make"):
        ensure_private_dir(tmp_path / "f")


def test_a_file_is_replaced_as_a_whole_with_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"old")
    before = file.stat().st_ino
    write_atomic(file, b"new" * 100_000)
    assert file.read_bytes() == b"new" * 100_000
    assert mode(file) == 0o600
    assert file.stat().st_ino != before
    write_atomic(file, b"", 0o644)
    assert mode(file) == 0o644
    assert names(tmp_path) == ["f"]


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "f").symlink_to(tmp_path / "victim")
    write_atomic(tmp_path / "f", b"x")
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "f").is_symlink()


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "keep").write_text("")
    with pytest.raises(NotPossible, match=r"cannot write .*/d"):
        write_atomic(tmp_path / "d", b"x")
    assert names(tmp_path) == ["d"]
    with pytest.raises(NotPossible, match="No such file"):
        write_atomic(tmp_path / "missing" / "f", b"x")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """/dev/full cannot be renamed onto, so a file-size limit plays the full disk: EFBIG instead of SIGXFSZ."""
    file = tmp_path / "f"
    file.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises((StorageFull, NotPossible)):
            write_atomic(file, b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    file = tmp_path / "f"
    write_atomic(file, b"a" * 50_000)
    code = (
        "import sys; from pathlib import Path; from engine.host.files import write_atomic\n"
        "for i in range(200): write_atomic(Path(sys.argv[1]), (b'ab'[i % 2:i % 2 + 1]) * 50_000)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(file)]) as writer:
        while writer.poll() is None:
            seen = file.read_bytes()
            assert len(seen) == 50_000
            assert len(set(seen)) == 1
    assert writer.returncode == 0
    assert names(tmp_path) == ["f"]


def test_a_fifo_or_a_large_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="not a regular file"):
        read_small(tmp_path / "pipe", 10)
    (tmp_path / "big").write_bytes(b"x" * 2049)
    with pytest.raises(ConfigError, match="larger than 2 KiB"):
        read_small(tmp_path / "big", 2048)
    with pytest.raises(ConfigError, match="not a regular file"):
        read_small(tmp_path, 10)
    assert read_small(tmp_path / "big", 2049) == b"x" * 2049


def test_the_umask_is_private_inside_and_restored_outside(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with private_umask():
            (tmp_path / "inside").write_text("")
        (tmp_path / "outside").write_text("")
    finally:
        os.umask(before)
    assert mode(tmp_path / "inside") == 0o600
    assert mode(tmp_path / "outside") == 0o644
