"""The audit table: append and read. What is worth an entry is decided by operations, never here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from engine.rules.canonical import GENESIS, canonical_json, entry_hash
from engine.rules.durations import rfc3339
from engine.store import migrate
from engine.store.tx import Tx

COMMON = ("message.queued", "message.delivered")
"""The two actions that make up nearly all of the log; the index of actions leaves them out."""

BY_ACTOR = "audit.by_actor"
NOT_BEFORE = "audit.not_before"
NOT_AFTER = "audit.not_after"
WITH_TEXT = "audit.with_text"
"""What `walk` can leave out by itself."""

_HEAD = "audit.head"
Row = tuple[int, bytes, bytes]
"""A row as it is stored: number, body, hash."""


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


def fields_of(body: str) -> dict[str, Any]:
    """Return what a body says; {} where it is no JSON object. A log that somebody tampered with must still be read:
    that is when it is looked at, and neither a start nor a verification may stumble over it.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def detail_of(body: str) -> dict[str, Any]:
    """Return the `detail` of a body; {} where there is none that is an object."""
    found = fields_of(body).get("detail")
    return found if isinstance(found, dict) else {}


def append(tx: Tx, now_ms: int, actor: str, action: str, subject: str, detail: Mapping[str, object]) -> int:
    """Chain one entry to the recorded head, in the transaction of the act itself; return its number."""
    seq, prev = upcoming(tx)
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
    tx.last[_HEAD] = _record
    return seq


def upcoming(tx: Tx) -> tuple[int, str]:
    """Return (seq, prev) of the entry that would be appended next."""
    seq, prev = tx.memo.get(_HEAD) or _head_of(tx.row("audit.next")) or head(tx)
    return seq + 1, prev


def _head_of(row: tuple[Any, ...] | None) -> tuple[int, str] | None:
    """A hash that is no text any more must not keep anything from being written, nor from being shown."""
    return None if row is None else (row[0], row[1].decode(errors="replace"))


def _record(tx: Tx) -> None:
    """Keep the head beside the log. One write a part of a transaction, on a page that a message's counts dirty too."""
    seq, digest = tx.memo[_HEAD]
    if not tx.run("audit.record", {"seq": seq, "hash": digest}):
        tx.run("audit.record_anew", {"seq": seq, "hash": digest})


def recorded(tx: Tx) -> tuple[int, str] | None:
    """Return (seq, hash) of the head as it was recorded beside the log; None when somebody took that away."""
    return _head_of(tx.row("audit.recorded"))


def head(tx: Tx) -> tuple[int, str]:
    """Return (seq, hash) of the newest entry; (0, 64 zeros) of an empty log."""
    return _head_of(tx.row("audit.head")) or (0, GENESIS)


def walk(tx: Tx, span: Span, conditions: Sequence[tuple[str, str]], *, upwards: bool) -> list[Stored]:
    """Return the entries of a span that may match. conditions: named ones with their value; the rest is looked at."""
    clauses = ["seq > :after AND seq < :before"]
    params: dict[str, object] = {"after": span.after, "before": span.before}
    for number, (name, value) in enumerate(conditions):
        params[f"v{number}"] = _like(value) if name == WITH_TEXT else value
        clauses.append(tx.text(name).format(f":v{number}"))
    order = "ORDER BY seq ASC" if upwards else "ORDER BY seq DESC"
    sql = " ".join((tx.text("audit.walk"), " AND ".join(clauses), order))
    return [_stored(row) for row in tx.search(sql, params)]


def _stored(row: tuple[Any, ...]) -> Stored:
    """A log that somebody tampered with must still be shown, text or not."""
    return Stored(row[0], row[1].decode(errors="replace"), row[2].decode(errors="replace"))


def slice_of(tx: Tx, span: Span) -> list[Row]:
    """Return the first 500 rows of a span, byte for byte: few enough to stay in the processor's cache."""
    return tx.rows("audit.slice", {"after": span.after, "before": span.before})


def get(tx: Tx, seq: int) -> Stored | None:
    """Return one entry."""
    row = tx.row("audit.entry", {"seq": seq})
    return _stored(row) if row else None


def hashes(tx: Tx, span: Span) -> dict[int, str]:
    """Return the hashes of a span by number."""
    return {row[0]: row[1].decode(errors="replace") for row in tx.rows("audit.hashes", span._asdict())}


def newest_of(tx: Tx, action: str) -> Stored | None:
    """Return the newest entry of one of the rare actions."""
    row = tx.row("audit.newest_of", {"action": action})
    return _stored(row) if row else None


def bounds(tx: Tx, mark: int) -> tuple[int, int | None]:
    """Return how many entries stand at or below `mark`, and the lowest number of all; None of an empty log."""
    row = tx.row("audit.bounds", {"mark": mark})
    assert row is not None, "an aggregate has one row"
    return row[0], row[1]


def schema_changes(tx: Tx) -> list[str]:
    """Return what is not as our migrations make it, of the table, its indexes and the triggers that guard it."""
    connection = migrate.blueprint()
    try:
        ours = set(connection.execute(tx.text("audit.schema")))
    finally:
        connection.close()
    return sorted({f"{kind} {name}" for kind, name, _sql in ours.symmetric_difference(tx.rows("audit.schema"))})


def mark_pruned(tx: Tx, seq: int) -> None:
    """Say that the entries up to `seq` were archived; from then on they may be deleted."""
    tx.run("audit.mark_pruned", {"seq": seq})


def delete_pruned(tx: Tx, mark: int) -> int:
    """Delete up to 500 entries that were archived, the oldest first; return how many went."""
    return tx.run("audit.delete_pruned", {"mark": mark})


def _like(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def of_subject(tx: Tx, subject: str, span: Span, n: int, *, upwards: bool) -> list[Stored]:
    """Return up to `n` entries about one thing, newest first; upwards: oldest first."""
    params = {"subject": subject, "after": span.after, "before": span.before, "n": n}
    return [_stored(row) for row in tx.rows("audit.of_subject_up" if upwards else "audit.of_subject", params)]


def of_action(tx: Tx, action: str, span: Span, n: int, *, upwards: bool) -> list[Stored]:
    """Return up to `n` entries of one of the rare actions, newest first; upwards: oldest first."""
    params = {"action": action, "after": span.after, "before": span.before, "n": n}
    return [_stored(row) for row in tx.rows("audit.of_action_up" if upwards else "audit.of_action", params)]


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
