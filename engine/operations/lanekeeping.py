"""What an attempt teaches about its target: breaker, throttle, disable, incidents, and how many may leave now."""

from __future__ import annotations

from dataclasses import replace

from engine.errors import Sent
from engine.model import DELIVERED, Message, Outcome, RetryPolicy, TargetSpec
from engine.operations import incidents
from engine.operations.context import Context, target_spec, writable
from engine.rules import breaker, rate
from engine.rules.breaker import BreakerState
from engine.rules.decide import ABANDONED
from engine.rules.durations import format_duration, rfc3339
from engine.rules.incidents import Kind
from engine.rules.scopes import unknown_target
from engine.store import audit, lanes
from engine.store.lanes import Lane
from engine.store.tx import Tx

_NOTE_SUCCESS_MS = 10_000  # a lane that works is not rewritten for every message
_FAR_MS = 3_600_000


def room(lane: Lane, spec: TargetSpec | None, now_ms: int) -> tuple[int, int]:
    """Return how many messages may leave to this lane now, and when to ask again if it is none (ms, wall clock)."""
    if lane.disabled_reason:
        return 0, now_ms + _FAR_MS
    longest_ms = spec.retry.cap_ms if spec else RetryPolicy().cap_ms
    wait_ms = lane.throttled_until_ms - now_ms
    if 0 < wait_ms <= longest_ms:  # further away than we ever set it: the clock was set back
        return 0, lane.throttled_until_ms
    seats = breaker.may_send(lane.breaker, now_ms) if spec is None or spec.breaker else breaker.UNLIMITED
    if seats == 0:
        return 0, lane.breaker.probe_ms
    if spec is not None and spec.rate is not None:
        # Further ahead than it is ever set: the clock was set back. The rate begins anew.
        tat_ms = lane.rate_tat_ms if lane.rate_tat_ms <= now_ms + spec.rate.per_ms else 0
        seats = min(seats, rate.capacity(tat_ms, spec.rate, now_ms))
        if seats == 0:
            return 0, rate.next_ms(tat_ms, spec.rate, now_ms)
    return seats, now_ms


def words(lane: Lane, now_ms: int) -> str | None:
    """Say what keeps the lane from sending, None when nothing does."""
    if lane.disabled_reason:
        return f"disabled: {lane.disabled_reason}"
    if lane.throttled_until_ms > now_ms:
        return f"throttled by the receiver for another {format_duration(lane.throttled_until_ms - now_ms)}"
    if lane.breaker.state == BreakerState.CLOSED:
        return None
    left_ms = lane.breaker.probe_ms - now_ms
    probe = f"in {format_duration(left_ms)}" if left_ms > 0 else "now"
    return f"breaker {lane.breaker.state.value}, next probe {probe}: {lane.breaker.reason}"


def after_attempt(tx: Tx, context: Context, lane: Lane, message: Message, outcome: Outcome) -> Lane:
    """Return the lane as it is after an attempt, with incidents and audit entries for what an operator must know."""
    now_ms = context.clock.now_ms()
    if outcome.kind == ABANDONED:
        return lane
    words_ = f"{outcome.code} {outcome.detail}".strip()[:500]
    if outcome.kind in {DELIVERED, Sent.REJECTED}:
        lane = _after_answer(tx, context, lane, message, now_ms, accepted=outcome.kind == DELIVERED)
        if not outcome.disable_target:
            return lane
        return _disable(tx, context, lane, message, words_, now_ms)
    lane = replace(lane, last_failure_ms=now_ms, last_word=words_)
    if outcome.kind == Sent.THROTTLED:
        if lane.breaker.state == BreakerState.HALF_OPEN:  # the probe was answered: the target is there
            lane = _after_answer(tx, context, lane, message, now_ms, accepted=False)
        if outcome.retry_after_ms is None:
            return lane
        cap_ms = _policy(context, message).cap_ms
        return replace(lane, throttled_until_ms=now_ms + min(outcome.retry_after_ms, cap_ms))
    wrong = outcome.kind == Sent.MISCONFIGURED
    if wrong:
        incidents.raise_incident(tx, context, Kind.TARGET_MISCONFIGURED, lane.lane, words_)
    spec = target_spec(context.settings, message.target)
    if spec is not None and not spec.breaker:
        return lane
    after = breaker.on_failure(lane.breaker, now_ms, misconfigured=wrong, reason=words_)
    if after.state == BreakerState.OPEN and lane.breaker.state == BreakerState.CLOSED:
        detail: dict[str, object] = {"reason": clean(words_), "probe_at": rfc3339(after.probe_ms)}
        audit.append(tx, now_ms, "engine", "target.breaker_opened", lane.lane, detail)
    return replace(lane, breaker=after)


def _after_answer(tx: Tx, context: Context, lane: Lane, message: Message, now_ms: int, *, accepted: bool) -> Lane:
    """The target is there. accepted: and took the message, which alone counts as a success of its own."""
    success_ms = now_ms if accepted else lane.last_success_ms
    if accepted and lane.last_failure_ms is not None and (lane.last_success_ms or 0) <= lane.last_failure_ms:
        # By the failure and not by the breaker, which a target may be without.
        incidents.settle(tx, context, Kind.TARGET_MISCONFIGURED, lane.lane, f"{message.uid} was accepted")
    calm = lane.breaker.state == BreakerState.CLOSED
    if calm and not lane.breaker.failures_in_row and not lane.breaker.window_failed:
        if lane.last_success_ms is not None and 0 <= now_ms - lane.last_success_ms < _NOTE_SUCCESS_MS:
            return lane
        return replace(lane, last_success_ms=success_ms)
    if not calm:
        audit.append(tx, now_ms, "engine", "target.breaker_closed", lane.lane, {"by": message.uid})
        incidents.settle(tx, context, Kind.TARGET_MISCONFIGURED, lane.lane, f"{message.uid} was answered")
    return replace(lane, breaker=breaker.on_success(lane.breaker, now_ms), last_success_ms=success_ms)


def _disable(tx: Tx, context: Context, lane: Lane, message: Message, reason: str, now_ms: int) -> Lane:
    incidents.raise_incident(tx, context, Kind.TARGET_DISABLED, lane.lane, reason)
    audit.append(tx, now_ms, "engine", "target.disabled", lane.lane, {"reason": clean(reason), "by": message.uid})
    return replace(lane, disabled_reason=reason or "the receiver said never again")


def enable(context: Context, name: str) -> bool:
    """Close the breaker and lift a disable by the operator's word; return whether there was anything to lift.

    Raises NotFound for a target nobody configured.
    """
    writable(context)
    spec = target_spec(context.settings, name)
    if spec is None:
        raise unknown_target(context.settings, name)
    lane = spec.lane or spec.name

    def act(tx: Tx) -> bool:
        now_ms = context.clock.now_ms()
        lifted = lanes.reset(tx, lane)
        for kind in (Kind.TARGET_MISCONFIGURED, Kind.TARGET_DISABLED):
            incidents.settle(tx, context, kind, lane, f"enabled by {context.actor}")
        audit.append(tx, now_ms, context.actor, "target.enabled", lane, {})
        return lifted

    return context.database.write(act)


def clean(text: str) -> str:
    """Make hostile text fit for canonical JSON: half characters become question marks."""
    return text.encode(errors="replace").decode()


def _policy(context: Context, message: Message) -> RetryPolicy:
    spec = target_spec(context.settings, message.target)
    return spec.retry if spec else RetryPolicy()
