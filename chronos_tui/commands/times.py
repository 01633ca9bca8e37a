"""Times for people: local, with the zone stated. Everything inside is milliseconds UTC; this is the one place."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from chronos_tui import bridge

if TYPE_CHECKING:
    from datetime import tzinfo


def now_ms() -> int:
    """Return the time by the machine's clock."""
    return bridge.SystemClock().now_ms()


def clock(at_ms: int) -> str:
    """Return the local time of day: "14:03:22"."""
    return time.strftime("%H:%M:%S", time.localtime(at_ms // 1000))


def moment(at_ms: int) -> str:
    """Return a local date and time with its zone: "2026-11-23 14:03:22 CET"."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(at_ms // 1000))


def relative(at_ms: int, now: int) -> str:
    """Return "5 min ago", "in 2 h" or "now", in the greatest unit."""
    distance_ms = at_ms - now
    if abs(distance_ms) < 1_000:
        return "now"
    words = " ".join(bridge.format_duration(abs(distance_ms)).split()[:2])
    return f"in {words}" if distance_ms > 0 else f"{words} ago"


def stamp(at_ms: int | None) -> str | None:
    """Return RFC 3339 for documents; None stays None."""
    return None if at_ms is None else bridge.rfc3339(at_ms)


def parse(text: str, env: Mapping[str, str]) -> int:
    """Return the moment that a person wrote, in ms UTC; a time without a zone is local. Raises BadInput."""
    return bridge.parse_time_ms(text, now_ms(), local_zone(env))


def local_zone(env: Mapping[str, str]) -> tzinfo:
    """Return this machine's time zone with its changes of the clocks, by TZ or /etc/localtime.

    A TZ that is no name of a zone ("CET-1CEST") gives the offset of this moment.
    """
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    named = env.get("TZ", "").removeprefix(":")
    try:
        if named:
            return ZoneInfo(named)
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file, key="local time")
    except (OSError, ValueError, KeyError):
        return datetime.fromtimestamp(now_ms() / 1000, UTC).astimezone().tzinfo or UTC


def parse_since(text: str, env: Mapping[str, str]) -> int:
    """Return the moment from which on to look: a duration counts back from now, "14:00" is the last one that was.

    Raises BadInput.
    """
    now = now_ms()
    try:
        return now - bridge.parse_duration_ms(text)
    except bridge.BadInput:
        found = parse(text, env)
    return found - 86_400_000 if found > now and ":" in text and len(text) <= len("14:00") else found
