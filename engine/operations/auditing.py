"""Reading the audit log: pages, verification, export. Writing it is part of each act."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.operations.context import Context
from engine.rules import filters
from engine.rules.canonical import GENESIS, ChainResult, verify_chain
from engine.rules.durations import rfc3339
from engine.rules.filters import AUDIT, Filter, Term
from engine.store import audit
from engine.store.audit import Stored
from engine.store.tx import Tx

_SLICE = 2_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, decoded. `body` is the canonical JSON that was hashed."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    prev: str
    hash: str
    body: str


def _entry(stored: Stored) -> Entry:
    fields = json.loads(stored.body)
    return Entry(
        seq=stored.seq,
        at=str(fields.get("at", "")),
        actor=str(fields.get("actor", "")),
        action=str(fields.get("action", "")),
        subject=str(fields.get("subject", "")),
        detail=fields.get("detail") or {},
        prev=str(fields.get("prev", "")),
        hash=stored.hash,
        body=stored.body,
    )


def page(context: Context, expression: str = "", *, limit: int = 50, before: int | None = None) -> list[Entry]:
    """Return up to `limit` entries that match, newest first. Raises BadInput for a bad expression."""
    terms = filters.parse(expression, AUDIT)
    found: list[Entry] = []
    cursor = before if before is not None else 1 << 62
    while len(found) < limit:
        start = cursor
        batch = context.database.read(lambda tx, start=start: _batch(tx, terms, start))  # type: ignore[misc]
        entries = (_entry(stored) for stored in batch)
        found += [entry for entry in entries if _matches(entry, terms, context.clock.now_ms())][: limit - len(found)]
        if len(batch) < _SLICE:
            break
        cursor = batch[-1].seq
    return found


def _batch(tx: Tx, terms: Filter, before: int) -> list[Stored]:
    """Read the next entries that may match, newest first: by an index where a term has one, else simply the next."""
    positive = {term.field: term for term in terms if not term.negated}
    if "subject" in positive:
        words = dict.fromkeys(positive["subject"].words)
        found = [stored for word in words for stored in audit.of_subject(tx, word, before, _SLICE)]
    elif "action" in positive and not any(_is_action(name, positive["action"]) for name in audit.COMMON):
        names = [name for name in audit.rare_actions(tx) if _is_action(name, positive["action"])]
        found = [stored for name in names for stored in audit.of_action(tx, name, before, _SLICE)]
    else:
        return audit.page_before(tx, before, _SLICE)
    return sorted(found, key=lambda stored: stored.seq, reverse=True)[:_SLICE]


def _is_action(action: str, term: Term) -> bool:
    return any(action == word or action.startswith(f"{word}.") for word in term.words)


def _matches(entry: Entry, terms: Filter, now_ms: int) -> bool:
    return all(_holds(entry, term, now_ms) != term.negated for term in terms)


def _holds(entry: Entry, term: Term, now_ms: int) -> bool:
    if term.field == "text":
        return all(word.lower() in entry.body.lower() for word in term.words)
    if term.field == "seq":
        return _compare(entry.seq, term.op, term.number)
    if term.field == "since":
        return entry.at >= rfc3339(term.number)
    if term.field == "age":
        turned = {">": "<", ">=": "<=", "<": ">", "<=": ">="}[term.op]
        return _compare_text(entry.at, turned, rfc3339(now_ms - term.number))
    if term.field == "action":
        return _is_action(entry.action, term)
    value = {"actor": entry.actor, "subject": entry.subject}.get(term.field, "")
    return value in term.words


def _compare(left: int, op: str, right: int) -> bool:
    return {"=": left == right, ">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[op]


def _compare_text(left: str, op: str, right: str) -> bool:
    return {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[op]


def verify(context: Context, progress: Callable[[int, int], None] | None = None) -> ChainResult:
    """Recompute the whole chain from the first entry kept to the head, in slices."""
    pruned, (head_seq, _) = context.database.read(lambda tx: (audit.pruned_seq(tx), audit.head(tx)))
    rows = ((stored.seq, stored.body, stored.hash) for stored in _walk(context, pruned, head_seq, progress))
    return verify_chain(rows, prev=GENESIS if pruned == 0 else None, first_seq=pruned + 1)


def export(context: Context, since_ms: int | None = None) -> Iterator[str]:
    """Yield the log as JSON Lines, oldest first: each entry with its hash, as docs/audit-format.md describes."""
    since = rfc3339(since_ms) if since_ms is not None else ""
    pruned, (head_seq, _) = context.database.read(lambda tx: (audit.pruned_seq(tx), audit.head(tx)))
    for stored in _walk(context, pruned, head_seq, None):
        if not since or json.loads(stored.body).get("at", "") >= since:
            # In ASCII: what a receiver said must not reach a terminal as a control character.
            yield json.dumps({**json.loads(stored.body), "hash": stored.hash}, sort_keys=True)


def _walk(context: Context, after: int, upto: int, progress: Callable[[int, int], None] | None) -> Iterator[Stored]:
    while True:
        start = after
        batch = context.database.read(lambda tx, start=start: audit.page_after(tx, start, _SLICE))  # type: ignore[misc]
        for stored in batch:
            if stored.seq > upto:
                return
            yield stored
        if len(batch) < _SLICE:
            return
        after = batch[-1].seq
        if progress is not None:
            progress(after, upto)
