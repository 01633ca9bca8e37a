"""Scratch directories: private, removed at the end, and swept only when their owner is dead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import NotPossible
from engine.host.scratch import scratch, sweep

_HOLD = """
import sys
from pathlib import Path
from engine.host.scratch import scratch
with scratch(Path(sys.argv[1]), "drill") as path:
    (path / "half").write_text("done")
    print(path, flush=True)
    sys.stdin.read()
"""


def test_a_scratch_directory_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    with scratch(tmp_path, "drill") as path:
        assert path.stat().st_mode & 0o777 == 0o700
        (path / "deep").mkdir()
        (path / "deep" / "file").write_text("x")

    assert list(tmp_path.iterdir()) == []


def test_it_is_gone_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(KeyError), scratch(tmp_path, "drill"):
        raise KeyError

    assert list(tmp_path.iterdir()) == []


def test_only_what_a_dead_process_left_is_swept(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        left = Path(owner.stdout.readline().strip())
        assert sweep(tmp_path, "drill") == 0
        assert (left / "half").exists()
        owner.kill()
        owner.wait()

    (tmp_path / "drill-notes.txt").write_text("not a directory")
    (tmp_path / "restore-1").mkdir()
    assert left.exists()
    assert sweep(tmp_path, "drill") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drill-notes.txt", "restore-1"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    data = tmp_path / "data"
    data.mkdir()
    (data / "drill-x").symlink_to(elsewhere)

    assert sweep(data, "drill") == 0
    assert (elsewhere / "precious").exists()


def test_where_nothing_can_be_made_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotPossible, match="cannot make a directory"), scratch(tmp_path / "missing", "drill"):
        pass
