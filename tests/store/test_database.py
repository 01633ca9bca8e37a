"""The promises of store/database.py: what is acknowledged is stored, what failed is not, and nobody starves."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils

from engine.errors import (
    ChronosError,
    DatabaseBusy,
    DatabaseUnusable,
    DeadlineExceeded,
    Degraded,
    NotFound,
    StorageFull,
)
from engine.host.locks import WriteTurn
from engine.store import migrate
from engine.store.database import Database
from engine.store.opening import APPLICATION_ID, PAGE_BYTES
from engine.store.tx import Tx
from tests.store.rig import add, answer, get, look, put, run, spawn, tell
from tests.support import PATIENCE_S, SKIP_NOTHING, open_database


def _pragma(database: Database, name: str) -> Any:
    return database.outside_transaction(lambda connection: connection.execute(f"PRAGMA {name}").fetchone()[0])


@contextmanager
def _foreign_lock(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody with the sqlite3 shell in the middle of a transaction."""
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield other
    finally:
        other.close()


# Opening


def test_a_fresh_database_is_durable_and_ours(database: Database) -> None:
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "page_size": PAGE_BYTES,
        "application_id": APPLICATION_ID,
        "wal_autocheckpoint": 0,
    }
    assert {name: _pragma(database, name) for name in wanted} == wanted


def test_only_the_user_may_read_the_files(database: Database) -> None:
    put(database, "a")
    modes = {path.name: path.stat().st_mode & 0o777 for path in database.path.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes


def test_a_database_that_was_turned_to_another_journal_is_wal_again_after_opening(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    with sqlite3.connect(tmp_path / "chronos.db") as other:
        other.execute("PRAGMA journal_mode = DELETE")
    other.close()
    again = open_database(tmp_path)
    try:
        assert _pragma(again, "journal_mode") == "wal"
    finally:
        again.close()


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "chronos.db"
    foreign = sqlite_utils.Database(path)
    foreign.table("notes").insert({"id": 1, "text": "mine"})
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(DatabaseUnusable, match="another program; choose another data directory"):
        open_database(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read as one" * 100, b"\0" * 4096])
def test_a_file_that_is_no_database_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "chronos.db").write_bytes(content)
    with pytest.raises(DatabaseUnusable, match=r"chronos\.db: .*(restore a backup|another data directory)"):
        open_database(tmp_path)


def test_a_damaged_page_is_named_with_what_to_do(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    for number in range(200):
        put(database, f"key-{number}", "x" * 500)
    database.checkpoint(truncate=True)
    database.close()
    path = tmp_path / "chronos.db"
    content = bytearray(path.read_bytes())
    schema_pages = 30  # what the schema takes is left whole: the damage must be met while reading rows
    content[schema_pages * PAGE_BYTES :] = os.urandom(len(content) - schema_pages * PAGE_BYTES)
    path.write_bytes(content)
    with pytest.raises(DatabaseUnusable, match="keep a copy and restore a backup"):
        _read_all(tmp_path)


def _read_all(directory: Path) -> None:
    damaged = open_database(directory)
    try:
        for number in range(200):
            get(damaged, f"key-{number}")
    finally:
        damaged.close()


def test_four_processes_that_open_a_new_data_directory_at_once_all_succeed(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from tests.support import open_database
        from tests.store.rig import put
        print("ready", flush=True)
        sys.stdin.readline()
        database = open_database(Path(sys.argv[1]))
        put(database, sys.argv[2])
        database.close()
        print("done", flush=True)
    """
    for round_no in range(3):
        directory = tmp_path / str(round_no)
        directory.mkdir()
        processes = [spawn(code, directory, f"by-{number}") for number in range(4)]
        for process in processes:
            assert answer(process) == "ready"
        for process in processes:
            tell(process)
        for process in processes:
            out, _ = process.communicate(timeout=60)
            assert (process.returncode, out) == (0, "done\n")
        database = open_database(directory)
        try:
            assert [get(database, f"by-{number}") for number in range(4)] == ["1"] * 4
            ran = database.read(lambda tx: tx.search("SELECT version FROM migrations", {}))
            assert ran == [(version,) for version, _name, _file in migrate.known()]
        finally:
            database.close()


# Writing


def test_a_write_that_returned_is_seen_by_another_process(database: Database) -> None:
    put(database, "a", "stored")
    code = """
        import json, sqlite3, sys
        row = sqlite3.connect(sys.argv[1]).execute("SELECT value FROM meta WHERE key = 'a'").fetchone()
        print(json.dumps(row))
    """
    assert run(code, database.path) == ["stored"]


def test_what_failed_stores_nothing_and_harms_nobody(database: Database) -> None:
    def work(tx: Tx) -> None:
        add(tx, "mine")
        raise NotFound("no such thing")

    with pytest.raises(NotFound):
        database.write(work)
    put(database, "after")
    assert (get(database, "mine"), get(database, "after")) == (None, "1")


class _Crowd:
    """Threads that are all in the queue for the next commit when it begins."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.inside = threading.Event()
        self.release = threading.Event()

    def _hold_the_door(self, tx: Tx) -> None:
        self.inside.set()
        assert self.release.wait(PATIENCE_S)

    def run(self, works: list[Any]) -> list[Any]:
        """Queue all of them behind one transaction that waits; return results and errors."""
        waiting = self.database._combiner._waiting
        with ThreadPoolExecutor(len(works) + 1) as pool:
            door = pool.submit(self.database.write, self._hold_the_door)
            assert self.inside.wait(PATIENCE_S)
            futures = [pool.submit(self.database.write, work) for work in works]
            queued = threading.Event()
            while len(waiting) < len(works):
                queued.wait(0.001)
            self.release.set()
            door.result()
            return [future.exception() or future.result() for future in futures]


def test_one_statement_is_read_without_a_transaction_of_its_own(database: Database) -> None:
    put(database, "a")

    def begun(tx: Tx) -> tuple[str | None, bool]:
        return look(tx, "a"), tx._connection.in_transaction

    assert database.read(begun, single=True) == ("1", False)
    assert database.read(begun) == ("1", True)


def test_threads_that_wait_together_share_one_commit(database: Database) -> None:
    commits: list[str] = []
    database.outside_transaction(lambda connection: connection.set_trace_callback(commits.append))
    results = _Crowd(database).run([lambda tx, n=n: add(tx, f"key-{n}") for n in range(50)])
    database.outside_transaction(lambda connection: connection.set_trace_callback(None))
    assert results == [None] * 50
    assert sum(statement == "COMMIT" for statement in commits) == 2, "the one that held the door, and one for all"
    assert [get(database, f"key-{n}") for n in range(50)] == ["1"] * 50


def test_one_threads_failure_does_not_touch_the_others_in_the_same_commit(database: Database) -> None:
    def fails(tx: Tx) -> None:
        add(tx, "lost")
        raise NotFound("mine alone")

    def breaks_a_rule(tx: Tx) -> None:
        add(tx, "lost")
        tx.run("audit.append", {"seq": 1, "body": "{}", "hash": ""})
        tx.run("audit.append", {"seq": 1, "body": "{}", "hash": ""})

    def good(tx: Tx) -> str:
        add(tx, "kept")
        return "ok"

    results = _Crowd(database).run([good, fails, good, breaks_a_rule, good])
    assert [result if result == "ok" else type(result) for result in results] == [
        "ok",
        NotFound,
        "ok",
        sqlite3.IntegrityError,
        "ok",
    ]
    assert (get(database, "kept"), get(database, "lost")) == ("3", None)


def test_what_stops_the_leader_acknowledges_nobody(tmp_path: Path) -> None:
    """Regression: Ctrl-C in the thread that led a group rolled it back, and the others were told that it was stored."""
    turn = _InterruptedTurn(tmp_path / "write.lock")
    opened = open_database(tmp_path)
    opened.close()
    database = Database(tmp_path / "chronos.db", turn=turn, degraded_marker=tmp_path / "DEGRADED")

    def good(tx: Tx) -> str:
        add(tx, "kept")
        return "ok"

    def interrupts(tx: Tx) -> None:
        raise KeyboardInterrupt

    try:
        results = _Crowd(database).run([good, good, interrupts])
        stored = int(get(database, "kept") or 0)
        assert results.count("ok") == stored
        turn.broken = True
        with pytest.raises(KeyboardInterrupt):
            put(database, "a")
        turn.broken = False
        put(database, "a")
    finally:
        database.close()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt, also where a shell started the tests in the background and had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("others", [0, 3])
def test_a_thread_that_is_interrupted_while_it_waits_holds_nobody_up(database: Database, others: int) -> None:
    """Regression: the lead was handed to it, and every later write waited for ever."""
    crowd = _Crowd(database)
    waiting = database._combiner._waiting
    queued = threading.Event()

    def interrupt_when(n: int) -> None:
        while len(waiting) < n:
            queued.wait(0.001)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with ThreadPoolExecutor(8) as pool:
        door = pool.submit(database.write, crowd._hold_the_door)
        assert crowd.inside.wait(PATIENCE_S)
        helper = pool.submit(interrupt_when, 1)
        with pytest.raises(KeyboardInterrupt):
            put(database, "withdrawn")
        helper.result()
        later = [pool.submit(put, database, f"later-{n}") for n in range(others)]
        while len(waiting) < others:
            queued.wait(0.001)
        crowd.release.set()
        door.result()
        for one in later:
            one.result(PATIENCE_S)
    put(database, "at last")
    assert (get(database, "withdrawn"), get(database, "at last")) == (None, "1")
    assert [get(database, f"later-{n}") for n in range(others)] == ["1"] * others


def test_a_read_sees_one_moment(database: Database) -> None:
    def work(tx: Tx) -> list[str | None]:
        before = look(tx, "a")
        put(database, "a")
        return [before, look(tx, "a")]

    assert database.read(work) == [None, None]
    assert get(database, "a") == "1"


class _InterruptedTurn(WriteTurn):
    """A turn whose wait is interrupted by the user."""

    broken = False

    def acquire(self, timeout_s: float) -> bool:
        if self.broken:
            raise KeyboardInterrupt
        return super().acquire(timeout_s)


def test_two_connections_that_race_are_never_told_busy_snapshot(tmp_path: Path) -> None:
    """A deferred BEGIN that reads and then writes gives SQLITE_BUSY_SNAPSHOT at once, whatever the time-out."""
    ours, theirs = open_database(tmp_path), open_database(tmp_path, owner=False)
    try:
        with ThreadPoolExecutor(4) as pool:
            futures = [
                pool.submit(database.write, lambda tx: add(tx, "n")) for _ in range(100) for database in (ours, theirs)
            ]
            for future in futures:
                future.result()
        assert get(ours, "n") == "200"
    finally:
        ours.close()
        theirs.close()


def test_four_processes_write_at_once_and_nobody_is_starved(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    code = """
        import json, sys, time
        from pathlib import Path
        from tests.support import open_database
        from tests.store.rig import add
        database = open_database(Path(sys.argv[1]))
        print("ready", flush=True)
        sys.stdin.readline()
        n, over = 0, time.monotonic() + 1.5
        while time.monotonic() < over:
            database.write(lambda tx: add(tx, "n"))
            n += 1
        database.close()
        print(json.dumps(n))
    """
    processes = [spawn(code, tmp_path) for _ in range(4)]
    for process in processes:
        assert answer(process) == "ready"
    for process in processes:
        tell(process)
    turns = []
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        turns.append(json.loads(out))
    database = open_database(tmp_path)
    try:
        assert get(database, "n") == str(sum(turns))
    finally:
        database.close()
    assert min(turns) >= max(turns) / 4, f"SQLite's own busy handler gives 1690/1/1/1: {turns}"


def test_a_lock_that_somebody_else_keeps_is_told_as_busy_and_stores_nothing(tmp_path: Path) -> None:
    database = open_database(tmp_path, busy_ms=50)
    try:
        with _foreign_lock(database.path):
            with pytest.raises(DatabaseBusy, match="nothing was stored, try again"):
                put(database, "a")
            assert get(database, "a") is None, "reading goes on"
        put(database, "b")
        assert (get(database, "a"), get(database, "b")) == (None, "1")
    finally:
        database.close()


def test_a_process_that_keeps_the_turn_is_told_as_busy(tmp_path: Path) -> None:
    database = open_database(tmp_path, busy_ms=50)
    turn = WriteTurn(tmp_path / "write.lock")
    try:
        assert turn.acquire(1.0)
        with pytest.raises(DatabaseBusy, match="another process has been writing"):
            put(database, "a")
        turn.release()
        put(database, "a")
    finally:
        turn.close()
        database.close()


# Deadlines, bounds, damage

_FOREVER = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_a_statement_past_its_deadline_is_stopped_and_the_connection_goes_on(tmp_path: Path) -> None:
    database = open_database(tmp_path, statement_ms=50, max_connections=3)
    try:
        with pytest.raises(DeadlineExceeded):
            database.read(lambda tx: tx.search(_FOREVER, {}))

        def work(tx: Tx) -> None:
            add(tx, "lost")
            tx.search(_FOREVER, {})

        with pytest.raises(DeadlineExceeded):
            database.write(work)
        put(database, "a")
        assert (get(database, "a"), get(database, "lost")) == ("1", None)
    finally:
        database.close()


def test_no_more_connections_than_allowed(tmp_path: Path) -> None:
    database = open_database(tmp_path, busy_ms=50, max_connections=4)
    inside, leave = threading.Barrier(3), threading.Event()

    def work(tx: Tx) -> None:
        inside.wait(PATIENCE_S)
        assert leave.wait(PATIENCE_S)

    try:
        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(database.read, work) for _ in range(2)]
            inside.wait(PATIENCE_S)
            with pytest.raises(DatabaseBusy, match="connections are busy"):
                get(database, "a")
            leave.set()
            for reader in readers:
                reader.result()
        assert get(database, "a") is None
    finally:
        database.close()


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(ChronosError, match="readonly"):
        database.read(lambda tx: add(tx, "a"))


def test_only_the_owner_moves_the_log_into_the_database(tmp_path: Path) -> None:
    owner, other = open_database(tmp_path), open_database(tmp_path, owner=False)
    try:
        put(other, "a", "x" * 50_000)
        before = (tmp_path / "chronos.db").stat().st_size
        other.checkpoint(truncate=True)
        assert (tmp_path / "chronos.db").stat().st_size == before
        assert other.wal_bytes > 50_000
        owner.checkpoint(truncate=True)
        assert owner.wal_bytes == 0
        other.allow_checkpoints()
        put(other, "b", "x" * 50_000)
        other.checkpoint(truncate=True)
        assert other.wal_bytes == 0
    finally:
        owner.close()
        other.close()


def test_a_file_that_was_replaced_is_followed_by_everybody(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    replacement = open_database(fresh)
    put(replacement, "which", "the new one")
    replacement.checkpoint(truncate=True)
    replacement.close()
    watch = database.watch()
    try:
        put(database, "which", "the old one")
        database.checkpoint(truncate=True)
        assert watch.moved()
        assert not watch.moved()
        (fresh / "chronos.db").replace(tmp_path / "chronos.db")
        assert get(database, "which") == "the new one"
        assert watch.moved()
        put(database, "since")
        assert watch.moved(), "the watch sees commits in the new file"
        assert not watch.moved()
        put(database, "since", "2")
        assert watch.moved()
        assert get(database, "since") == "2"
    finally:
        watch.close()
        database.close()
    with sqlite3.connect(tmp_path / "chronos.db") as alone:
        assert alone.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        stored = dict(alone.execute("SELECT key, value FROM meta WHERE key IN ('which', 'since')"))
    alone.close()
    assert stored == {"which": "the new one", "since": "2"}


def test_a_file_that_was_taken_away_is_told_in_one_line(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    try:
        (tmp_path / "chronos.db").unlink()
        with pytest.raises(DatabaseUnusable, match="is gone"):
            put(database, "a")
        with pytest.raises(DatabaseUnusable, match="is gone"):
            get(database, "a")
    finally:
        database.close()


def test_close_twice_and_a_write_after_it_is_refused(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    database.close()
    database.close()
    with pytest.raises(ChronosError):
        put(database, "a")


def test_close_lets_a_write_under_way_go_first(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    begun, closing = threading.Event(), threading.Event()

    def work(tx: Tx) -> None:
        begun.set()
        assert closing.wait(PATIENCE_S)
        for _ in range(200):
            add(tx, "count")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(database.write, work)
        assert begun.wait(PATIENCE_S)
        threading.Timer(0.05, closing.set).start()
        database.close()
        writing.result(PATIENCE_S)
    again = open_database(tmp_path)
    assert get(again, "count") == "200"
    again.close()


# Full disks


def test_a_full_database_refuses_and_recovers(database: Database) -> None:
    """SQLite's own limit stands for the quota: the code (SQLITE_FULL) is the same."""
    put(database, "before")
    pages = _pragma(database, "page_count")
    _pragma(database, f"max_page_count = {pages + 2}")
    with pytest.raises(StorageFull, match="nothing was stored, free some space"):
        put(database, "big", "x" * 100_000)
    assert (get(database, "big"), database.degraded) == (None, False)
    _pragma(database, "max_page_count = 1000000")
    put(database, "big", "x" * 100_000)
    assert get(database, "before") == "1"


_ON_A_SMALL_DISK = """
    import json, os, sys
    from pathlib import Path
    from engine.errors import ChronosError
    from tests.support import open_database
    from tests.store.rig import get, put
    disk = Path(sys.argv[1])
    ballast = disk / "ballast"

    def fill():
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    said = []
    def attempt(what, act):
        try:
            act()
            said.append([what, "ok"])
        except ChronosError as error:
            said.append([what, type(error).__name__])

    if sys.argv[2] == "from the start":
        fill()
        attempt("open", lambda: open_database(disk).close())
        ballast.unlink()
    database = open_database(disk)
    acknowledged = []
    def take(key):
        attempt("put", lambda: put(database, key, "y" * 20_000))
        if said[-1][1] == "ok":
            acknowledged.append(key)
    take("before")
    fill()
    for number in range(10):
        take(f"full-{number}")
    attempt("checkpoint", lambda: database.checkpoint())
    ballast.unlink()
    take("after")
    database.close()
    database = open_database(disk)
    stored = [key for key in ["before", *(f"full-{n}" for n in range(10)), "after"] if get(database, key)]
    print(json.dumps({"said": said, "acknowledged": acknowledged, "stored": stored, "degraded": database.degraded}))
"""


@pytest.mark.parametrize("when", ["from the start", "later"])
def test_a_full_disk_acknowledges_nothing_and_recovers_when_there_is_space(tmp_path: Path, when: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ("unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=2m tmpfs {disk} && exec "$0" "$@"')
    if not SKIP_NOTHING and subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("no user namespaces here")
    found = run(_ON_A_SMALL_DISK, disk, when, command=mount)
    words = {what: [said for asked, said in found["said"] if asked == what] for what in ("open", "put")}
    assert set(words["open"]) <= {"StorageFull"}
    assert set(words["put"]) == {"ok", "StorageFull"}, found["said"]
    assert words["put"][0] == "ok"
    assert words["put"][-1] == "ok", "there is space again"
    assert found["stored"] == found["acknowledged"]
    assert found["degraded"] is False, "a full disk is not a failed one"


def test_a_marker_left_by_another_process_refuses_here_too(database: Database) -> None:
    (database.path.parent / "DEGRADED").write_text("{}\n")
    with pytest.raises(Degraded, match="chronos doctor --fix"):
        put(database, "a")
    assert get(database, "a") is None
    assert database.degraded
