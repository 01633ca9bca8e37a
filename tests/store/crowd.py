"""A database with very many messages, made by one statement in about a second, and kept for all plan tests."""

from __future__ import annotations

from pathlib import Path

from engine.operations.context import Context
from tests.support import START_MS, Entropy, FakeClock, open_database, settings

ROWS = 100_000

# Most are delivered; a few hundred stand in each other state; words, keys and tags are spread so that a filter for one
# finds between a handful and a third of the rows.
_MESSAGES = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows),
s AS (
    SELECT i, CASE WHEN i % 200 = 0 THEN 'dead' WHEN i % 200 = 1 THEN 'cancelled' WHEN i % 200 = 2 THEN 'expired'
                   WHEN i % 200 = 3 THEN 'held' WHEN i % 200 = 4 THEN 'uncertain' WHEN i % 2000 = 5 THEN 'sending'
                   WHEN i % 20 = 6 THEN 'queued' ELSE 'delivered' END AS state
      FROM n
)
INSERT INTO messages (id, uid, state, target, lane, channel, template, subject, priority, created_ms, due_ms,
                      expires_ms, finished_ms, attempts, failures, cycle_ms, lease_until_ms, lease_epoch, on_uncertain,
                      idempotency_key, content_hash, collapse_key, ordering_key, ready, route, hop_ms, queued_by,
                      last_code, last_word, state_reason, size)
SELECT i, printf('msg_%032x', i), state, 'target' || (i % 7), 'target' || (i % 7),
       CASE i % 7 WHEN 0 THEN 'email' WHEN 1 THEN 'email' ELSE 'webhook' END,
       CASE WHEN i % 11 = 0 THEN 'template' || (i % 3) ELSE '' END,
       CASE WHEN i % 5000 = 7 THEN 'a rare subject ' || i ELSE 'backup of box ' || i END,
       CASE WHEN i % 101 = 0 THEN 3 WHEN i % 103 = 0 THEN 0 ELSE 1 END,
       :now_ms - (:rows - i) * 1000, :now_ms + CASE WHEN i % 3 = 0 THEN i ELSE -i END,
       CASE WHEN i % 13 = 0 THEN :now_ms + i END,
       CASE WHEN state IN ('delivered', 'dead', 'cancelled', 'expired') THEN :now_ms - i END,
       CASE WHEN state = 'dead' THEN 5 WHEN i % 50 = 9 THEN 2 WHEN state IN ('queued', 'held') THEN 0 ELSE 1 END,
       0, :now_ms, CASE WHEN state = 'sending' THEN :now_ms + i END, CASE WHEN state = 'sending' THEN i % 2 END,
       CASE i % 2 WHEN 0 THEN 'resend' ELSE 'ask' END,
       CASE WHEN i % 17 = 0 THEN 'key-' || i END, '', CASE WHEN i % 19 = 0 THEN 'collapse-' || (i % 5) END,
       CASE WHEN i % 23 = 0 THEN 'order-' || (i % 9) END, CASE WHEN i % 23 = 0 AND i % 2 = 0 THEN 0 ELSE 1 END,
       CASE WHEN i % 29 = 0 THEN 'route' || (i % 2) ELSE '' END, CASE WHEN i % 29 = 0 THEN :now_ms + i END, 'cli:me',
       CASE WHEN i % 50 = 9 THEN '503' ELSE '' END,
       CASE WHEN state = 'dead' THEN '100% refused_by policy' WHEN i % 50 = 9 THEN 'timeout' ELSE '' END,
       CASE WHEN state = 'dead' THEN 'refused for good' ELSE '' END, i % 1000
  FROM s;
"""
_BODIES = """
INSERT INTO bodies (message_id, text, html, data, headers)
SELECT id, CASE WHEN id % 4999 = 0 THEN 'a needle in the hay, Zürich' ELSE 'all is well' END, NULL, NULL, '[]'
  FROM messages;
"""
_TAGS = """
INSERT INTO tags (tag, message_id)
SELECT 'nightly', id FROM messages WHERE id % 31 = 0 UNION ALL SELECT 'rare', id FROM messages WHERE id % 9973 = 0;
"""


def make(directory: Path, rows: int = ROWS, *, behind: int = 50) -> Context:
    """Fill a new database; the free text index is `behind` messages late, as it is in life."""
    database = open_database(directory)
    params = {"rows": rows, "now_ms": START_MS}
    database.write(lambda tx: tx.search(_MESSAGES, params))
    database.write(lambda tx: tx.search(_BODIES, {}))
    database.write(lambda tx: tx.search(_TAGS, {}))
    context = Context(database, FakeClock(), settings(), "test:me", Entropy(), 1)
    upto = rows - behind
    database.write(lambda tx: tx.run("search.index_more", {"after": 0, "upto": upto}))
    database.write(lambda tx: tx.run("search.set_indexed", {"upto": upto}))
    database.checkpoint(truncate=True)
    return context
