"""A target's circuit breaker: values in, a new value out. Stores nothing and knows no clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

FAILURES_IN_A_ROW = 5
WINDOW_MS = 30_000
WINDOW_LEAST = 10
WINDOW_FAILED_SHARE = 0.7
FIRST_OPEN_MS = 5_000
FIRST_OPEN_MISCONFIGURED_MS = 60_000
LONGEST_OPEN_MS = 15 * 60_000
# A probe whose owner died never reports. Longer than a lease, so that two probes are never under way on purpose.
PROBE_PATIENCE_MS = 120_000
UNLIMITED = 1_000_000


class BreakerState(StrEnum):
    """closed: messages flow. open: none leaves. half_open: one probe is under way."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """What is remembered of a target. `Breaker()` is a target that nothing is known against.

    open_ms: how long it was opened for the last time; doubles with each failed probe. probe_ms: when the next probe may
    leave; while half open, when the probe that is under way counts as lost. reason: of the last opening; hostile text.
    """

    state: BreakerState = BreakerState.CLOSED
    failures_in_row: int = 0
    window_start_ms: int = 0
    window_total: int = 0
    window_failed: int = 0
    opened_ms: int = 0
    probe_ms: int = 0
    open_ms: int = 0
    reason: str = ""


def on_success(b: Breaker, now_ms: int) -> Breaker:
    """The target took a message, or refused that one message on its own merits: it works. Closes from any state."""
    if b.state is not BreakerState.CLOSED:
        return Breaker(window_start_ms=now_ms, window_total=1)
    counted = _count(b, now_ms, failed=0)
    return replace(counted, failures_in_row=0)


def on_failure(b: Breaker, now_ms: int, *, misconfigured: bool, reason: str) -> Breaker:
    """A message failed for a reason that is the target's, not the message's.

    misconfigured: every message would fail alike (login, certificate): opens at once. A failure that arrives while it
    is open belongs to a message that left before; it does not prolong the wait.
    """
    first_ms = FIRST_OPEN_MISCONFIGURED_MS if misconfigured else FIRST_OPEN_MS
    if b.state is BreakerState.HALF_OPEN:
        return _open(b, now_ms, max(2 * b.open_ms, first_ms), reason)
    if b.state is BreakerState.OPEN:
        if misconfigured and b.open_ms < first_ms:
            return _open(b, now_ms, first_ms, reason)
        return b
    b = replace(_count(b, now_ms, failed=1), failures_in_row=b.failures_in_row + 1)
    sample_bad = b.window_total >= WINDOW_LEAST and b.window_failed >= WINDOW_FAILED_SHARE * b.window_total
    if misconfigured or sample_bad or b.failures_in_row >= FAILURES_IN_A_ROW:
        return _open(b, now_ms, first_ms, reason)
    return b


def may_send(b: Breaker, now_ms: int) -> int:
    """Return how many messages may leave now: 0, 1 (the probe), or UNLIMITED."""
    if b.state is BreakerState.CLOSED:
        return UNLIMITED
    return 1 if _due(b, now_ms) else 0


def on_claim(b: Breaker, now_ms: int) -> Breaker:
    """A message leaves: where it is the probe, the breaker is half open until the probe's outcome."""
    if b.state is BreakerState.CLOSED or not _due(b, now_ms):
        return b
    return replace(b, state=BreakerState.HALF_OPEN, probe_ms=now_ms + PROBE_PATIENCE_MS)


def _due(b: Breaker, now_ms: int) -> bool:
    # A probe further away than the longest opening means that the clock was set back: it counts as due.
    return now_ms >= b.probe_ms or b.probe_ms - now_ms > LONGEST_OPEN_MS


def _open(b: Breaker, now_ms: int, open_ms: int, reason: str) -> Breaker:
    open_ms = min(open_ms, LONGEST_OPEN_MS)
    return replace(
        b,
        state=BreakerState.OPEN,
        opened_ms=now_ms,
        probe_ms=now_ms + open_ms,
        open_ms=open_ms,
        window_start_ms=now_ms,
        window_total=0,
        window_failed=0,
        reason=reason,
    )


def _count(b: Breaker, now_ms: int, *, failed: int) -> Breaker:
    """Count one outcome into the sample; a sample that is over, or lies ahead of the clock, starts anew."""
    if not 0 <= now_ms - b.window_start_ms < WINDOW_MS:
        return replace(b, window_start_ms=now_ms, window_total=1, window_failed=failed)
    return replace(b, window_total=b.window_total + 1, window_failed=b.window_failed + failed)
