"""More words for times than a column needs: how long ago, how long still, with the zone; and back from text. Pure."""

from __future__ import annotations

import time
from datetime import datetime

from chronos_tui.views import times

_MINUTE_MS = 60_000


def ago(then_ms: int, now_ms: int) -> str:
    """Return how long ago for the middle of a sentence: "just now", "5 min ago", "in 3 d"."""
    words = times.coarse(then_ms, now_ms)
    if words == "now":
        return "just now"
    return words if words.startswith("in ") else f"{words} ago"


def left(until_ms: int, now_ms: int) -> str:
    """Return how long something still lasts, rounded up: "12 min left", "less than 1 min left"."""
    minutes = -(-(until_ms - now_ms) // _MINUTE_MS)
    if minutes <= 1:
        return "less than 1 min left"
    if minutes < 120:
        return f"{minutes} min left"
    hours = -(-minutes // 60)
    return f"{hours} h left" if hours < 48 else f"{-(-hours // 24)} d left"


def full(ms: int) -> str:
    """Return local time with its zone: "2026-09-21 14:13:20 UTC"."""
    return _local(ms, "%Y-%m-%d %H:%M:%S %Z")


def stamp(ms: int) -> str:
    """Return local time for a column, always of 19 characters: "2026-09-21 14:13:20"."""
    return _local(ms, "%Y-%m-%d %H:%M:%S")


def parse_ms(text: str) -> int | None:
    """Return the milliseconds of RFC 3339 in UTC; None for what is none, as in a log that was tampered with."""
    try:
        found = datetime.fromisoformat(text)
        return round(found.timestamp() * 1000) if found.tzinfo is not None else None
    except (ValueError, OverflowError, OSError):
        return None


def _local(ms: int, form: str) -> str:
    try:
        return time.strftime(form, time.localtime(ms / 1000))
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"  # no calendar has it
