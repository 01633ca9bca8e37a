"""The audit table: append and read. What is worth an entry is decided by operations, never here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from engine.rules.canonical import GENESIS, canonical_json, entry_hash
from engine.rules.durations import rfc3339
from engine.store.tx import Tx

COMMON = ("message.queued", "message.delivered")
"""The two actions that make up nearly all of the log; the index of actions leaves them out."""

_HEAD = "audit.head"


class Stored(NamedTuple):
    """One entry: `body` is the canonical JSON of everything but its hash."""

    seq: int
    body: str
    hash: str


def append(tx: Tx, now_ms: int, actor: str, action: str, subject: str, detail: Mapping[str, object]) -> int:
    """Chain one entry to the head, in the transaction of the act itself; return its number."""
    seq, prev = tx.memo.get(_HEAD) or head(tx)
    seq += 1
    body = canonical_json(
        {
            "action": action,
            "actor": actor,
            "at": rfc3339(now_ms),
            "detail": detail,
            "prev": prev,
            "seq": seq,
            "subject": subject,
        }
    )
    digest = entry_hash(body)
    tx.run("audit.append", {"seq": seq, "body": body, "hash": digest})
    tx.memo[_HEAD] = (seq, digest)  # the next entry of this transaction need not ask
    return seq


def head(tx: Tx) -> tuple[int, str]:
    """Return (seq, hash) of the newest entry; (0, 64 zeros) of an empty log."""
    row = tx.row("audit.head")
    return (row[0], row[1]) if row else (0, GENESIS)


def page_after(tx: Tx, after: int, n: int) -> list[Stored]:
    """Return up to `n` entries, oldest first."""
    return [Stored(*row) for row in tx.rows("audit.page_after", {"after": after, "n": n})]


def page_before(tx: Tx, before: int, n: int) -> list[Stored]:
    """Return up to `n` entries, newest first."""
    return [Stored(*row) for row in tx.rows("audit.page_before", {"before": before, "n": n})]


def of_subject(tx: Tx, subject: str, before: int, n: int) -> list[Stored]:
    """Return up to `n` entries about one thing, newest first."""
    return [Stored(*row) for row in tx.rows("audit.of_subject", {"subject": subject, "before": before, "n": n})]


def of_action(tx: Tx, action: str, before: int, n: int) -> list[Stored]:
    """Return up to `n` entries of one of the rare actions, newest first."""
    return [Stored(*row) for row in tx.rows("audit.of_action", {"action": action, "before": before, "n": n})]


def rare_actions(tx: Tx) -> list[str]:
    """Return the actions in the log other than COMMON."""
    return [row[0] for row in tx.rows("audit.rare_actions")]


def pruned_seq(tx: Tx) -> int:
    """Return the highest entry that was archived away; 0 when none was."""
    return int(tx.value("audit.pruned"))
