"""T3, T4 and T5: claim what is due, record how it ended, take up what a dead owner left. Touches no network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from engine.errors import ChronosError
from engine.model import DELIVERED, Delivery, Message, Outcome, Priority, RetryPolicy, RouteStep, State, TargetSpec
from engine.operations import lanekeeping, ordering
from engine.operations.context import Context, recorded, target_spec
from engine.rules import breaker, rate
from engine.rules.backoff import rng_for
from engine.rules.decide import ABANDONED, Decision, decide
from engine.store import attempts, audit, lanes, leader, messages
from engine.store.attempts import Candidate, Taken
from engine.store.tx import Tx

LEASE_MARGIN_MS = 30_000
"""A lease outlives the attempt's own deadline by this, so that only a sender that does not come back loses it."""

_FAR_MS = 3_600_000  # look again at least every hour, whatever the rows say
_PRIORITIES = (3, 2, 1, 0)
_PAST_HELD = 500
_ANY_BYTES = 1 << 62


class Deposed(ChronosError):
    """Another process has taken over; this one must deliver nothing more."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What could be claimed now, best first, and when to look again if nothing else happens (ms, wall clock)."""

    candidates: tuple[Candidate, ...]
    wake_ms: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is ours to send: its fence, its lane, and its target as configured now (None: no longer is)."""

    taken: Taken
    lane: str
    target: str
    spec: TargetSpec | None


@dataclass(frozen=True, slots=True)
class Finish:
    """How a claimed attempt ended."""

    message_id: int
    attempt_no: int
    outcome: Outcome


def plan(tx: Tx, context: Context, *, seats: Callable[[str], int], most: int, most_bytes: int = _ANY_BYTES) -> Plan:
    """Look for what may leave now. `seats(lane)` is how many more the lane may have on the wire.

    most_bytes: of content; the first one may be larger, so that it leaves at all.

    One seek a lane, template and priority: neither the length of the queue nor a dead target in front of it matters.
    """
    now_ms = context.clock.now_ms()
    scopes = {hold.scope: hold for hold in lanes.active_holds(tx, now_ms)}
    wake_ms = min([now_ms + _FAR_MS, *(hold.until_ms for hold in scopes.values())])
    found: list[tuple[int, int, int, Candidate]] = []
    rooms: dict[str, int] = {}
    if "all" in scopes:
        return Plan((), wake_ms)
    # A hold on one ad hoc address concerns a part of its lane: look further than at the heads.
    further = _PAST_HELD if any(scope.count(":") > 1 for scope in scopes) else 0
    for lane, template in attempts.partitions(tx):
        if f"target:{lane}" in scopes or (template and f"template:{template}" in scopes):
            continue
        if lane not in rooms:
            spec = context.settings.targets.get(lane)
            allowed, again_ms = lanekeeping.room(lanes.get(tx, lane), spec, now_ms)
            if allowed <= 0:
                wake_ms = min(wake_ms, again_ms)
            rooms[lane] = min(allowed, seats(lane), most)  # no seat: the end of an attempt wakes us
        if rooms[lane] <= 0:
            continue
        heads, next_ms = _heads(tx, lane, template, now_ms, rooms[lane] + further)
        wake_ms = min(wake_ms, next_ms or wake_ms)
        heads = [head for head in heads if not _is_held(head, scopes)][: rooms[lane]]
        found += [(-head.priority, rank, head.due_ms, head) for rank, head in enumerate(heads)]
    found.sort(key=lambda item: item[:3])
    return Plan(_within(rooms, [item[3] for item in found], most, most_bytes), wake_ms)


def _within(
    rooms: dict[str, int], candidates: Sequence[Candidate], most: int, most_bytes: int
) -> tuple[Candidate, ...]:
    """Keep what fits into each lane's room, which its templates share, and into memory."""
    chosen: list[Candidate] = []
    for candidate in candidates:
        if rooms[candidate.lane] <= 0:
            continue
        if len(chosen) >= most or (chosen and candidate.size > most_bytes):
            break
        rooms[candidate.lane] -= 1
        most_bytes -= candidate.size
        chosen.append(candidate)
    return tuple(chosen)


def _heads(tx: Tx, lane: str, template: str, now_ms: int, room: int) -> tuple[list[Candidate], int | None]:
    heads: list[Candidate] = []
    upcoming: list[int] = []
    for priority in _PRIORITIES:
        if len(heads) < room:
            heads += attempts.due(tx, lane, template, priority, now_ms, room - len(heads))
        next_ms = attempts.next_due(tx, lane, template, priority) if not heads else None
        if next_ms is not None:
            upcoming.append(next_ms)
    return heads, min(upcoming, default=None)


def claim(tx: Tx, context: Context, epoch: int, candidates: Sequence[Candidate]) -> list[Claimed]:
    """Claim them, each with a lease and an attempt row. What somebody acted on meanwhile is left out.

    Raises Deposed when the epoch is no longer ours.
    """
    fence(tx, epoch)
    now_ms = context.clock.now_ms()
    scopes = {hold.scope for hold in lanes.active_holds(tx, now_ms)}
    changed: dict[str, lanes.Lane] = {}
    claimed = []
    for candidate in candidates:
        if _is_held(candidate, scopes):
            continue
        spec = target_spec(context.settings, candidate.target)
        lease_until_ms = now_ms + lease_ms(spec)
        taken = attempts.take(tx, candidate, now_ms=now_ms, lease_until_ms=lease_until_ms, epoch=epoch)
        if taken is None:
            continue
        claimed.append(Claimed(taken, candidate.lane, candidate.target, spec))
        _note_claim(tx, changed, candidate.lane, spec, now_ms)
    for lane in changed.values():
        lanes.save(tx, lane)
    return claimed


def _is_held(candidate: Candidate, scopes: Collection[str]) -> bool:
    own = (
        "all",
        f"channel:{candidate.channel}",
        f"target:{candidate.lane}",
        f"target:{candidate.target}",
        f"template:{candidate.template}",
    )
    return any(scope in scopes for scope in own)


def lease_ms(spec: TargetSpec | None) -> int:
    """Return how long an attempt may take before its message is taken back, in ms."""
    return (spec.timeout_ms if spec else 0) + LEASE_MARGIN_MS


def _note_claim(tx: Tx, changed: dict[str, lanes.Lane], name: str, spec: TargetSpec | None, now_ms: int) -> None:
    lane = changed.get(name) or lanes.get(tx, name)
    after = replace(lane, breaker=breaker.on_claim(lane.breaker, now_ms))
    if spec is not None and spec.rate is not None:
        after = replace(after, rate_tat_ms=rate.consume(lane.rate_tat_ms, spec.rate, now_ms, 1))
    if after != lane:
        changed[name] = after


def fence(tx: Tx, epoch: int) -> None:
    """Raise Deposed unless this epoch still rules."""
    if leader.read(tx).epoch != epoch:
        raise Deposed("another process has taken over the outbox; this one stops delivering")


def load(tx: Tx, context: Context, claimed: Claimed) -> Delivery:
    """Read what a sender thread needs. The spec must be known."""
    assert claimed.spec is not None
    taken = claimed.taken
    instance = context.settings.instance
    return Delivery(
        message_id=taken.id,
        uid=taken.uid,
        attempt_no=taken.attempt_no,
        target=claimed.spec,
        content=messages.content(tx, taken.id),
        created_ms=taken.created_ms,
        priority=Priority(taken.priority),
        domain=instance if "." in instance else f"{instance}.local",
        accepted=attempts.accepted(tx, taken.id, claimed.target) if taken.attempt_no > 1 else (),
        timeout_ms=claimed.spec.timeout_ms,
        tags=messages.tags(tx, taken.id),
    )


def finish(tx: Tx, context: Context, epoch: int, finishes: Sequence[Finish]) -> list[tuple[Message, Decision]]:
    """Record outcomes; many share one transaction. A late one is recorded and leaves the message alone.

    Returns what was decided for each message that was still ours.
    """
    decided = []
    changed: dict[str, lanes.Lane] = {}
    for one in finishes:
        message = messages.get(tx, one.message_id)
        if message is None:
            continue
        decision = _finish_one(tx, context, epoch, message, one)
        if decision is None:
            continue
        decided.append((message, decision))
        lane = changed.get(message.lane) or lanes.get(tx, message.lane)
        after = lanekeeping.after_attempt(tx, context, lane, message, one.outcome)
        if after != lane:
            changed[message.lane] = after
    for lane in changed.values():
        lanes.save(tx, lane)
    return decided


def _finish_one(tx: Tx, context: Context, epoch: int, message: Message, one: Finish) -> Decision | None:
    now_ms = context.clock.now_ms()
    steps = context.settings.routes.get(message.route, ())
    next_step = steps[message.hop + 1] if message.hop + 1 < len(steps) else None
    spec = target_spec(context.settings, message.target)
    decision = decide(
        message,
        one.outcome,
        spec.retry if spec else RetryPolicy(),
        now_ms=now_ms,
        rng=lambda: rng_for(context.seed, message.id, one.attempt_no),
        next_hop=next_step is not None,
    )
    ours = message.attempts == one.attempt_no and (
        message.state == State.SENDING or _taken_back(tx, message, one, epoch, now_ms)
    )
    rule = decision.rule if ours else "came too late: the message had gone on without it"
    next_ms = decision.due_ms if ours else None
    attempts.end(tx, message.id, one.attempt_no, one.outcome, now_ms=now_ms, rule=rule, next_ms=next_ms)
    if not ours:
        return None
    failed = decision.state != State.DELIVERED
    params = {
        "id": message.id,
        "attempt_no": one.attempt_no,
        "epoch": epoch,
        "state": decision.state.value,
        "reason": decision.rule if failed else "",
        "due_ms": decision.due_ms if decision.due_ms is not None else message.due_ms,
        "finished_ms": None if decision.state in {State.QUEUED, State.UNCERTAIN} else now_ms,
        "failures": decision.failures,
        "last_code": one.outcome.code if failed else message.last_code,
        "last_word": one.outcome.detail if failed else message.last_word,
    }
    if tx.run("claims.finish", params) == 0:
        return None
    if decision.hop and next_step is not None:
        hop(tx, context, message, next_step, decision.rule)
    _audit_end(tx, context, message, decision, one, now_ms)
    ordering.settle(tx, context.settings, message.ordering_key)
    return decision


def _taken_back(tx: Tx, message: Message, one: Finish, epoch: int, now_ms: int) -> bool:
    """Whether an attempt that was given up, and was accepted after all, has its message again: nobody sends it anew."""
    if one.outcome.kind != DELIVERED or message.state not in {State.QUEUED, State.UNCERTAIN}:
        return False
    fence = {"id": message.id, "attempt_no": one.attempt_no, "epoch": epoch}
    if not tx.value("claims.was_given_up", fence):
        return False
    if message.state == State.UNCERTAIN:
        messages.move(tx, message.id, message.state, State.QUEUED, reason="", due_ms=message.due_ms, finished_ms=None)
    return tx.run("claims.take_back", {**fence, "now_ms": now_ms}) == 1


def _audit_end(tx: Tx, context: Context, message: Message, decision: Decision, one: Finish, now_ms: int) -> None:
    if decision.state == State.QUEUED:
        return  # single failed attempts live in `attempts`
    detail: dict[str, object] = {"id": message.id, "target": recorded(message.target), "attempt": one.attempt_no}
    if decision.state != State.DELIVERED:
        detail["reason"] = decision.rule
        detail["last"] = lanekeeping.clean(f"{one.outcome.code} {one.outcome.detail}".strip()[:500])
    audit.append(tx, now_ms, "engine", f"message.{decision.state.value}", message.uid, detail)


def hop(tx: Tx, context: Context, message: Message, step: RouteStep, why: str) -> None:
    """Let the route's next step take over; the message stays queued under its identity."""
    now_ms = context.clock.now_ms()
    spec = target_spec(context.settings, step.target)
    steps = context.settings.routes[message.route]
    number = message.hop + 1
    later = steps[number + 1].after_ms if number + 1 < len(steps) else None
    # A message with a send time counts from there, as its first step did.
    start_ms = message.hop_ms - step.after_ms if message.hop_ms is not None else message.created_ms
    reason = f"{message.target}: {why}; the route {message.route} went on to {step.target}"
    params = {
        "id": message.id,
        "before": State.QUEUED.value,
        "target": step.target,
        "lane": (spec.lane or spec.name) if spec else step.target,
        "channel": spec.channel if spec else message.channel,
        "hop": number,
        "hop_ms": start_ms + later if later is not None else None,
        "now_ms": now_ms,
        "reason": reason,
    }
    if tx.run("messages.hop", params):
        detail = {"id": message.id, "from": message.target, "to": step.target, "reason": why}
        audit.append(tx, now_ms, "engine", "message.rerouted", message.uid, detail)


def reclaim_orphans(tx: Tx, context: Context, epoch: int) -> int:
    """Take up what former owners left on the wire; return how many. The engine lock proves that they are dead."""
    rows = attempts.orphans(tx, epoch)
    for message_id, attempt_no, old_epoch in rows:
        outcome = Outcome(ABANDONED, "the engine died during this attempt; whether it arrived is unknown")
        finish(tx, context, old_epoch, [Finish(message_id, attempt_no, outcome)])
    return len(rows)


def reclaim_overdue(tx: Tx, context: Context, epoch: int, fences: Sequence[tuple[int, int]]) -> None:
    """Take back our own attempts, by (message, attempt), whose sender did not come back within the lease."""
    outcome = Outcome(ABANDONED, "no answer within the lease; whether it arrived is unknown")
    finish(tx, context, epoch, [Finish(message_id, attempt_no, outcome) for message_id, attempt_no in fences])
