"""The audit table: append and read. What is worth an entry is decided by operations, never here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine.rules.canonical import GENESIS, canonical_json, entry_hash
from engine.rules.durations import rfc3339
from engine.store.tx import Tx

COMMON = ("message.queued", "message.delivered")
"""The two actions that make up nearly all of the log; the index of actions leaves them out."""

BY_ACTOR = "audit.by_actor"
NOT_BEFORE = "audit.not_before"
NOT_AFTER = "audit.not_after"
WITH_TEXT = "audit.with_text"
"""What `walk` can leave out by itself."""

_HEAD = "audit.head"


class Stored(NamedTuple):
    """One entry: `body` is the canonical JSON of everything but its hash."""

    seq: int
    body: str
    hash: str


class Span(NamedTuple):
    """The entries between two, these not among them."""

    after: int
    before: int

    def split(self, n: int, *, upwards: bool) -> tuple[Span, Span | None]:
        """Return the first `n` numbers, seen from where the reading begins, and the rest; None when nothing is left."""
        if self.before - self.after - 1 <= n:
            return self, None
        if upwards:
            middle = self.after + n
            return Span(self.after, middle + 1), Span(middle, self.before)
        middle = self.before - n
        return Span(middle - 1, self.before), Span(self.after, middle)


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


def walk(tx: Tx, span: Span, conditions: Sequence[tuple[str, str]], *, upwards: bool) -> list[Stored]:
    """Return the entries of a span that may match. conditions: named ones with their value; the rest is looked at."""
    clauses = ["seq > :after AND seq < :before"]
    params: dict[str, object] = {"after": span.after, "before": span.before}
    for number, (name, value) in enumerate(conditions):
        params[f"v{number}"] = _like(value) if name == WITH_TEXT else value
        clauses.append(tx.text(name).format(f":v{number}"))
    order = "ORDER BY seq ASC" if upwards else "ORDER BY seq DESC"
    sql = " ".join((tx.text("audit.walk"), " AND ".join(clauses), order))
    return [Stored(*row) for row in tx.search(sql, params)]


def _like(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def of_subject(tx: Tx, subject: str, span: Span, n: int, *, upwards: bool) -> list[Stored]:
    """Return up to `n` entries about one thing, newest first; upwards: oldest first."""
    params = {"subject": subject, "after": span.after, "before": span.before, "n": n}
    return [Stored(*row) for row in tx.rows("audit.of_subject_up" if upwards else "audit.of_subject", params)]


def of_action(tx: Tx, action: str, span: Span, n: int, *, upwards: bool) -> list[Stored]:
    """Return up to `n` entries of one of the rare actions, newest first; upwards: oldest first."""
    params = {"action": action, "after": span.after, "before": span.before, "n": n}
    return [Stored(*row) for row in tx.rows("audit.of_action_up" if upwards else "audit.of_action", params)]


def rare_actions(tx: Tx) -> list[str]:
    """Return the actions in the log other than COMMON."""
    return [row[0] for row in tx.rows("audit.rare_actions")]


def actors(tx: Tx) -> list[str]:
    """Return who did something lately: in the newest entries, and in the newest of each of the rare actions."""
    found = {row[0] for row in tx.rows("audit.actors")}
    for action in rare_actions(tx):
        found.update(row[0] for row in tx.rows("audit.actors_of", {"action": action}))
    return sorted(found)


def pruned_seq(tx: Tx) -> int:
    """Return the highest entry that was archived away; 0 when none was."""
    return int(tx.value("audit.pruned"))
