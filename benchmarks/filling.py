"""A data directory with very many messages, made by a few statements instead of a million calls. Measures nothing."""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path

from benchmarks import contenders
from benchmarks.measure import Bench
from engine.engine import Engine
from engine.operations import housekeeping

RARE = "zebra"
"""A word in one message out of RARE_EVERY."""
RARE_EVERY = 20_000
SMALL = 10_000

# Six of ten wait, the rest is done; one in a hundred is dead. Older first, a second apart.
_MESSAGES = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
INSERT INTO messages (uid, state, target, lane, channel, template, subject, priority, created_ms, due_ms, finished_ms,
                      attempts, cycle_ms, on_uncertain, content_hash, queued_by, last_code, last_word, size)
SELECT printf('msg_%032x', i), CASE WHEN i % 100 = 7 THEN 'dead' WHEN i % 10 < 4 THEN 'delivered' ELSE 'queued' END,
       'flow', 'flow', 'webhook', '', printf('nightly backup of host-%d', i % 97), 1,
       :now_ms - (:rows - i) * 1000, :now_ms - (:rows - i) * 1000,
       CASE WHEN i % 10 < 4 OR i % 100 = 7 THEN :now_ms - (:rows - i) * 1000 + 40 END,
       CASE WHEN i % 10 < 4 OR i % 100 = 7 THEN 1 ELSE 0 END,
       :now_ms, 'resend', printf('%064x', i), 'bench', CASE WHEN i % 100 = 7 THEN '503' ELSE '' END,
       CASE WHEN i % 100 = 7 THEN 'busy' ELSE '' END, 200
  FROM n"""
_BODIES = """
INSERT INTO bodies (message_id, text, headers)
SELECT id, printf('archive %d of host-%d was written and its sums were verified; %s %d bytes; nothing to be done today',
                  id, id % 97, CASE WHEN id % :every = 0 THEN :rare ELSE 'ok' END, id * 7919), '[]'
  FROM messages"""
_TAGS = "INSERT INTO tags (tag, message_id) SELECT 'nightly', id FROM messages WHERE id % 10 = 5"
_AUDIT = """
INSERT INTO audit (seq, body, hash)
SELECT id, json_object('action', 'message.queued', 'actor', 'bench', 'subject', uid, 'seq', id), content_hash
  FROM messages"""
_HEAD = "UPDATE counts SET (n, word) = (SELECT max(seq), max(hash) FROM audit) WHERE name = 'audit_head'"


def long_size(bench: Bench) -> int:
    """How many rows the long outbox of this run has."""
    if bench.full:
        return 10_000_000
    return 100_000 if bench.quick else 1_000_000


def spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def filled(shared: Path, rows: int) -> Engine:
    """Open the data directory with `rows` messages, all of them in the free text index; made at the first call."""
    directory = shared / f"filled-{rows}"
    if directory.exists():
        return contenders.open_engine(directory)
    begin = time.monotonic()
    directory.mkdir(mode=0o700)
    engine = contenders.open_engine(directory)
    engine.close()
    _fill(directory / "chronos.db", rows)
    engine = contenders.open_engine(directory)
    while housekeeping.index_text(engine.context):
        pass
    engine.context.database.allow_checkpoints()
    engine.context.database.checkpoint(truncate=True)
    size_mb = (directory / "chronos.db").stat().st_size / 1e6
    print(f"  {rows} messages made in {time.monotonic() - begin:.0f} s, {size_mb:.0f} MB", file=sys.stderr)
    return engine


def _fill(database: Path, rows: int) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        # A power cut may take this file; nothing in it is anybody's message.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        params = {"rows": rows, "now_ms": time.time_ns() // 1_000_000, "every": RARE_EVERY, "rare": RARE}
        for statement in (_MESSAGES, _BODIES, _TAGS, _AUDIT):
            connection.execute(statement, params)
        connection.execute(_HEAD)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
