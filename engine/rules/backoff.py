"""When a failed message is tried again, and when it is given up. Knows no clock: the caller adds `now`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model import RetryPolicy
from engine.rules.durations import compact_duration

if TYPE_CHECKING:
    import random

# 2^62 ms is 146 million years: doubling further only costs memory.
_MOST_DOUBLINGS = 62


def delay_ms(policy: RetryPolicy, failure_no: int, rng: random.Random, *, retry_after_ms: int | None = None) -> int:
    """Return how long to wait after the `failure_no`-th failure of this cycle, in milliseconds, never below 0.

    Counts from 1. Doubles from `policy.first_ms` up to `policy.cap_ms`, then ± `policy.jitter` of that. A longer
    Retry-After wins, but never beyond the cap: a broken server must not park a message for a year.

    Raises ValueError if `failure_no` < 1.
    Source of the shape: Standard Webhooks 1.0.0, "Deliverability".
    """
    if failure_no < 1:
        raise ValueError(f"failures count from 1, not {failure_no}")
    base_ms = min(policy.first_ms << min(failure_no - 1, _MOST_DOUBLINGS), policy.cap_ms)
    wait_ms = round(base_ms * (1 + policy.jitter * rng.uniform(-1, 1)))
    if retry_after_ms is not None:
        wait_ms = max(wait_ms, min(retry_after_ms, policy.cap_ms))
    return max(wait_ms, 0)


def gives_up(policy: RetryPolicy, failures: int, cycle_ms: int, next_due_ms: int) -> str | None:
    """Return the rule that ends the retries, in words, or None if the message is tried again.

    cycle_ms: when this cycle began (enqueue, redrive, or a route's next step). The age counts at the next attempt, so
    that a message never waits only to be found too old.
    """
    if failures >= policy.attempts:
        return f"{policy.attempts} attempts used up" if policy.attempts != 1 else "1 attempt used up"
    if next_due_ms - cycle_ms > policy.max_age_ms:
        return f"older than {compact_duration(policy.max_age_ms, exact=True)}"
    return None


def rng_for(seed: int, message_id: int, attempt_no: int) -> random.Random:
    """Return the jitter's generator: the same for the same engine seed, message and attempt, unlike for all others."""
    import random  # 5 ms that only a failed attempt needs

    return random.Random(f"{seed}:{message_id}:{attempt_no}")  # noqa: S311 - spreads load, guards nothing
