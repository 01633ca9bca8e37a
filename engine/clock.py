"""The only place that asks the system for the time. Everything else is handed a Clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for people and rows, monotonic time for waits and deadlines."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC. May jump."""

    def monotonic_ms(self) -> int:
        """Milliseconds that never go back. Means nothing outside this process."""


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000
