"""A backup's rows in a schema of our own: the same rows, our schema to the letter, and nothing that is not ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import ArchiveRefused
from engine.host import children
from engine.rules.carrying import POLICIES, Policy, tables
from engine.store import adopting, migrate
from engine.store.carrying import Staged
from engine.store.opening import APPLICATION_ID
from tests.store.staging import adopted, rows, snapshot
from tests.support import START_MS, Box

_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master"


def test_every_table_has_a_policy() -> None:
    with closing(migrate.blueprint()) as ours:
        found = {row[0] for row in ours.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    behind_search = {name for name in found if name.startswith("search_")}
    assert found - behind_search == set(POLICIES)


@pytest.fixture
def backup(box: Box, tmp_path: Path) -> Path:
    for number in range(30):
        box.put(text=f"text {number}", tags=("nightly",), idempotency_key=f"key-{number}")
    for claimed in box.claim(10):
        box.finish(claimed)
    return snapshot(box.database, tmp_path / "backup.db")


def test_the_copy_has_the_same_rows(backup: Path, tmp_path: Path) -> None:
    copy = adopted(backup, tmp_path / "staged.db")
    for name in tables(*(set(Policy) - {Policy.RECOUNTED, Policy.OURS})):
        assert rows(copy, f"SELECT * FROM {name}") == rows(backup, f"SELECT * FROM {name}"), name
    assert rows(copy, "SELECT n, word FROM counts WHERE name = 'audit_head'") == rows(
        backup, "SELECT n, word FROM counts WHERE name = 'audit_head'"
    )
    assert rows(copy, "SELECT version, sha256, applied_ms FROM migrations") == rows(
        backup, "SELECT version, sha256, applied_ms FROM migrations"
    )


def test_once_it_is_guarded_its_schema_is_ours_to_the_letter(backup: Path, tmp_path: Path) -> None:
    copy = adopted(backup, tmp_path / "staged.db")
    with closing(Staged(copy)) as staged:
        staged.guard()
    with closing(migrate.blueprint()) as ours:
        assert sorted(rows(copy, _SCHEMA)) == sorted(ours.execute(_SCHEMA).fetchall())
    for pragma, value in (("application_id", APPLICATION_ID), ("user_version", migrate.latest()), ("page_size", 4096)):
        assert rows(copy, f"PRAGMA {pragma}") == [(value,)]
    assert rows(copy, "PRAGMA integrity_check") == [("ok",)]


def test_it_runs_as_a_child(backup: Path, tmp_path: Path) -> None:
    order = {"source": str(backup), "target": str(tmp_path / "staged.db"), "now_ms": START_MS}
    told: list[dict[str, int]] = []
    found = children.run(adopting.MODULE, order, on_progress=told.append, memory_bytes=512 << 20)
    assert found["schema"] == migrate.latest()
    assert found["rows"] > 100
    assert told[-1]["done"] == told[-1]["total"] == len(told)


@pytest.mark.parametrize("version", range(1, migrate.latest()))
def test_an_older_schema_is_brought_up_to_date(version: int, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as connection:
        with closing(migrate.blueprint(version)) as ours:
            ours.backup(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(
            "INSERT INTO messages (uid, state, target, lane, channel, template, subject, priority, created_ms, due_ms,"
            " cycle_ms, on_uncertain, content_hash, queued_by, size)"
            " VALUES ('msg_1', 'queued', 'hook', 'hook', 'test', '', 'old', 1, 1, 1, 1, 'ask', '', 'cli:me', 3)"
        )
        connection.commit()
    copy = adopted(old, tmp_path / "staged.db")
    assert rows(copy, "SELECT uid, state FROM messages") == [("msg_1", "queued")]
    with closing(Staged(copy)) as staged:
        staged.guard()
    with closing(migrate.blueprint()) as ours:
        assert sorted(rows(copy, _SCHEMA)) == sorted(ours.execute(_SCHEMA).fetchall())


def _newer(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA user_version = {migrate.latest() + 1}")


def _foreign(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA application_id = 7")


def _with_a_trigger(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TRIGGER evil AFTER INSERT ON meta BEGIN DELETE FROM messages; END")


def _with_a_view_for_a_table(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TABLE lanes")
    connection.execute("CREATE VIEW lanes AS SELECT * FROM meta")


def _with_a_state_that_is_none(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("UPDATE counts SET n = n")
    connection.execute("UPDATE messages SET priority = 17 WHERE id = 1")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_newer, "newer than this Chronos knows .*upgrade Chronos"),
        (_foreign, "no database of Chronos"),
        (_with_a_trigger, "another schema than ours: 'evil'"),
        (_with_a_view_for_a_table, "another schema than ours"),
        (_with_a_state_that_is_none, "a row that ours must not"),
    ],
)
def test_what_is_not_ours_is_refused(
    backup: Path, tmp_path: Path, harm: Callable[[sqlite3.Connection], None], why: str
) -> None:
    with closing(sqlite3.connect(backup)) as connection:
        harm(connection)
        connection.commit()
    with pytest.raises(ArchiveRefused, match=why):
        adopted(backup, tmp_path / "staged.db")
