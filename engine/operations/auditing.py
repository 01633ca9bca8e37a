"""Reading the audit log: pages and export. Writing it is part of each act; proving it is in verifying."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.operations.context import Context
from engine.rules import filters, risk
from engine.rules.durations import rfc3339
from engine.rules.filters import AUDIT, Filter, Term
from engine.rules.risk import Assessment
from engine.store import audit
from engine.store.audit import Span, Stored, fields_of
from engine.store.tx import Tx

Progress = Callable[[int, int], None]
"""Told how many entries of how many were looked at. What it raises ends the work and is passed on."""

SLICE = 2_000
"""Entries between two calls of a Progress."""

_LONGEST_STEP = 20_000
PATIENCE_MS = 150
"""How long one look may walk through entries that do not match, before it says how far it came."""


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

    @property
    def risk(self) -> Assessment:
        """How risky it was, by rule. Not part of what was hashed: the rules may change, the log does not."""
        return risk.assess(self.action, self.detail)


def _entry(stored: Stored) -> Entry:
    fields = fields_of(stored.body)
    detail = fields.get("detail") or {}
    return Entry(
        seq=stored.seq,
        at=str(fields.get("at", "")),
        actor=str(fields.get("actor", "")),
        action=str(fields.get("action", "")),
        subject=str(fields.get("subject", "")),
        detail=detail if isinstance(detail, dict) else {"detail": detail},
        prev=str(fields.get("prev", "")),
        hash=stored.hash,
        body=stored.body,
    )


def page(context: Context, expression: str = "", *, limit: int = 50, before: int | None = None) -> list[Entry]:
    """Return up to `limit` entries that match, newest first, however long it takes to find them.

    Raises BadInput for a bad expression.
    """
    found: list[Entry] = []
    while True:
        part = look(context, expression, limit=limit - len(found), before=before)
        found += part.entries
        if part.walked_to is None:
            return found
        before = part.walked_to


@dataclass(frozen=True, slots=True)
class Page:
    """Entries as they stand in the list, newest first. at_end: nothing more matches in the direction that was read in.

    walked_to: the time was over before the page was full or the log's end reached: everything up to this entry was
    looked at, and the next call goes on behind it, with it as `before` (or `after`, reading towards newer entries).
    """

    entries: tuple[Entry, ...]
    at_end: bool
    walked_to: int | None = None


def look(
    context: Context,
    expression: str | Filter = "",
    *,
    limit: int = 50,
    before: int | None = None,
    after: int | None = None,
    from_oldest: bool = False,
    within_ms: int = PATIENCE_MS,
) -> Page:
    """Return up to `limit` entries that match: the newest; with `before`, the newest of those older than an entry; with
    `after`, the oldest of those newer than one; with `from_oldest`, the oldest of all. Takes about `within_ms` at most,
    and says how far it came.

    Raises BadInput for a bad expression.
    """
    terms = filters.parse(expression, AUDIT) if isinstance(expression, str) else expression
    upwards = from_oldest or after is not None
    now_ms = context.clock.now_ms()
    give_up_ms = context.clock.monotonic_ms() + within_ms
    span = context.database.read(lambda tx: _span(tx, terms, before, after))
    found: list[Entry] = []
    step = limit + 1
    while True:
        batch, rest = context.database.read(
            lambda tx, span=span, step=step: _batch(tx, terms, span, now_ms, step, upwards=upwards)  # type: ignore[misc]
        )
        for one in map(_entry, batch):
            if _matches(one, terms, now_ms):
                found.append(one)
            if len(found) > limit:
                break
        if len(found) > limit or rest is None:
            shown = found[:limit]
            return Page(tuple(shown[::-1] if upwards else shown), at_end=len(found) <= limit)
        span, step = rest, min(step * 4, _LONGEST_STEP)
        if context.clock.monotonic_ms() >= give_up_ms:
            walked_to = span.after if upwards else span.before
            return Page(tuple(found[::-1] if upwards else found), at_end=False, walked_to=walked_to)


def _span(tx: Tx, terms: Filter, before: int | None, after: int | None) -> Span:
    """Return between which entries to look: what the caller and terms on the number leave of the log."""
    low, high = audit.pruned_seq(tx), audit.head(tx)[0] + 1
    if before is not None:
        high = min(high, before)
    if after is not None:
        low = max(low, after)
    for term in terms:
        if term.field == "seq" and not term.negated:
            if term.op in {">", ">=", "="}:
                low = max(low, term.number - (term.op != ">"))
            if term.op in {"<", "<=", "="}:
                high = min(high, term.number + (term.op != "<"))
    return Span(low, high)


def _batch(
    tx: Tx, terms: Filter, span: Span, now_ms: int, step: int, *, upwards: bool
) -> tuple[list[Stored], Span | None]:
    """Read the next entries that may match, in the direction of reading, and what is left to look at afterwards."""
    positive = {term.field: term for term in terms if not term.negated}
    if "subject" in positive:
        words = dict.fromkeys(positive["subject"].words)
        found = [one for word in words for one in audit.of_subject(tx, word, span, step, upwards=upwards)]
    elif not any(_may_match(name, terms) for name in audit.COMMON):
        names = [name for name in audit.rare_actions(tx) if _may_match(name, terms)]
        found = [one for name in names for one in audit.of_action(tx, name, span, step, upwards=upwards)]
    else:
        part, rest = span.split(step, upwards=upwards)
        return audit.walk(tx, part, _conditions(terms, now_ms), upwards=upwards), rest
    found = sorted(found, key=lambda stored: stored.seq, reverse=not upwards)[:step]
    if len(found) < step:
        return found, None
    last = found[-1].seq
    return found, Span(last, span.before) if upwards else Span(span.after, last)


def _conditions(terms: Filter, now_ms: int) -> list[tuple[str, str]]:
    """Return what SQLite can leave out faster than we: names of conditions and their values. It may leave in more."""
    found = []
    for term in terms:
        if term.negated:
            continue
        if term.field == "actor" and len(term.words) == 1:
            found.append((audit.BY_ACTOR, term.words[0]))
        elif term.field == "since" or (term.field == "age" and term.op in {"<", "<="}):
            found.append((audit.NOT_BEFORE, rfc3339(term.number if term.field == "since" else now_ms - term.number)))
        elif term.field == "age":
            found.append((audit.NOT_AFTER, rfc3339(now_ms - term.number)))
        elif term.field == "text":
            found += [(audit.WITH_TEXT, word) for word in term.words if word.isascii()]
    return found


def _may_match(action: str, terms: Filter) -> bool:
    """Whether entries of an action can match, as far as that can be told without reading them."""
    return all(_may_hold(action, term) for term in terms)


def _may_hold(action: str, term: Term) -> bool:
    if term.field == "action":
        return _is_action(action, term) != term.negated
    if term.field == "risk":
        return any((level in term.words) != term.negated for level in risk.levels_of(action))
    return True


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
    if term.field == "risk":
        return entry.risk.level in term.words
    value = {"actor": entry.actor, "subject": entry.subject}.get(term.field, "")
    return value in term.words


def _compare(left: int, op: str, right: int) -> bool:
    return {"=": left == right, ">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[op]


def _compare_text(left: str, op: str, right: str) -> bool:
    return {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[op]


def export(context: Context, since_ms: int | None = None, progress: Progress | None = None) -> Iterator[str]:
    """Yield the log as JSON Lines, oldest first: each entry with its hash, as docs/audit-format.md describes.

    progress: told every SLICE entries. Closing the iterator ends the export; between two entries nothing is held open.
    """
    span = context.database.read(_whole)
    conditions = [] if since_ms is None else [(audit.NOT_BEFORE, rfc3339(since_ms))]
    for stored in _walk(context, span, conditions, progress):
        # In ASCII: what a receiver said must not reach a terminal as a control character.
        yield json.dumps({**fields_of(stored.body), "hash": stored.hash}, sort_keys=True)


def _whole(tx: Tx) -> Span:
    return Span(audit.pruned_seq(tx), audit.head(tx)[0] + 1)


def _walk(
    context: Context, span: Span, conditions: Sequence[tuple[str, str]], progress: Progress | None
) -> Iterator[Stored]:
    """Yield the entries of a span, oldest first. Between two slices nothing is held open."""
    first, total = span.after, span.before - span.after - 1
    rest: Span | None = span
    while rest is not None:
        part, rest = rest.split(SLICE, upwards=True)
        yield from context.database.read(
            lambda tx, part=part: audit.walk(tx, part, conditions, upwards=True)  # type: ignore[misc]
        )
        if progress is not None:
            progress(part.before - 1 - first, total)
