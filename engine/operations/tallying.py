"""What came from a source and was not taken: refused, sent twice, replayed. Counted in memory, written in batches.

A flood of bad requests must cost neither a write nor a row each, so a repeat waits here for at most a second.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from engine.errors import ChronosError
from engine.operations import incidents
from engine.operations.context import Context
from engine.rules.incidents import Kind
from engine.rules.signing import Reason
from engine.rules.text import safe_line
from engine.store import inbound as store
from engine.store.tx import Tx

MOST_REJECTIONS = 100
"""Rows a source keeps, and addresses that are told apart between two writes; the rest is counted under OTHERS."""

OTHERS = "others"

_WRITE_EVERY_MS = 1_000
_MOST_EVENTS = 1_000
_MOST_DETAIL_CHARS = 300
_INCIDENT_AFTER = 5
_INCIDENT_WITHIN_MS = 600_000
_KEPT = "inbound.tally"

_Key = tuple[str, str, str]


@dataclass(slots=True)
class _Refused:
    """Refusals of one source, reason and address since the last write."""

    n: int
    first_ms: int
    last_ms: int
    detail: str


@dataclass(slots=True)
class _Waiting:
    """What is counted and not written yet. repeats: by source, (duplicates, replays). events: duplicates by number."""

    refused: dict[_Key, _Refused] = field(default_factory=dict)
    repeats: dict[str, tuple[int, int]] = field(default_factory=dict)
    events: dict[int, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.refused or self.repeats)

    def refuse(self, key: _Key, one: _Refused) -> None:
        source, reason, _remote = key
        if key not in self.refused and sum(known[0] == source for known in self.refused) >= MOST_REJECTIONS:
            key = (source, reason, OTHERS)
        known = self.refused.get(key)
        if known is not None:
            one = _Refused(known.n + one.n, min(known.first_ms, one.first_ms), one.last_ms, one.detail)
        self.refused[key] = one

    def repeat(self, source: str, duplicates: int, replays: int) -> None:
        known = self.repeats.get(source, (0, 0))
        self.repeats[source] = (known[0] + duplicates, known[1] + replays)

    def duplicate_of(self, event: int, n: int) -> None:
        if event in self.events or len(self.events) < _MOST_EVENTS:
            self.events[event] = self.events.get(event, 0) + n


class _Tally:
    """One per process. Times of `written_ms` and `lately` are the monotonic clock's."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = _Waiting()
        self.written_ms: int | None = None
        self.lately: dict[str, deque[int]] = {}


def refused(context: Context, source: str, reason: Reason, remote: str, detail: str) -> None:
    """Count a request that did not prove who sent it; several within ten minutes are an incident."""
    now_ms, tally = context.clock.now_ms(), _tally(context)
    detail = safe_line(detail, _MOST_DETAIL_CHARS)
    with tally.lock:
        tally.waiting.refuse((source, reason.value, remote), _Refused(1, now_ms, now_ms, detail))
        often = reason is not Reason.SECRET and _often(tally, source, context.clock.monotonic_ms())
    if often:
        words = f"{_INCIDENT_AFTER} or more refused within {_INCIDENT_WITHIN_MS // 60_000} minutes; the last: {detail}"
        incidents.report(context, Kind.SIGNATURE_FAILURES, source, words)
    _write_if_due(context, tally)


def duplicate(context: Context, source: str, event: int) -> None:
    """Count an event that came again."""
    tally = _tally(context)
    with tally.lock:
        tally.waiting.repeat(source, 1, 0)
        tally.waiting.duplicate_of(event, 1)
    _write_if_due(context, tally)


def replay(context: Context, source: str, remote: str, detail: str) -> None:
    """Count a request that used an old signature or id for something else, and raise the incident."""
    now_ms, tally = context.clock.now_ms(), _tally(context)
    detail = safe_line(detail, _MOST_DETAIL_CHARS)
    with tally.lock:
        tally.waiting.repeat(source, 0, 1)
        tally.waiting.refuse((source, "replay", remote), _Refused(1, now_ms, now_ms, detail))
    incidents.report(context, Kind.REPLAY, source, f"from {remote}: {detail}")
    _write_if_due(context, tally)


def flush(context: Context) -> int:
    """Write what waits; return how many rows of refusals that was. What cannot be written waits for the next time."""
    tally = _tally(context)
    with tally.lock:
        if not tally.waiting:
            return 0
        taken, tally.waiting = tally.waiting, _Waiting()
        tally.written_ms = context.clock.monotonic_ms()
    try:
        context.database.write(lambda tx: _write(tx, taken))
    except ChronosError as error:
        with tally.lock:
            _put_back(tally.waiting, taken)
        context.log.event("WARNING", "inbound_counts_wait", channel="security", reason=str(error))
        return 0
    _tell(context, taken)
    return len(taken.refused)


def _tally(context: Context) -> _Tally:
    found: _Tally = context.kept.setdefault(_KEPT, _Tally())
    return found


def _often(tally: _Tally, source: str, now_ms: int) -> bool:
    lately = tally.lately.setdefault(source, deque(maxlen=_INCIDENT_AFTER))
    lately.append(now_ms)
    return len(lately) == _INCIDENT_AFTER and now_ms - lately[0] <= _INCIDENT_WITHIN_MS


def _write_if_due(context: Context, tally: _Tally) -> None:
    if tally.written_ms is None or context.clock.monotonic_ms() - tally.written_ms >= _WRITE_EVERY_MS:
        flush(context)


def _write(tx: Tx, taken: _Waiting) -> None:
    for event, n in taken.events.items():
        store.count_duplicates(tx, event, n)
    for source, (duplicates, replays) in taken.repeats.items():
        store.count_source(tx, source, duplicates=duplicates, replays=replays)
    for (source, reason, remote), one in taken.refused.items():
        row = {"source": source, "reason": reason, "remote": remote, "detail": one.detail, "n": one.n}
        store.count_rejection(tx, {**row, "first_ms": one.first_ms, "last_ms": one.last_ms})
        store.count_source(tx, source, rejected=one.n, rejected_ms=one.last_ms, reason=one.detail)
    for source in {key[0] for key in taken.refused}:
        store.trim_rejections(tx, source, MOST_REJECTIONS)


def _put_back(waiting: _Waiting, taken: _Waiting) -> None:
    newer = list(waiting.refused.items())
    waiting.refused.clear()
    for key, one in [*taken.refused.items(), *newer]:
        waiting.refuse(key, one)
    for source, (duplicates, replays) in taken.repeats.items():
        waiting.repeat(source, duplicates, replays)
    for event, n in taken.events.items():
        waiting.duplicate_of(event, n)


def _tell(context: Context, taken: _Waiting) -> None:
    """Log one line a source and reason: the address and the words of the last one stand for the rest."""
    lines: dict[tuple[str, str], tuple[int, str, str]] = {}
    for (source, reason, remote), one in taken.refused.items():
        n = lines.get((source, reason), (0, "", ""))[0] + one.n
        lines[source, reason] = (n, remote, one.detail)
    for (source, reason), (n, remote, detail) in lines.items():
        context.log.event(
            "WARNING",
            "event_refused",
            channel="security",
            source=source,
            reason=reason,
            remote=remote,
            detail=detail,
            count=n,
        )
