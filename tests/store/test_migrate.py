"""The schema: made by migrations alone, forward only, and its triggers hold what the rules say."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path

import pytest
import sqlite_utils

from engine.errors import ChronosError, DatabaseUnusable
from engine.model import State
from engine.rules.states import TRANSITIONS
from engine.store import audit, migrate
from engine.store.audit import Span
from engine.store.database import Database
from tests.store import schema
from tests.store.rig import put
from tests.support import START_MS, Box, open_database


def test_schema_sql_equals_the_sum_of_the_migrations() -> None:
    assert schema.FILE.read_text() == schema.migrated(), "run: python -m tests.store.schema"


def test_migrations_are_numbered_without_a_gap_and_recorded_with_their_digest(database: Database) -> None:
    known = migrate.known()
    assert [version for version, _name, _file in known] == list(range(1, len(known) + 1))
    assert migrate.version(database) == migrate.latest() == len(known)
    tables = sqlite_utils.Database(database.path)
    try:
        rows = list(tables.table("migrations").rows)
    finally:
        tables.close()
    assert [(row["version"], row["name"], row["applied_ms"]) for row in rows] == [
        (version, name, START_MS) for version, name, _file in known
    ]
    assert all(len(row["sha256"]) == 64 for row in rows)


def test_migrating_again_does_nothing(database: Database) -> None:
    assert migrate.migrate(database, START_MS + 1) == 0


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    database = open_database(tmp_path, migrated=False)
    try:
        with pytest.raises(ChronosError, match="the power went"):
            database.change_schema(_half_a_migration)
        assert migrate.version(database) == 0
        assert database.inspect(lambda connection: connection.execute("SELECT * FROM sqlite_master").fetchall()) == []
        assert migrate.migrate(database, START_MS) == migrate.latest()
    finally:
        database.close()


def _half_a_migration(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE half (id INTEGER)")
    connection.execute("PRAGMA user_version = 9")
    raise sqlite3.OperationalError("the power went")


def test_a_database_of_a_newer_chronos_is_refused_and_left_alone(tmp_path: Path) -> None:
    newer = migrate.latest() + 1
    database = open_database(tmp_path)
    database.outside_transaction(lambda connection: connection.execute(f"PRAGMA user_version = {newer}"))
    try:
        with pytest.raises(DatabaseUnusable, match=rf"schema {newer} is newer .*; upgrade Chronos"):
            migrate.migrate(database, START_MS)
        assert migrate.version(database) == newer
    finally:
        database.close()


@pytest.mark.parametrize("before", list(State))
def test_the_database_allows_exactly_the_steps_of_the_state_machine(tmp_path: Path, before: State) -> None:
    database = open_database(tmp_path)
    database.close()
    connection = sqlite3.connect(tmp_path / "chronos.db", isolation_level=None)
    try:
        allowed = {after for after in State if after != before and _step(connection, before, after)}
    finally:
        connection.close()
    assert allowed == {after for old, after in TRANSITIONS if old == before}


_numbers = itertools.count(1)


def _step(connection: sqlite3.Connection, before: State, after: State) -> bool:
    """Insert a message that stands in `before`, and try to put it into `after`."""
    number = next(_numbers)
    connection.execute(
        "INSERT INTO messages (uid, state, target, lane, channel, template, subject, priority, created_ms, due_ms,"
        " cycle_ms, on_uncertain, content_hash, queued_by, size, lease_until_ms, finished_ms)"
        " VALUES (:uid, :state, '', '', '', '', '', 1, 0, 0, 0, 'ask', '', '', 0, :lease, :finished)",
        {"uid": f"msg_{number}", "state": before.value, **_columns(before)},
    )
    try:
        connection.execute(
            "UPDATE messages SET state = :state, lease_until_ms = :lease, finished_ms = :finished WHERE uid = :uid",
            {"uid": f"msg_{number}", "state": after.value, **_columns(after)},
        )
    except sqlite3.IntegrityError as error:
        if "illegal transition" not in str(error):
            raise
        return False
    return True


def _columns(state: State) -> dict[str, int | None]:
    final = {State.DELIVERED, State.DEAD, State.CANCELLED, State.EXPIRED}
    return {"lease": 1 if state == State.SENDING else None, "finished": 1 if state in final else None}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET body = '{}' WHERE seq = 1",
        "UPDATE audit SET seq = 7 WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit",
        "REPLACE INTO audit (seq, body, hash) VALUES (1, '{}', '')",
    ],
)
def test_the_audit_log_cannot_be_rewritten_by_a_statement(box: Box, statement: str) -> None:
    box.put()
    box.put()
    before = box.database.read(lambda tx: audit.walk(tx, Span(0, 10), [], upwards=True))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        box.database.write(lambda tx: tx.search(statement, {}))
    assert box.database.read(lambda tx: audit.walk(tx, Span(0, 10), [], upwards=True)) == before


def test_what_was_archived_may_be_pruned(box: Box) -> None:
    box.put()
    box.put()
    put(box.database, "audit_pruned_seq", "1")
    box.database.write(lambda tx: tx.search("DELETE FROM audit WHERE seq = 1", {}))
    assert [entry.seq for entry in box.database.read(lambda tx: audit.walk(tx, Span(0, 10), [], upwards=True))] == [2]
