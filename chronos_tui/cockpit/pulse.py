"""When the cockpit reads anew: at once after a quiet time, then at most so often, and once a minute. Reads nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

from chronos_tui import bridge

_QUIET_S = 1.0
"""In the long run a panel is read anew at most so often."""

_BUSY_S = 0.25
"""The same while the operator is at the keys."""

_SAVED_S = 2.0
"""What a quiet time is worth: after it a few changes in a row are shown at once. A heartbeat alone, every five seconds,
must not keep the next message waiting."""

_AT_THE_KEYS_S = 3.0
_MINUTE_MS = 60_000


class Pulse:
    """reload: called with the topics that moved. later: runs a function after so many seconds. now_s: monotonic."""

    def __init__(
        self,
        reload: Callable[[frozenset[bridge.Topic]], None],
        later: Callable[[float, Callable[[], None]], object],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reload = reload
        self._later = later
        self._now_s = now_s
        self._dirty: frozenset[bridge.Topic] = frozenset()
        self._paid_until_s = 0.0
        self._key_s = 0.0
        self._due = False
        self._minute: int | None = None

    def key(self) -> None:
        """Somebody is there."""
        self._key_s = self._now_s()

    def moved(self, topics: frozenset[bridge.Topic]) -> None:
        """Something was committed."""
        self._dirty |= topics
        if self._due:
            return
        wait_s = self._paid_until_s - _SAVED_S - self._now_s()
        if wait_s <= 0:
            self._beat()
        else:
            self._due = True
            self._later(wait_s, self._beat)

    def _beat(self) -> None:
        self._due = False
        topics, self._dirty = self._dirty, frozenset()
        now_s = self._now_s()
        # Each reading costs an interval; what is paid for beyond the saved time is waited for.
        interval_s = _BUSY_S if now_s - self._key_s < _AT_THE_KEYS_S else _QUIET_S
        self._paid_until_s = max(now_s, self._paid_until_s) + interval_s
        self._reload(topics)

    def new_minute(self, now_ms: int) -> bool:
        """Return whether a minute has begun since the last call: ages in lists are another minute older."""
        minute = now_ms // _MINUTE_MS
        before, self._minute = self._minute, minute
        return before is not None and minute != before
