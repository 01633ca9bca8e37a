"""Sources and the events that came from them: what an operator sees, and may send once more. Verifies nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.errors import NotFound, NotPossible
from engine.operations import enqueue, incidents, receiving, tallying
from engine.operations.context import Context, recorded, writable
from engine.operations.receiving import Received as Received  # noqa: PLC0414 - what callers know it by
from engine.operations.receiving import Verdict as Verdict  # noqa: PLC0414
from engine.operations.receiving import receive as receive  # noqa: PLC0414
from engine.rules import mapping
from engine.rules.incidents import Kind
from engine.rules.text import suggest
from engine.rules.verifiers import timed
from engine.store import audit
from engine.store import inbound as store
from engine.store.tx import Tx

SLICE = 500
"""Events a transaction that lose their body or are forgotten."""

FLUSH_EVERY_S = 1
RETAIN_EVERY_S = 60

_MOST_SLICES = 20
_SHOWN_REJECTIONS = 20
_DAY_MS = 86_400_000
_JUMP_MS = 60_000
_CLOCK = "inbound.clock"
_KEEP_MS = 30 * _DAY_MS
_TIMED_ID_MS = 30 * _DAY_MS
"""Senders try again for days, signing anew; an old request is refused for its age long before."""
_UNTIMED_ID_MS = 400 * _DAY_MS
"""A signature without a time is good for ever; only the id tells that it is old."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why requests were refused, in words. count: how often since `first_ms`, by this reason from this address."""

    reason: str
    remote: str
    detail: str
    first_ms: int
    last_ms: int
    count: int


@dataclass(frozen=True, slots=True)
class SourceState:
    """A configured source and what was heard from it. deliver: the target. failed: events that became no message.

    rejected: replays are among them. secret_ok: whether every secret is there; None where the source needs none.
    """

    name: str
    verify: str
    path: str
    deliver: str
    accepted: int
    duplicates: int
    replays: int
    rejected: int
    failed: int
    last_accepted_ms: int | None
    last_rejected_ms: int | None
    last_reason: str
    rejections: tuple[Rejection, ...]
    secret_ok: bool | None
    secrets_missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """An event that was accepted. outcome: queued, ignored, failed. body: None in lists, and once its time has passed.

    duplicates: how often it came again. replayed: how often an operator made a message of it once more.
    """

    id: int
    source: str
    event_id: str
    received_ms: int
    remote: str
    kind: str
    size: int
    outcome: str
    detail: str
    message_uid: str | None
    duplicates: int
    replayed: int
    body: bytes | None
    content_type: str


def sources(context: Context) -> list[SourceState]:
    """Return every configured source by name, and what came from it. Opens no secret: looks whether it is there."""
    from engine.operations import secrets

    tallying.flush(context)
    missing = frozenset(f"secret:{one.name}" for one in secrets.listing(context) if one.where == "missing")

    def work(tx: Tx) -> list[SourceState]:
        counted = store.states(tx)
        names = sorted(context.settings.sources)
        return [_state(tx, context, name, counted.get(name, store.Counted()), missing) for name in names]

    return context.database.read(work)


def source(context: Context, name: str) -> SourceState:
    """Return one. Raises NotFound."""
    _known_source(context, name)
    return next(one for one in sources(context) if one.name == name)


def _state(tx: Tx, context: Context, name: str, counted: store.Counted, missing: frozenset[str]) -> SourceState:
    entry = context.settings.sources[name]
    needed = entry.get("secret", [])
    return SourceState(
        name=name,
        verify=entry["verify"],
        path=f"/v1/inbound/{name}",
        deliver=entry["deliver"]["target"],
        failed=store.failed(tx, name),
        rejections=tuple(Rejection(*row) for row in store.rejections(tx, name, _SHOWN_REJECTIONS)),
        secret_ok=missing.isdisjoint(needed) if needed else None,
        secrets_missing=tuple(one for one in needed if one in missing),
        **counted._asdict(),
    )


def events(context: Context, name: str | None = None, *, limit: int = 50, before: int | None = None) -> list[Event]:
    """Return accepted events, newest first, without bodies. before: an event's number. Raises NotFound."""
    if name is not None:
        _known_source(context, name)
    below = before if before is not None else 1 << 62
    return [Event(*row) for row in context.database.read(lambda tx: store.page(tx, name, below, limit))]


def _known_source(context: Context, name: str) -> None:
    """Raise NotFound for a name that is neither configured nor was ever heard of."""
    known = context.settings.sources
    if name in known or context.database.read(lambda tx: name in store.states(tx)):
        return
    better = suggest(name, known)
    advice = f"did you mean {better}?" if better else "'chronos source list' shows them"
    raise NotFound(f"no source {name!r:.80}; {advice}")


def event(context: Context, number: int) -> Event:
    """Return one accepted event with its body. Raises NotFound."""
    return context.database.read(lambda tx: _event(tx, number))


def _event(tx: Tx, number: int) -> Event:
    row = store.event(tx, number) if 0 <= number < 1 << 63 else None
    if row is None:
        raise NotFound(f"no event {number}; 'chronos source events' shows them")
    return Event(*row)


def replay(context: Context, number: int, *, target: str | None = None) -> str:
    """Make a message of a kept event once more, whatever `deliver.when` says; return its uid.

    target: instead of the configured one. The event's id does not matter here: this is the operator's word.
    Raises NotFound for the event or the target, NotPossible where its body or its source is gone, BadInput where it
    still cannot be made a message.
    """
    writable(context)
    found, headers = context.database.read(lambda tx: (_event(tx, number), store.headers(tx, number)))
    entry = context.settings.sources.get(found.source)
    if entry is None:
        raise NotPossible(f"event {number}: its source {found.source} is no longer configured")
    if found.body is None:
        raise NotPossible(f"event {number}: its body is no longer kept; sources.{found.source}.keep says for how long")
    known = mapping.Event(found.source, found.event_id, found.kind, json.loads(headers), found.content_type, found.body)
    made = receiving.make_message(context, entry, mapping.read(known), target)
    prepared = made.prepared
    assert prepared is not None, "what cannot be made was raised"

    def work(tx: Tx) -> str:
        uid = enqueue.store(tx, context, prepared).message.uid
        store.mark_replayed(tx, number, made.detail, uid)
        to = recorded(target or entry["deliver"]["target"])
        detail = {"event": number, "event_id": found.event_id, "message": uid, "target": to}
        audit.append(tx, context.clock.now_ms(), context.actor, "event.replayed", f"source:{found.source}", detail)
        if found.outcome == "failed" and not store.failed(tx, found.source):
            incidents.settle(tx, context, Kind.NOT_MAPPED, found.source, "every event that failed was replayed")
        return uid

    return context.database.write(work)


def flush_counts(context: Context) -> int:
    """Write what was counted of refusals in memory; a chore. Cheap when there is nothing."""
    return tallying.flush(context)


def retain_events(context: Context) -> int:
    """Let bodies and ids go whose time is over, in slices; return how many events lost something."""
    if _clock_is_doubted(context):
        return 0
    now_ms = context.clock.now_ms()
    names = set(context.settings.sources) | set(context.database.read(store.states))
    gone = 0
    for name in sorted(names):
        entry = context.settings.sources.get(name)
        keep_ms = _KEEP_MS if entry is None else entry["keep_ms"]
        known_ms = max(keep_ms, _TIMED_ID_MS if entry is not None and timed(entry) else _UNTIMED_ID_MS)
        gone += _in_slices(context, store.kept_before, store.drop_bodies, name, now_ms - keep_ms)
        gone += _in_slices(context, store.known_before, store.forget, name, now_ms - known_ms)
    return gone


def _clock_is_doubted(context: Context) -> bool:
    """Whether the wall clock went forwards by itself within the last day. Ids that a wrong year would let go are what
    tells a replay once the clock is right again.
    """
    wall_ms, steady_ms = context.clock.now_ms(), context.clock.monotonic_ms()
    ahead_ms = wall_ms - steady_ms
    before_ms, until_ms = context.kept.get(_CLOCK, (ahead_ms, steady_ms))
    if ahead_ms - before_ms > _JUMP_MS:
        until_ms = steady_ms + _DAY_MS
    context.kept[_CLOCK] = (ahead_ms, until_ms)
    return bool(steady_ms < until_ms)


def _in_slices(
    context: Context,
    find: Callable[[Tx, str, int, int], list[int]],
    act: Callable[[Tx, Sequence[int]], None],
    name: str,
    before_ms: int,
) -> int:
    done = 0
    for _ in range(_MOST_SLICES):
        numbers = context.database.read(lambda tx: find(tx, name, before_ms, SLICE))
        if numbers:
            context.database.write(lambda tx, numbers=numbers: act(tx, numbers))  # type: ignore[misc]
        done += len(numbers)
        if len(numbers) < SLICE:
            break
    return done
