"""A cockpit that asks for ownership again and again while another process has it, and takes it once that is gone."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import NotFound, NotPossible
from engine.host.locks import EngineLock
from engine.model import NewMessage, Role
from engine.store import leader
from tests.engine.test_engine import _OWNER, mail, where
from tests.store.rig import answer, running
from tests.support import PATIENCE_S, EventLog, opened_engine, settings

_MANY = 200


def _in_a_thread(work: Callable[[], object]) -> object:
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    thread.join(PATIENCE_S)
    assert answers, "it has not returned"
    return answers[0]


def _deliver_one(engine: Engine) -> None:
    uid = engine.enqueue(NewMessage("box", text="hi")).message.uid
    assert engine.wait_until_settled(uid, int(PATIENCE_S * 1000)).message.state == "delivered"


def test_asking_while_another_owns_writes_nothing_and_leaks_nothing(tmp_path: Path) -> None:
    paths = where(tmp_path)
    with opened_engine(paths, mail(tmp_path)) as engine:
        # An owner that writes nothing, not even its heartbeat: whatever is written now, we have written.
        owner = EngineLock(paths.engine_lock)
        assert owner.acquire({"pid": 7, "mode": "engine-only"})
        assert engine.start("cockpit") == Role.ATTACHED
        watch = engine.context.database.watch()
        watch.moved()
        before = (paths.engine_lock.read_bytes(), paths.engine_lock.stat().st_mtime_ns)
        held = _descriptors()
        threads = threading.active_count()

        asked = {_in_a_thread(lambda: [engine.start("cockpit") for _ in range(_MANY)][-1]) for _ in range(3)}

        assert asked == {Role.ATTACHED}
        assert _descriptors() == held
        assert threading.active_count() == threads
        assert (paths.engine_lock.read_bytes(), paths.engine_lock.stat().st_mtime_ns) == before
        assert not watch.moved()
        assert engine.owner() == {"pid": 7, "mode": "engine-only"}
        watch.close()
        owner.release()
        assert engine.start("cockpit") == Role.OWNER


def _descriptors() -> list[str]:
    return sorted(str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink())


def test_it_owns_once_the_owner_was_killed_and_delivers(tmp_path: Path) -> None:
    with running(_OWNER, tmp_path) as owner:
        assert answer(owner) == "ready"
        with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
            assert _in_a_thread(lambda: engine.start("cockpit")) == Role.ATTACHED
            owner.kill()
            owner.wait(PATIENCE_S)
            assert _in_a_thread(lambda: engine.start("cockpit")) == Role.OWNER
            assert _in_a_thread(lambda: engine.start("cockpit")) == Role.OWNER
            assert (engine.owner() or {})["pid"] == os.getpid()
            _deliver_one(engine)


def test_who_was_deposed_stops_and_starts_anew(tmp_path: Path) -> None:
    log = EventLog()
    with opened_engine(where(tmp_path), mail(tmp_path), log=log) as engine:
        assert engine.start("cockpit") == Role.OWNER
        now_ms = engine.context.clock.now_ms()
        engine.context.database.write(
            lambda tx: leader.take_over(tx, pid=1, host="box", mode="other", version="0", now_ms=now_ms)
        )
        engine.enqueue(NewMessage("box", text="wakes it"))
        ended = threading.Event()
        for _ in range(int(PATIENCE_S / 0.01)):
            if engine.ended():
                break
            ended.wait(0.01)  # a dispatcher tells the engine alone; there is nothing else to wait for
        assert engine.ended()
        assert engine.start("cockpit") == Role.OWNER, "as long as it was not stopped, nothing changes"
        assert engine.ended()
        engine.stop()
        assert engine.role == Role.ATTACHED
        assert engine.start("cockpit") == Role.OWNER
        assert not engine.ended()
        _deliver_one(engine)


def test_threads_that_start_and_stop_at_once_leave_one_owner_or_none(tmp_path: Path) -> None:
    with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
        barrier = threading.Barrier(4)
        failed: list[BaseException] = []

        def run(number: int) -> None:
            barrier.wait(PATIENCE_S)
            try:
                for _ in range(5):
                    if number % 2:
                        engine.start("cockpit")
                    else:
                        engine.stop()
            except BaseException as error:  # noqa: BLE001 - judged below
                failed.append(error)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert not failed
        assert engine.start("cockpit") == Role.OWNER
        assert sum(thread.name == "dispatcher" for thread in threading.enumerate()) == 1
        _deliver_one(engine)


def test_a_closed_engine_never_owns_again(tmp_path: Path) -> None:
    with opened_engine(where(tmp_path), mail(tmp_path)) as engine:
        engine.start("cockpit")
        engine.close()
        assert engine.start("cockpit") == Role.ATTACHED
        with opened_engine(where(tmp_path), mail(tmp_path)) as other:
            assert other.start("next") == Role.OWNER


def test_read_only_never_owns(tmp_path: Path) -> None:
    with opened_engine(where(tmp_path), mail(tmp_path)):
        pass
    with opened_engine(where(tmp_path), mail(tmp_path), read_only=True) as engine:
        assert engine.start("cockpit") == Role.ATTACHED
        assert engine.owner() is None
        with pytest.raises(NotPossible, match="read-only"):
            engine.resume()


def test_read_only_makes_no_database_and_changes_no_older_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such database"), opened_engine(where(tmp_path), read_only=True):
        pass
    database = where(tmp_path).database
    assert not database.exists()
    with opened_engine(where(tmp_path)):
        pass
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {version - 1}")
    with pytest.raises(NotPossible, match="read-only it is not brought up to date"):
        Engine.open(where(tmp_path), {}, actor="test:me", settings=settings(), read_only=True)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (version - 1,)
