"""Locks between processes, with real processes on real files."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import ChronosError
from engine.host.locks import EngineLock, WriteTurn

HOLD_ENGINE_LOCK = """
import os, sys
from pathlib import Path
from engine.host.locks import EngineLock
lock = EngineLock(Path(sys.argv[1]))
print(lock.acquire({"pid": os.getpid()}), flush=True)
sys.stdin.read()
"""

HOLD_WRITE_TURN = """
import sys
from pathlib import Path
from engine.host.locks import WriteTurn
turn = WriteTurn(Path(sys.argv[1]))
print(turn.acquire(0), flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(program: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `program`; it has said that it holds the lock when the body starts, and is gone when it ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.lock"


def test_one_process_owns_the_engine_and_the_other_learns_who(path: Path) -> None:
    with another_process(HOLD_ENGINE_LOCK, path) as holder:
        mine = EngineLock(path)

        assert not mine.acquire({"pid": os.getpid()})
        assert mine.owner() == {"pid": holder.pid}


def test_a_killed_owner_frees_the_lock_and_leaves_no_owner_behind(path: Path) -> None:
    with another_process(HOLD_ENGINE_LOCK, path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        mine = EngineLock(path)

        assert "pid" in path.read_text()
        assert mine.owner() is None
        assert mine.acquire({"pid": 1})
        mine.release()


def test_a_frozen_owner_still_owns(path: Path) -> None:
    with another_process(HOLD_ENGINE_LOCK, path) as holder:
        holder.send_signal(signal.SIGSTOP)

        assert not EngineLock(path).acquire({})
        assert EngineLock(path).owner() == {"pid": holder.pid}


def test_the_lock_file_tells_people_who_holds_it_and_is_private(path: Path) -> None:
    lock = EngineLock(path)
    path.write_text("something much longer that an earlier owner left behind, over and over again\n")
    path.chmod(0o600)
    assert lock.acquire({"pid": 7, "mode": "engine-only"})

    assert path.read_text().count("\n") == 1
    assert json.loads(path.read_text()) == {"pid": 7, "mode": "engine-only"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lock.release()


def test_a_new_lock_file_is_private_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        lock = EngineLock(path)
        lock.acquire({})
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lock.release()


def test_release_lets_the_next_one_in_and_keeps_the_file(path: Path) -> None:
    first, second = EngineLock(path), EngineLock(path)
    assert first.acquire({"pid": 1})
    inode = path.stat().st_ino
    first.release()
    first.release()

    assert second.owner() is None
    assert second.acquire({"pid": 2})
    assert path.stat().st_ino == inode
    assert first.owner() == {"pid": 2}
    second.release()


def test_looking_for_the_owner_never_keeps_an_engine_from_starting(path: Path) -> None:
    looking, done = EngineLock(path), threading.Event()

    def look() -> None:
        while not done.is_set():
            looking.owner()

    onlookers = [threading.Thread(target=look) for _ in range(2)]
    for onlooker in onlookers:
        onlooker.start()
    try:
        for _ in range(500):
            lock = EngineLock(path)
            assert lock.acquire({})
            lock.release()
    finally:
        done.set()
        for onlooker in onlookers:
            onlooker.join()


def test_a_child_program_does_not_keep_the_lock_of_its_parent(path: Path) -> None:
    lock = EngineLock(path)
    assert lock.acquire({})
    with subprocess.Popen(
        ["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, close_fds=False
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"x")
        assert child.stdout.read(1) == b"x"  # Popen may come back while exec is still letting go of the parent's files
        lock.release()

        again = EngineLock(path)
        assert again.acquire({})
        again.release()
        child.kill()


@pytest.mark.parametrize("content", ["", "not json", '["a", "list"]', '{"cut": '])
def test_an_owner_with_an_unreadable_line_is_still_an_owner(path: Path, content: str) -> None:
    lock = EngineLock(path)
    assert lock.acquire({"pid": 1})
    path.write_text(content)

    assert lock.owner() == {}
    lock.release()


def test_no_file_means_no_owner(path: Path) -> None:
    assert EngineLock(path).owner() is None


@pytest.mark.parametrize("kind", ["no directory", "a link"])
def test_a_lock_that_cannot_be_opened_says_where_and_what_to_do(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "missing" / "engine.lock"
    if kind == "a link":
        path = tmp_path / "engine.lock"
        path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ChronosError, match=f"cannot open the lock file {path}: .*; check that"):
        EngineLock(path).acquire({})
    assert not (tmp_path / "elsewhere").exists()


def test_the_write_turn_belongs_to_one_process_at_a_time(path: Path) -> None:
    with another_process(HOLD_WRITE_TURN, path):
        turn = WriteTurn(path)

        assert not turn.acquire(0)
        assert not turn.acquire(0.01)
        turn.close()


def test_a_killed_writer_passes_its_turn_to_who_waits(path: Path) -> None:
    with another_process(HOLD_WRITE_TURN, path) as holder:
        turn = WriteTurn(path)
        assert not turn.acquire(0.01)
        holder.kill()

        assert turn.acquire(30)
        turn.release()
        turn.close()


def test_a_frozen_writer_ends_in_a_time_out_and_its_return_in_a_turn(path: Path) -> None:
    with another_process(HOLD_WRITE_TURN, path) as holder:
        holder.send_signal(signal.SIGSTOP)
        turn = WriteTurn(path)

        assert not turn.acquire(0.05)
        holder.send_signal(signal.SIGCONT)
        assert not turn.acquire(0)
        assert holder.stdin is not None
        holder.stdin.close()
        assert turn.acquire(30)
        turn.release()
        turn.close()


def test_a_turn_that_nobody_waits_for_any_more_is_passed_on(path: Path) -> None:
    holder, gave_up, third = WriteTurn(path), WriteTurn(path), WriteTurn(path)
    assert holder.acquire(0)
    assert not gave_up.acquire(0.01)
    holder.release()

    assert third.acquire(30)
    assert not gave_up.acquire(0)
    third.release()
    for turn in (holder, gave_up, third):
        turn.close()


def test_who_gave_up_and_comes_back_gets_the_turn(path: Path) -> None:
    holder, patient = WriteTurn(path), WriteTurn(path)
    for _ in range(20):
        assert holder.acquire(30)
        assert not patient.acquire(0.001)
        holder.release()

        assert patient.acquire(30)
        assert not holder.acquire(0)
        patient.release()
    holder.close()
    patient.close()


def test_closing_while_the_wait_still_runs_gives_up_for_good(path: Path) -> None:
    holder, waiting, third = WriteTurn(path), WriteTurn(path), WriteTurn(path)
    assert holder.acquire(0)
    assert not waiting.acquire(0.01)
    waiting.close()
    holder.release()

    assert third.acquire(30)
    third.release()
    third.close()
    holder.close()


COUNT = """
import sys
from pathlib import Path
from engine.host.locks import WriteTurn
turn, number = WriteTurn(Path(sys.argv[1])), Path(sys.argv[2])
for _ in range(300):
    assert turn.acquire(60)
    number.write_text(str(int(number.read_text()) + 1))
    turn.release()
"""


def test_turns_never_overlap(tmp_path: Path) -> None:
    number = tmp_path / "number"
    number.write_text("0")
    command = [sys.executable, "-c", COUNT, str(tmp_path / "write.lock"), str(number)]
    processes = [subprocess.Popen(command) for _ in range(4)]

    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    assert number.read_text() == "1200"


def test_locks_cost_a_cron_job_no_heavy_import() -> None:
    program = "import sys, engine.host.locks; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert not {"logging", "json", "loguru", "ssl", "email", "subprocess"} & set(loaded)
