"""Temporary files belong to a process that lives; what a dead one left goes, and nothing else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engine.errors import NotPossible
from engine.host import temporary
from engine.host.trickle import WINDOW_BYTES, Trickle

NAME = "chronos-box-20261124T030000Z.zip"


def test_a_temporary_file_is_private_and_goes_with_what_lies_beside_it(tmp_path: Path) -> None:
    with temporary.temporary(tmp_path, NAME, "db") as path:
        assert path.name == f".{NAME}.{os.getpid()}.db.tmp"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for companion in ("-wal", "-journal", "-shm"):
            path.with_name(path.name + companion).write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []


def test_only_what_nobody_holds_is_swept(tmp_path: Path) -> None:
    dead = [tmp_path / f".{NAME}.{os.getpid()}.tmp", tmp_path / f".{NAME}.1.age.tmp"]
    others = [tmp_path / name for name in (NAME, f".{NAME}.tmp", "notes.tmp", f".{NAME}.1.tmp.bak", ".chronos-x.y.tmp")]
    for path in (*dead, *others):
        path.write_bytes(b"x")
    (tmp_path / f".{NAME}.2.tmp").symlink_to(others[0])
    with temporary.temporary(tmp_path, NAME, "db") as held:
        assert temporary.sweep(tmp_path) == len(dead)
        assert held.exists()
    assert all(path.exists() for path in others)
    assert not any(path.exists() for path in dead)
    assert temporary.sweep(tmp_path / "nowhere") == 0


def test_a_name_that_is_taken_is_not_taken_over(tmp_path: Path) -> None:
    target = tmp_path / NAME
    target.write_bytes(b"the old one")
    with temporary.temporary(tmp_path, NAME) as path:
        path.write_bytes(b"the new one")
        with pytest.raises(NotPossible, match="is there already"):
            temporary.put_in_place(path, target)
        assert target.read_bytes() == b"the old one"
        target.unlink()
        temporary.put_in_place(path, target)
    assert target.read_bytes() == b"the new one"
    assert list(tmp_path.iterdir()) == [target]


def test_a_lock_is_one_process_s_at_a_time(tmp_path: Path) -> None:
    with temporary.locked(tmp_path / "lock") as first, temporary.locked(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
    with temporary.locked(tmp_path / "lock") as again:
        assert again
    with pytest.raises(NotPossible, match="cannot write"), temporary.locked(tmp_path / "nowhere" / "lock"):
        pass


def test_handing_a_file_to_the_disk_changes_nothing_in_it(tmp_path: Path) -> None:
    data = os.urandom(1 << 20)
    with (tmp_path / "big").open("wb", buffering=0) as file:
        trickle = Trickle(file.fileno(), easily_bytes=0)
        for _ in range(3 * WINDOW_BYTES // len(data) + 1):
            file.write(data)
            trickle.wrote()
    assert (tmp_path / "big").read_bytes() == data * (3 * WINDOW_BYTES // len(data) + 1)
