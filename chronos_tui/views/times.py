"""Times on the screen: coarse in lists, so that nothing ticks; local and whole in details. Reads no clock."""

from __future__ import annotations

import time

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS


def coarse(at_ms: int, now_ms: int) -> str:
    """Return "now", "5 min", "2 h" or "3 d" for what has passed, "in 5 min" for what comes; whole units."""
    distance_ms = at_ms - now_ms
    if abs(distance_ms) < _MINUTE_MS:
        return "now"
    if distance_ms < 0:
        return _unit(-distance_ms)
    # What is 4 min 59 s ahead is "in 5 min", and was "5 min" ahead a moment ago.
    return f"in {_unit(distance_ms + _MINUTE_MS - 1)}"


def _unit(ms: int) -> str:
    if ms < _HOUR_MS:
        return f"{ms // _MINUTE_MS} min"
    if ms < 2 * _DAY_MS:
        return f"{ms // _HOUR_MS} h"
    return f"{ms // _DAY_MS} d"


def moment(at_ms: int, now_ms: int) -> str:
    """Return the local time of day, "14:03:22", with the date in front where it is not today's."""
    try:
        at, now = time.localtime(at_ms // 1000), time.localtime(now_ms // 1000)
    except (OverflowError, OSError, ValueError):
        return f"{at_ms} ms"  # no calendar has it
    return time.strftime("%H:%M:%S" if at[:3] == now[:3] else "%Y-%m-%d %H:%M:%S", at)


def zone(at_ms: int) -> str:
    """Return the name of the local zone at that time: "CET"."""
    return time.strftime("%Z", time.localtime(at_ms // 1000))


def number(n: int) -> str:
    """Return a number with its thousands apart: "1 204 331"."""
    return f"{n:_}".replace("_", " ")
