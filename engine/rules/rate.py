"""Rate limits by GCRA: one number a lane, the theoretical arrival time (TAT). Stores nothing and knows no clock.

A lane that rested may send `rate.limit` at once, then one each `per_ms / count`. The TAT is rounded up to whole
milliseconds, so the rate is never exceeded in the long run. Source: ITU-T I.371, "virtual scheduling".
"""

from __future__ import annotations

from engine.model import Rate


def capacity(tat: float, rate: Rate, now_ms: int) -> int:
    """Return how many may go now, 0 to `rate.limit`."""
    room_ms = now_ms + rate.per_ms - _effective(tat, rate, now_ms)
    return room_ms * rate.limit // rate.per_ms


def consume(tat: float, rate: Rate, now_ms: int, n: int) -> int:
    """Return the TAT after `n` went at `now_ms`. Does not ask whether they were allowed."""
    return _effective(tat, rate, now_ms) - (-n * rate.per_ms // rate.limit)


def allow(tat_ms: float, rate: Rate, now_ms: int) -> tuple[bool, int]:
    """Return whether one may go now, and the TAT afterwards: the one to store."""
    if capacity(tat_ms, rate, now_ms) < 1:
        return False, _effective(tat_ms, rate, now_ms)
    return True, consume(tat_ms, rate, now_ms, 1)


def next_ms(tat: float, rate: Rate, now_ms: int) -> int:
    """Return when the next one may go: `now_ms` if it may go at once."""
    if capacity(tat, rate, now_ms) >= 1:
        return now_ms
    return _effective(tat, rate, now_ms) - rate.per_ms - (-rate.per_ms // rate.limit)


def _effective(tat: float, rate: Rate, now_ms: int) -> int:
    """The TAT within what this clock can have produced: one far ahead means that the clock was set back."""
    return min(max(int(tat), now_ms), now_ms + rate.per_ms)
