"""Data directories with very many messages, made by a few statements; copied by SQLite's backup, never as files."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.interfaces.program import Box

CONFIG = """\
environment: development
targets:
  ops: {channel: webhook, url: "http://127.0.0.1:9/"}
  box: {channel: maildir, path: mail}
"""

# Every state but "sending"; what waits is due in three days, so that whoever delivers has nothing to do.
_MESSAGES = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
INSERT INTO messages (uid, state, target, lane, channel, template, subject, priority, created_ms, due_ms, finished_ms,
                      attempts, cycle_ms, on_uncertain, content_hash, queued_by, last_code, last_word, state_reason,
                      size)
SELECT printf('msg_%032x', i), state, CASE WHEN i % 5 = 0 THEN 'box' ELSE 'ops' END,
       CASE WHEN i % 5 = 0 THEN 'box' ELSE 'ops' END, CASE WHEN i % 5 = 0 THEN 'maildir' ELSE 'webhook' END,
       '', printf('report %d of host-%d', i, i % 97), 1,
       :now_ms - (:rows - i) * 10, CASE WHEN state = 'queued' THEN :now_ms + 259200000 ELSE :now_ms END,
       CASE WHEN state IN ('delivered', 'dead', 'cancelled', 'expired') THEN :now_ms - (:rows - i) * 10 + 5 END,
       CASE WHEN state IN ('delivered', 'dead', 'uncertain') THEN 1 ELSE 0 END, :now_ms, 'ask', printf('%064x', i),
       'cli:seed', CASE WHEN state = 'dead' THEN '503' ELSE '' END, CASE WHEN state = 'dead' THEN 'busy' ELSE '' END,
       CASE WHEN state = 'held' THEN 'held by seed' ELSE '' END, 120
  FROM (SELECT i, CASE WHEN :state <> '' THEN :state
                       WHEN i % 1000 = 7 THEN 'dead' WHEN i % 1000 = 11 THEN 'uncertain' WHEN i % 100 = 13 THEN 'held'
                       WHEN i % 100 = 17 THEN 'cancelled' WHEN i % 100 = 19 THEN 'expired'
                       WHEN i % 10 = 3 THEN 'queued' ELSE 'delivered' END AS state FROM n)"""
_BODIES = """
INSERT INTO bodies (message_id, text, headers)
SELECT id, printf('Report %d was written; %s.', id, CASE WHEN id % 20000 = 1 THEN 'zebra' ELSE 'all is well' END), '[]'
  FROM messages"""
_ATTEMPTS = """
INSERT INTO attempts (message_id, attempt_no, target, epoch, started_ms, finished_ms, outcome, code, detail)
SELECT id, 1, target, 1, created_ms, created_ms + 5, CASE state WHEN 'dead' THEN 'rejected' ELSE 'unknown' END, '503',
       'busy' FROM messages WHERE state IN ('dead', 'uncertain')"""
_TAGS = "INSERT INTO tags (tag, message_id) SELECT 'nightly', id FROM messages WHERE id % 10 = 5"


def fill(database: Path, rows: int, state: str = "") -> None:
    """Put `rows` messages into a database that the engine has made and nobody has open.

    In all states but "sending", or all in `state`.
    """
    now_ms = time.time_ns() // 1_000_000
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # a power cut may take it; nothing in it is anybody's message
        connection.execute("BEGIN")
        for statement in (_MESSAGES, _BODIES, _ATTEMPTS, _TAGS):
            connection.execute(statement, {"rows": rows, "now_ms": now_ms, "state": state})
        connection.execute("INSERT INTO search (rowid, subject, text) SELECT id, subject, text FROM searchable")
        connection.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES ('search_indexed_id', (SELECT max(id) FROM messages))"
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def empty(box: Box, config: str = CONFIG) -> Box:
    """Configure a box and let the engine make its database."""
    box.configure(config)
    box.ok("outbox", "list")
    return box


def copied(source: Box, into: Path) -> Box:
    """Return a box with a copy of another's configuration and database, which nobody has open."""
    into.mkdir(exist_ok=True)
    box = Box(into)
    box.configure((source.data_dir / "config.yaml").read_text())
    with (
        closing(sqlite3.connect(source.data_dir / "chronos.db")) as origin,
        closing(sqlite3.connect(box.data_dir / "chronos.db")) as copy,
    ):
        origin.backup(copy)
    (box.data_dir / "chronos.db").chmod(0o600)
    return box


def once(shared: Path, name: str, make: Callable[[Box], None]) -> Box:
    """Return a box that `make` filled, made by whichever of the test processes comes first."""
    home, made = shared / name, shared / f"{name}.made"
    with _alone(shared / f"{name}.lock"):
        if not made.exists():
            home.mkdir()
            make(Box(home))
            made.touch()
    return Box(home)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
