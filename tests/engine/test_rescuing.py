"""A restore where there is no database that opens, on a clean machine, and where it was killed in the middle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import AlreadyOwned, ArchiveForged, ArchiveRefused, DatabaseUnusable
from engine.host.locks import EngineLock
from engine.host.paths import paths
from engine.host.scratch import sweep
from engine.operations import checkpointing, secrets
from engine.operations.restore import restoring
from engine.operations.restore.staging import SCRATCH
from tests.engine.restores import fingerprint, opened_site, rescue
from tests.store.rig import ROOT
from tests.support import EventLog, FakeClock, settings


@pytest.fixture
def lost(tmp_path: Path) -> tuple[Path, Path, FakeClock]:
    """A data directory, closed, and a backup of it from before its last deliveries: (directory, archive, clock)."""
    clock = FakeClock()
    directory = tmp_path / "data"
    with opened_site(directory, clock=clock) as site:
        site.make_vault()
        secrets.set_secret(site.context, "smtp", "hunter2 hunter2")
        for number in range(5):
            site.put(text=f"before {number}")
        site.deliver()
        for number in range(5):
            site.put(text=f"waits {number}")
        site.claim(1)
        file = site.back_up()
        site.deliver()
        site.put(text="late")
        kept = tmp_path / "kept"
        kept.mkdir()
        file = Path(shutil.copy(file, kept))
    clock.advance_ms(60_000)
    return directory, file, clock


def gone(database: Path) -> None:
    database.unlink()


def truncated(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 3)


def another_programs(database: Path) -> None:
    database.unlink()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
        connection.execute("PRAGMA application_id = 42")


def no_database(database: Path) -> None:
    database.write_bytes(b"#!/bin/sh\necho hello\n" * 500)


def with_a_log(database: Path) -> None:
    no_database(database)
    database.with_name(f"{database.name}-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(4096))
    database.with_name(f"{database.name}-shm").write_bytes(bytes(32768))


@pytest.mark.parametrize("harm", [gone, truncated, another_programs, no_database, with_a_log])
def test_a_lost_database_is_replaced_and_nothing_is_sent(
    lost: tuple[Path, Path, FakeClock], harm: Callable[[Path], None]
) -> None:
    directory, file, clock = lost
    where = paths(str(directory), None, {})
    for companion in ("-wal", "-shm"):
        where.database.with_name(f"{where.database.name}{companion}").unlink(missing_ok=True)
    harm(where.database)
    was = where.database.read_bytes() if where.database.exists() else None
    before = fingerprint(directory)

    plan = restoring.plan_without(where, settings(), {}, file, actor="test:me", clock=clock, log=EventLog())

    assert fingerprint(directory) == before
    assert plan.relation == "destroyed"
    assert plan.authenticity == "confirmed"
    done = rescue(where, file, clock)
    assert done.plan.states == plan.states
    assert [one.uid for one in done.held] == [one.uid for one in plan.held]
    assert {one.was for one in done.held} == {"queued", "sending"}
    aside = list(directory.glob("damaged-*/chronos.db"))
    assert [path.read_bytes() for path in aside] == ([] if was is None else [was])
    with opened_site(directory, clock=clock) as site:
        assert site.states() == {"delivered": 5, "held": 5}
        assert site.claim() == []
        assert secrets.look_up(site.context, "secret:smtp") == "hunter2 hunter2"
        rows = site.rows("SELECT body FROM audit WHERE action = 'restore.applied'")
        detail = json.loads(rows[0][0])["detail"]
        assert (detail["relation"], detail["held"]) == ("destroyed", {"queued": 4, "sending": 1})
        site.sound()


def test_the_log_of_the_old_database_is_not_played_back_into_the_new_one(tmp_path: Path) -> None:
    clock = FakeClock()
    directory = tmp_path / "data"
    with opened_site(directory, clock=clock) as site:
        site.put(text="then")
        file = Path(shutil.copy(site.back_up(), tmp_path))
        site.database.checkpoint(truncate=True)
        site.deliver()
        for number in range(50):
            site.put(text=f"since {number}" * 100)
        log = Path(shutil.copy(f"{site.paths.database}-wal", tmp_path))
    where = paths(str(directory), None, {})
    no_database(where.database)
    shutil.copy(log, f"{where.database}-wal")
    rescue(where, file, clock)
    (aside,) = directory.glob("damaged-*")
    assert (aside / "chronos.db-wal").read_bytes() == log.read_bytes()
    with opened_site(directory, clock=clock) as site:
        assert site.states() == {"held": 1}
        site.sound()


def test_what_was_signed_and_is_lost_is_named(lost: tuple[Path, Path, FakeClock]) -> None:
    directory, file, clock = lost
    with opened_site(directory, clock=clock) as site:
        newest = checkpointing.make(site.context)
    where = paths(str(directory), None, {})
    for path in directory.glob("chronos.db*"):
        path.unlink()
    rescue(where, file, clock)
    assert len(list(directory.glob("audit-head.before-*.json"))) == 1
    with opened_site(directory, clock=clock) as site:
        detail = json.loads(site.rows("SELECT body FROM audit WHERE action = 'restore.applied'")[0][0])["detail"]
        first, last = map(int, detail["missing"].split("-"))
        assert (first, last) == (detail["backup_seq"] + 1, newest.seq)
        site.sound()


def test_an_empty_file_is_an_empty_outbox(lost: tuple[Path, Path, FakeClock]) -> None:
    directory, file, clock = lost
    for path in directory.glob("chronos.db*"):
        path.unlink()
    (directory / "chronos.db").touch()
    with opened_site(directory, clock=clock) as site:
        done = site.apply(file)
        assert done.plan.relation == "empty"
        assert site.states() == {"delivered": 5, "held": 5}
        site.sound()


def test_on_a_clean_machine(lost: tuple[Path, Path, FakeClock], tmp_path: Path) -> None:
    """Nothing is known there: it is restored with a warning, and its vault waits for the recovery kit."""
    _directory, file, clock = lost
    where = paths(str(tmp_path / "fresh"), None, {})
    done = rescue(where, file, clock)
    assert done.plan.authenticity == "unknown_key"
    assert any("not known here" in warning for warning in done.plan.warnings)
    assert any("vault does not open" in warning for warning in done.plan.warnings)
    assert any("recovery kit" in note for note in done.notes)
    with opened_site(where.data_dir, clock=clock) as site:
        assert site.states() == {"delivered": 5, "held": 5}
        site.sound()
    assert done.held_total == 5


def test_not_while_an_engine_runs(lost: tuple[Path, Path, FakeClock]) -> None:
    directory, file, clock = lost
    where = paths(str(directory), None, {})
    lock = EngineLock(where.engine_lock)
    assert lock.acquire({"pid": os.getpid()})
    before = fingerprint(directory)
    with pytest.raises(AlreadyOwned, match="stop it first"):
        rescue(where, file, clock)
    assert fingerprint(directory) == before
    lock.release()


def test_a_damaged_archive_leaves_everything_as_it_was(lost: tuple[Path, Path, FakeClock]) -> None:
    directory, file, clock = lost
    where = paths(str(directory), None, {})
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    no_database(where.database)
    before = fingerprint(directory)
    with pytest.raises(ArchiveRefused):
        rescue(where, file, clock)
    assert fingerprint(directory) == before


def test_a_swapped_archive_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    clock = FakeClock()
    with opened_site(tmp_path / "data", clock=clock) as site:
        site.put()
        first = site.back_up()
        key = site.directory / "backup-signing.key"
        ours = key.read_bytes()
        key.write_text("11" * 32)
        forged = site.back_up()
        key.write_bytes(ours)
        assert site.plan(first).authenticity == "confirmed"
        before = site.states()
        with pytest.raises(ArchiveForged):
            site.apply(forged)
        assert site.states() == before


def test_a_database_that_is_damaged_inside_is_said_to_be(tmp_path: Path) -> None:
    """Then whoever asked comes again by rescue; what was open stays as it is."""
    clock = FakeClock()
    directory = tmp_path / "data"
    with opened_site(directory, clock=clock) as site:
        for number in range(400):
            site.put(text="x" * 500 + str(number))
        file = site.back_up()
        file = Path(shutil.copy(file, tmp_path))
        site.database.checkpoint(truncate=True)
    database = directory / "chronos.db"
    with closing(sqlite3.connect(database)) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'bodies'").fetchone()[0]
    with database.open("r+b") as stream:
        stream.seek((page - 1) * 4096)
        stream.write(b"\xff" * 4096)
    with opened_site(directory, clock=clock) as site, pytest.raises(DatabaseUnusable):
        site.apply(file)
    done = rescue(paths(str(directory), None, {}), file, clock)
    assert done.held_total == 400
    with opened_site(directory, clock=clock) as site:
        assert site.states() == {"held": 400}
        site.sound()


# Killed


_KILLED = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from tests.engine.restores import opened_site
directory, file, point = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def report(stage, _done, _total):
    if stage.startswith(point):
        die()

@contextmanager
def quiesce():
    yield
    if point == "after the swap":
        die()

with opened_site(directory) as site:
    site.apply(file, quiesce=quiesce, report=report)
"""

POINTS = ["unpacking", "judging", "copying rows", "carrying", "draining", "putting it in place", "after the swap"]


@pytest.mark.parametrize("point", POINTS)
def test_killed_it_is_entirely_old_or_entirely_new(lost: tuple[Path, Path, FakeClock], point: str) -> None:
    directory, file, clock = lost
    arguments = [sys.executable, "-c", _KILLED, str(directory), str(file), point]
    found = subprocess.run(arguments, cwd=ROOT, capture_output=True, check=False)
    assert found.returncode == -signal.SIGKILL, found.stderr.decode()
    with opened_site(directory, clock=clock) as site:
        old, new = {"delivered": 9, "sending": 1, "queued": 1}, {"delivered": 9, "held": 2}
        assert sweep(directory, SCRATCH) == 1
        assert site.states() == (new if point == "after the swap" else old)
        site.sound()
        # Whatever was left, it works the second time.
        clock.advance_ms(5_000)
        site.apply(file)
        assert site.states() == new
        site.sound()


def test_a_swap_of_files_that_was_cut_off_opens_for_nobody_and_is_done_again(
    lost: tuple[Path, Path, FakeClock],
) -> None:
    directory, file, clock = lost
    where = paths(str(directory), None, {})
    where.database.write_bytes(b"A restore was cut off here. Run 'chronos restore apply' again\n")
    for companion in ("-wal", "-shm"):
        where.database.with_name(f"{where.database.name}{companion}").unlink(missing_ok=True)
    with pytest.raises(DatabaseUnusable):
        Engine.open(where, {}, actor="test:me", settings=settings())
    rescue(where, file, clock)
    with opened_site(directory, clock=clock) as site:
        assert site.states() == {"delivered": 5, "held": 5}
        site.sound()
